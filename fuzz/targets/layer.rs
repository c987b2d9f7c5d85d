//! A layer of an image, as the image builder reads and applies it: alone, and over itself. The first byte says how it is
//! compressed.
#![no_main]

#[path = "../../micrun-image-builder/src/layers/mod.rs"]
mod layers;
mod scratch;

use std::io::Read;

use layers::{Budget, Kind, Layer, Packing, Stack, decoder, read_files};
use libfuzzer_sys::fuzz_target;
use micrun_firmware::Sha256Digest;

/// As much as is unpacked within a moment.
const MOST_BYTES: u64 = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let mut layer = bytes.to_vec();
    scratch::sum_headers(&mut layer);
    let mut tar = Vec::new();
    let unpacked = decoder(Packing::ByContent, layer.as_slice());
    if unpacked.and_then(|from| from.take(MOST_BYTES).read_to_end(&mut tar)).is_err() {
        return;
    }
    scratch::sum_headers(&mut tar);
    let mut stack = Stack::default();
    for number in 0..2 {
        let Ok(layer) = Layer::read(number, tar.as_slice(), &mut Budget::of_bytes(MOST_BYTES)) else {
            continue;
        };
        let Ok(changes) = stack.push(layer, &mut Budget::of_bytes(MOST_BYTES)) else { return };
        for change in changes {
            assert!(!change.path.starts_with(b"/"), "{change:?}");
            assert!(change.before.is_some() || change.after.is_some(), "{change:?}");
        }
    }
    let mut names = 0;
    for (path, node) in stack.tree().walk() {
        names += 1;
        assert!(stack.tree().get(&path) == Some(node), "{path:?}");
        let parts = path.split(|byte| *byte == b'/');
        assert!(parts.into_iter().all(|name| !matches!(name, b"" | b"." | b"..")), "{path:?}");
        // The second pass gives what the first one saw.
        if let Kind::File(content) = &node.kind
            && names < 8
        {
            let mut copy = Vec::new();
            let (wanted, mut budget) = ([content.place.entry].into(), Budget::for_files());
            let read = |_, from: &mut dyn Read| from.read_to_end(&mut copy).map(drop);
            read_files(tar.as_slice(), &wanted, &mut budget, read).expect("it was read before");
            assert_eq!((copy.len() as u64, Sha256Digest::of(&copy)), (content.size, content.sha256));
        }
    }
});

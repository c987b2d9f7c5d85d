//! Options of a root file system's mount, one a line. The first line is the file system's type, the first byte says how
//! often the list of layers is repeated: a long one takes other ways.
#![no_main]

#[path = "../../micrun/shim/src/error.rs"]
mod error;
#[path = "../../micrun/shim/src/oci/mount/id_map.rs"]
mod id_map;
#[path = "../../micrun/shim/src/oci/mount/options.rs"]
mod options;
#[path = "../../micrun/shim/src/oci/mount/overlay.rs"]
mod overlay;

use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use options::Options;
use overlay::{LOWER, MOST, Way, layers, unescape};

/// The paths that the kernel would take for layers.
fn paths(options: &[String], directory: &str) -> Option<Vec<PathBuf>> {
    let list = layers(options)?;
    Some(list.into_iter().map(|layer| PathBuf::from(directory).join(&*unescape(layer))).collect())
}

fuzz_target!(|bytes: &[u8]| {
    let Some((times, text)) = bytes.split_first() else { return };
    let Ok(text) = str::from_utf8(text) else { return };
    let mut lines = text.lines();
    let kind = lines.next().unwrap_or_default();
    let repeated = |word: &str| match word.strip_prefix(LOWER) {
        Some(list) => format!("{LOWER}{}", vec![list; usize::from(*times).max(1)].join(":")),
        None => word.to_owned(),
    };
    let words: Vec<String> = lines.map(repeated).collect();
    let Ok(options) = Options::parse(kind, &words) else { return };
    let again = Options::parse(kind, &words).expect("as before");
    assert_eq!(format!("{options:?}"), format!("{again:?}"), "the same each time");
    assert!(options.data.iter().all(|word| words.contains(word)), "nothing is made up");
    assert!(!options.data.iter().any(|word| word.starts_with("X-containerd.") || word == "loop"));

    match Way::of(&options.data) {
        Way::Whole(data) => assert!(data.len() <= MOST && data == options.data.join(",")),
        Way::Within(directory, data) => {
            assert!(data.len() <= MOST && directory.is_absolute());
            let list = data.split(',').map(str::to_owned).collect::<Vec<_>>();
            let directory = directory.to_str().expect("it is of a text");
            // A comma in a name cuts the list here, as it does not in the kernel.
            if !options.data.iter().any(|word| word.contains(',')) {
                assert_eq!(paths(&list, directory), paths(&options.data, ""), "the same layers");
            }
        }
        Way::Piecewise => assert!(options.data.join(",").len() > MOST),
    }
});

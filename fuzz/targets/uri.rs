//! The strings that Create has for the standard streams.
#![no_main]

#[path = "../../micrun/shim/src/error.rs"]
mod error;
#[path = "../../micrun/shim/src/stdio/uri.rs"]
mod uri;

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use uri::{Program, Target};

/// A URI that means the same.
fn print(target: &Target) -> String {
    let encoded =
        |path: &Path| percent_encode(path.as_os_str().as_encoded_bytes(), NON_ALPHANUMERIC).to_string();
    // The first slash stays: `//` in front would be an authority.
    let of = |scheme: &str, path: &Path| format!("{scheme}:/{}", &encoded(path)["%2F".len()..]);
    match target {
        Target::Null => String::new(),
        Target::Path(path) => of("fifo", path),
        Target::File(path) => of("file", path),
        Target::Program(Program { path, args, announces }) => {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(args.chunks(2).map(|pair| (&pair[0], &pair[1])));
            format!("{}?{}", of(if *announces { "binary-v2" } else { "binary" }, path), query.finish())
        }
    }
}

fuzz_target!(|uri: &str| {
    let target = match Target::parse("stdout", uri) {
        Ok(target) => target,
        Err(error) => return assert!(error.to_string().contains(uri), "the refused URI is named"),
    };
    match &target {
        Target::Null => assert!(uri.is_empty()),
        Target::Path(path) | Target::File(path) | Target::Program(Program { path, .. }) => {
            assert!(path.is_absolute(), "nothing depends on where the shim runs");
            assert!(!path.as_os_str().as_encoded_bytes().contains(&0));
        }
    }
    assert_eq!(Target::parse("stdout", &print(&target)).expect("what was written can be read"), target);
});

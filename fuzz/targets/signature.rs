//! The signature of a firmware, as an image brings it. The private half of the key is nobody's any more, so nothing but
//! the statement that it has signed may ever be believed.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use micrun_firmware::signature::{Keys, Signed};

const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEq9sudzEMZFvs1qViXSA/49bkFEBm
lyaDPvzB7TcRLsIfzitq+xiSkNoSmQMkGOgAi/vOTwpX+JVBl2vYTqOL2w==
-----END PUBLIC KEY-----
";
const FIRMWARE: &str = "sha256:ca481857d746e852ce71c2fed0ebd131e4dc9f45a1fae01a2b4e3d25ddd9b310";
const CONF: &str = "sha256:3ed4f7dc3d66990466492ca56b4839edc0d09be8185100e7c069be02ecf4279b";

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::write(dir.path().join("a.pub"), KEY).expect("it can be written");
    Keys::load(dir.path()).expect("it is a key")
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(signed) = Signed::verify(bytes, &KEYS) else { return };
    assert_eq!(signed.firmware.to_string(), FIRMWARE);
    assert_eq!(signed.conf.map(|it| it.to_string()).as_deref(), Some(CONF));
    assert_eq!(signed.pedestal_file, None);
});

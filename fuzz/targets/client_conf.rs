//! `client.conf`, as an image brings it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use micrun_firmware::ClientConf;

fuzz_target!(|text: &str| {
    let Ok(conf) = ClientConf::parse(text) else { return };
    let Ok(written) = conf.to_ini() else { return };
    let again = ClientConf::parse(&written).expect("what was written can be read");
    assert_eq!((&again.mica, &again.qemu), (&conf.mica, &conf.qemu));
});

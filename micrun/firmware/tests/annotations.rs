//! Annotations, one at a time.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use micrun_firmware::annotations::{PREFIX, Ready, TABLE};
use micrun_firmware::{Annotations, Delivery, Os, Pedestal};
use proptest::prelude::*;

fn read(name: &str, value: &str) -> Result<Annotations, String> {
    Annotations::from_map(&BTreeMap::from([(format!("{PREFIX}{name}"), value.into())]))
        .map_err(|error| error.to_string())
}

fn ok(name: &str, value: &str) -> Annotations {
    read(name, value).unwrap()
}

#[test]
fn values_are_typed() {
    assert_eq!(ok("container.os", "zephyr").os, Some(Os::Zephyr));
    assert_eq!(ok("container.firmware_path", "/a b/é.elf").firmware_path.as_deref(), Some("/a b/é.elf"));
    assert_eq!(ok("ped.pedestal", "hetero").pedestal, Some(Pedestal::Hetero));
    assert_eq!(ok("container.min_memory_mb", "32").min_memory_mb, Some(32));
    assert_eq!(ok("runtime.debug", "T").debug, Some(true));
    let second = Duration::from_secs(1);
    assert_eq!(ok("container.auto_close_timeout", "1s").auto_close_timeout, Some(second));
    assert_eq!(ok("container.ready_timeout", "0").ready_timeout, Some(Duration::ZERO));
    let ready = |value| ok("container.ready", value).ready;
    assert_eq!(ready("console:uart:~$ "), Some(Ready::Console("uart:~$ ".into())));
    assert_eq!(ready("endpoint:rpmsg-tty"), Some(Ready::Endpoint("rpmsg-tty".into())));
    let greeting = |value| ok("container.greeting", value).greeting.unwrap();
    assert_eq!(greeting("a b\\r\\n\\0\\\\").bytes(), b"a b\r\n\0\\");
    assert_eq!(greeting("a b\\r\\n\\0\\\\").to_string(), "a b\\r\\n\\0\\\\");
    assert_eq!(greeting("").bytes(), b"");
    assert_eq!(ok("container.console", "lossy").console, Some(Delivery::Lossy));
    assert_eq!(ok("container.stderr", "trace0").stderr.unwrap().as_str(), "trace0");
    let prompt = "x".repeat(64);
    assert_eq!(ok("container.shell_prompt", &prompt).shell_prompt, Some(prompt));
    let digits = "0123456789abcdef".repeat(4);
    let upper = format!("sha256:{}", digits.to_uppercase());
    assert_eq!(
        ok("container.firmware_hash", &digits).firmware_hash,
        ok("container.firmware_hash", &upper).firmware_hash
    );
}

#[test]
fn malformed_values_are_errors_that_name_the_key() {
    for (name, value, expected) in [
        ("container.os", "My OS", "unsupported guest os \"My OS\": a name has at most 32 small letters"),
        ("container.os", "Zephyr", "did you mean zephyr?"),
        ("container.firmware_path", "", "is not a path"),
        ("container.firmware_path", "a\0b", "is not a path"),
        ("container.firmware_hash", "sha256:12", "is not a sha256 digest; write 64"),
        ("container.firmware_hash", "md5:00", "is not a sha256 digest"),
        ("container.min_memory_mb", "32M", "write a number of MiB"),
        ("container.min_memory_mb", "-1", "is not a number of 1 or more"),
        ("container.max_vcpu_num", "0", "is not a number of 1 or more"),
        ("container.auto_close_timeout", "soon", "is not a duration"),
        ("container.ready_timeout", "-1s", "is negative; 0 means no limit"),
        ("container.ready", "up", "write console:TEXT"),
        ("container.ready", "console:", "write console:TEXT"),
        ("container.ready", "console:a\nb", "write console:TEXT"),
        ("container.ready", "endpoint:two words", "endpoint:NAME"),
        ("container.ready", "endpoint:a-name-that-is-too-long-for-rpmsg", "endpoint:NAME"),
        ("container.greeting", "a\\", "without r, n, 0 or"),
        ("container.greeting", "\\t", "without r, n, 0 or"),
        ("container.greeting", &"x".repeat(65), "write at most 64 bytes"),
        ("container.shell_prompt", "", "is not a single line of text"),
        ("container.shell_prompt", "   ", "is not a single line of text"),
        ("container.shell_prompt", "\x1b[32m$ ", "is not a single line of text"),
        ("container.shell_prompt", &"x".repeat(65), "is too long for a prompt"),
        ("container.console", "held", "is neither lossless nor lossy"),
        ("container.stderr", "trace 0", "is not the name of a stream; write one that `mica status` shows"),
        ("runtime.debug", "yes", "is not a bool; write true or false"),
        ("ped.pedestal", "qemuu", "did you mean qemu?"),
    ] {
        let error = read(name, value).unwrap_err();
        assert!(error.starts_with(&format!("annotation {PREFIX}{name}: ")), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn upstreams_tolerance_is_kept_and_told() {
    let annotations = ok("container.auto_close", "60");
    assert_eq!(annotations.auto_close, None);
    assert!(annotations.warnings()[0].contains("\"60\" is not a bool and is ignored"));
    let annotations = ok("container.auto_close_timeout", "-5s");
    assert_eq!(annotations.auto_close_timeout, Some(Duration::from_secs(30)));
    assert!(annotations.warnings()[0].contains("\"-5s\" is negative; 30s is used instead"));
}

#[test]
fn keys_without_effect_are_told_whatever_their_value() {
    let annotations = ok("runtime.pipe_size", "not a number");
    assert_eq!(annotations.warnings().len(), 1);
    assert!(annotations.warnings()[0].contains("has no effect here: "));
    assert!(ok("layer.record", "sha256:x").warnings().is_empty());
    assert!(ok("compatibility.board", "rpi4").warnings().is_empty());
}

#[test]
fn unknown_keys_are_told_with_the_nearest_known_one() {
    let annotations = ok("container.firmware_pth", "x");
    assert!(annotations.warnings()[0].ends_with("did you mean container.firmware_path?"));
    let old = BTreeMap::from([("org.openeuler.micran.container.os".to_owned(), "zephyr".to_owned())]);
    let annotations = Annotations::from_map(&old).unwrap();
    assert_eq!(annotations.os, None);
    assert!(annotations.warnings()[0].ends_with("write org.openeuler.micrun.container.os"));
    let foreign = BTreeMap::from([("io.kubernetes.cri.container-type".to_owned(), "sandbox".to_owned())]);
    assert_eq!(Annotations::from_map(&foreign).unwrap(), Annotations::default());
}

proptest! {
    #[test]
    fn arbitrary_annotations_never_panic(key in any::<String>(), value in any::<String>()) {
        let _ = read(&key, &value);
    }

    #[test]
    fn known_keys_never_panic(index in 0..TABLE.len(), value in "[-+a-z0-9:./ é]{0,70}") {
        let _ = read(TABLE[index].name, &value);
    }
}

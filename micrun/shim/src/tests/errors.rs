//! Each error of the shim, the code that containerd gets for it, and the words.

use std::io::{self, ErrorKind};

use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::ttrpc::{self, Code};

use crate::error::Error;

fn os(kind: ErrorKind) -> io::Error {
    kind.into()
}

fn json() -> serde_json::Error {
    serde_json::from_str::<u32>("x").unwrap_err()
}

fn protobuf() -> containerd_shim_protos::protobuf::Error {
    containerd_shim_protos::api::StateRequest::parse_from_bytes(b"\x0a\x09").unwrap_err()
}

/// One error of each variant, its code, and what its message must say: what failed, and on what.
fn table() -> Vec<(Error, Code, &'static str)> {
    let text = || "some words".to_owned();
    vec![
        (Error::Usage(text()), Code::INVALID_ARGUMENT, "some words"),
        (Error::NotFound("c".into()), Code::NOT_FOUND, "container `c`"),
        (Error::NoSuchSandbox("s".into()), Code::NOT_FOUND, "sandbox `s`"),
        (Error::NoSuchExec { id: "c".into(), exec_id: "e".into() }, Code::NOT_FOUND, "no exec `e`"),
        (Error::AlreadyExists("exec `e`".into()), Code::ALREADY_EXISTS, "exec `e` already exists"),
        (
            Error::State { subject: "sandbox `s`".into(), state: "created", verb: "stopped" },
            Code::FAILED_PRECONDITION,
            "sandbox `s` is created, so it cannot be stopped",
        ),
        (Error::Finished("container `c`".into()), Code::NOT_FOUND, "container `c` has already finished"),
        (Error::Invalid(text()), Code::INVALID_ARGUMENT, "some words"),
        (
            Error::Stdio { stream: "stdout", path: "/f".into(), source: os(ErrorKind::NotFound) },
            Code::INTERNAL,
            "stdout `/f`",
        ),
        (
            Error::StdioUri { stream: "stderr", uri: "x://".into(), reason: text() },
            Code::INVALID_ARGUMENT,
            "stderr URI `x://`",
        ),
        (Error::Logger { program: "/log".into(), reason: text() }, Code::INTERNAL, "`/log` some words"),
        (
            Error::io("read", "/f")(os(ErrorKind::PermissionDenied)),
            Code::INTERNAL,
            "cannot read `/f`: permission denied",
        ),
        (Error::Json { path: "/f".into(), source: json() }, Code::INTERNAL, "`/f`"),
        (Error::Unimplemented("never"), Code::UNIMPLEMENTED, "never"),
        (Error::Ttrpc(ttrpc::Error::LocalClosed), Code::INTERNAL, "ttrpc"),
        (Error::NoCgroups, Code::FAILED_PRECONDITION, "no cgroup hierarchy"),
        (
            Error::CgroupInUse { path: "/c".into(), source: os(ErrorKind::ResourceBusy) },
            Code::ALREADY_EXISTS,
            "`/c`",
        ),
        (
            Error::Limit { what: "pids.max", text: "0".into(), source: os(ErrorKind::InvalidInput) },
            Code::INVALID_ARGUMENT,
            "pids.max",
        ),
        (Error::Newer { what: "checkpoint", found: 9, known: 1 }, Code::FAILED_PRECONDITION, "version 9"),
        (Error::NoRuntime("crun".into()), Code::FAILED_PRECONDITION, "crun"),
        (
            Error::Runtime { action: "create", id: "c".into(), reason: text() },
            Code::INTERNAL,
            "create of `c` failed: some words",
        ),
        (Error::Holder { id: "s".into(), reason: text() }, Code::INTERNAL, "sandbox `s`"),
        (Error::Encode { what: "reply", source: protobuf() }, Code::INTERNAL, "reply cannot be encoded"),
        (Error::Scope { unit: "u.scope".into(), reason: text() }, Code::INTERNAL, "`u.scope`"),
        (
            Error::Signal { number: 99, subject: "exec `e`".into(), source: os(ErrorKind::InvalidInput) },
            Code::INVALID_ARGUMENT,
            "signal 99 to exec `e`",
        ),
        (
            Error::MountOptions { kind: "overlay".into(), reason: text() },
            Code::INVALID_ARGUMENT,
            "mount (overlay) are refused: some words",
        ),
        (
            Error::NotReady { id: "c".into(), sign: "console:up".into(), reason: text() },
            Code::FAILED_PRECONDITION,
            "container `c` did not become ready (`console:up`): some words",
        ),
        (Error::ConsoleInUse("c".into()), Code::FAILED_PRECONDITION, "exec in container `c` is refused"),
        (
            Error::TooLarge { path: "/f.elf".into(), size: 7 },
            Code::FAILED_PRECONDITION,
            "the firmware `/f.elf` of 7 bytes does not fit",
        ),
        (
            Error::ShimCgroup { path: "/a/b".into(), reason: "some words" },
            Code::INVALID_ARGUMENT,
            "the cgroup `/a/b` (runtime option ShimCgroup): some words",
        ),
        (
            Error::PodMemory {
                path: "/c".into(),
                most: 100,
                id: "c".into(),
                memory: 64,
                overhead: 128,
                others: 0,
            },
            Code::FAILED_PRECONDITION,
            "`/c` may have 100 mib",
        ),
    ]
}

/// The errors of the other crates, as far as they get a code of their own here.
fn foreign() -> Vec<(Error, Code)> {
    use libmica::Error as M;
    use micrun_firmware::Error as F;
    let source = || os(ErrorKind::StorageFull);
    let (name, command) = (|| "c".to_owned(), || "start".to_owned());
    vec![
        (F::Io { action: "read", path: "/f".into(), source: source() }.into(), Code::INTERNAL),
        (F::Changed { path: "/f".into() }.into(), Code::FAILED_PRECONDITION),
        (F::HostConf { place: "micrun.conf".into(), reason: name() }.into(), Code::FAILED_PRECONDITION),
        (F::Policy { subject: name(), rule: name(), remedy: name() }.into(), Code::PERMISSION_DENIED),
        (F::NotFound { path: "/f".into(), looked_for: name() }.into(), Code::INVALID_ARGUMENT),
        (F::Record { reason: name() }.into(), Code::INVALID_ARGUMENT),
        (M::DaemonNotRunning { socket: "/s".into() }.into(), Code::UNAVAILABLE),
        (M::OutOfReach { socket: "/s".into() }.into(), Code::UNAVAILABLE),
        (M::Io { socket: "/s".into(), source: source() }.into(), Code::UNAVAILABLE),
        (M::ClientNotFound { name: name() }.into(), Code::NOT_FOUND),
        (M::AlreadyExists { name: name() }.into(), Code::ALREADY_EXISTS),
        (M::Timeout { command: command(), after: std::time::Duration::ZERO }.into(), Code::DEADLINE_EXCEEDED),
        (M::Unsupported { command: command() }.into(), Code::UNIMPLEMENTED),
        (M::Failed { command: command(), text: name() }.into(), Code::FAILED_PRECONDITION),
        (M::MalformedReply { command: command(), problem: name() }.into(), Code::INTERNAL),
        (M::UnknownCommand(command()).into(), Code::INVALID_ARGUMENT),
    ]
}

fn reply(error: Error) -> (Code, String) {
    match ttrpc::Error::from(error) {
        ttrpc::Error::RpcStatus(status) => (status.code(), status.message().to_owned()),
        // A transport error has no status of its own.
        other => (Code::INTERNAL, format!("ttrpc: {other}")),
    }
}

#[test]
fn each_variant_has_its_code_and_names_what_failed() {
    for (error, code, words) in table() {
        let shown = format!("{error:?}");
        let (answered, message) = reply(error);
        assert_eq!(answered, code, "{shown}");
        assert!(message.to_lowercase().contains(&words.to_lowercase()), "{shown}: {message}");
    }
}

#[test]
fn the_errors_of_the_other_crates_keep_whose_fault_they_are() {
    for (error, code) in foreign() {
        let shown = format!("{error:?}");
        assert_eq!(reply(error).0, code, "{shown}");
    }
}

/// A variant that is added to the enum and not to the table does not compile here.
#[test]
fn no_variant_is_missing() {
    let covered = |error: &Error| match error {
        Error::Usage(_) => 0,
        Error::NotFound(_) => 1,
        Error::NoSuchSandbox(_) => 2,
        Error::NoSuchExec { .. } => 3,
        Error::AlreadyExists(_) => 4,
        Error::State { .. } => 5,
        Error::Finished(_) => 6,
        Error::Invalid(_) => 7,
        Error::Stdio { .. } => 8,
        Error::StdioUri { .. } => 9,
        Error::Logger { .. } => 10,
        Error::Io { .. } => 11,
        Error::Json { .. } => 12,
        Error::Unimplemented(_) => 13,
        Error::Ttrpc(_) => 14,
        Error::NoCgroups => 15,
        Error::CgroupInUse { .. } => 16,
        Error::Limit { .. } => 17,
        Error::Newer { .. } => 18,
        Error::NoRuntime(_) => 19,
        Error::Runtime { .. } => 20,
        Error::Holder { .. } => 21,
        Error::Encode { .. } => 22,
        Error::Scope { .. } => 23,
        Error::Signal { .. } => 24,
        Error::MountOptions { .. } => 25,
        Error::NotReady { .. } => 26,
        Error::ConsoleInUse(_) => 27,
        Error::TooLarge { .. } => 28,
        Error::ShimCgroup { .. } => 29,
        Error::PodMemory { .. } => 30,
        // Covered by `foreign`, by the mounts' own tests, and by tokio alone.
        Error::Firmware(_) | Error::Mica(_) | Error::Mount { .. } | Error::Task(_) => 31,
    };
    let numbers: Vec<u8> = table().iter().map(|(error, ..)| covered(error)).collect();
    assert_eq!(numbers, (0..31).collect::<Vec<_>>());
}

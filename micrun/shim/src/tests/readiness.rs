//! Firmware that is waited for until it is ready, and firmware that shows no sign of life.

use containerd_shim_protos::api::StartRequest;
use containerd_shim_protos::shim_async::Task;
use containerd_shim_protos::ttrpc::{self, Code};
use libmica::ext::ExitReason;
use tokio::task::JoinHandle;

use super::fixture::{Fixture, Script, code, context};

/// A created container whose Start waits for this sign, for so long.
async fn waits_for(ready: &str, limit: &str) -> Fixture {
    let mut f = Fixture::new(Script::default());
    f.annotate("container.ready", ready);
    f.annotate("container.ready_timeout", limit);
    f.create().await.unwrap();
    f
}

/// A Start under way.
fn starting(f: &Fixture) -> JoinHandle<ttrpc::Result<()>> {
    let service = f.service.clone();
    let request = StartRequest { id: "c".into(), ..StartRequest::default() };
    tokio::spawn(async move { service.start(&context(), request).await.map(drop) })
}

#[tokio::test]
async fn start_answers_when_the_text_is_on_the_console_and_stdout_has_every_byte() {
    let mut f = waits_for("console:up and running", "0").await;
    let start = starting(&f);
    f.daemon.print("boot\r\nup and ");
    assert_eq!(f.read_output(13).await, "boot\r\nup and ");
    assert!(!start.is_finished());
    assert_eq!(f.events(), ["create"]);
    f.daemon.print("running\r\n");
    start.await.unwrap().unwrap();
    assert_eq!(f.events(), ["create", "start"]);
    assert_eq!(f.read_output(9).await, "running\r\n");
    f.daemon.end(ExitReason::Exited, 0);
    assert_eq!(f.wait().await, 0);
    assert_eq!(f.events(), ["create", "start", "exit 0"]);
}

#[tokio::test]
async fn firmware_that_is_late_is_stopped_and_start_says_what_was_seen() {
    let mut f = waits_for("console:up", "1ms").await;
    let error = f.start().await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("(`console:up`): it has not come within 1ms: it sleeps"), "{text}");
    assert_eq!(code::<()>(Err(error)), Code::FAILED_PRECONDITION);
    assert_eq!((f.daemon.count("diagnose"), f.daemon.count("stop")), (1, 1));
    assert_eq!(f.wait().await, 126);
    assert_eq!(f.read_stdout().await, "", "stdout ends");
    assert_eq!(f.events(), ["create"], "what could not be started neither starts nor exits");
    f.delete().await.unwrap();
}

#[tokio::test]
async fn firmware_that_ends_before_it_is_ready_was_not_started() {
    let mut f = waits_for("console:up", "0").await;
    let start = starting(&f);
    f.daemon.starting.notified().await;
    f.daemon.print("no memory\r\n");
    f.daemon.end(ExitReason::Fault, 139);
    let error = start.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("it has ended: test"), "{error}");
    assert_eq!(f.read_stdout().await, "no memory\r\n");
    assert_eq!((f.wait().await, f.daemon.count("stop")), (126, 0));
    f.delete().await.unwrap();
}

/// What ends with the text that was waited for has been ready.
#[tokio::test]
async fn firmware_that_ends_with_the_sign_was_started() {
    let mut f = waits_for("console:up", "0").await;
    let start = starting(&f);
    f.daemon.starting.notified().await;
    f.daemon.print("up");
    f.daemon.end(ExitReason::Exited, 3);
    start.await.unwrap().unwrap();
    assert_eq!(f.wait().await, 3);
    assert_eq!(f.read_stdout().await, "up");
    assert_eq!(f.events(), ["create", "start", "exit 3"]);
}

#[tokio::test]
async fn kill_ends_the_wait() {
    let f = waits_for("console:up", "0").await;
    let start = starting(&f);
    f.daemon.starting.notified().await;
    f.kill(9).await.unwrap();
    let error = start.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("it has ended"), "{error}");
    assert_eq!(f.wait().await, 126);
    f.delete().await.unwrap();
}

#[tokio::test]
async fn an_endpoint_is_waited_for_where_firmware_announces_them() {
    let on_xen = |name: &str| {
        let mut f = Fixture::new(Script { pedestal: "xen", ..Script::default() });
        let rootfs = f.dir.path().join("bundle/rootfs");
        std::fs::create_dir_all(&rootfs).unwrap();
        std::fs::write(rootfs.join("image.bin"), "a kernel").unwrap();
        f.annotate("container.ready", &format!("endpoint:{name}"));
        f.annotate("container.ready_timeout", "20ms");
        f
    };
    let mut f = on_xen("rpmsg-tty");
    f.create().await.unwrap();
    f.start().await.unwrap();
    let mut f = on_xen("rpmsg-other");
    f.create().await.unwrap();
    assert_eq!(code(f.start().await), Code::FAILED_PRECONDITION);
    let mut f = Fixture::new(Script::default());
    f.annotate("container.ready", "endpoint:rpmsg-tty");
    assert_eq!(code(f.create().await), Code::INVALID_ARGUMENT);
}

#[tokio::test]
async fn silence_is_reported_once_and_only_where_a_time_is_set() {
    let silent = |limit: &str| {
        let mut f = Fixture::new(Script::default());
        f.annotate("container.ready_timeout", limit);
        f
    };
    let mut f = silent("1ms");
    f.create().await.unwrap();
    f.start().await.unwrap();
    f.until(|f| f.daemon.count("diagnose silent") == 1).await;
    let mut never = silent("0");
    never.create().await.unwrap();
    never.start().await.unwrap();
    for f in [&f, &never] {
        f.daemon.end(ExitReason::Exited, 0);
        assert_eq!(f.wait().await, 0);
    }
    assert_eq!((f.daemon.count("diagnose silent"), never.daemon.count("diagnose silent")), (1, 0));
}

#[tokio::test]
async fn the_greeting_is_typed_once_the_firmware_has_started() {
    let mut f = Fixture::new(Script::default());
    f.annotate("container.greeting", "\\0hello\\r");
    f.create().await.unwrap();
    f.start().await.unwrap();
    assert_eq!(f.read_input(7).await, "\0hello\r");
    f.daemon.end(ExitReason::Exited, 0);
    assert_eq!(f.wait().await, 0);
}

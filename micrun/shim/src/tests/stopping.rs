//! Firmware that can be asked to end is asked, and its end is its own.

use containerd_shim_protos::ttrpc::Code;
use libmica::ext::ExitReason;
use nix::libc::{SIGINT, SIGKILL, SIGTERM};

use super::fixture::{Fixture, Script, code};

async fn running() -> Fixture {
    let mut f = Fixture::new(Script::default());
    f.annotate("container.stop_command", "console:exit 0");
    f.annotate("container.stop_timeout", "5s");
    f.create().await.unwrap();
    let told = ["set Stop line:0", "set Stop text:exit%200%0D", "set Stop timeout:5000ms"];
    assert_eq!(told.map(|call| f.daemon.count(call)), [1, 1, 1]);
    f.start().await.unwrap();
    f
}

fn asked(f: &Fixture) -> [usize; 2] {
    ["shutdown", "stop"].map(|call| f.daemon.count(call))
}

#[tokio::test]
async fn a_signal_asks_it_and_its_status_is_its_own() {
    let f = running().await;
    f.kill(SIGTERM.unsigned_abs()).await.unwrap();
    f.kill(SIGINT.unsigned_abs()).await.unwrap();
    assert_eq!(asked(&f), [2, 0]);
    f.daemon.end(ExitReason::Exited, 5);
    assert_eq!(f.wait().await, 5);
    f.delete().await.unwrap();
}

#[tokio::test]
async fn sigkill_cuts_its_power_and_so_does_its_time() {
    let f = running().await;
    f.kill(SIGTERM.unsigned_abs()).await.unwrap();
    f.kill(SIGKILL.unsigned_abs()).await.unwrap();
    assert_eq!(asked(&f), [1, 1]);
    assert_eq!(f.wait().await, 137);
    f.delete().await.unwrap();

    let f = running().await;
    f.kill(SIGTERM.unsigned_abs()).await.unwrap();
    f.daemon.end(ExitReason::Stopped, 137);
    assert_eq!(f.wait().await, 137);
    f.delete().await.unwrap();
}

#[tokio::test]
async fn what_does_not_run_hears_nothing() {
    let f = running().await;
    f.pause().await.unwrap();
    f.kill(SIGTERM.unsigned_abs()).await.unwrap();
    assert_eq!(asked(&f), [0, 1]);
    assert_eq!(f.wait().await, 143);
    f.delete().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_asked_like_that_is_not_created() {
    for (key, value, words) in [
        ("container.stop_command", "exit", "is not console:TEXT, endpoint:NAME:TEXT or button"),
        ("container.stop_timeout", "5s", "there is no container.stop_command for which to wait"),
    ] {
        let mut f = Fixture::new(Script::default());
        f.annotate(key, value);
        let error = f.create().await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(code::<()>(Err(error)), Code::INVALID_ARGUMENT);
        assert_eq!((f.daemon.count("create"), f.leftovers()), (0, 0));
    }
}

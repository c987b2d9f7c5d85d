//! What the daemon is told of watching over a container.

use containerd_shim_protos::ttrpc::Code;

use super::fixture::{Fixture, Script, code};

#[tokio::test]
async fn what_the_annotations_say_is_told_before_the_start() {
    let mut f = Fixture::new(Script::default());
    f.annotate("container.watchdog", "spin:5s");
    f.annotate("container.coredump", "fault");
    f.create().await.unwrap();
    let told = ["set Coredump fault", "set Watchdog spin:5s", "start"].map(|call| f.daemon.count(call));
    assert_eq!(told, [1, 1, 0]);
    f.delete().await.unwrap();
}

#[tokio::test]
async fn firmware_that_cannot_be_watched_over_is_not_created() {
    let mut f = Fixture::new(Script { refuse_set: Some("Watchdog"), ..Script::default() });
    f.annotate("container.watchdog", "spin:5s");
    let error = f.create().await.unwrap_err();
    assert!(error.to_string().contains("cannot change Watchdog"), "{error}");
    assert_eq!((f.daemon.count("rm"), f.leftovers()), (1, 0));
}

#[tokio::test]
async fn a_container_is_not_started_again_by_micad() {
    for (value, words) in [
        ("spin:5s,restart", "write it without restart"),
        ("heartbeat:5s", "the firmware has no exit record"),
        ("heartbeat", "is not heartbeat:TIME"),
    ] {
        let mut f = Fixture::new(Script::default());
        f.annotate("container.watchdog", value);
        let error = f.create().await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(code::<()>(Err(error)), Code::INVALID_ARGUMENT);
        assert_eq!((f.daemon.count("create"), f.leftovers()), (0, 0));
    }
}

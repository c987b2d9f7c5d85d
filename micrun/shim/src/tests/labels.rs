//! What micad's log is told of a container.

use super::fixture::{Fixture, Script};

fn told(f: &Fixture) -> Option<serde_json::Value> {
    let calls = f.daemon.calls.lock().unwrap();
    calls.iter().find_map(|call| serde_json::from_str(call.strip_prefix("about ")?).ok())
}

#[tokio::test]
async fn our_daemon_is_told_whose_a_client_is() {
    let mut f = Fixture::new(Script::default());
    f.daemon.tell(None, |_| {});
    f.daemon.version.lock().unwrap().as_mut().unwrap().extensions = vec!["about".into()];
    for (key, value) in
        [("sandbox-namespace", "plant"), ("sandbox-name", "motor-0"), ("image-name", "hub/motor:2")]
    {
        f.spec["annotations"][format!("io.kubernetes.cri.{key}")] = value.into();
    }
    f.create().await.unwrap();
    let labels = told(&f).unwrap();
    let texts = ["container", "namespace", "pod", "image"].map(|key| labels[key].as_str().unwrap());
    assert_eq!(texts, ["c", "test", "plant/motor-0", "hub/motor:2"]);
    assert!(labels["firmware"].as_str().unwrap().starts_with("sha256:"), "{labels}");
    f.delete().await.unwrap();
}

/// Upstream's daemon, and an earlier one of ours, would not know what it is.
#[tokio::test]
async fn another_daemon_is_told_nothing() {
    for tells in [false, true] {
        let mut f = Fixture::new(Script::default());
        if tells {
            f.daemon.tell(None, |_| {});
        }
        f.create().await.unwrap();
        assert_eq!(told(&f), None);
        f.delete().await.unwrap();
    }
}

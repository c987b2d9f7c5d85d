//! Checkpoints of ordinary containers, by CRIU.

use std::path::Path;

use containerd_shim_protos::api::{CheckpointTaskRequest, CreateTaskRequest, Empty, Status};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::shim::oci::CheckpointOptions;
use micrun_host_tests::isolation;

use crate::case::linux;
use crate::container::Container;
use crate::shim::Invocation;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[linux!(
    readme_checkpoint_and_restore,
    "micrun's own tests restore firmware: tests/host/tests/resources.rs"
)];

const IMAGE: &str = "/run/tmp/checkpoint";

/// A container that is created in a shim which finds CRIU, and a runtime that can use it.
fn launch<'a>(stage: &'a Stage, id: &str) -> Container<'a> {
    let tools = isolation::workspace().join(".cache/criu/bin");
    assert!(tools.join("criu").exists(), "CRIU is not unpacked: run tests/host/criu");
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").expect("there is a PATH"));
    // Debian's crun is built without CRIU.
    let invocation = Invocation::default().with("PATH", &path).with("MICRUN_LINUX_RUNTIME", "runc");
    let bundle = stage.bundle(id);
    // containerd's place for what is to outlive the bundle.
    std::fs::create_dir(bundle.path.join("work")).unwrap();
    let shim = stage.launch_as(&bundle, &invocation);
    Container::new(stage, bundle, shim)
}

/// README, Checkpoint and Create: with `exit` the task ends, and another one goes on where it was.
fn readme_checkpoint_and_restore(stage: &mut Stage) {
    let first = launch(stage, "one");
    first.create();
    first.start();
    first.say("kept=memory");
    first.assert_answers("ready");
    std::fs::create_dir(IMAGE).unwrap();
    let options = CheckpointOptions { exit: true, ..Default::default() };
    let options = Any {
        type_url: "containerd.runc.v1.CheckpointOptions".into(),
        value: options.write_to_bytes().unwrap(),
        ..Default::default()
    };
    let request = CheckpointTaskRequest {
        id: "one".into(),
        path: IMAGE.into(),
        options: Some(options).into(),
        ..Default::default()
    };
    first.task.call::<Empty>("Checkpoint", &request).unwrap();
    assert!(std::fs::read_dir(Path::new(IMAGE)).unwrap().count() > 5, "CRIU's images");
    first.wait();
    first.delete();

    let second = launch(stage, "two");
    let request = CreateTaskRequest { checkpoint: IMAGE.into(), ..second.request() };
    second.task.create(&request).unwrap();
    assert_eq!(second.status(), Status::CREATED);
    assert!(second.start() > 0);
    second.assert_answers("up again");
    second.say("echo \"$kept\"");
    second.stdout().expect_line("memory");
    assert_eq!(second.end(), 137);
}

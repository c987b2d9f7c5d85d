//! Checkpoints of ordinary containers, by CRIU.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use containerd_shim_protos::api::{CheckpointTaskRequest, CreateTaskRequest, Empty, Status};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::shim::oci::{CheckpointOptions, Options};
use containerd_shim_protos::ttrpc::Code;
use micrun_host_tests::isolation;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::case::{firmware, linux};
use crate::container::Container;
use crate::shim::Invocation;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    linux!(
        readme_checkpoint_and_restore,
        "micrun's own tests restore firmware: tests/host/tests/resources.rs"
    ),
    firmware!(hostile_checkpoints_are_refused),
];

const IMAGE: &str = "/run/tmp/checkpoint";
/// What the options name.
const WORK: &str = "/run/tmp/criu-work";

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
    let options = Options { criu_work_path: WORK.into(), ..Default::default() };
    let options = Any {
        type_url: "containerd.runc.v1.Options".into(),
        value: options.write_to_bytes().unwrap(),
        ..Default::default()
    };
    let request =
        CreateTaskRequest { checkpoint: IMAGE.into(), options: Some(options).into(), ..second.request() };
    second.task.create(&request).unwrap();
    assert_eq!(second.status(), Status::CREATED);
    assert!(second.start() > 0);
    assert!(std::fs::read_dir(WORK).unwrap().count() > 0, "CRIU's log");
    second.assert_answers("up again");
    second.say("echo \"$kept\"");
    second.stdout().expect_line("memory");
    assert_eq!(second.end(), 137);
}

/// What lies in the directory of a checkpoint is whatever its image had there. A link to /dev/zero was once read at
/// 0.5 GB/s until the pod was dead, a FIFO stopped the shim, and /etc/shadow was given to QEMU.
fn hostile_checkpoints_are_refused(stage: &mut Stage) {
    let first = stage.run("one");
    first.assert_answers("ready");
    let request = CheckpointTaskRequest { id: "one".into(), path: IMAGE.into(), ..Default::default() };
    // A link in the place of a file is not followed either.
    fs::create_dir(IMAGE).unwrap();
    let (label, state) = (Path::new(IMAGE).join("micrun.json"), Path::new(IMAGE).join("machine.state"));
    symlink("/run/tmp/elsewhere", &state).unwrap();
    first.task.call::<Empty>("Checkpoint", &request).unwrap();
    assert!(!Path::new("/run/tmp/elsewhere").exists());
    first.end();

    let shim =
        stage.launch_as(&stage.bundle("three"), &Invocation::default().with("MICRUN_ALLOW_RESTORE", "true"));
    let second = Container::new(stage, stage.bundle("two"), shim);
    // Without streams: what reads a FIFO takes a refused Create for its end.
    let request = CreateTaskRequest { checkpoint: IMAGE.into(), ..second.bundle.request() };
    let (good_label, good_state) = (fs::read(&label).unwrap(), fs::read(&state).unwrap());
    let refused = |path: &Path, put: &dyn Fn(&Path)| {
        let good = fs::read(path).unwrap();
        fs::remove_file(path).unwrap();
        put(path);
        stage.refused(&second.task.create(&request), Code::INVALID_ARGUMENT, &path.display().to_string());
        second.assert_unknown();
        fs::remove_file(path).unwrap();
        fs::write(path, good).unwrap();
    };
    for path in [&label, &state] {
        refused(path, &|path| mkfifo(path, Mode::S_IRWXU).unwrap());
        refused(path, &|path| symlink("/dev/zero", path).unwrap());
        refused(path, &|path| symlink("../../../../etc/shadow", path).unwrap());
        refused(path, &|path| symlink("/etc/shadow", path).unwrap());
        refused(path, &|path| symlink(".", path).unwrap());
        refused(path, &|path| fs::File::create(path).unwrap().set_len(1 << 40).unwrap());
        refused(path, &|path| fs::write(path, b"").unwrap());
    }
    // A state of the right size that is another, and a label of another firmware.
    refused(&state, &|path| {
        let mut other = good_state.clone();
        *other.last_mut().unwrap() ^= 1;
        fs::write(path, other).unwrap();
    });
    refused(&label, &|path| {
        let text = String::from_utf8(good_label.clone()).unwrap();
        fs::write(path, text.replace("\"firmware\":\"sha256:", "\"firmware\":\"sha256:0")).unwrap();
    });

    second.task.create(&CreateTaskRequest { checkpoint: IMAGE.into(), ..second.request() }).unwrap();
    second.start();
    second.assert_answers("up again");
    assert_eq!(second.end(), 137);
}

//! Create, Start, State, Delete.

use containerd_shim_protos::api::{Mount, Status};
use containerd_shim_protos::ttrpc::Code;
use micrun_host_tests::wait;

use crate::case::both;
use crate::container::Container;
use crate::subject::Program;
use crate::task::code_of;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    both!(readme_create_start_and_state_agree),
    both!(readme_state_names_bundle_and_streams),
    both!(readme_connect_names_the_shim_and_the_task),
    both!(readme_delete_of_a_created_task),
    both!(readme_create_mounts_the_rootfs_it_is_given),
    both!(readme_an_id_is_free_again_after_delete),
    both!(readme_failed_create_leaves_the_id_free),
    both!(readme_nothing_is_left_after_a_life),
    both!(containerd_ids_of_76_bytes_run_or_are_refused),
    both!(containerd_10437_state_after_many_lives),
];

/// README, Task API: the status that State tells follows the requests.
fn readme_create_start_and_state_agree(stage: &mut Stage) {
    let container = stage.create("one");
    assert_eq!(container.status(), Status::CREATED);
    let pid = container.start();
    assert_eq!(container.status(), Status::RUNNING);
    assert!(pid > 0);
    assert_eq!(container.task.state("one").unwrap().pid, pid);
    container.kill(nix::libc::SIGKILL);
    container.wait();
    let state = container.task.state("one").unwrap();
    assert_eq!((state.status.enum_value(), state.exit_status), (Ok(Status::STOPPED), 137));
    assert!(state.exited_at.seconds > 0);
}

/// `StateResponse`: what Create was given.
fn readme_state_names_bundle_and_streams(stage: &mut Stage) {
    let container = stage.create("one");
    let state = container.task.state("one").unwrap();
    assert_eq!(state.id, "one");
    assert_eq!(state.bundle, container.bundle.path.display().to_string());
    assert_eq!(state.stdin, container.stream("stdin"));
    assert_eq!(state.stdout, container.stream("stdout"));
    assert_eq!(state.stderr, container.stream("stderr"));
    assert!(!state.terminal);
}

/// `ConnectResponse`: containerd 2.x calls it right after `start`, when there is no task, and on each restart.
fn readme_connect_names_the_shim_and_the_task(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let shim = stage.launch(&bundle);
    assert_eq!(shim.connect().connect("one").unwrap().task_pid, 0);
    let container = Container::new(stage, bundle, shim);
    let pid = container.create();
    let answer = container.task.connect("one").unwrap();
    assert_eq!(answer.task_pid, pid);
    let command = std::fs::read_to_string(format!("/proc/{}/cmdline", answer.shim_pid)).unwrap();
    assert!(command.contains("containerd-shim"), "{command}");
}

/// containerd deletes a task that it could not start.
fn readme_delete_of_a_created_task(stage: &mut Stage) {
    let container = stage.create("one");
    container.delete();
    container.assert_unknown();
}

/// README, "Mounts": the shim mounts `CreateTaskRequest.rootfs` on the bundle's `rootfs`, and unmounts it.
fn readme_create_mounts_the_rootfs_it_is_given(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let shim = stage.launch(&bundle);
    let rootfs = bundle.path.join("rootfs");
    let source = bundle.path.join("snapshot");
    std::fs::rename(&rootfs, &source).unwrap();
    std::fs::create_dir(&rootfs).unwrap();
    let container = Container::new(stage, bundle, shim);
    let mut mount = Mount::new();
    mount.type_ = "bind".into();
    mount.source = source.display().to_string();
    mount.options = vec!["rbind".into(), "rw".into()];
    let mut request = container.request();
    request.rootfs.push(mount);
    container.task.create(&request).unwrap();
    container.start();
    container.assert_answers("mounted");
    container.end();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(rootfs.to_str().unwrap()), "{mounts}");
    assert!(source.exists(), "what was mounted is not the shim's to remove");
}

/// A restarted container keeps its id, and in a pod its shim.
fn readme_an_id_is_free_again_after_delete(stage: &mut Stage) {
    let container = stage.run("one");
    container.assert_answers("first");
    container.end();
    container.renew_streams();
    container.create();
    container.start();
    container.assert_answers("second");
    container.end();
}

/// A Create or Start that fails is an error with a text, can be deleted, and leaves the id to the next try.
fn readme_failed_create_leaves_the_id_free(stage: &mut Stage) {
    let broken = stage.bundle_of("one", Program::Broken, &[]);
    let shim = stage.launch(&broken);
    let container = Container::new(stage, broken, shim);
    let failed = container.task.create(&container.request()).err();
    let failed = failed.or_else(|| container.task.start("one").err()).expect("Create or Start fails");
    assert!(failed.to_string().len() > 20, "{failed}");
    // Create may have left nothing to delete.
    let _ = container.task.delete("one");
    std::fs::remove_dir_all(&container.bundle.path).unwrap();
    let mended = stage.bundle("one");
    assert_eq!(mended.path, container.bundle.path);
    container.create();
    container.start();
    assert_eq!(container.status(), Status::RUNNING);
}

/// After Delete and Shutdown the machine is as before but for the bundle, which is containerd's.
fn readme_nothing_is_left_after_a_life(stage: &mut Stage) {
    // The first life makes the folders that all lives share.
    life(stage, "first");
    let before = surroundings();
    life(stage, "second");
    let mut left = Vec::new();
    let clean = wait::poll(|| {
        left = surroundings();
        left.retain(|entry| !before.contains(entry));
        left.is_empty().then_some(())
    });
    assert!(clean.is_some(), "left behind: {left:#?}");
}

fn life(stage: &Stage, id: &str) {
    let container = stage.run(id);
    container.assert_answers("there");
    container.end();
    let pid = container.shim.pid();
    let _ = container.task.shutdown(id);
    wait::until("the shim ends", || nix::sys::signal::kill(pid, None).is_err().then_some(()));
    std::fs::remove_dir_all(&container.bundle.path).unwrap();
    std::fs::remove_dir_all(format!("/run/containerd/fifo/{id}")).unwrap();
}

fn surroundings() -> Vec<String> {
    let processes = micrun_host_tests::system::Process::all();
    let mut all: Vec<_> = processes.into_iter().map(|p| format!("process {}", p.command)).collect();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    all.extend(
        mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(|point| format!("mount {point}")),
    );
    files(std::path::Path::new("/run"), &mut all);
    all
}

fn files(dir: &std::path::Path, all: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        all.push(format!("file {}", entry.path().display()));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files(&entry.path(), all);
        }
    }
}

/// containerd's identifiers have up to 76 characters. A shim with a lower limit says so, and leaves nothing.
fn containerd_ids_of_76_bytes_run_or_are_refused(stage: &mut Stage) {
    for length in [65, 66, 76] {
        let id = "i".repeat(length);
        let bundle = stage.bundle(&id);
        let shim = stage.launch(&bundle);
        let container = Container::new(stage, bundle, shim);
        let created = container.task.create(&container.request());
        if let Err(error) = &created {
            assert_eq!(code_of(&created), Code::INVALID_ARGUMENT);
            assert!(length > 65 && error.to_string().contains(&length.to_string()), "{error}");
            container.assert_unknown();
        } else {
            container.start();
            assert_eq!(container.status(), Status::RUNNING);
            container.end();
        }
    }
}

/// containerd#10437: a container that stays "created". Ten lives in a row, each seen to run and to end.
fn containerd_10437_state_after_many_lives(stage: &mut Stage) {
    for life in 0..10 {
        let container = stage.create_of(&format!("life-{life}"), Program::Hello, &[]);
        container.start();
        assert_eq!(container.wait(), 0);
        assert_eq!(container.status(), Status::STOPPED);
        container.delete();
    }
}

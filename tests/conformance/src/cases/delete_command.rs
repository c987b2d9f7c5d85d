//! `SHIM ... delete`: what containerd runs when a shim does not answer any more.

use std::process::Output;

use containerd_shim_protos::api::DeleteResponse;
use containerd_shim_protos::protobuf::Message;
use micrun_host_tests::system::Process;
use micrun_host_tests::{Fault, wait};

use crate::case::{both, mica};
use crate::stage::GROUP;
use crate::subject::Program;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    both!(readme_delete_answers_a_delete_response),
    both!(readme_delete_ends_what_the_killed_shim_ran),
    mica!(
        containerd_12344_delete_removes_the_dead_shim_s_socket,
        "runc's shim leaves it to the next start of that id"
    ),
    both!(readme_delete_is_idempotent),
    both!(readme_delete_works_without_a_spec),
    both!(readme_delete_of_what_never_was),
    both!(readme_an_id_is_free_again_after_the_delete_command),
    both!(runwasi_418_delete_of_one_spares_the_pod),
];

#[track_caller]
fn response(output: &Output) -> DeleteResponse {
    assert!(output.status.success(), "{output:?}");
    DeleteResponse::parse_from_bytes(&output.stdout).expect("stdout is a DeleteResponse and nothing else")
}

/// README, "delete": a `DeleteResponse` on stdout, status 137 for what was killed.
fn readme_delete_answers_a_delete_response(stage: &mut Stage) {
    let container = stage.run("one");
    container.shim.kill();
    let response = response(&stage.delete(&container.bundle));
    assert_eq!(response.exit_status, 137);
    assert!(response.exited_at.seconds > 0);
}

/// README: "delete ... cleans up any resources": the program does not outlive its shim.
fn readme_delete_ends_what_the_killed_shim_ran(stage: &mut Stage) {
    let before = Process::all();
    let container = stage.run("one");
    container.assert_answers("ready");
    container.shim.kill();
    response(&stage.delete(&container.bundle));
    wait::until("no process is left", || {
        let left = Process::all().into_iter().filter(|process| !before.contains(process)).count();
        (left == 0).then_some(())
    });
}

/// containerd#12344: sockets of dead shims pile up under pod churn.
fn containerd_12344_delete_removes_the_dead_shim_s_socket(stage: &mut Stage) {
    let container = stage.run("one");
    container.shim.kill();
    response(&stage.delete(&container.bundle));
    assert!(!container.shim.socket().exists());
}

/// containerd may be interrupted and ask again.
fn readme_delete_is_idempotent(stage: &mut Stage) {
    let container = stage.run("one");
    container.shim.kill();
    Fault::try_times("`delete` after the shim was killed, asked again", 5, |_| {
        response(&stage.delete(&container.bundle));
    });
}

/// A bundle whose making was interrupted.
fn readme_delete_works_without_a_spec(stage: &mut Stage) {
    let container = stage.run("one");
    container.shim.kill();
    std::fs::remove_file(container.bundle.path.join("config.json")).unwrap();
    response(&stage.delete(&container.bundle));
}

/// `start` failed before there was anything.
fn readme_delete_of_what_never_was(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    response(&stage.delete(&bundle));
}

/// The next container of that name is not hindered by the last.
fn readme_an_id_is_free_again_after_the_delete_command(stage: &mut Stage) {
    let container = stage.run("one");
    container.shim.kill();
    response(&stage.delete(&container.bundle));
    std::fs::remove_dir_all(&container.bundle.path).unwrap();
    std::fs::remove_dir_all("/run/containerd/fifo/one").unwrap();
    stage.run("one").assert_answers("again");
}

/// runwasi#418: containerd deletes one container of a pod whose shim is alive and has another.
fn runwasi_418_delete_of_one_spares_the_pod(stage: &mut Stage) {
    let pod = [(GROUP, "pod")];
    let two = stage.create_of("two", Program::Shell, &pod);
    two.start();
    two.assert_answers("before");
    Fault::try_times("`delete` of one container of a pod whose shim lives", 5, |n| {
        let one = stage.create_of(&format!("one-{n}"), Program::Shell, &pod);
        one.delete();
        response(&stage.delete(&one.bundle));
        two.assert_answers(&format!("after {n}"));
    });
}

//! The shim's socket and what comes through it.

use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;

use micrun_host_tests::wait;
use nix::sys::signal::Signal;

use crate::case::{both, mica};
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    both!(readme_socket_is_for_root_alone),
    both!(readme_socket_address_is_short_whatever_the_id),
    both!(ttrpc_garbage_harms_its_connection_only),
    both!(ttrpc_thirty_connections_at_once),
    both!(readme_shutdown_ends_the_shim_and_removes_its_socket),
    both!(runc_sigpipe_does_not_end_a_shim),
    mica!(systemd_sigterm_does_not_end_a_shim_with_containers, "runc's shim ends on SIGTERM"),
    both!(containerd_12344_start_after_a_killed_shim),
];

/// README, "Shim Address": whoever can connect is root on the host.
fn readme_socket_is_for_root_alone(stage: &mut Stage) {
    let shim = stage.launch(&stage.bundle("one"));
    let socket = std::fs::metadata(shim.socket()).unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!((socket.uid(), socket.mode() & 0o077), (0, 0), "mode {:o}", socket.mode());
    let dir = std::fs::metadata(shim.socket().parent().unwrap()).unwrap();
    assert_eq!((dir.uid(), dir.mode() & 0o022), (0, 0), "mode {:o}", dir.mode());
}

/// unix(7): an address has 107 characters; containerd's ids have up to 76.
fn readme_socket_address_is_short_whatever_the_id(stage: &mut Stage) {
    let shim = stage.launch(&stage.bundle(&"x".repeat(76)));
    assert!(shim.socket().as_os_str().len() <= 107, "{}", shim.reply.address);
    assert!(shim.connect().connect("").unwrap().shim_pid > 0);
}

/// ttrpc: a peer that speaks something else may be hung up on, and nobody else notices.
fn ttrpc_garbage_harms_its_connection_only(stage: &mut Stage) {
    let container = stage.run("one");
    let mut hostile = UnixStream::connect(container.shim.socket()).unwrap();
    // A header that promises 4 GiB - 1.
    hostile.write_all(&[0xff; 64]).unwrap();
    container.assert_answers("with it");
    drop(hostile);
    container.assert_answers("unharmed");
}

/// containerd, its restarts and its clients each have connections of their own.
fn ttrpc_thirty_connections_at_once(stage: &mut Stage) {
    let container = stage.run("one");
    let connections: Vec<_> = (0..30).map(|_| container.shim.connect()).collect();
    for connection in &connections {
        assert_eq!(connection.state("one").unwrap().id, "one");
    }
    drop(connections);
    container.assert_answers("still there");
}

/// README, "shutdown": the last rpc; the process ends and its socket is gone.
fn readme_shutdown_ends_the_shim_and_removes_its_socket(stage: &mut Stage) {
    let container = stage.run("one");
    container.end();
    let pid = container.shim.pid();
    // The answer may be cut off by the end.
    let _ = container.task.shutdown("one");
    wait::until("the shim ends", || nix::sys::signal::kill(pid, None).is_err().then_some(()));
    assert!(!container.shim.socket().exists());
}

/// containerd-shim-runc-v2, `setupSignals`: a client that hangs up in the middle is no reason to end.
fn runc_sigpipe_does_not_end_a_shim(stage: &mut Stage) {
    let container = stage.run("one");
    container.shim.signal(Signal::SIGPIPE);
    container.assert_answers("alive");
}

/// systemd.kill(5): a service manager that stops everything, containerd with `KillMode=process` apart, must not
/// take running firmware with it.
fn systemd_sigterm_does_not_end_a_shim_with_containers(stage: &mut Stage) {
    let container = stage.run("one");
    container.shim.signal(Signal::SIGTERM);
    container.shim.signal(Signal::SIGINT);
    container.assert_answers("alive");
}

/// containerd#12344: the socket that a killed shim left is no obstacle to the next.
fn containerd_12344_start_after_a_killed_shim(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let first = stage.launch(&bundle);
    let pid = first.pid();
    first.kill();
    let second = stage.launch(&bundle);
    assert_ne!(second.pid(), pid);
}

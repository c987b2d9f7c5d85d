//! A Create that its caller gives up, at any of its moments.

use std::env;
use std::fs;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use micrun_host_tests::containerd::{self, ctr};
use micrun_host_tests::host::MICA;
use micrun_host_tests::leftovers::Inventory;
use micrun_host_tests::system::Process;
use micrun_host_tests::{Fault, Host, wait};
use nix::sys::signal::Signal;

use crate::engine::{Engine, SHIM, end, host, remove_fifos};

const ID: &str = "given-up";
/// Fewer than `make abandoned` has.
const ROUNDS: usize = 6;

fn rounds() -> usize {
    env::var("MICRUN_ABANDONED_ROUNDS").map_or(ROUNDS, |count| count.parse().expect("a count"))
}

fn command(engine: Engine, options: &[&str]) -> std::process::Command {
    let run = ["run", "--detach", "--runtime", MICA, engine.image(), ID];
    containerd::command(&[options, &run].concat())
}

/// Runs a container of each kind in turns; `disturb` gets the client's process and a moment of its life.
fn disturbed(what: &'static str, mut disturb: impl FnMut(&mut Host, &mut std::process::Child, Duration)) {
    let mut host = host();
    let rounds = rounds();
    // How long it takes undisturbed, and the folders that stay.
    let spans = Engine::BOTH.map(|engine| {
        let began = Instant::now();
        engine.run(ID, &[]);
        let span = began.elapsed();
        end(&host, ID);
        remove_fifos(ID);
        span
    });
    let before = Inventory::take();
    Fault::try_times(what, rounds, |round| {
        let kind = round % Engine::BOTH.len();
        let moment = spans[kind] * u32::try_from(round + 1).unwrap() / u32::try_from(rounds).unwrap();
        let mut run = command(Engine::BOTH[kind], &[]);
        let mut client = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        disturb(&mut host, &mut client, moment);
        clear(&before);
    });
    host.assert_clean();
}

/// Removes what containerd still knows of, as an operator does who finds it; nothing else may be left.
fn clear(before: &Inventory) {
    let mut left = Vec::new();
    let cleared = wait::poll(|| {
        ctr(&["tasks", "delete", "--force", ID]);
        ctr(&["containers", "delete", ID]);
        // A client that was killed may have made it, and no container yet.
        ctr(&["snapshots", "delete", ID]);
        remove_fifos(ID);
        remove_unserved_sockets();
        remove_temporary_mounts();
        left = before.difference();
        left.is_empty().then_some(())
    });
    assert!(cleared.is_some(), "not as before:\n{}", left.join("\n"));
}

/// A `start` that containerd kills with its deadline may leave a socket before there is a server, which the next `start` of
/// that id replaces: nobody is asked to clean up.
fn remove_unserved_sockets() {
    for socket in fs::read_dir("/run/containerd/s").into_iter().flatten().flatten() {
        if UnixStream::connect(socket.path()).is_err() {
            // It may have gone meanwhile.
            let _ = fs::remove_file(socket.path());
        }
    }
}

/// Who makes a container looks into its root for users, by a mount that goes with nobody who is killed then.
fn remove_temporary_mounts() {
    for folder in fs::read_dir("/run/tmp").into_iter().flatten().flatten() {
        if folder.file_name().to_string_lossy().starts_with("containerd-mount") {
            // It may be mounted no more, or be somebody's who is at work.
            let _ = nix::mount::umount(&folder.path());
            let _ = fs::remove_dir(folder.path());
        }
    }
}

#[test]
fn the_client_is_gone_during_create() {
    disturbed("client killed during Create", |_, client, moment| {
        thread::sleep(moment);
        // It may have ended.
        let _ = client.kill();
        client.wait().unwrap();
    });
}

#[test]
fn the_deadline_passes_during_create() {
    let host = host();
    let rounds = rounds();
    let before = Inventory::take();
    Fault::try_times("deadline passed during Create", rounds, |round| {
        let engine = Engine::BOTH[round % Engine::BOTH.len()];
        let timeout = format!("{}ms", 20 * (round + 1));
        let mut run = command(engine, &["--timeout", &timeout]);
        run.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        clear(&before);
    });
    host.assert_clean();
}

#[test]
fn containerd_is_killed_during_create() {
    disturbed("containerd killed during Create", |host, client, moment| {
        thread::sleep(moment);
        host.containerd.restart_by(Signal::SIGKILL, || ());
        client.wait().unwrap();
    });
}

/// A service manager that stops a service signals all its processes; the container is made all the same.
#[test]
fn the_shim_is_asked_to_end_during_create() {
    let host = host();
    let before = Inventory::take();
    Fault::try_times("SIGTERM to the shim during Create", rounds(), |round| {
        let engine = Engine::BOTH[round % Engine::BOTH.len()];
        let mut client = command(engine, &[]).stdout(Stdio::null()).spawn().unwrap();
        wait::until("the shim is there", || {
            let shim = Process::running(SHIM).into_iter().find(|shim| !shim.command.ends_with("start"))?;
            shim.signal(Signal::SIGTERM);
            Some(())
        });
        assert!(client.wait().unwrap().success());
        engine.assert_answers(ID);
        end(&host, ID);
        remove_fifos(ID);
        before.assert_restored();
    });
}

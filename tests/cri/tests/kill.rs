//! Whatever process is killed, at whatever step: nothing of the pod is left once it is removed.
//!
//! Each round runs a pod of a firmware and a sidecar from its first step to its last, and meanwhile kills one process.
//! `MICRUN_KILL_ROUNDS` says how many rounds, `MICRUN_KILL_SEED` repeats a run.

use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use micrun_cri_tests::{Answer, LINUX, Node};
use micrun_host_tests::host::DEMO;
use micrun_host_tests::system::{HOLDER, Process};
use micrun_host_tests::wait;

const ROUNDS: usize = 10;
const EMULATOR: &str = "qemu-system-aarch64";
const VICTIMS: [&str; 7] =
    ["containerd-shim-mica-v2", "crun", "pause", "sidecar", "micad", EMULATOR, "containerd"];
/// A step's killing moment lies within this time of its beginning: most steps take less.
const SPAN: Duration = Duration::from_millis(300);
/// What containerd leaves of its own when it is killed itself, whichever the runtime; a later start or its garbage
/// collector takes it away.
const CONTAINERDS_OWN: [&str; 4] = ["snapshot ", "container ", "/fifo/", "mount /run/netns/"];

/// What is killed, and when.
struct Plan {
    victim: &'static str,
    step: usize,
    delay: Duration,
    /// Which of the containers is stopped before the pod is.
    stop_rtos: bool,
}

const STEPS: usize = 6;

fn number(name: &str) -> Option<u64> {
    env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not `{text}`")))
}

fn find(victim: &str) -> Option<Process> {
    let plays = |process: &Process| match victim {
        "pause" => process.name == HOLDER || process.command.contains("sleep 1000000"),
        "crun" => ["crun", "runc"].contains(&process.name.as_str()),
        "sidecar" => process.command.contains("sleep 1000 "),
        other => process.name == other,
    };
    Process::all().into_iter().find(plays)
}

/// Kills the victim at the first chance after the delay, unless the round ends before.
fn killer(victim: &'static str, delay: Duration, over: &AtomicBool) -> bool {
    thread::sleep(delay);
    loop {
        // It may end by itself between being seen and being killed.
        if find(victim).is_some_and(|process| process.try_kill()) {
            return true;
        }
        if over.load(Ordering::Relaxed) {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// A life of a pod; `at` is told each step before it. What fails from the kill on is of no interest.
fn live(node: &Node, name: &str, stop_rtos: bool, mut at: impl FnMut(usize)) -> Answer<()> {
    at(0);
    let pod = node.cri.try_run_pod(name)?;
    at(1);
    let rtos = node.cri.try_start(&pod, "rtos", DEMO, &[], None, false)?;
    at(2);
    // The last word is to tell it from the pause container.
    let command = ["/bin/busybox", "sleep", "1000", "1"];
    let side = node.cri.try_start(&pod, "side", LINUX, &command, None, false)?;
    at(3);
    node.cri.try_exec(&side, &["/bin/busybox", "true"])?;
    at(4);
    node.cri.try_stop(if stop_rtos { &rtos } else { &side }, 1)?;
    at(5);
    node.cri.try_remove_pod(&pod.id)
}

/// Brings back what was killed and removes every pod, as the kubelet would.
fn recover(node: &mut Node, victim: &str) {
    match victim {
        "containerd" => node.restart_containerd(),
        "micad" => node.micad.restart(),
        _ => {}
    }
    wait::until("every pod is removed", || {
        let pods = node.cri.pods().ok()?;
        pods.iter().try_for_each(|id| node.cri.try_remove_pod(id)).ok()
    });
}

/// Waits until nothing is left.
fn check(node: &Node, victim: &str, what: &str) {
    let mut left = Vec::new();
    let clean = wait::poll(|| {
        left = node.leftovers();
        if victim == "containerd" {
            left.retain(|entry| !CONTAINERDS_OWN.iter().any(|own| entry.contains(own)));
        }
        left.is_empty().then_some(())
    });
    assert!(clean.is_some(), "{what}: not as before:\n{}", left.join("\n"));
}

#[test]
fn whatever_is_killed_nothing_is_left() {
    let seed = number("MICRUN_KILL_SEED").unwrap_or_else(|| Rng::new().u64(..));
    let rounds =
        number("MICRUN_KILL_ROUNDS").map_or(ROUNDS, |count| usize::try_from(count).expect("a count"));
    println!("MICRUN_KILL_SEED={seed} MICRUN_KILL_ROUNDS={rounds}");
    let mut random = Rng::with_seed(seed);
    let mut node = Node::start();
    let mut hits = 0;
    for round in 0..rounds {
        let plan = Plan {
            // Each in turn, so that few rounds have all of them.
            victim: VICTIMS[round % VICTIMS.len()],
            step: random.usize(..STEPS),
            delay: SPAN.mul_f64(random.f64()),
            stop_rtos: random.bool(),
        };
        let what = format!("round {round}: {} at step {} + {:?}", plan.victim, plan.step, plan.delay);
        let over = AtomicBool::new(false);
        let hit = thread::scope(|scope| {
            let mut kill = None;
            let lived = live(&node, &format!("round-{round}"), plan.stop_rtos, |step| {
                if step == plan.step {
                    kill = Some(scope.spawn(|| killer(plan.victim, plan.delay, &over)));
                }
            });
            over.store(true, Ordering::Relaxed);
            let hit = kill.is_some_and(|kill| kill.join().expect("it does not panic"));
            println!("{what}: {}, {}", if hit { "killed" } else { "was not there" }, outcome(&lived));
            if hit {
                remove_unreached_socket(&lived);
            }
            hit
        });
        hits += usize::from(hit);
        recover(&mut node, if hit { plan.victim } else { "" });
        check(&node, if hit { plan.victim } else { "" }, &what);
    }
    println!("{hits} of {rounds} rounds killed something");
    assert!(hits > 0, "no round killed anything");
}

/// containerd calls `delete` for a shim that it was connected to. One that was killed before has nobody who could
/// remove its socket, if it did not come to removing it itself.
fn remove_unreached_socket(lived: &Answer<()>) {
    let Err(status) = lived else { return };
    let refused = status.message().split_once("start failed: failed to create TTRPC connection: dial unix ");
    let socket = refused.and_then(|(_, rest)| rest.split_once(": connect: connection refused"));
    if let Some((path, _)) = socket {
        let removed = std::fs::remove_file(path);
        assert!(
            removed.is_ok() || !std::path::Path::new(path).exists(),
            "{path} cannot be removed: {removed:?}"
        );
    }
}

fn outcome(lived: &Answer<()>) -> String {
    match lived {
        Ok(()) => "the pod lived to its end".into(),
        Err(status) => status.message().chars().take(200).collect(),
    }
}

//! What many containers cost the processes that outlive them.

use micrun_host_tests::containerd::ctr;
use micrun_host_tests::host::MICA;
use micrun_host_tests::system::Process;
use micrun_host_tests::{Fault, Host, wait};

use crate::engine::{Engine, SHIM, end, host};

const POD: &str = "io.kubernetes.cri.sandbox-id=pod";
/// How many containers there are between two looks, and how often it is looked.
const TIMES: usize = 12;
const LOOKS: usize = 5;
/// By how much memory may grow between two looks, in kB: 4 kB for each container. An allocator takes more at one time or
/// another, when several threads have worked at once or memory is in pieces. A leak grows all the time.
const SLACK: u64 = 48;

/// A process that is to stay as it is.
struct Cost {
    name: &'static str,
    memory: u64,
    descriptors: usize,
}

impl Cost {
    /// Once its threads without work have ended: their stacks are no leak.
    fn of(name: &'static str) -> Self {
        let process = Process::running(name).remove(0);
        wait::until("it rests", || (process.workers() == 0).then_some(()));
        Self {
            name,
            // Not the pages of a program that was built just now, which are dirty until the kernel has written them.
            memory: process.memory("Anonymous"),
            descriptors: process.descriptors().expect("it runs"),
        }
    }
}

/// Whether a process is as it was: what it cost after each dozen of containers.
fn assert_flat(costs: &[Cost]) {
    let [first, .., last] = costs else { panic!("nothing was measured") };
    let memory: Vec<_> = costs.iter().map(|cost| cost.memory).collect();
    eprintln!("{}: {memory:?} kB anonymous, {} descriptors", first.name, last.descriptors);
    assert_eq!(last.descriptors, first.descriptors, "descriptors of {}", first.name);
    let grows = memory.windows(2).all(|pair| pair[1] > pair[0] + SLACK);
    assert!(!grows, "{} grows all the time: {memory:?} kB", first.name);
}

fn life(host: &Host, engine: Engine) {
    let member = ["--annotation", POD, "--annotation", "io.kubernetes.cri.container-type=container"];
    engine.run("member", &member);
    end(host, "member");
}

fn flat(what: &'static str, engine: Engine, daemons: &[&'static str]) {
    let host = host();
    let sandbox = ["--annotation", POD, "--annotation", "io.kubernetes.cri.container-type=sandbox"];
    let run =
        [&["run", "--detach", "--runtime", MICA], &sandbox[..], &[Engine::Linux.image(), "pod"]].concat();
    ctr(&run).success();
    let mut costs: Vec<Vec<Cost>> = daemons.iter().map(|_| Vec::new()).collect();
    Fault::try_times(what, LOOKS * TIMES, |round| {
        life(&host, engine);
        assert_eq!(Process::running(SHIM).len(), 1, "one shim for all");
        if (round + 1).is_multiple_of(TIMES) {
            daemons.iter().zip(&mut costs).for_each(|(name, costs)| costs.push(Cost::of(name)));
        }
    });
    for costs in &costs {
        assert_flat(costs);
    }
    end(&host, "pod");
    host.assert_clean();
}

#[test]
fn memory_is_flat_under_firmware_that_comes_and_goes() {
    flat("firmware comes and goes in one pod, memory flat", Engine::Rtos, &[SHIM, "micad"]);
}

#[test]
fn memory_is_flat_under_linux_containers_that_come_and_go() {
    flat("Linux containers come and go in one pod, memory flat", Engine::Linux, &[SHIM]);
}

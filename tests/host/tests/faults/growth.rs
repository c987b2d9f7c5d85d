//! What many containers cost the processes that outlive them.

use micrun_host_tests::containerd::ctr;
use micrun_host_tests::host::MICA;
use micrun_host_tests::system::Process;
use micrun_host_tests::{Fault, Host};

use crate::engine::{Engine, SHIM, end, host};

const POD: &str = "io.kubernetes.cri.sandbox-id=pod";
/// By how much memory may grow with a dozen more containers, in kB. An allocator takes more at one time or another, and
/// most when a machine stalls and several threads work at once. A leak grows all the time.
const SLACK: u64 = 128;

/// A process that is to stay as it is.
struct Cost {
    name: &'static str,
    memory: u64,
    descriptors: usize,
}

impl Cost {
    fn of(name: &'static str) -> Self {
        let process = Process::running(name).remove(0);
        Self {
            name,
            memory: process.memory("Private_Dirty"),
            descriptors: process.descriptors().expect("it runs"),
        }
    }
}

/// Whether a process is as it was: what it cost after each dozen of containers.
fn assert_flat(costs: &[Cost]) {
    let [first, .., last] = costs else { panic!("nothing was measured") };
    let memory: Vec<_> = costs.iter().map(|cost| cost.memory).collect();
    eprintln!("{}: {memory:?} kB private and dirty, {} descriptors", first.name, last.descriptors);
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
    const TIMES: usize = 12;
    let host = host();
    let sandbox = ["--annotation", POD, "--annotation", "io.kubernetes.cri.container-type=sandbox"];
    let run =
        [&["run", "--detach", "--runtime", MICA], &sandbox[..], &[Engine::Linux.image(), "pod"]].concat();
    ctr(&run).success();
    let mut costs: Vec<Vec<Cost>> = daemons.iter().map(|_| Vec::new()).collect();
    Fault::try_times(what, 3 * TIMES, |round| {
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

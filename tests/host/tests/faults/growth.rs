//! What many containers cost the processes that outlive them.

use micrun_host_tests::containerd::ctr;
use micrun_host_tests::host::MICA;
use micrun_host_tests::system::Process;
use micrun_host_tests::{Fault, Host};

use crate::engine::{Engine, SHIM, end, host};

const POD: &str = "io.kubernetes.cri.sandbox-id=pod";
/// By how much memory may differ after three times as many containers, in kB: what an allocator does by itself.
const SLACK: u64 = 256;

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

    fn assert_same_as(&self, before: &Self) {
        let Self { name, memory, descriptors } = self;
        eprintln!(
            "{name}: {} kB private and dirty, {} descriptors; then {memory} kB, {descriptors}",
            before.memory, before.descriptors
        );
        assert_eq!(*descriptors, before.descriptors, "descriptors of {name}");
        assert!(*memory <= before.memory + SLACK, "{name} has grown from {} to {memory} kB", before.memory);
    }
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
    let mut before = Vec::new();
    Fault::try_times(what, 3 * TIMES, |round| {
        life(&host, engine);
        assert_eq!(Process::running(SHIM).len(), 1, "one shim for all");
        if round + 1 == TIMES {
            before = daemons.iter().map(|name| Cost::of(name)).collect();
        }
    });
    for before in before {
        Cost::of(before.name).assert_same_as(&before);
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

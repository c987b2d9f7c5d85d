//! Machines that wait for a firmware.

use std::collections::BTreeSet;
use std::fs;
use std::io::{PipeReader, Read, pipe};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use libmica::ext::WaitingMachines;
use libmica::{Client, ClientState, CreateMessage, Launch};
use rustix::process::{Pid, Signal};

use crate::harness::{Daemon, demo, eventually, is_alive, message};
use crate::metrics::Numbers;
use crate::monitor::Monitor;
use crate::tiny_elf;

/// The memory of the small firmware here in MiB: there is room for its device tree and 14 more.
const MEMORY: i32 = 16;
/// Where memory begins in QEMU's `virt`.
const RAM: u64 = 0x4000_0000;
/// The first user of the machines of this test's daemons, and how many numbers clients have.
const FIRST_USER: u32 = 1_850_000_000;
const CLIENTS: u32 = 1 << 15;

/// A daemon that keeps so many machines waiting. The machine that tests it may be short of memory: it is not told.
fn start(most: usize) -> Daemon {
    start_with(most, &[])
}

fn start_with(most: usize, more: &[&str]) -> Daemon {
    let dir = tempfile::Builder::new().prefix("micad").tempdir().unwrap();
    let system = dir.path().join("system");
    fs::create_dir_all(system.join("proc/pressure")).unwrap();
    let user = first_user().to_string();
    let (system, most) = (system.to_str().unwrap(), most.to_string());
    let options = ["--sysfs-root", system, "--waiting-machines", &most, "--qemu-uid-base", &user, "-v"];
    Daemon::start_in(dir, &[&options, more].concat())
}

/// That of this process's daemons: a process has one at a time.
fn first_user() -> u32 {
    FIRST_USER + std::process::id() % 1000 * 2 * CLIENTS
}

/// The processes of the machines that wait.
fn waiting(daemon: &Daemon) -> BTreeSet<u32> {
    let records = fs::read_dir(daemon.run_dir().join("waiting")).into_iter().flatten().flatten();
    let read = records.filter_map(|dir| fs::read(dir.path().join("process.json")).ok());
    let pid = |text: Vec<u8>| serde_json::from_slice::<serde_json::Value>(&text).ok()?["pid"].as_u64();
    read.filter_map(pid).map(|pid| u32::try_from(pid).unwrap()).collect()
}

async fn report(client: &Client) -> WaitingMachines {
    client.version().await.unwrap().pools.unwrap().machines.unwrap()
}

async fn until_ready(daemon: &Daemon, count: usize) {
    let client = daemon.client();
    while report(&client).await.ready != count {
        let log = daemon.log();
        assert!(!log.contains("no machine waits"), "{log}");
        tokio::task::yield_now().await;
    }
}

/// Creates and starts a client with little memory.
async fn boot(daemon: &Daemon, name: &str, firmware: &Path) -> Client {
    let client = daemon.client();
    client.create(&CreateMessage { memory: MEMORY, ..message(name, firmware) }).await.unwrap();
    client.start(name).await.unwrap_or_else(|e| panic!("{e}: {}", daemon.log()));
    client
}

async fn pid(client: &Client, name: &str) -> u32 {
    client.stats(name).await.unwrap().pid
}

#[tokio::test]
async fn a_start_takes_a_machine_that_waits_and_one_that_does_not_fit_is_as_ever() {
    let daemon = start(2);
    let echo = tiny_elf::echo(daemon.dir());
    let client = boot(&daemon, "first", &echo).await;
    until_ready(&daemon, 1).await;
    assert!(report(&client).await.memory_bytes > 1 << 20);
    let waited = waiting(&daemon);

    boot(&daemon, "second", &echo).await;
    assert!(waited.contains(&pid(&client, "second").await));
    daemon.console("second").read_to("H");
    let mut console = daemon.console("second");
    console.write(b"hello");
    console.read_to("hello");
    let report_now = report(&client).await;
    assert_eq!((report_now.hits, report_now.misses), (1, 1), "{}", daemon.log());

    // Another amount of memory, another entry, a second console, a debugger: each is another machine.
    until_ready(&daemon, 2).await;
    let other = CreateMessage { memory: MEMORY + 1, ..message("memory", &echo) };
    let debug = CreateMessage { memory: MEMORY, debug: true, ..message("debug", &echo) };
    let vcpus = CreateMessage { memory: MEMORY, vcpus: 2, ..message("vcpus", &echo) };
    for message in [other, debug, vcpus] {
        client.create(&message).await.unwrap();
        client.start(&message.name).await.unwrap();
        daemon.console(&message.name).read_to("H");
    }
    let report_now = report(&client).await;
    assert_eq!((report_now.hits, report_now.misses), (1, 4), "{}", daemon.log());
    let numbers = Numbers::of(&client).await;
    for (name, value) in [("hits_total", 1.0), ("misses_total", 4.0), ("machines_max", 2.0)] {
        let counted = numbers.get(&format!("mica_pool_{name}"));
        assert!((counted - value).abs() < f64::EPSILON, "{name} is {counted}");
    }
    until_ready(&daemon, 2).await;
    let numbers = Numbers::of(&client).await;
    assert!(numbers.get("mica_pool_machines") > 1.0 && numbers.get("mica_pool_memory_bytes") > 2e6);
}

/// The process is as confined as any other, has a user of its own, and is in the client's cgroup before its firmware runs.
#[tokio::test]
async fn a_machine_that_waited_is_confined_and_joins_its_cgroups() {
    let daemon = start(1);
    let echo = tiny_elf::echo(daemon.dir());
    let client = boot(&daemon, "first", &echo).await;
    until_ready(&daemon, 1).await;
    client.create(&CreateMessage { memory: MEMORY, ..message("second", &echo) }).await.unwrap();
    // A pipe stands for the `cgroup.procs` file.
    let (mut reader, writer) = pipe().unwrap();
    let launch = Launch { cgroups: vec![writer.into()], ..Launch::default() };
    client.launch("second", &launch).await.unwrap();
    drop(launch);
    assert_eq!(report(&client).await.hits, 1);
    let process = pid(&client, "second").await;
    assert_eq!(read_all(&mut reader), process.to_string());

    let status = |pid: u32| fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let (ordinary, waited) = (pid(&client, "first").await, process);
    let line =
        |pid: u32, key: &str| status(pid).lines().find(|line| line.starts_with(key)).unwrap().to_owned();
    for key in ["NoNewPrivs:", "Seccomp:", "Seccomp_filters:", "CapBnd:", "CapEff:", "Groups:"] {
        assert_eq!(line(ordinary, key), line(waited, key));
    }
    let limits = |pid: u32| fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    assert_eq!(limits(ordinary), limits(waited));
    for namespace in ["pid", "net", "ipc", "uts"] {
        let of = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/{namespace}")).unwrap();
        assert_ne!(of(ordinary), of(waited), "{namespace}");
    }
    let user = |pid: u32| fs::metadata(format!("/proc/{pid}")).unwrap().uid();
    assert!(user(waited) >= user(ordinary) + CLIENTS - 1, "{} {}", user(ordinary), user(waited));
}

fn read_all(reader: &mut PipeReader) -> String {
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    text
}

/// Processors, devices and memory of a machine that waited are those of an ordinary start. Its firmware stays at its first
/// instruction, and both machines are looked at there.
#[tokio::test]
async fn a_machine_that_waited_cannot_be_told_from_another() {
    let mut daemon = start(1);
    let firmware = tiny_elf::spins(daemon.dir());
    let client = boot(&daemon, "ordinary", &firmware).await;
    until_ready(&daemon, 1).await;
    boot(&daemon, "waited", &firmware).await;
    assert_eq!(report(&client).await.hits, 1);
    let pids = [pid(&client, "ordinary").await, pid(&client, "waited").await];
    daemon.kill();
    daemon.reap();

    let mut machines = ["ordinary", "waited"]
        .map(|name| Monitor::connect(&daemon.run_dir().join("clients").join(name).join("qmp.sock")));
    for machine in &mut machines {
        machine.command("stop", &serde_json::json!({}));
    }
    for question in ["info registers -a", "info mtree", "info qtree"] {
        let [ordinary, waited] = machines.each_mut().map(|machine| machine.ask(question));
        assert!(ordinary.len() > 100, "{ordinary}");
        // Some of it is in the order of a hash table.
        let sorted = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(sorted(&ordinary), sorted(&waited));
    }
    let size = usize::try_from(MEMORY).unwrap() << 20;
    let [ordinary, waited] = [0, 1].map(|index| {
        let mut memory = machines[index].memory(pids[index], RAM, size);
        let seeds = device_tree::forget_seeds(&mut memory);
        assert_eq!(seeds, 2, "QEMU puts two random numbers into each device tree");
        memory
    });
    assert!(ordinary.iter().any(|byte| *byte != 0));
    let differs = (0..size).find(|at| ordinary[*at] != waited[*at]);
    assert_eq!(differs, None, "the first byte that differs");
    drop(machines);
    daemon.launch();
}

/// A device tree in the guest's memory (Devicetree Specification, chapter 5).
mod device_tree {
    /// Zeroes the random numbers in the tree at the beginning of `memory`, and what QEMU leaves between words; how many
    /// numbers there are.
    pub(super) fn forget_seeds(memory: &mut [u8]) -> usize {
        let word = |memory: &[u8], at: usize| {
            usize::try_from(u32::from_be_bytes(memory[at..at + 4].try_into().unwrap())).unwrap()
        };
        assert_eq!(word(memory, 0), 0xd00d_feed);
        let (mut at, strings) = (word(memory, 8), word(memory, 12));
        let mut seeds = 0;
        loop {
            let token = word(memory, at);
            at += 4;
            match token {
                // The beginning of a node, with its name.
                1 => {
                    let name = memory[at..].iter().position(|byte| *byte == 0).unwrap();
                    at = pad(memory, at + name + 1);
                }
                2 | 4 => {}
                3 => {
                    let (size, name) = (word(memory, at), strings + word(memory, at + 4));
                    let value = at + 8..at + 8 + size;
                    if memory[name..].starts_with(b"kaslr-seed\0")
                        || memory[name..].starts_with(b"rng-seed\0")
                    {
                        memory[value.clone()].fill(0);
                        seeds += 1;
                    }
                    at = pad(memory, value.end);
                }
                9 => return seeds,
                other => panic!("token {other} in the device tree"),
            }
        }
    }

    fn pad(memory: &mut [u8], at: usize) -> usize {
        let next = at.next_multiple_of(4);
        memory[at..next].fill(0);
        next
    }
}

/// No byte of one tenant is in another's memory: a machine is used once.
#[tokio::test]
async fn a_canary_finds_nothing_of_another_tenant() {
    let daemon = start(3);
    let (marks, canary) = (tiny_elf::marks(daemon.dir()), tiny_elf::canary(daemon.dir()));
    let client = boot(&daemon, "marks0", &marks).await;
    daemon.console("marks0").read_to("M");
    until_ready(&daemon, 1).await;
    for round in 1..4 {
        let names = [format!("marks{round}"), format!("canary{round}")];
        boot(&daemon, &names[0], &marks).await;
        daemon.console(&names[0]).read_to("M");
        client.remove(&names[0]).await.unwrap();
        until_ready(&daemon, 3.min(2 * round)).await;
        boot(&daemon, &names[1], &canary).await;
        let said = daemon.console(&names[1]).read_until(|bytes| !bytes.is_empty());
        assert_eq!(said, b"C");
    }
    assert_eq!(report(&client).await.hits, 6, "{}", daemon.log());
}

/// All that a client can be asked for, also by the next daemon.
#[tokio::test]
async fn firmware_in_a_machine_that_waited_is_patched_saved_and_taken_over() {
    let mut daemon = start(1);
    let client = daemon.boot("first", &demo()).await;
    until_ready(&daemon, 1).await;
    daemon.boot("second", &demo()).await;
    assert_eq!(report(&client).await.hits, 1);
    let mut console = daemon.console("second");
    console.read_to("micrun> ");
    client.pause("second").await.unwrap();
    client.resume("second").await.unwrap();
    let run = |console: &mut crate::harness::Console, line: &str| {
        console.write(format!("{line}\r").as_bytes());
        console.read_to("micrun> ")
    };
    let process = pid(&client, "second").await;
    daemon.end(Signal::KILL);
    daemon.launch();
    assert_eq!(pid(&client, "second").await, process);
    assert!(run(&mut console, "uname").contains("micrun-demo"));
    let patched = micrun_host_tests::firmware::patched_demo();
    let said = crate::harness::mica(&daemon, &["patch", "second", patched.to_str().unwrap()]);
    assert!(said.status.success(), "{said:?}");
    assert!(run(&mut console, "uname").contains("patched-one"));

    let state = daemon.path("state");
    let state = state.to_str().unwrap();
    assert!(crate::harness::mica(&daemon, &["checkpoint", "second", state]).status.success());
    client.stop("second").await.unwrap();
    drop(console);
    let said = crate::harness::mica(&daemon, &["restore", "second", state]);
    assert!(said.status.success(), "{said:?} {}", daemon.log());
    let mut console = daemon.console("second");
    assert!(run(&mut console, "uname").contains("patched-one"));
    console.write(b"exit 7\r");
    assert_eq!(client.wait("second").await.unwrap().status, 7);
}

/// However the daemon or a machine ends.
#[tokio::test]
async fn no_waiting_machine_is_left_behind() {
    let mut daemon = start(2);
    let spins = tiny_elf::spins(daemon.dir());
    let client = boot(&daemon, "one", &spins).await;
    client.stop("one").await.unwrap();
    client.start("one").await.unwrap();
    until_ready(&daemon, 2).await;

    // A machine that is killed is replaced.
    let before = waiting(&daemon);
    let victim = *before.first().unwrap();
    kill(victim);
    eventually("another one waits", || waiting(&daemon).len() == 2 && !waiting(&daemon).contains(&victim))
        .await;
    assert!(!is_alive(victim));
    assert!(daemon.log().contains("a waiting machine has ended"));

    // A daemon that ends takes them along.
    until_ready(&daemon, 2).await;
    let before = waiting(&daemon);
    daemon.end(Signal::TERM);
    assert!(before.iter().all(|pid| !is_alive(*pid)), "{before:?}");
    assert_eq!(fs::read_dir(daemon.run_dir().join("waiting")).unwrap().count(), 0);

    // One that is killed leaves them to the next, which has no use for them.
    daemon.launch();
    client.stop("one").await.unwrap();
    client.start("one").await.unwrap();
    until_ready(&daemon, 1).await;
    let before = waiting(&daemon);
    daemon.end(Signal::KILL);
    assert!(before.iter().all(|pid| is_alive(*pid)));
    daemon.launch();
    assert!(before.iter().all(|pid| !is_alive(*pid)), "{before:?}");
    assert_eq!(waiting(&daemon).len(), 0);
    assert_eq!(client.status("one").await.unwrap().state, ClientState::Running);
}

/// A pool serves as many starts at once as it has machines. `MICRUN_STARTS=20` prints how long twenty take.
#[tokio::test]
async fn as_many_starts_at_once_as_machines_wait_find_one_each() {
    let count = std::env::var("MICRUN_STARTS").map_or(5, |text| text.parse().unwrap());
    let config = tempfile::NamedTempFile::new().unwrap();
    fs::write(config.path(), "[Micad]\nWaitingMemory = 1000\n").unwrap();
    let daemon = start_with(count, &["--config", config.path().to_str().unwrap()]);
    let echo = tiny_elf::echo(daemon.dir());
    let client = boot(&daemon, "one", &echo).await;
    for ready in 1..=count {
        until_ready(&daemon, ready).await;
        client.stop("one").await.unwrap();
        client.start("one").await.unwrap();
    }
    until_ready(&daemon, count).await;
    let before = report(&client).await.hits;
    let mut starts = tokio::task::JoinSet::new();
    for number in 0..count {
        let name = format!("start{number}");
        client.create(&CreateMessage { memory: MEMORY, ..message(&name, &echo) }).await.unwrap();
        let client = client.clone();
        starts.spawn(async move { client.start(&name).await });
    }
    let begun = std::time::Instant::now();
    while let Some(started) = starts.join_next().await {
        started.unwrap().unwrap_or_else(|e| panic!("{e}: {}", daemon.log()));
    }
    (0..count).for_each(|number| drop(daemon.console(&format!("start{number}")).read_to("H")));
    println!("{count} starts, all first bytes after {:?}", begun.elapsed());
    let machines = report(&client).await;
    assert_eq!(machines.hits - before, count as u64, "{}", daemon.log());
}

/// Clients come and go while machines and daemons are killed, in an order that a seed decides. `make pool-cycles` does
/// more of it.
#[tokio::test]
async fn cycles_with_kills_leave_nothing_and_mix_no_tenants() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let (cycles, seed) = (number("MICRUN_CYCLES").unwrap_or(30), number("MICRUN_SEED").unwrap_or(1));
    let mut random = Random(seed);
    let mut daemon = start(3);
    let firmware = [tiny_elf::marks(daemon.dir()), tiny_elf::canary(daemon.dir())];
    let client = daemon.client();
    // Whether this daemon has started one of them: what should wait, it learns from that.
    let (mut hits, mut known, mut failures) = (0, false, 0);
    for cycle in 0..cycles {
        let name = format!("client{cycle}");
        let which = random.below(2);
        let chosen = &firmware[which];
        client.create(&CreateMessage { memory: MEMORY, ..message(&name, chosen) }).await.unwrap();
        if known && random.below(3) > 0 {
            // One that is killed while it comes up is not replaced until the next start.
            let lost = || daemon.log().matches("no machine waits").count() > failures;
            eventually("a machine waits", || !waiting(&daemon).is_empty() || lost()).await;
        }
        failures = daemon.log().matches("no machine waits").count();
        let victim = waiting(&daemon).into_iter().next();
        let fate = random.below(6);
        known |= fate != 1;
        match fate {
            // In the middle of the start.
            0 => {
                let starting = tokio::spawn({
                    let (client, name) = (client.clone(), name.clone());
                    async move { client.start(&name).await }
                });
                (0..random.below(40)).for_each(|_| std::thread::yield_now());
                victim.into_iter().for_each(kill_if_there);
                if starting.await.unwrap().is_err() {
                    client
                        .start(&name)
                        .await
                        .unwrap_or_else(|e| panic!("seed {seed}, {e}: {}", daemon.log()));
                }
            }
            1 => {
                let starting = tokio::spawn({
                    let (client, name) = (client.clone(), name.clone());
                    async move { client.start(&name).await }
                });
                for _ in 0..random.below(200) {
                    tokio::task::yield_now().await;
                }
                hits += report_if_there(&client).await;
                daemon.end(Signal::KILL);
                let _ = starting.await.unwrap();
                daemon.launch();
                known = client.status(&name).await.unwrap().state == ClientState::Offline;
                if known {
                    client
                        .start(&name)
                        .await
                        .unwrap_or_else(|e| panic!("seed {seed}, {e}: {}", daemon.log()));
                }
            }
            // Before it.
            2 => {
                victim.into_iter().for_each(kill_if_there);
                client.start(&name).await.unwrap_or_else(|e| panic!("seed {seed}, {e}: {}", daemon.log()));
            }
            _ => client.start(&name).await.unwrap_or_else(|e| panic!("seed {seed}, {e}: {}", daemon.log())),
        }
        let said = daemon.console(&name).read_until(|bytes| !bytes.is_empty());
        assert_eq!(said, [b"M", b"C"][which], "seed {seed}, cycle {cycle}: {}", daemon.log());
        if random.below(8) == 0 {
            kill_if_there(pid(&client, &name).await);
            client.wait(&name).await.unwrap();
        }
        client.remove(&name).await.unwrap();
    }
    hits += report_if_there(&client).await;
    println!("{cycles} cycles, seed {seed}: {hits} starts found a waiting machine");
    assert!(hits > cycles / 8, "seed {seed}: {hits} of {cycles}: {}", daemon.log());
    daemon.end(Signal::TERM);
    let left = |dir: &str| fs::read_dir(daemon.run_dir().join(dir)).unwrap().flatten().count();
    assert_eq!((left("waiting"), left("clients")), (0, 0), "seed {seed}");
    // One that was told to end over QMP has answered, and ends.
    eventually("no process is left", || processes_of_tenants().is_empty()).await;
    let log = daemon.log();
    assert!(!log.contains("error:"), "seed {seed}: {log}");
}

/// The processes of this test's users.
fn processes_of_tenants() -> Vec<u32> {
    let users = first_user()..first_user() + 2 * CLIENTS;
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let theirs = entries.filter(|entry| entry.metadata().is_ok_and(|found| users.contains(&found.uid())));
    let pids = theirs.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| is_alive(*pid)).collect()
}

async fn report_if_there(client: &Client) -> u64 {
    client
        .version()
        .await
        .ok()
        .and_then(|version| version.pools?.machines)
        .map_or(0, |machines| machines.hits)
}

fn kill_if_there(pid: u32) {
    let _ = rustix::process::kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL);
}

/// Numbers that a seed decides (Marsaglia's xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        // Zero would stay zero.
        let mut state = self.0.max(1);
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.0 = state;
        usize::try_from(state >> 33).unwrap() % bound
    }
}

fn kill(pid: u32) {
    rustix::process::kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test]
async fn none_waits_without_room_or_while_memory_is_short() {
    let config = tempfile::NamedTempFile::new().unwrap();
    fs::write(config.path(), "[Micad]\nWaitingMemory = 1\n").unwrap();
    let daemon = start_with(4, &["--config", config.path().to_str().unwrap()]);
    let spins = tiny_elf::spins(daemon.dir());
    let client = boot(&daemon, "one", &spins).await;
    client.stop("one").await.unwrap();
    client.start("one").await.unwrap();
    let machines = report(&client).await;
    assert_eq!((machines.ready, machines.most, machines.hits, machines.misses), (0, 4, 0, 2));

    let daemon = start(1);
    let client = boot(&daemon, "one", &spins).await;
    until_ready(&daemon, 1).await;
    let pressure = daemon.path("system/proc/pressure/memory");
    fs::write(&pressure, "some avg10=37.50 avg60=1.00 avg300=0.10 total=9\n").unwrap();
    // Whoever starts finds the machine, and none follows.
    client.stop("one").await.unwrap();
    client.start("one").await.unwrap();
    eventually("the pool is empty", || waiting(&daemon).is_empty()).await;
    assert_eq!((report(&client).await.hits, report(&client).await.ready), (1, 0));
    eventually("the daemon says why", || daemon.log().contains("memory is short")).await;
}

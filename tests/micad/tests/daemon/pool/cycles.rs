//! Many starts and kills in an order that a seed decides.

use std::fs;
use std::os::unix::fs::MetadataExt;

use libmica::{Client, ClientState, CreateMessage};
use rustix::process::{Pid, Signal};

use super::{CLIENTS, MEMORY, first_user, pid, report, start, waiting};
use crate::harness::{eventually, is_alive, message};
use crate::tiny_elf;

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
            while report(&client).await.ready == 0
                && daemon.log().matches("no machine waits").count() == failures
            {
                tokio::task::yield_now().await;
            }
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

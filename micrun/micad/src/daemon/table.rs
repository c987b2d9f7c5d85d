//! The answers about all clients: `list` and `ps`.

use std::sync::Arc;

use libmica::ext::{Account, ClientEntry, ClientList, ClientRow, ClientTable, SHARED_POOL, Usage};
use libmica::names::is_terminal;
use micrun_firmware::{CpuList, SharedCpus};

use super::Daemon;
use super::client::Client;
use super::request::Snapshot;
use crate::cgroup::Hierarchies;
use crate::pedestal::{Rings, Runner, boot_usec};

impl Daemon {
    /// Answer to `list`. Blocks.
    pub(super) fn list(&self) -> ClientList {
        let entry = |client: &Arc<Client>| self.entry(client, &client.snapshot());
        ClientList { clients: self.all().iter().map(entry).collect() }
    }

    /// Answer to `ps`. Blocks.
    pub(super) fn ps(&self) -> ClientTable {
        let rings = Rings::of(&self.config.get());
        let row = |client: &Arc<Client>| {
            let snapshot = client.snapshot();
            ClientRow {
                usage: usage(&snapshot, &self.hierarchies),
                console: rings.counts(&client.spec),
                starts: snapshot.run,
                client: self.entry(client, &snapshot),
            }
        };
        ClientTable { at_usec: boot_usec(), clients: self.all().iter().map(row).collect() }
    }

    /// All clients, by name.
    pub(super) fn all(&self) -> Vec<Arc<Client>> {
        self.clients().values().map(|entry| Arc::clone(&entry.client)).collect()
    }

    /// What `list` says of a client. Blocks.
    pub(super) fn entry(&self, client: &Client, snapshot: &Snapshot) -> ClientEntry {
        let config = self.config.get();
        let pool = config.shared_cpus.as_ref();
        let cpus = snapshot.runner.and_then(Runner::cpus);
        ClientEntry {
            name: client.spec.name().to_owned(),
            state: snapshot.state,
            pedestal: client.pedestal.to_owned(),
            cpu: client.spec.message.cpu.clone(),
            pool: cpus.as_ref().filter(|cpus| is_shared(cpus, pool)).map(|_| SHARED_POOL.to_owned()),
            cpus: cpus.map(|cpus| cpus.to_string()),
            pid: snapshot.runner.and_then(Runner::pid),
            tty: snapshot
                .services
                .iter()
                .find(|service| is_terminal(&service.name))
                .and_then(|console| console.device.clone()),
            exit: snapshot.exit().cloned(),
            silent: snapshot.silent.clone(),
            patched: snapshot.patched.clone(),
        }
    }
}

/// What the present run uses, as a container's metrics have it: the numbers of the cgroup that the start came with, else
/// those of the process. Blocks.
pub(super) fn usage(snapshot: &Snapshot, hierarchies: &Hierarchies) -> Option<Usage> {
    let runner = snapshot.runner?;
    let used = runner.usage()?;
    let uptime_usec = used.uptime_usec;
    let Some(pid) = runner.pid() else {
        return Some(Usage { uptime_usec, of: Account::Core, ..Usage::default() });
    };
    let account = if snapshot.in_cgroup { hierarchies.account_of(pid) } else { None };
    Some(match account.filter(|account| account.memory_bytes.is_some() && account.cpu_usec.is_some()) {
        Some(account) => Usage {
            uptime_usec,
            cpu_usec: account.cpu_usec,
            memory_bytes: account.memory_bytes,
            processes: account.processes,
            read_bytes: account.read_bytes,
            written_bytes: account.written_bytes,
            of: Account::Cgroup,
        },
        None => Usage {
            uptime_usec,
            cpu_usec: Some(used.cpu_usec),
            memory_bytes: Some(used.memory_bytes),
            of: Account::Process,
            ..Usage::default()
        },
    })
}

/// Whether a process that may use `cpus` shares them with the pool.
fn is_shared(cpus: &CpuList, pool: Option<&SharedCpus>) -> bool {
    pool.is_some_and(|pool| cpus.is_within(&pool.cpus))
}

//! Which remoteproc a client gets, and which client has which.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use micrun_firmware::policy::{Patterns, Rule};

use super::sysfs::{Remoteproc, State, System};
use super::{BareMetal, firmware};
use crate::{Error, Result};

/// The remoteprocs that clients have, by id, with the client's name.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims(Arc<Mutex<BTreeMap<String, String>>>);

/// A remoteproc that no other client can have as long as this exists.
#[derive(Debug)]
pub(super) struct Claim {
    claims: Claims,
    id: String,
}

impl Claims {
    /// Takes the remoteproc for `client`, unless another one has it.
    pub(super) fn take(&self, remoteproc: &Remoteproc, client: &str) -> Result<Claim> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(owner) = taken.get(&remoteproc.id) {
            let problem = format!("client {owner} has {}", remoteproc.title());
            return Err(Error::RemoteprocUnusable { problem });
        }
        taken.insert(remoteproc.id.clone(), client.to_owned());
        Ok(Claim { claims: self.clone(), id: remoteproc.id.clone() })
    }

    fn owner(&self, remoteproc: &Remoteproc) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&remoteproc.id).cloned()
    }

    /// Why the remoteproc cannot be used now, if so.
    fn obstacle(&self, remoteproc: &Remoteproc) -> Option<String> {
        if let Some(owner) = self.owner(remoteproc) {
            return Some(format!("client {owner} has it"));
        }
        if !remoteproc.is_controllable() {
            return Some("its driver reserves it for the kernel".to_owned());
        }
        match remoteproc.state() {
            Ok(Some(State::Offline)) => None,
            // Nobody's any more, and the next start frees it.
            Ok(Some(State::Crashed))
                if remoteproc.read("firmware").is_ok_and(|name| firmware::is_ours(&name)) =>
            {
                None
            }
            Ok(Some(state)) => Some(format!("it is {}", state.as_str())),
            Ok(None) => Some("its state is unknown".to_owned()),
            Err(e) => Some(e.sentence()),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// Whether a client that does not say what it wants could be given a remoteproc now.
pub(super) fn any_free(system: &System, claims: &Claims, allowed: &Rule<Patterns>) -> bool {
    let all = system.remoteprocs().unwrap_or_else(|e| {
        log::warn!("{}: firmware that names no pedestal runs on qemu", e.sentence());
        Vec::new()
    });
    all.iter().any(|remoteproc| is_allowed(remoteproc, allowed) && claims.obstacle(remoteproc).is_none())
}

/// Whether the host allows the remoteproc, by its name or its id.
fn is_allowed(remoteproc: &Remoteproc, allowed: &Rule<Patterns>) -> bool {
    allowed.value.allows(&remoteproc.name) || allowed.value.allows(&remoteproc.id)
}

/// Checks that what `cpu` asks for exists, whether it is free or not.
pub(super) fn check(system: &System, claims: &Claims, allowed: &Rule<Patterns>, cpu: &str) -> Result<()> {
    let all = system.remoteprocs()?;
    matching(&all, claims, allowed, cpu).map(drop)
}

/// Chooses by the client's CPU, and takes the remoteproc for it.
pub(super) fn choose(pedestal: &BareMetal, cpu: &str, client: &str) -> Result<(Remoteproc, Claim)> {
    let BareMetal { system, claims, config, .. } = pedestal;
    let config = config.get();
    let allowed = &config.policy.remoteprocs;
    let all = system.remoteprocs()?;
    let candidates = matching(&all, claims, allowed, cpu)?;
    let mut free = candidates.iter().copied().filter(|r| claims.obstacle(r).is_none());
    let remoteproc = match (free.next(), free.next()) {
        (Some(only), None) => only,
        (Some(_), Some(_)) => {
            return Err(refuse("more than one remoteproc would do: say which by CPU", &all, claims));
        }
        (None, _) => match candidates.as_slice() {
            [one] => {
                let obstacle = claims.obstacle(one).unwrap_or_default();
                let problem = format!("{} cannot be used: {obstacle}", one.title());
                return Err(Error::RemoteprocUnusable { problem });
            }
            _ => return Err(refuse("no remoteproc is free", &all, claims)),
        },
    };
    Ok((remoteproc.clone(), claims.take(remoteproc, client)?))
}

/// The remoteprocs that `cpu` can mean: all of them if it is empty (never CPU 0), those of that core if it is a
/// number, else the one with that name or id. At least one, and only those that the host allows.
fn matching<'a>(
    all: &'a [Remoteproc],
    claims: &Claims,
    allowed: &Rule<Patterns>,
    cpu: &str,
) -> Result<Vec<&'a Remoteproc>> {
    let cpu = cpu.trim();
    if all.is_empty() {
        return Err(Error::NoRemoteproc);
    }
    let fits = |r: &&Remoteproc| match cpu.parse() {
        _ if cpu.is_empty() => true,
        Ok(number) => r.cpu().or_else(|| number_in(&r.name)) == Some(number),
        Err(_) => r.name == cpu || r.id == cpu,
    };
    let found: Vec<_> = all.iter().filter(fits).collect();
    if found.is_empty() {
        let problem = match cpu.parse::<u32>() {
            Ok(number) => format!("no remoteproc is known to be CPU {number}: give its name as CPU"),
            Err(_) => format!("no remoteproc is named {cpu:?}"),
        };
        return Err(refuse(&problem, all, claims));
    }
    let permitted: Vec<_> = found.iter().copied().filter(|it| is_allowed(it, allowed)).collect();
    if permitted.is_empty() {
        // It fails for the first as for each of them.
        found.iter().try_for_each(|remoteproc| allowed.check("remoteproc", &remoteproc.name))?;
    }
    Ok(permitted)
}

/// The number behind `cpu` in a remoteproc's name.
fn number_in(name: &str) -> Option<u32> {
    let (_, rest) = name.split_once("cpu")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).map_or(rest, |end| &rest[..end]);
    digits.parse().ok()
}

fn refuse(problem: &str, all: &[Remoteproc], claims: &Claims) -> Error {
    let list = all.iter().map(|r| {
        let use_ = claims.obstacle(r).unwrap_or_else(|| "free".to_owned());
        format!("{}: {use_}", r.title())
    });
    let list = list.collect::<Vec<_>>().join("; ");
    Error::RemoteprocUnusable { problem: format!("{problem} (found: {list})") }
}

#[cfg(test)]
mod tests {
    use super::number_in;

    #[test]
    fn core_numbers_in_names() {
        for (name, number) in [
            ("mica-cpu3", Some(3)),
            ("cpu31", Some(31)),
            ("rtos-cpu2-a", Some(2)),
            ("m4", None),
            ("cpu", None),
        ] {
            assert_eq!(number_in(name), number, "{name}");
        }
    }
}

//! What a task has used, as `ctr task metrics` tells it, and whether others tell the same.

use std::process::Command;

use serde_json::Value;

use crate::{isolation, process};

/// What a task has used, whichever the version of cgroups.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// CPU time in microseconds.
    pub cpu_usec: u64,
    /// Memory in bytes.
    pub memory: u64,
    /// The same without the pages of files that nobody has needed lately, which is what Kubernetes goes by.
    pub working_set: u64,
    /// Processes and threads.
    pub processes: u64,
}

impl Usage {
    /// That of a task of this test.
    #[track_caller]
    pub fn of(id: &str) -> Self {
        Self::within(&isolation::containerd_namespace(), id)
    }

    /// That of a task in a namespace of containerd.
    #[track_caller]
    pub fn within(namespace: &str, id: &str) -> Self {
        let mut ctr = Command::new(isolation::containerd_program("ctr"));
        ctr.args(["--namespace", namespace, "tasks", "metrics", "--format", "json", id]);
        let text = process::run(&mut ctr).success();
        let all: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let get = |place: &str| all.pointer(place).and_then(Value::as_u64);
        // Those of version 1, then of version 2. What is 0 is left out.
        let cpu = get("/cpu/usage/total").map(|nanoseconds| nanoseconds / 1000).or(get("/cpu/usage_usec"));
        let memory = get("/memory/usage/usage").or(get("/memory/usage"));
        let idle = get("/memory/total_inactive_file").or(get("/memory/inactive_file"));
        let measured = |number: Option<u64>| number.unwrap_or_else(|| panic!("not all is in {text}"));
        Self {
            cpu_usec: measured(cpu),
            memory: measured(memory),
            working_set: measured(memory).saturating_sub(idle.unwrap_or_default()),
            processes: measured(get("/pids/current")),
        }
    }

    /// Asserts that `other`, somebody else's look, gives the same CPU time in microseconds, and the number that `of` takes
    /// from this one: once nothing changes between the looks.
    #[track_caller]
    pub fn assert_same(look: impl Fn() -> Self, of: impl Fn(&Self) -> u64, other: impl Fn() -> (u64, u64)) {
        loop {
            let before = look();
            let (cpu, number) = other();
            let after = look();
            assert!((before.cpu_usec..=after.cpu_usec).contains(&cpu), "{before:?}, {cpu}, {after:?}");
            if of(&before) == of(&after) {
                assert_eq!(number, of(&before));
                return;
            }
        }
    }
}

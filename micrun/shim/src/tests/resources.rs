//! Limits, their changes and the numbers, in a real cgroup where the kernel and the user allow one.

use std::path::{Path, PathBuf};

use containerd_shim_protos::api::{StatsRequest, UpdateTaskRequest};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::shim_async::Task;
use containerd_shim_protos::ttrpc::{self, Code};
use containerd_shim_protos::{cgroups::metrics as v1, cgroups_v2::metrics as v2};
use libmica::ext::ExitReason;
use serde_json::json;

use super::fixture::{Fixture, Script, code, context};
use crate::cgroup::Layout;
use crate::os::children;

/// A parent of cgroups that no other test has.
struct Group {
    layout: Layout,
    path: String,
}

impl Group {
    /// `None`, with the reason on stderr, where none can be made.
    fn new(test: &str) -> Option<Self> {
        match Layout::detect() {
            Ok(layout) => Self::within(layout, test),
            Err(error) => skip(&error.to_string()),
        }
    }

    fn within(layout: Layout, test: &str) -> Option<Self> {
        let group = Self { layout, path: format!("micrun-test-shim.{}.{test}", std::process::id()) };
        match group.roots().iter().find_map(|root| std::fs::create_dir(root.join(&group.path)).err()) {
            None => Some(group),
            Some(error) => skip(&format!("no cgroup can be made: {error}")),
        }
    }

    fn roots(&self) -> Vec<PathBuf> {
        match &self.layout {
            Layout::V1(map) => {
                map.values().cloned().collect::<std::collections::BTreeSet<_>>().into_iter().collect()
            }
            Layout::V2(root) => vec![root.clone()],
        }
    }

    fn is_v1(&self) -> bool {
        matches!(self.layout, Layout::V1(_))
    }

    /// A file of the container's cgroup.
    fn file(&self, controller: &str, name: &str) -> PathBuf {
        let root = match &self.layout {
            Layout::V1(map) => &map[controller],
            Layout::V2(root) => root,
        };
        root.join(&self.path).join("c").join(name)
    }

    fn read(&self, controller: &str, v1: &str, v2: &str) -> String {
        let path = self.file(controller, if self.is_v1() { v1 } else { v2 });
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).trim().to_owned()
    }

    /// The CPUs of the machine.
    fn read_root_cpus(&self) -> String {
        let root = match &self.layout {
            Layout::V1(map) => &map["cpuset"],
            Layout::V2(root) => root,
        };
        let file = if self.is_v1() { "cpuset.cpus" } else { "cpuset.cpus.effective" };
        std::fs::read_to_string(root.join(file)).unwrap().trim().to_owned()
    }

    fn memory(&self) -> String {
        self.read("memory", "memory.limit_in_bytes", "memory.max")
    }

    fn fixture(&self, resources: &serde_json::Value) -> Fixture {
        let mut f = Fixture::with_cgroups(Script::default(), Some(self.layout.clone()));
        f.spec["linux"] = json!({"cgroupsPath": format!("/{}/c", self.path), "resources": resources});
        f
    }

    fn exists(&self) -> bool {
        self.roots().iter().any(|root| root.join(&self.path).join("c").exists())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for root in self.roots() {
            for dir in [root.join(&self.path).join("c"), root.join(&self.path)] {
                let _ = std::fs::remove_dir(dir);
            }
        }
    }
}

fn skip(reason: &str) -> Option<Group> {
    eprintln!("skipped: {reason}");
    None
}

async fn update(
    f: &Fixture,
    resources: serde_json::Value,
    annotations: &[(&str, &str)],
) -> ttrpc::Result<()> {
    let mut request = UpdateTaskRequest::new();
    request.id = "c".into();
    request.resources.mut_or_insert_default().value = resources.to_string().into_bytes();
    request.annotations = annotations.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    f.service.update(&context(), request).await.map(drop)
}

async fn stats(f: &Fixture) -> (String, Vec<u8>) {
    let mut request = StatsRequest::new();
    request.id = "c".into();
    let any = f.service.stats(&context(), request).await.unwrap().stats.unwrap();
    (any.type_url, any.value)
}

const MIB: u64 = 1 << 20;

#[tokio::test]
async fn limits_are_set_changed_and_taken_away_with_the_cgroup() {
    let Some(group) = Group::new("limits") else { return };
    let limits = json!({"memory": {"limit": 100 * MIB}, "cpu": {"shares": 512, "quota": 50000, "period": 100_000},
        "pids": {"limit": 77}, "devices": [{"allow": false, "access": "rwm"}]});
    let mut f = group.fixture(&limits);
    f.create().await.unwrap();
    assert_eq!(group.memory(), (228 * MIB).to_string());
    assert_eq!(group.read("pids", "pids.max", "pids.max"), "77");
    assert_eq!(group.read("cpu", "cpu.shares", "cpu.weight"), if group.is_v1() { "512" } else { "20" });
    f.start().await.unwrap();
    assert_eq!(f.daemon.joined.lock().unwrap().len(), group.roots().len(), "one file for each hierarchy");

    update(&f, json!({"memory": {"limit": 200 * MIB}, "cpu": {"quota": -1}}), &[]).await.unwrap();
    assert_eq!(group.memory(), (328 * MIB).to_string());
    assert_eq!(group.read("pids", "pids.max", "pids.max"), "77", "what is not named stays");
    let quota = group.read("cpu", "cpu.cfs_quota_us", "cpu.max");
    assert!(quota == "-1" || quota == "max 100000", "{quota}");
    assert_eq!(f.daemon.count("set Memory 200"), 0);

    f.kill(9).await.unwrap();
    f.wait().await;
    assert_eq!(code(update(&f, json!({}), &[]).await), Code::FAILED_PRECONDITION);
    f.delete().await.unwrap();
    assert!(!group.exists());
    assert_eq!(f.events(), ["create", "start", "exit 137", "delete"]);
}

/// A pod that cannot hold its firmware and the emulator is told so before that runs out of memory.
#[tokio::test]
async fn a_pod_must_hold_firmware_and_emulator() {
    let Some(group) = Group::new("pod") else { return };
    let limit_pod = |megabytes: u64| {
        let file = if group.is_v1() { "memory.limit_in_bytes" } else { "memory.max" };
        let pod = group.file("memory", file).parent().and_then(Path::parent).unwrap().join(file);
        std::fs::write(pod, (megabytes * MIB).to_string())
    };
    if limit_pod(191).is_err() {
        eprintln!("skipped: the kernel limits no memory here");
        return;
    }
    let mut f = group.fixture(&json!({"memory": {"limit": 64 * MIB}}));
    let error = f.create().await.unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains(
            "may have 191 MiB of memory, which is not enough for the firmware `c`: it needs 64 MiB"
        ),
        "{said}"
    );
    assert_eq!(code::<()>(Err(error)), Code::FAILED_PRECONDITION);
    assert_eq!((f.daemon.count("create"), f.leftovers(), group.exists()), (0, 0, false));
    limit_pod(192).unwrap();
    // What was refused, or is gone, counts no more.
    for _ in 0..2 {
        f.create().await.unwrap();
        f.delete().await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_change_changes_nothing() {
    let Some(group) = Group::new("refused") else { return };
    let mut f = group.fixture(&json!({"memory": {"limit": 100 * MIB}}));
    f.create().await.unwrap();
    let before = group.memory();
    for (change, reason) in [
        (json!({"memory": {"limit": 300 * MIB}, "cpu": {"cpus": "999"}}), "cpuset.cpus"),
        (
            json!({"memory": {"limit": 300 * MIB}, "unified": {"memory.high": "1"}}),
            "unified cannot be changed",
        ),
        (json!({"memory": {"limit": 10 * MIB}}), "less than the machine's memory"),
        (json!({"memory": {"limit": "much"}}), "not LinuxResources"),
    ] {
        let error = update(&f, change, &[]).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(code::<()>(Err(error)), Code::INVALID_ARGUMENT);
        assert_eq!(group.memory(), before);
    }
    // Static resources are left alone without an error.
    let annotation = [("org.openeuler.micrun.runtime.static_resource", "true")];
    update(&f, json!({"memory": {"limit": 300 * MIB}}), &annotation).await.unwrap();
    assert_eq!(group.memory(), before);
    f.delete().await.unwrap();
    assert!(!group.exists());
}

#[tokio::test]
async fn numbers_are_the_kernels() {
    let Some(group) = Group::new("numbers") else { return };
    let mut f = group.fixture(&json!({"memory": {"limit": 100 * MIB}}));
    f.create().await.unwrap();
    f.start().await.unwrap();
    // A process joins as the daemon's would, and uses something.
    // No orphan, though the shim has no owner for it.
    let _hold = children::hold();
    let mut child = std::process::Command::new("sh");
    child.args(["-c", "read _; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; read _"]);
    let mut child =
        child.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    for mut procs in std::mem::take(&mut *f.daemon.joined.lock().unwrap()) {
        std::io::Write::write_all(&mut procs, child.id().to_string().as_bytes()).unwrap();
    }
    let input = child.stdin.as_mut().unwrap();
    std::io::Write::write_all(input, b"\n").unwrap();
    let mut done = [0; 5];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut done).unwrap();

    let (name, bytes) = stats(&f).await;
    if group.is_v1() {
        assert_eq!(name, "io.containerd.cgroups.v1.Metrics");
        let metrics = v1::Metrics::parse_from_bytes(&bytes).unwrap();
        let cpu = metrics.cpu.usage.clone().unwrap();
        assert!(cpu.total > 100_000 && cpu.total >= cpu.per_cpu.iter().copied().max().unwrap(), "{cpu:?}");
        let memory = metrics.memory.usage.clone().unwrap();
        assert!(memory.limit == 228 * MIB && memory.usage > 0 && memory.max >= memory.usage, "{memory:?}");
        assert_eq!(metrics.pids.current, 1);
        assert_eq!(metrics.memory_oom_control.oom_kill, 0);
        assert!(metrics.blkio.is_none() && metrics.rdma.is_none(), "what is not known is absent");
    } else {
        assert_eq!(name, "io.containerd.cgroups.v2.Metrics");
        let metrics = v2::Metrics::parse_from_bytes(&bytes).unwrap();
        assert!(metrics.cpu.usage_usec > 100, "{:?}", metrics.cpu);
        assert!(metrics.memory.usage > 0 && metrics.memory.usage_limit == 228 * MIB, "{:?}", metrics.memory);
        assert_eq!(metrics.pids.current, 1);
        assert!(metrics.io.is_none(), "what is not known is absent");
    }
    drop(child.stdin.take());
    child.wait().unwrap();
    f.daemon.end(ExitReason::Exited, 0);
    assert_eq!(f.wait().await, 0);
    f.delete().await.unwrap();
    assert!(!group.exists());
}

/// The kernel kills a process that needs more than its cgroup allows.
#[tokio::test]
async fn an_oom_kill_is_an_event_before_the_exit() {
    let Some(group) = Group::new("oom") else { return };
    let mut f = group.fixture(&json!({"memory": {"limit": 64 * MIB}}));
    f.create().await.unwrap();
    f.start().await.unwrap();
    let small = group.file("memory", if group.is_v1() { "memory.limit_in_bytes" } else { "memory.max" });
    std::fs::write(small, (4 * MIB).to_string()).unwrap();
    let swap =
        group.file("memory", if group.is_v1() { "memory.memsw.limit_in_bytes" } else { "memory.swap.max" });
    if swap.exists() {
        std::fs::write(&swap, if group.is_v1() { (4 * MIB).to_string() } else { "0".to_owned() }).unwrap();
    }
    let _hold = children::hold();
    let mut eater = std::process::Command::new("sh");
    eater
        .args(["-c", "read _; x=$(head -c 64000000 /dev/zero | tr '\\000' x); echo $x"])
        .stdin(std::process::Stdio::piped());
    let mut child = eater.stdout(std::process::Stdio::null()).spawn().unwrap();
    for mut procs in std::mem::take(&mut *f.daemon.joined.lock().unwrap()) {
        std::io::Write::write_all(&mut procs, child.id().to_string().as_bytes()).unwrap();
    }
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"\n").unwrap();
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}");
    f.daemon.end(ExitReason::Killed, 137);
    assert_eq!(f.wait().await, 137);
    assert_eq!(f.events(), ["create", "start", "oom", "exit 137"]);
    f.delete().await.unwrap();
}

#[tokio::test]
async fn a_failed_create_leaves_no_cgroup() {
    let Some(group) = Group::new("failed") else { return };
    let mut f = group.fixture(&json!({"cpu": {"cpus": "999"}}));
    assert_eq!(code(f.create().await), Code::INVALID_ARGUMENT);
    assert!(!group.exists() && f.leftovers() == 0);
    f.spec["linux"]["cgroupsPath"] = "/../escape".into();
    assert_eq!(code(f.create().await), Code::INVALID_ARGUMENT);
    assert!(!Path::new("/sys/fs/cgroup/escape").exists());
}

/// Pedestals of upstream's daemon change by `set`; what fails in the middle is taken back.
#[tokio::test]
async fn a_daemon_changes_what_it_can_or_nothing() {
    let script = Script { refuse_set: Some("Memory"), pedestal: "xen", ..Script::default() };
    let mut f = Fixture::new(script);
    std::fs::create_dir_all(f.dir.path().join("bundle/rootfs")).unwrap();
    std::fs::write(f.dir.path().join("bundle/rootfs/image.bin"), "kernel").unwrap();
    f.spec["linux"] = json!({"resources": {"cpu": {"shares": 1024}}});
    f.create().await.unwrap();
    f.start().await.unwrap();
    update(&f, json!({"cpu": {"shares": 2048, "quota": 50000, "period": 100_000}}), &[]).await.unwrap();
    let sets = |f: &Fixture| -> Vec<String> {
        f.daemon.calls.lock().unwrap().iter().filter(|c| c.starts_with("set ")).cloned().collect()
    };
    assert_eq!(sets(&f), ["set CPUCapacity 50", "set CPUWeight 512"]);
    let error = update(&f, json!({"cpu": {"shares": 1024}, "memory": {"limit": 64 * MIB}}), &[]).await;
    assert_eq!(code(error), Code::FAILED_PRECONDITION);
    assert_eq!(sets(&f)[2..], ["set CPUWeight 256", "set Memory 64", "set CPUWeight 512"]);
    let long = (0..40).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(code(update(&f, json!({"cpu": {"cpus": long}}), &[]).await), Code::INVALID_ARGUMENT);
    assert_eq!(sets(&f).len(), 5);
}

#[tokio::test]
async fn a_core_of_its_own_has_no_numbers_and_upstreams_daemon_none_at_all() {
    let mut f = Fixture::new(Script { pedestal: "xen", ..Script::default() });
    std::fs::create_dir_all(f.dir.path().join("bundle/rootfs")).unwrap();
    std::fs::write(f.dir.path().join("bundle/rootfs/image.bin"), "kernel").unwrap();
    f.create().await.unwrap();
    let (_, bytes) = stats(&f).await;
    assert_eq!(bytes, b"", "nothing is known, and nothing said");
    let mut f = Fixture::new(Script { pedestal: "xen", no_wait: true, ..Script::default() });
    std::fs::create_dir_all(f.dir.path().join("bundle/rootfs")).unwrap();
    std::fs::write(f.dir.path().join("bundle/rootfs/image.bin"), "kernel").unwrap();
    f.create().await.unwrap();
    let mut request = StatsRequest::new();
    request.id = "c".into();
    assert_eq!(code(f.service.stats(&context(), request).await), Code::UNIMPLEMENTED);
}

/// On a hybrid machine version 2 has no controllers of ours, but the process joins, its time is counted, and what
/// cannot be limited is refused.
#[tokio::test]
async fn version_2_beside_version_1() {
    let unified = PathBuf::from("/sys/fs/cgroup/unified");
    if !unified.join("cgroup.controllers").exists() {
        skip("no hybrid layout");
        return;
    }
    let Some(group) = Group::within(Layout::V2(unified), "unified") else { return };
    let mut f = group.fixture(&json!({"memory": {"limit": 100 * MIB}}));
    assert_eq!(code(f.create().await), Code::INVALID_ARGUMENT);
    assert!(!group.exists() && f.leftovers() == 0);
    f.spec["linux"]["resources"] = json!({});
    f.create().await.unwrap();
    f.start().await.unwrap();
    // No orphan, though the shim has no owner for it.
    let _hold = children::hold();
    let mut child = std::process::Command::new("sh");
    child.args(["-c", "read _; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"]);
    let mut child = child.stdin(std::process::Stdio::piped()).spawn().unwrap();
    for mut procs in std::mem::take(&mut *f.daemon.joined.lock().unwrap()) {
        std::io::Write::write_all(&mut procs, child.id().to_string().as_bytes()).unwrap();
    }
    drop(child.stdin.take());
    child.wait().unwrap();
    let (name, bytes) = stats(&f).await;
    assert_eq!(name, "io.containerd.cgroups.v2.Metrics");
    let metrics = v2::Metrics::parse_from_bytes(&bytes).unwrap();
    assert!(metrics.cpu.usage_usec > 100, "{:?}", metrics.cpu);
    assert!(metrics.memory.is_none() && metrics.pids.is_none(), "what is not known is absent");
    f.daemon.end(ExitReason::Exited, 0);
    f.wait().await;
    f.delete().await.unwrap();
    assert!(!group.exists());
}

/// One machine, one hierarchy: what no path is given for does not meet its namesake of another namespace.
#[tokio::test]
async fn containers_of_two_namespaces_may_have_the_same_id() {
    let Some(first) = Group::new("first") else { return };
    let Some(second) = Group::new("second") else { return };
    let fixture =
        |group: &Group| Fixture::in_namespace(&group.path, Script::default(), Some(group.layout.clone()));
    let (mut one, mut two) = (fixture(&first), fixture(&second));
    one.create().await.unwrap();
    two.create().await.unwrap();
    assert!(first.exists() && second.exists());
    one.delete().await.unwrap();
    assert!(!first.exists() && second.exists());
    two.start().await.unwrap();
    two.kill(9).await.unwrap();
    two.wait().await;
    two.delete().await.unwrap();
    assert!(!second.exists());
}

/// Without CPUs of its own it runs in the pool; an Update moves it out and back, and never half-way.
#[tokio::test]
async fn firmware_without_cpus_shares_those_of_the_daemons_pool() {
    let Some(group) = Group::new("pool") else { return };
    if group.read_root_cpus() == "0" {
        eprintln!("skipped: there is one CPU");
        return;
    }
    let cpus = || group.read("cpuset", "cpuset.cpus", "cpuset.cpus");
    let mut f = group.fixture(&json!({}));
    f.daemon.tell(Some("1"), |_| ());
    f.create().await.unwrap();
    assert_eq!(cpus(), "1");
    // The message is upstream's, and says what was asked for.
    assert_eq!(f.daemon.created.lock().unwrap().as_ref().unwrap().cpu, "");
    update(&f, json!({"cpu": {"cpus": "0"}}), &[]).await.unwrap();
    assert_eq!(cpus(), "0");
    assert_eq!(code(update(&f, json!({"cpu": {"cpus": "0-1"}}), &[]).await), Code::PERMISSION_DENIED);
    assert_eq!(cpus(), "0");
    update(&f, json!({"cpu": {"shares": 512}}), &[]).await.unwrap();
    assert_eq!(cpus(), "0");
    update(&f, json!({"cpu": {"cpus": "1"}}), &[]).await.unwrap();
    assert_eq!(cpus(), "1");
    f.delete().await.unwrap();

    f.spec["linux"]["resources"] = json!({"cpu": {"cpus": "0-1"}});
    assert_eq!(code(f.create().await), Code::PERMISSION_DENIED);
    assert!(!group.exists());
    f.spec["linux"]["resources"] = json!({});
    f.configure("shared_cpu_pool = false\n");
    f.create().await.unwrap();
    assert_ne!(cpus(), "1");
    f.delete().await.unwrap();
}

/// Docker refuses to raise a memory limit above that of memory and swap, so it sends both.
#[tokio::test]
async fn a_limit_of_swap_beside_one_of_memory_has_no_effect() {
    let Some(group) = Group::new("swap") else { return };
    let mut f = group.fixture(&json!({"memory": {"limit": 100 * MIB, "swap": 200 * MIB}}));
    f.create().await.unwrap();
    f.start().await.unwrap();
    update(&f, json!({"memory": {"limit": 300 * MIB, "swap": 600 * MIB}}), &[]).await.unwrap();
    assert_eq!(group.memory(), (428 * MIB).to_string());
    let alone = update(&f, json!({"memory": {"swap": 600 * MIB}}), &[]).await;
    assert_eq!(code(alone), Code::INVALID_ARGUMENT);
}

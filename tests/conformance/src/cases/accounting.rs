//! Who pays: each container for what it brings along, and nobody for what others leave open.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use containerd_shim_protos::ttrpc::Code;
use micrun_host_tests::system::Process;
use micrun_host_tests::{isolation, wait};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::Pid;

use crate::bundle::Bundle;
use crate::case::{both, firmware, mica};
use crate::container::Container;
use crate::shim::Invocation;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    firmware!(accounting_a_large_firmware_is_its_containers),
    firmware!(accounting_a_sparse_firmware_costs_what_it_holds),
    firmware!(accounting_a_firmware_beyond_its_memory_limit_is_refused),
    firmware!(accounting_the_kernels_mercy_is_the_containers_score),
    both!(accounting_a_shim_is_killed_after_its_containers_and_before_containerd),
    mica!(accounting_what_containerd_leaks_is_in_no_shim, "Go's shim hands on what it has inherited"),
    mica!(accounting_no_cgroup_lies_outside_of_the_root, "runc leaves it to the kernel"),
];

const MIB: u64 = 1 << 20;
/// A byte of firmware that is no hole.
const CONTENT: u8 = 0xa5;
const EMULATOR: &str = "qemu-system-aarch64";

/// A cgroup of the memory controller, of version 1 or 2, in the folder of this run.
struct Group(PathBuf);

impl Group {
    fn of(name: &str) -> Self {
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let root = if v1.is_dir() { v1 } else { Path::new("/sys/fs/cgroup") };
        let parent = root.join(isolation::containerd_namespace());
        fs::create_dir_all(&parent).unwrap();
        for above in [root, &parent] {
            // Version 2 has the controller only where it was asked for; version 1 has no such file.
            let _ = fs::write(above.join("cgroup.subtree_control"), "+memory");
        }
        Self(parent.join(name))
    }

    /// Made for a process that is there already.
    fn around(name: &str, pid: i32) -> Self {
        let group = Self::of(name);
        fs::create_dir_all(&group.0).unwrap();
        fs::write(group.0.join("cgroup.procs"), pid.to_string()).unwrap();
        group
    }

    /// Bytes of memory files and of files on tmpfs that its processes were the first to touch.
    fn shared_memory(&self) -> u64 {
        let text = fs::read_to_string(self.0.join("memory.stat")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("shmem "));
        line.unwrap().trim().parse().unwrap()
    }
}

/// The firmware in the bundle's root file system.
fn elf(bundle: &Bundle) -> File {
    let files = fs::read_dir(bundle.path.join("rootfs")).unwrap().map(|file| file.unwrap().path());
    let elf = files.into_iter().find(|path| path.extension().is_some_and(|end| end == "elf")).unwrap();
    File::options().write(true).open(elf).unwrap()
}

/// Appends what no segment has.
fn grow(bundle: &Bundle, size: u64) {
    let elf = elf(bundle);
    let mib = vec![CONTENT; 1 << 20];
    let end = elf.metadata().unwrap().len();
    for number in 0..size / MIB {
        elf.write_all_at(&mib, end + number * MIB).unwrap();
    }
}

/// A container that is not created, and cgroups around its shim and micad.
fn watched(stage: &Stage, bundle: Bundle) -> (Container<'_>, [Group; 2]) {
    let shim = stage.launch(&bundle);
    let groups = [
        Group::around("shim", shim.pid().as_raw()),
        Group::around("micad", Process::running("micad")[0].id()),
    ];
    (Container::new(stage, bundle, shim), groups)
}

/// It once cost its size in the shim's cgroup and its size in the daemon's, and nothing in its own.
fn accounting_a_large_firmware_is_its_containers(stage: &mut Stage) {
    const SIZE: u64 = 8 * MIB;
    let bundle = stage.bundle("one");
    grow(&bundle, SIZE);
    let (container, others) = watched(stage, bundle);
    container.create();
    let created = Group::of("one").shared_memory();
    assert!((SIZE - MIB..SIZE + 4 * MIB).contains(&created), "{created} bytes");
    container.start();
    container.assert_answers("ready");
    // The emulator has made a copy of its own, and the first one goes.
    wait::until("there is one copy", || {
        (SIZE - MIB..SIZE + 4 * MIB).contains(&Group::of("one").shared_memory()).then_some(())
    });
    // The path in the state directory leads to what there is.
    let path = "/run/micrun/containers/one/firmware.elf";
    assert!(fs::metadata(path).unwrap().len() > SIZE && fs::read(path).unwrap().ends_with(&[CONTENT; 16]));
    for group in &others {
        assert!(group.shared_memory() < 2 * MIB, "{}: {} bytes", group.0.display(), group.shared_memory());
    }
    assert_eq!(container.end(), 137);
    assert!(!Group::of("one").0.exists());
}

/// Holes, and the zeros that a layer's unpacking makes of them.
fn accounting_a_sparse_firmware_costs_what_it_holds(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let file = elf(&bundle);
    file.write_all_at(&vec![0; 4 << 20], 4 * MIB).unwrap();
    file.set_len(16 * MIB).unwrap();
    let (container, others) = watched(stage, bundle);
    container.create();
    container.start();
    container.assert_answers("ready");
    for group in others.iter().chain([&Group::of("one")]) {
        assert!(group.shared_memory() < 3 * MIB, "{}: {} bytes", group.0.display(), group.shared_memory());
    }
    assert_eq!(container.end(), 137);
}

/// The copy ends, and nothing else of the pod.
fn accounting_a_firmware_beyond_its_memory_limit_is_refused(stage: &mut Stage) {
    let limit = 32 * MIB;
    let bundle = stage.bundle("one").with(|spec| {
        spec["linux"]["resources"]["memory"]["limit"] = limit.into();
    });
    grow(&bundle, limit + 8 * MIB);
    // Beside its limit there is room for the emulator.
    let little = Invocation::default().with("MICRUN_EMULATOR_OVERHEAD_MB", "4");
    let shim = stage.launch_as(&bundle, &little);
    let container = Container::new(stage, bundle, shim);
    let refusal = container.task.create(&container.request());
    stage.refused(&refusal, Code::FAILED_PRECONDITION, "a firmware that is too large");
    let words = refusal.unwrap_err().to_string();
    assert!(words.contains("does not fit into the memory limit of its container"), "{words}");
    container.assert_unknown();
    assert!(!Group::of("one").0.exists());
}

/// `process.oomScoreAdj`; a container cannot ask to be spared.
fn accounting_the_kernels_mercy_is_the_containers_score(stage: &mut Stage) {
    for (id, asked, expected) in [("one", 321, "321"), ("two", -900, "0")] {
        let bundle = stage.bundle(id).with(|spec| spec["process"]["oomScoreAdj"] = asked.into());
        let shim = stage.launch(&bundle);
        let container = Container::new(stage, bundle, shim);
        container.create();
        container.start();
        let emulator = Process::running(EMULATOR)[0].id();
        assert_eq!(score(emulator), expected);
        container.end();
    }
}

fn score(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim().to_owned()
}

/// containerd's own shim has the score of containerd, its parent, and one more.
fn accounting_a_shim_is_killed_after_its_containers_and_before_containerd(stage: &mut Stage) {
    let shim = stage.launch(&stage.bundle("one"));
    let own: i32 = score(Pid::this().as_raw()).parse().unwrap();
    let expected = (own + 1).min(1000).to_string();
    assert_eq!(score(shim.pid().as_raw()), expected);
}

/// What containerd's parent has left open without close-on-exec. A pipe ends when nobody has its other end any more.
fn accounting_what_containerd_leaks_is_in_no_shim(stage: &mut Stage) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    fcntl(writer.as_fd(), FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let container = stage.run("one");
    drop(writer);
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    container.assert_answers("undisturbed");
    container.end();
}

fn accounting_no_cgroup_lies_outside_of_the_root(stage: &mut Stage) {
    for (id, path) in [("one", "/../one"), ("two", "a/../../two"), ("three", "system.slice:../..:three")] {
        let bundle = stage.bundle(id).with(|spec| spec["linux"]["cgroupsPath"] = path.into());
        let shim = stage.launch(&bundle);
        let container = Container::new(stage, bundle, shim);
        let refusal = container.task.create(&container.request());
        stage.refused(&refusal, Code::INVALID_ARGUMENT, path);
        let words = refusal.unwrap_err().to_string();
        assert!(words.contains(&format!("linux.cgroupsPath `{path}` is refused")), "{words}");
    }
}

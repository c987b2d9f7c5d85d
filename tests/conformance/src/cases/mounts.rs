//! The root file system as a list of mounts, which Create makes and Delete undoes (containerd, `core/mount`).

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use containerd_shim_protos::ttrpc::Code;
use containerd_shim_protos::types::mount::Mount;
use micrun_host_tests::{isolation, process, wait};

use crate::bundle::Bundle;
use crate::case::{both, mica};
use crate::container::Container;
use crate::subjects;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    both!(containerd_2497_layers_beyond_a_page),
    both!(a_cut_behind_a_slash_shows_no_directory_of_the_host),
    mica!(layers_without_a_common_directory, "containerd's library gives up"),
    both!(a_file_on_a_loop_device),
    mica!(a_mount_below_the_root, "the library of containerd 1.6 does not know `target`"),
    mica!(owners_of_layers_are_mapped, "the library of containerd 1.6 does not know `uidmap=`"),
    mica!(a_mapped_view_of_a_directory, "the library of containerd 1.6 does not know `uidmap=`"),
    mica!(a_read_only_view_keeps_what_was_forbidden, "containerd's library forgets `nosuid`"),
    both!(options_that_do_not_fit_are_refused),
    mica!(options_of_the_mount_manager_are_refused, "the library of containerd 1.6 passes them on"),
    both!(a_list_that_fails_leaves_nothing_mounted),
];

/// containerd's snapshots on the default root; the page is full after 54 layers.
fn containerd_2497_layers_beyond_a_page(stage: &mut Stage) {
    for count in [1, 20, 53, 54, 70, 127, 300] {
        let bundle = stage.bundle(&format!("layers-{count}"));
        let layers = layers(
            &bundle,
            Path::new("/run/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs"),
            count,
        );
        assert_lives(stage, bundle, vec![overlay(&layers, &[])], |rootfs| {
            assert_eq!(found(rootfs), expected(count), "{count} layers");
        });
        fs::remove_dir_all("/run/var").expect("the layers can be removed");
    }
}

/// The worst that a cut can do: `/` is a directory, too.
fn a_cut_behind_a_slash_shows_no_directory_of_the_host(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let layers = layers(&bundle, &isolation::state_dir().join("short"), 100);
    let cut_at_root = |name: &usize| {
        let moved = layers.iter().map(|layer| renamed(layer, *name)).collect::<Vec<_>>();
        let options = overlay(&moved, &[]).options.join(",");
        options.as_bytes().get(4093..4095) == Some(b":/")
    };
    let name = (1..250).find(cut_at_root).expect("some length has the cut there");
    let moved: Vec<_> = layers.iter().map(|layer| renamed(layer, name)).collect();
    let folder = isolation::state_dir().join("x".repeat(name));
    fs::rename(isolation::state_dir().join("short"), folder).expect("the layers can be moved");
    assert!(Path::new("/etc/debian_version").exists(), "this is what must not be seen");
    assert_lives(stage, bundle, vec![overlay(&moved, &[])], |rootfs| {
        assert!(!rootfs.join("etc/debian_version").exists(), "the host's root directory is a layer");
        assert_eq!(found(rootfs), expected(100));
    });
}

fn renamed(layer: &str, length: usize) -> String {
    layer.replacen("/short/", &format!("/{}/", "x".repeat(length)), 1)
}

/// Neither a page nor a common directory holds them: the kernel takes them one by one.
fn layers_without_a_common_directory(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let folder = isolation::state_dir().join(format!("with:colons,and\\{}", "x".repeat(220)));
    let layers = layers(&bundle, &folder, 20);
    let mut escaped: Vec<_> =
        layers.iter().map(|path| path.replace('\\', r"\\").replace(':', r"\:").replace(',', r"\,")).collect();
    // A layer elsewhere, so that only `/` is common.
    fs::create_dir_all("/mnt/micrun-layer").expect("a layer can be made");
    escaped.insert(0, "/mnt/micrun-layer".into());
    let options =
        ["ro".into(), "noatime".into(), "index=off".into(), format!("lowerdir={}", escaped.join(":"))];
    let mount = mount("overlay", "overlay", &options);
    assert_lives(stage, bundle, vec![mount], |rootfs| {
        assert_eq!(found(rootfs), expected(20));
        let options = options_of(rootfs);
        assert!(options.starts_with("ro,noatime "), "{options}");
    });
    fs::remove_dir_all("/mnt/micrun-layer").expect("the layer can be removed");
}

/// containerd's blockfile snapshotter.
fn a_file_on_a_loop_device(stage: &mut Stage) {
    for (id, options) in [("writable", &["loop"] as &[&str]), ("read-only", &["ro", "loop", "noload"])] {
        let bundle = stage.bundle(id);
        let file = isolation::state_dir().join(id);
        let (rootfs, path) = (bundle.path.join("rootfs"), file.to_str().expect("UTF-8"));
        process::run(
            Command::new("mke2fs").args(["-q", "-t", "ext4", "-d"]).arg(&rootfs).args([path, "64M"]),
        )
        .success();
        fs::remove_dir_all(&rootfs).expect("the rootfs can be removed");
        let options: Vec<_> = options.iter().map(ToString::to_string).collect();
        assert_lives(stage, bundle, vec![mount("ext4", path, &options)], |rootfs| {
            assert_eq!(options_of(rootfs).starts_with("ro"), id == "read-only");
        });
        wait::until("the loop device is free", || (!is_on_a_loop_device(&file)).then_some(()));
    }
}

fn is_on_a_loop_device(file: &Path) -> bool {
    let devices = fs::read_dir("/sys/block").expect("/sys is mounted").flatten();
    let mut backing =
        devices.filter_map(|device| fs::read_to_string(device.path().join("loop/backing_file")).ok());
    backing.any(|path| Path::new(path.trim_end()) == file)
}

/// Links of the image lead to the image, not to the host.
fn a_mount_below_the_root(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let source = moved_rootfs(&bundle);
    fs::create_dir_all(source.join("data/inner")).expect("a folder can be made");
    symlink("../../../../../../../../../../data", source.join("link")).expect("a link can be made");
    let below = Mount { target: "/link/inner".into(), ..mount("tmpfs", "below", &["size=1M".into()]) };
    let mounts = vec![mount("bind", source.to_str().expect("UTF-8"), &["rbind".into(), "rw".into()]), below];
    assert_lives(stage, bundle, mounts, |rootfs| {
        let table = mounts_below(rootfs);
        assert_eq!(table, [rootfs.to_owned(), rootfs.join("data/inner")]);
    });
}

/// `ctr run --uidmap --gidmap --remap-labels`, and pods with `hostUsers: false`.
fn owners_of_layers_are_mapped(stage: &mut Stage) {
    for count in [1, 70] {
        let bundle = stage.bundle(&format!("mapped-{count}"));
        let layers = layers(&bundle, &isolation::state_dir().join("x".repeat(100)), count);
        let maps = ["uidmap=0:100000:65536".into(), "gidmap=0:200000:65536".into()];
        assert_lives(stage, bundle, vec![overlay(&layers, &maps)], |rootfs| {
            for id in 1..=count {
                let file = fs::metadata(rootfs.join(format!("layer-{id}"))).expect("every layer is seen");
                assert_eq!((file.uid(), file.gid()), (100_000, 200_000), "layer {id} of {count}");
            }
        });
        let file = fs::metadata(format!("{}/layer-1", layers[count - 1])).expect("the layer is there");
        assert_eq!((file.uid(), file.gid()), (0, 0), "the layer itself is changed");
        fs::remove_dir_all(isolation::state_dir().join("x".repeat(100))).expect("the layers can be removed");
    }
}

/// The same for other snapshotters.
fn a_mapped_view_of_a_directory(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let source = moved_rootfs(&bundle);
    fs::write(source.join("file"), "").expect("the rootfs can be written");
    let options = ["rbind", "ro", "uidmap=0:1000:1,1:100000:10", "gidmap=0:2000:1"].map(String::from);
    assert_lives(stage, bundle, vec![mount("bind", source.to_str().expect("UTF-8"), &options)], |rootfs| {
        let file = fs::metadata(rootfs.join("file")).expect("the file is there");
        assert_eq!((file.uid(), file.gid()), (1000, 2000));
        let options = options_of(rootfs);
        assert!(options.starts_with("ro,"), "{options}");
        assert_eq!(mounts_below(rootfs).len(), 1, "nothing is covered");
    });
}

fn a_read_only_view_keeps_what_was_forbidden(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let source = moved_rootfs(&bundle);
    let path = source.to_str().expect("UTF-8");
    process::run(Command::new("mount").args(["--bind", "-o", "nosuid,nodev", path, path])).success();
    let options = ["bind".into(), "ro".into(), "rshared".into()];
    assert_lives(stage, bundle, vec![mount("bind", path, &options)], |rootfs| {
        let options = options_of(rootfs);
        assert!(options.starts_with("ro,nosuid,nodev,") && options.contains(" shared:"), "{options}");
    });
    process::run(Command::new("umount").arg(path)).success();
}

fn options_that_do_not_fit_are_refused(stage: &mut Stage) {
    let long = mount("tmpfs", "tmpfs", &[format!("size=1M,context={}", "x".repeat(5000))]);
    let said = assert_refused(stage, vec![long]);
    if stage.subject.exact_codes() {
        assert!(said.contains("5016 bytes, but mount(2) takes 4095 at most"), "{said}");
    }
}

fn options_of_the_mount_manager_are_refused(stage: &mut Stage) {
    let internal = mount("tmpfs", "tmpfs", &["X-containerd.mkdir.path=/x".into()]);
    let said = assert_refused(stage, vec![internal]);
    assert!(said.contains("`X-containerd.mkdir.path=/x` is for containerd's mount manager alone"), "{said}");
}

fn a_list_that_fails_leaves_nothing_mounted(stage: &mut Stage) {
    let good = mount("tmpfs", "tmpfs", &["size=1M".into()]);
    let bad = mount("nosuchfs", "nothing", &[]);
    let bundle = stage.bundle("one");
    let container = Container::new(stage, bundle.clone(), stage.launch(&bundle));
    let mut request = container.request();
    request.rootfs = vec![good.clone(), good, bad];
    container.task.create(&request).expect_err("there is no such file system");
    assert_nothing_below(&bundle.path);
}

/// Creates a container with these mounts, has a look at its root file system, and ends it; nothing stays mounted.
#[track_caller]
fn assert_lives(stage: &Stage, bundle: Bundle, mounts: Vec<Mount>, look: impl Fn(&Path)) {
    let path = bundle.path.clone();
    let shim = stage.launch(&bundle);
    let container = Container::new(stage, bundle, shim);
    let mut request = container.request();
    request.rootfs = mounts;
    container.task.create(&request).unwrap_or_else(|error| panic!("Create of {}: {error}", container.id()));
    // Of firmware a copy runs: its root file system is mounted only meanwhile.
    if stage.subject.name() != subjects::MICA {
        look(&path.join("rootfs"));
    }
    container.start();
    container.assert_answers("alive");
    container.end();
    container.task.shutdown(container.id()).ok();
    assert_nothing_below(&path);
}

/// Has Create refuse these mounts; gives what it said.
#[track_caller]
fn assert_refused(stage: &Stage, mounts: Vec<Mount>) -> String {
    let bundle = stage.bundle("one");
    let container = Container::new(stage, bundle.clone(), stage.launch(&bundle));
    let mut request = container.request();
    request.rootfs = mounts;
    let answer = container.task.create(&request);
    stage.refused(&answer, Code::INVALID_ARGUMENT, "Create");
    assert_nothing_below(&bundle.path);
    answer.expect_err("it was refused").to_string()
}

fn mount(kind: &str, source: &str, options: &[String]) -> Mount {
    Mount { type_: kind.into(), source: source.into(), options: options.into(), ..Mount::default() }
}

/// An overlay as containerd's snapshotter describes it, with an upper layer beside the others.
fn overlay(layers: &[String], more: &[String]) -> Mount {
    let beside = Path::new(&layers[0]).ancestors().nth(2).expect("layers have a folder").join("999");
    let [work, upper] = ["work", "fs"].map(|name| beside.join(name).display().to_string());
    let lower = format!("lowerdir={}", layers.join(":"));
    let options = ["index=off".into(), format!("workdir={work}"), format!("upperdir={upper}"), lower];
    mount("overlay", "overlay", &[more, &options].concat())
}

/// Makes of the bundle's root file system the lowest of `count` layers, each with a file, and folders for an upper one.
/// Gives their paths, topmost first.
fn layers(bundle: &Bundle, folder: &Path, count: usize) -> Vec<String> {
    let layer = |id: usize| folder.join("snapshots").join(id.to_string()).join("fs");
    fs::create_dir_all(layer(1).parent().expect("it has one")).expect("a layer can be made");
    fs::rename(bundle.path.join("rootfs"), layer(1)).expect("the rootfs can be moved");
    for id in 1..=count {
        fs::create_dir_all(layer(id)).expect("a layer can be made");
        fs::write(layer(id).join(format!("layer-{id}")), "").expect("a layer can be written");
    }
    fs::create_dir_all(layer(999)).expect("a layer can be made");
    fs::create_dir_all(layer(999).with_file_name("work")).expect("a layer can be made");
    (1..=count).rev().map(|id| layer(id).display().to_string()).collect()
}

/// Moves the root file system out of the bundle, to be mounted there.
fn moved_rootfs(bundle: &Bundle) -> PathBuf {
    let source = isolation::state_dir().join("source");
    fs::rename(bundle.path.join("rootfs"), &source).expect("the rootfs can be moved");
    source
}

/// How many layers have their file in a root file system.
fn found(rootfs: &Path) -> Vec<usize> {
    let names = fs::read_dir(rootfs).expect("it can be read").flatten().map(|entry| entry.file_name());
    let mut ids: Vec<_> =
        names.filter_map(|name| name.to_str()?.strip_prefix("layer-")?.parse().ok()).collect();
    ids.sort_unstable();
    ids
}

fn expected(count: usize) -> Vec<usize> {
    (1..=count).collect()
}

#[track_caller]
fn assert_nothing_below(directory: &Path) {
    let points = mounts_below(directory);
    assert!(points.is_empty(), "still mounted: {points:?}");
}

/// The mount points at and below a directory.
fn mounts_below(directory: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    points.filter(|point| point.starts_with(directory)).collect()
}

/// Flags and propagation of the mount at a directory, as `mountinfo` has them.
fn options_of(point: &Path) -> String {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    let mut lines = table.lines().rev().filter(|line| line.split(' ').nth(4).map(Path::new) == Some(point));
    let line = lines.next().unwrap_or_else(|| panic!("nothing is mounted at {}", point.display()));
    let fields = line.split_once(" - ").map_or(line, |(fields, _)| fields);
    format!("{} ", fields.splitn(6, ' ').last().unwrap_or_default())
}

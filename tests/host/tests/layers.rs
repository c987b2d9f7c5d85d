//! Images of many layers, and containers with owners of their own: what containerd's snapshotters make of them is for
//! the shim to mount. What containerd's own shim can do as well is tried there first.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use micrun_host_tests::archive::Image;
use micrun_host_tests::containerd::{ctr, ctr_piped};
use micrun_host_tests::host::MICA;
use micrun_host_tests::{Host, firmware, isolation, process};

const LINUX: &str = "localhost/layers:linux";
const FIRMWARE: &str = "localhost/layers:firmware";
const ORACLE: &str = "io.containerd.runc.v2";
const CONF: &str = "[Mica]\nName=layers\nPedestal=qemu\nClientPath=firmware.elf\n";
/// What the host has and an image has not.
const OF_THE_HOST: &str = "/etc/debian_version";

/// Puts layers on top until there are `count`, each with a file.
fn stacked(image: Image, count: usize) -> Image {
    let image = image.file("layer-1", b"");
    (2..=count).fold(image, |image, id| image.layer().file(&format!("layer-{id}"), b""))
}

/// Imports an image of `count` layers, whose lowest has all that runs, and asks a container for them.
fn assert_linux_sees_layers(host: &Host, count: usize) {
    // A name of its own: containerd would collect an image that another replaces, while it unpacks that one.
    let image = &format!("{LINUX}-{count}");
    host.import_image(stacked(Image::busybox(image, &["/bin/busybox", "sh"]), count));
    let script = format!("set -- /layer-*; echo $#; [ ! -e {OF_THE_HOST} ]");
    for runtime in [ORACLE, MICA] {
        let run = ["run", "--rm", "--runtime", runtime, image, "one", "/bin/busybox", "sh", "-c", &script];
        assert_eq!(ctr(&run).success(), format!("{count}\n"), "{runtime}");
        host.assert_clean();
    }
}

fn assert_firmware_runs(host: &Host, count: usize) {
    let image = &format!("{FIRMWARE}-{count}");
    let lowest = Image::new(image, &["/firmware.elf"]).file("firmware.elf", &firmware::demo_bytes());
    host.import_image(stacked(lowest, count).layer().file("client.conf", CONF.as_bytes()));
    let mut console = ctr_piped(&["run", "--rm", "--runtime", MICA, image, "one"]);
    console.expect(firmware::BANNER);
    host.kill("one", "SIGKILL");
    assert_eq!(console.wait(), 137);
    host.assert_clean();
}

#[test]
fn containerd_2497_many_layers_of_a_linux_image() {
    assert!(Path::new(OF_THE_HOST).exists());
    let host = Host::ordinary();
    for count in [20, 70, 127] {
        assert_linux_sees_layers(&host, count);
    }
}

#[test]
fn containerd_2497_many_layers_of_a_firmware_image() {
    let host = Host::start();
    for count in [20, 70, 126] {
        assert_firmware_runs(&host, count);
    }
}

/// 20 layers fill a page there.
#[test]
fn many_layers_on_a_root_with_a_long_path() {
    let root = isolation::state_dir().join("r".repeat(120)).join("o".repeat(120));
    let host = Host::rooted_at(&root);
    assert_linux_sees_layers(&host, 70);
    assert_firmware_runs(&host, 70);
}

/// User namespaces: the container's root owns its image's files. containerd 1.6 copies the image for it, later ones
/// have the layers mapped.
#[test]
fn a_container_in_a_user_namespace_owns_its_files() {
    let host = Host::ordinary();
    let map = ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"];
    for count in [1, 70] {
        let image = &format!("{LINUX}-{count}");
        host.import_image(stacked(Image::busybox(image, &["/bin/busybox", "sh"]), count));
        for remap in [&[] as &[&str], &["--remap-labels"]] {
            if !remap.is_empty() && !maps_layers() {
                continue;
            }
            let script =
                "/bin/busybox stat -c '%u %g' /layer-1 && echo >/new && /bin/busybox cat /proc/self/uid_map";
            let run = ["run", "--rm", "--runtime", MICA];
            let last = [image, "one", "/bin/busybox", "sh", "-c", script];
            let output = ctr(&[&run[..], &map, remap, &last].concat());
            let said = output.success();
            let words: Vec<_> = said.split_whitespace().collect();
            assert_eq!(words, ["0", "0", "0", "100000", "65536"], "{count} layers, {remap:?}");
            host.assert_clean();
        }
    }
}

/// Whether this containerd hands the mapping to the shim: since 2.0, where `ctr` has it for overlayfs.
fn maps_layers() -> bool {
    let version =
        process::run(Command::new(isolation::containerd_program("containerd")).arg("--version")).success();
    !["1.6.", "1.7."]
        .iter()
        .any(|old| version.split_whitespace().any(|word| word.trim_start_matches('v').starts_with(old)))
}

/// A root file system that is the user's own: the shim has not mounted it, so it is not the shim's to unmount.
#[test]
fn a_root_of_the_users_own_stays_mounted() {
    let host = Host::ordinary();
    let root: PathBuf = isolation::state_dir().join("own");
    fs::create_dir_all(&root).expect("/run is writable");
    let path = root.to_str().expect("UTF-8");
    process::run(Command::new("mount").args(["-t", "tmpfs", "tmpfs", path])).success();
    for folder in ["bin", "proc", "dev", "sys", "run"] {
        fs::create_dir_all(root.join(folder)).expect("the root can be filled");
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("the root can be filled");
    for runtime in [ORACLE, MICA] {
        let run =
            ["run", "--rm", "--runtime", runtime, "--rootfs", path, "one", "/bin/busybox", "echo", "here"];
        assert_eq!(ctr(&run).success(), "here\n", "{runtime}");
        assert!(root.join("bin/busybox").exists(), "{runtime}: the root is unmounted");
    }
    process::run(Command::new("umount").arg(path)).success();
    host.assert_clean();
}

//! The file that some pedestals want beside the firmware reaches the daemon.

use std::fs;
use std::path::Path;

use super::fixture::{Fixture, Script, small_elf};

/// What `ped_cfg` of the create message names must hold what the image has, whatever happens to the image
/// afterwards: its root file system is unmounted before the daemon reads the file.
#[tokio::test]
async fn the_daemon_gets_the_path_of_a_copy() {
    for (pedestal, conf) in [
        ("xen", "[Mica]\nPedestal = xen\n"),
        ("xen", "[Mica]\nPedestal = xen\nPedestalConf = /image.bin\n"),
        ("jailhouse", "[Mica]\nPedestal = jailhouse\nPedestalConf = image.bin\n"),
    ] {
        let mut f = Fixture::new(Script { pedestal, ..Script::default() });
        let rootfs = f.dir.path().join("bundle/rootfs");
        fs::create_dir_all(&rootfs).unwrap();
        fs::write(rootfs.join("client.conf"), conf).unwrap();
        fs::write(rootfs.join("image.bin"), "the pedestal's own").unwrap();
        f.create().await.unwrap();
        let message = f.daemon.created.lock().unwrap().clone().unwrap();
        assert_eq!(message.pedestal, pedestal);
        assert!(message.pedestal_conf.is_absolute() && !message.pedestal_conf.starts_with(&rootfs));
        fs::remove_file(rootfs.join("image.bin")).unwrap();
        assert_eq!(fs::read_to_string(&message.pedestal_conf).unwrap(), "the pedestal's own");
        // The message has room for 255 bytes of it.
        let encoded = message.encode().unwrap();
        let path = message.pedestal_conf.to_str().unwrap().as_bytes();
        assert!(encoded.windows(path.len()).any(|window| window == path));
    }
}

#[tokio::test]
async fn without_the_file_nothing_is_created() {
    let mut f = Fixture::new(Script { pedestal: "xen", ..Script::default() });
    let error = f.create().await.unwrap_err().to_string();
    assert!(error.contains("image.bin (Xen's guest kernel"), "{error}");
    assert_eq!(f.daemon.count("create"), 0);
}

/// The text of the conf file that the daemon gets for an image with this `Bios`.
async fn conf_with(bios: &str, firmware: &[u8]) -> Result<(Fixture, String), String> {
    let mut f = Fixture::new(Script::default());
    let rootfs = f.dir.path().join("bundle/rootfs");
    fs::create_dir_all(&rootfs).unwrap();
    fs::write(rootfs.join("fw.elf"), firmware).unwrap();
    fs::write(rootfs.join("sbi.bin"), "boot code").unwrap();
    let conf = format!("[Mica]\nClientPath = fw.elf\n[Qemu]\nBios = {bios}\n");
    fs::write(rootfs.join("client.conf"), conf).unwrap();
    f.create().await.map_err(|error| error.to_string())?;
    let message = f.daemon.created.lock().unwrap().clone().unwrap();
    let conf = fs::read_to_string(&message.pedestal_conf).unwrap();
    Ok((f, conf))
}

/// Behind OpenSBI.
fn riscv() -> Vec<u8> {
    let mut elf = small_elf();
    elf[18..20].copy_from_slice(&243_u16.to_le_bytes());
    for address in [24, 80, 88] {
        elf[address..address + 8].copy_from_slice(&0x8020_0000_u64.to_le_bytes());
    }
    elf
}

/// An image names a file of its own, and never one of the host.
#[tokio::test]
async fn boot_code_is_a_copy_of_the_images_file() {
    let (f, conf) = conf_with("/sbi.bin", &riscv()).await.unwrap();
    let path = conf.lines().find_map(|line| line.strip_prefix("Bios = ")).unwrap();
    assert!(Path::new(path).starts_with(f.dir.path()) && !path.contains("rootfs"), "{conf}");
    assert_eq!(fs::read_to_string(path).unwrap(), "boot code");
    // Firmware without a choice of boot code has none.
    let (_f, conf) = conf_with("/etc/shadow", &small_elf()).await.unwrap();
    assert!(!conf.contains("Bios"), "{conf}");
    for (bios, says) in [
        ("/etc/shadow", "/etc/shadow (named by Bios in client.conf)"),
        ("/../sbi.bin", "path /../sbi.bin is refused"),
        ("/fw.elf", "is not in the memory of boot code"),
    ] {
        let error = conf_with(bios, &riscv()).await.err().unwrap();
        assert!(error.contains(says), "{error}");
    }
}

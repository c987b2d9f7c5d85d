//! The file that some pedestals want beside the firmware reaches the daemon.

use std::fs;

use super::fixture::{Fixture, Script};

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

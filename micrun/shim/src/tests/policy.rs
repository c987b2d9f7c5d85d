//! What host and daemon forbid, through the Task API: the code, the words, and nothing copied.

use containerd_shim_protos::ttrpc::{self, Code};
use libmica::ext::Policy;
use serde_json::json;

use super::fixture::{Fixture, Script};

/// The words of a refusal, which left nothing behind and told the daemon nothing.
async fn refusal(f: &mut Fixture) -> String {
    let stdout = f.output_fifo();
    let refused = f.create_with(|request| request.stdout = stdout).await;
    let Err(ttrpc::Error::RpcStatus(status)) = refused else { panic!("{refused:?}") };
    assert_eq!(status.code(), Code::PERMISSION_DENIED, "{}", status.message);
    assert_eq!((f.leftovers(), f.daemon.count("create")), (0, 0));
    status.message
}

fn image(f: &Fixture, text: &str) {
    let rootfs = f.dir.path().join("bundle/rootfs");
    std::fs::create_dir_all(&rootfs).unwrap();
    std::fs::write(rootfs.join("client.conf"), text).unwrap();
}

#[tokio::test]
async fn an_image_alone_gets_no_core() {
    let mut f = Fixture::new(Script::default());
    f.spec["annotations"] = json!({});
    image(&f, "[Mica]\nPedestal = baremetal\nCPU = 3\n");
    let said = refusal(&mut f).await;
    assert!(said.contains("pedestal baremetal") && said.contains("allowed_pedestals"), "{said}");
    f.annotate("ped.pedestal", "baremetal");
    f.create().await.unwrap();
    assert_eq!(f.daemon.created.lock().unwrap().as_ref().unwrap().cpu, "3");
}

#[tokio::test]
async fn the_daemons_policy_is_known_before_anything_is_copied() {
    type Change = fn(&mut Policy);
    let rules: [(Change, &str, &str); 4] = [
        (|p| p.pedestals = vec!["baremetal".into()], "pedestal qemu", "AllowedPedestals"),
        (|p| p.machines = vec!["mps2-*".into()], "machine \"virt\"", "AllowedMachines"),
        (|p| p.cpus = Vec::new(), "CPU model \"cortex-a53\"", "AllowedCpus"),
        (|p| p.max_memory_mb = Some(32), "memory in MiB of 64", "MaxMemory"),
    ];
    for (rule, subject, key) in rules {
        let mut f = Fixture::new(Script::default());
        f.daemon.tell(None, rule);
        let said = refusal(&mut f).await;
        assert!(said.contains(subject) && said.contains(&format!("{key} in /etc/mica/micad.conf")), "{said}");
        f.daemon.tell(None, |_| ());
        f.create().await.unwrap();
    }
}

#[tokio::test]
async fn a_remoteproc_is_named_where_not_all_are_allowed() {
    let mut f = Fixture::new(Script { pedestal: "baremetal", ..Script::default() });
    f.configure("allowed_remoteprocs = mica-cpu?\n");
    let said = refusal(&mut f).await;
    assert!(said.contains("any remoteproc") && said.contains("allowed_remoteprocs in "), "{said}");
    image(&f, "[Mica]\nCPU = imx-rproc\n");
    assert!(refusal(&mut f).await.contains("remoteproc \"imx-rproc\""));
    image(&f, "[Mica]\nCPU = mica-cpu3\n");
    f.create().await.unwrap();
}

#[tokio::test]
async fn a_checkpoint_needs_permission() {
    let mut f = Fixture::new(Script::default());
    f.checkpoint = "/dev/zero".into();
    assert!(refusal(&mut f).await.contains("allow_restore"));
}

#[tokio::test]
async fn consoles_are_capped() {
    let mut f = Fixture::new(Script::default());
    f.configure("[Policy]\nmax_consoles = 1\n");
    image(&f, "[Qemu]\nConsoles = 2\n");
    f.create().await.unwrap();
    let path = f.daemon.created.lock().unwrap().as_ref().unwrap().pedestal_conf.clone();
    assert!(std::fs::read_to_string(path).unwrap().contains("Consoles = 1\n"));
}

/// A public key of nobody's.
const KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAERgBbclxqh5YJEJm5o0h6fyfaC5si\n\
tCLbcmIRuHd6OkAPS/gNm4eBzonUHxjrFAyKbg5wNiIflvxQet5+vftKfg==\n\
-----END PUBLIC KEY-----\n";

#[tokio::test]
async fn unsigned_firmware_is_refused_where_signatures_are_asked_for() {
    let mut f = Fixture::new(Script::default());
    let keys = f.dir.path().join("keys.d");
    f.configure(&format!("require_signature = {}\n", keys.display()));
    // Without keys nothing runs; that is the host's fault, not the image's.
    assert!(f.create().await.is_err());
    assert_eq!((f.leftovers(), f.daemon.count("create")), (0, 0));
    std::fs::create_dir(&keys).unwrap();
    std::fs::write(keys.join("team.pub"), KEY).unwrap();
    let said = refusal(&mut f).await;
    assert!(said.contains("without a valid signature") && said.contains("require_signature"), "{said}");
}

//! Which file of a rootfs is the firmware, and which the pedestal's own.

use std::path::Path;

use super::Rootfs;
use crate::qemu::Bios;
use crate::settings::{Layers, Settings};
use crate::{Error, Pedestal, Result};

/// What upstream's images and ours call the firmware.
const FIRMWARE: &str = "firmware.elf";

/// What upstream's images call Xen's guest kernel.
const XEN_KERNEL: &str = "image.bin";

/// A path inside the rootfs, and who asked for it.
pub(super) struct Wanted {
    pub(super) path: String,
    pub(super) asked_by: &'static str,
}

/// The firmware: upstream's order, with `ClientPath` where upstream has its configuration's default.
pub(super) fn firmware(rootfs: &(impl Rootfs + ?Sized), layers: &Layers<'_>) -> Result<Wanted> {
    let by_annotation = layers.annotation(|annotations| annotations.firmware_path.clone());
    if let Some(path) = by_annotation {
        return Ok(Wanted { path, asked_by: "named by the annotation container.firmware_path" });
    }
    if let Some(path) = layers.conf.mica.client_path.clone() {
        return Ok(Wanted { path, asked_by: "named by ClientPath in client.conf" });
    }
    if let Some(path) = layers.host(|annotations| annotations.firmware_path.clone()) {
        return Ok(Wanted { path, asked_by: "named by firmware_path in micrun.conf" });
    }
    if rootfs.has(FIRMWARE) {
        return Ok(Wanted { path: FIRMWARE.into(), asked_by: "the default" });
    }
    let path = first_elf(rootfs)?.ok_or_else(|| Error::NotFound {
        path: FIRMWARE.into(),
        looked_for:
            "neither an annotation nor client.conf names another, and the image's root directory has no \
                     *.elf; pack a firmware"
                .into(),
    })?;
    Ok(Wanted { path, asked_by: "the first *.elf of the image's root directory" })
}

/// The first `*.elf` of the root directory in the order of its bytes, directories left aside.
fn first_elf(rootfs: &(impl Rootfs + ?Sized)) -> Result<Option<String>> {
    let is_elf = |name: &String| Path::new(name).extension().is_some_and(|extension| extension == "elf");
    Ok(rootfs.names()?.into_iter().filter(is_elf).min())
}

/// The file that the pedestal wants beside the firmware, if it wants one.
pub(super) fn pedestal_file(settings: &Settings, layers: &Layers<'_>) -> Result<Option<Wanted>> {
    let pedestal = settings.pedestal.value;
    if let (Pedestal::Qemu, Some(path)) = (pedestal, settings.qemu_bios.value.as_ref().and_then(Bios::file)) {
        return Ok(Some(Wanted { path: path.to_owned(), asked_by: "named by Bios in client.conf" }));
    }
    if !pedestal.needs_conf_file() {
        return Ok(None);
    }
    let by_annotation = layers.annotation(|annotations| annotations.pedestal_conf.clone());
    let wanted = if let Some(path) = by_annotation {
        Wanted { path, asked_by: "named by the annotation ped.conf" }
    } else if let Some(path) = layers.conf.mica.pedestal_conf.clone() {
        Wanted { path, asked_by: "named by PedestalConf in client.conf" }
    } else if pedestal == Pedestal::Xen {
        Wanted { path: XEN_KERNEL.into(), asked_by: "Xen's guest kernel, by default" }
    } else {
        return Err(Error::ConfMissing { section: "Mica", key: "PedestalConf" });
    };
    Ok(Some(wanted))
}

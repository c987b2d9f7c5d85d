//! The configuration that a firmware runs with: the host's, and what its pedestal reads.

use std::io::{self, Seek, Write};
use std::path::PathBuf;

use micrun_firmware::qemu::Bios;
use micrun_firmware::rootfs::RootFile;
use micrun_firmware::{ClientConf, Firmware, HostConf, Pedestal};
use micrun_trace::Current;

use crate::error::{Error, Result};
use crate::oci::bundle::Spec;
use crate::oci::environment;
use crate::oci::options::Options;
use crate::rtos::bootargs;
use crate::rtos::state_dir::StateDir;
use crate::task::context::Context;

/// Name of the image's client.conf in the state directory; the daemon reads the pedestal's section of it.
const CONF: &str = "client.conf";
/// Name of the file that a pedestal wants beside the ELF, as upstream has it.
const PEDESTAL_FILE: &str = "image.bin";
/// Name of the boot code of a machine of QEMU.
const BOOT_CODE: &str = "bios.bin";
/// Terminals of a machine whose firmware has a shell: the shell wants one of its own.
const CONSOLES_WITH_SHELL: u32 = 2;

/// The host's configuration, with the file that the container or containerd's operator names.
pub(super) fn of_host(context: &Context, spec: &Spec, options: &Options) -> Result<HostConf> {
    let mut places = context.host_conf.clone();
    if let Options::Generic(config) = options {
        if config.path.as_os_str().is_empty() {
            let text = String::from_utf8(config.body.clone());
            places.body =
                Some(text.map_err(|_| Error::Invalid("the runtime options are not UTF-8 text".into()))?);
        } else {
            places.extra = Some(config.path.clone());
        }
    }
    Ok(HostConf::for_container(places, &spec.annotations)?)
}

/// Whether arguments and environment reach the firmware, as its kernel command line.
pub(super) fn has_command_line(firmware: &Firmware) -> bool {
    firmware.settings.pedestal.value == Pedestal::Qemu
}

/// What the create message's `ped_cfg` names: the file that the pedestal asks for, or for qemu the client.conf with
/// its `[Qemu]` section. Empty if there is nothing to say.
pub(super) fn of_pedestal(
    firmware: &Firmware,
    spec: &Spec,
    host: &HostConf,
    dir: &StateDir,
) -> Result<PathBuf> {
    let is_qemu = firmware.settings.pedestal.value == Pedestal::Qemu;
    let beside = match &firmware.pedestal_file {
        Some(source) => copy(source, if is_qemu { BOOT_CODE } else { PEDESTAL_FILE }, dir)?,
        None => PathBuf::new(),
    };
    if !is_qemu {
        return Ok(beside);
    }
    let mut conf = of_qemu(firmware, spec, host);
    if let Some(Bios::File(_)) = conf.qemu.bios {
        // What the image names is a file of the image, never one of the host.
        conf.qemu.bios = firmware.pedestal_file.as_ref().map(|_| Bios::File(beside.display().to_string()));
    }
    if conf == ClientConf::default() {
        return Ok(PathBuf::new());
    }
    let text = conf.to_ini()?;
    let write = |file: &mut std::fs::File| file.write_all(text.as_bytes()).map_err(Error::io("write", CONF));
    Ok(dir.write(CONF, write)?.0)
}

/// Copies a file of the image to where nobody can change it; gives the copy's path.
fn copy(source: &RootFile, name: &str, dir: &StateDir) -> Result<PathBuf> {
    let fill = |file: &mut _| {
        let mut source = &source.file;
        source.rewind().and_then(|()| io::copy(&mut source, file)).map_err(Error::io("copy", name))
    };
    Ok(dir.write(name, fill)?.0)
}

/// The image's client.conf with the container's command line in it, and no more consoles than the host allows.
fn of_qemu(firmware: &Firmware, spec: &Spec, host: &HostConf) -> ClientConf {
    let mut conf = firmware.conf.clone().unwrap_or_default();
    if firmware.settings.shell_prompt.value.is_some() {
        conf.qemu.consoles.get_or_insert(CONSOLES_WITH_SHELL);
    }
    conf.qemu.consoles = conf.qemu.consoles.map(|wished| host.policy().consoles.cap_number(wished));
    let process = spec.rest.get("process");
    let command = firmware.command();
    let traced = firmware.settings.trace_context.value;
    let variables = if traced { Current::here().variables() } else { Vec::new() };
    let with_trace = process.filter(|_| !variables.is_empty()).cloned().map(|mut process| {
        environment::add(&mut process, &variables);
        process
    });
    let (append, left_out) = bootargs::compose(
        conf.qemu.append.as_deref(),
        with_trace.as_ref().or(process),
        &command.to_string_lossy(),
    );
    conf.qemu.append = append;
    if !left_out.is_empty() {
        log::warn!(
            "these do not fit into the firmware's command line and are left out: {}",
            left_out.join(" ")
        );
    }
    conf
}

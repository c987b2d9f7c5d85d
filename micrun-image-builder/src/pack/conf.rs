//! The client.conf of an image: the one given, or one made, with the options of the command line over it.
//!
//! Of all that an image says about itself only its rootfs reaches a shim, so what the options and the
//! annotations say is written here too.

use micrun_firmware::annotations::{Effect, PREFIX, TABLE};
use micrun_firmware::elf::ElfInfo;
use micrun_firmware::policy::ContainerPolicy;
use micrun_firmware::qemu::Bios;
use micrun_firmware::settings::Layers;
use micrun_firmware::{Annotations, ClientConf, Pedestal, Settings, ini, names};

use super::{FIRMWARE, Firmware, build, core, machine, pedestal_file, system};
use crate::cli::PackArgs;
use crate::error::{Error, Result};

/// A client.conf that is ready to be packed.
pub(super) struct Conf {
    pub(super) text: String,
    /// What `[Micrun]` says.
    pub(super) annotations: Annotations,
    /// What applies to the firmware with this file.
    pub(super) settings: Settings,
    /// What the user should know.
    pub(super) notes: Vec<String>,
}

/// Makes the client.conf.
pub(super) fn make(args: &PackArgs, stem: &str, firmware: &Firmware) -> Result<Conf> {
    let mut notes = Vec::new();
    let origin = match &args.client_conf {
        Some(path) => path.display().to_string(),
        None => "the client.conf made from the options".to_owned(),
    };
    let refuse = |source| Error::Conf { origin: origin.clone(), source };
    let mut conf = match &args.client_conf {
        Some(path) => {
            let text = ini::load(path).map_err(|source| Error::Read { path: path.clone(), source })?;
            ClientConf::parse(&text).map_err(refuse)?
        }
        None => ClientConf::default(),
    };
    notes.extend(conf.warnings().iter().cloned());
    let given = Annotations::from_map(&args.annotations.iter().cloned().collect())?;
    notes.extend(given.warnings().iter().cloned());
    apply(args, &mut conf, &mut notes);
    build::apply(&firmware.facts, &mut conf, &mut notes);
    let evidence = firmware.evidence()?;
    system::settle(&mut conf, &evidence, &mut notes);
    let pedestal = settings(&conf, &firmware.info).map_err(refuse)?.pedestal.value;
    conf.mica.pedestal = Some(pedestal);
    if args.input.pedestal_conf.is_some() {
        pedestal_conf(&mut conf, &mut notes);
    }
    if args.input.bios.is_some() {
        bios(&mut conf, &mut notes);
    }
    if args.client_conf.is_none() {
        conf.mica.name = Some(args.name.clone().unwrap_or_else(|| names::from_text(stem)));
    }
    match pedestal {
        Pedestal::Qemu => machine::settle(args, &mut conf, firmware, &evidence, &mut notes)?,
        _ => core::check(&args.target, pedestal, firmware, &mut notes)?,
    }
    conf.name().map_err(refuse)?;
    let annotations = conf.annotations().map_err(refuse)?;
    let text = conf.to_ini().map_err(refuse)?;
    let settings = settings(&conf, &firmware.info).map_err(refuse)?;
    notes.extend(ContainerPolicy::default_objection(&settings, &firmware.info));
    Ok(Conf { text, annotations, settings, notes })
}

/// What applies to the firmware when the runtime passes no annotations.
fn settings(conf: &ClientConf, info: &ElfInfo) -> micrun_firmware::Result<Settings> {
    Settings::resolve(&Layers::new(&Annotations::default(), conf)?, info)
}

/// Puts the options into the file.
fn apply(args: &PackArgs, conf: &mut ClientConf, notes: &mut Vec<String>) {
    for (full, value) in &args.annotations {
        let Some(name) = full.strip_prefix(PREFIX) else { continue };
        // What is without effect today is written too: the image outlives the shim of today.
        if TABLE.iter().any(|key| key.name == name && key.effect != Effect::Informational) {
            conf.micrun.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(os) = &args.os {
        conf.micrun.insert("container.os".to_owned(), os.to_string());
    }
    if let Some(pedestal) = args.pedestal {
        conf.mica.pedestal = Some(pedestal);
        conf.micrun.remove("ped.pedestal");
    }
    let path = format!("/{FIRMWARE}");
    match conf.mica.client_path.replace(path.clone()) {
        Some(old) if old.trim_start_matches('/') != FIRMWARE => {
            notes.push(format!("ClientPath {old} becomes {path}, where the image has the firmware"));
        }
        _ => {}
    }
}

/// Names the pedestal's own file where the image has it.
fn pedestal_conf(conf: &mut ClientConf, notes: &mut Vec<String>) {
    let path = format!("/{}", pedestal_file::PATH);
    conf.micrun.remove("ped.conf");
    match conf.mica.pedestal_conf.replace(path.clone()) {
        Some(old) if old.trim_start_matches('/') != pedestal_file::PATH => {
            notes.push(format!("PedestalConf {old} becomes {path}, where the image has the file"));
        }
        _ => {}
    }
}

/// Names the boot code where the image has it.
fn bios(conf: &mut ClientConf, notes: &mut Vec<String>) {
    let path = format!("/{}", pedestal_file::BIOS);
    match conf.qemu.bios.replace(Bios::File(path.clone())) {
        Some(old) if old.as_str() != path => {
            notes.push(format!("Bios {old} becomes {path}, where the image has the file"));
        }
        _ => {}
    }
}

impl Conf {
    /// Whether what `[Micrun]` says of the firmware is true of the one that is packed.
    pub(super) fn check_promises(&self, firmware: &Firmware) -> Result<()> {
        let refuse = |reason: String| Err(firmware.refuse(reason));
        if let Some(path) = &self.annotations.firmware_path
            && path.trim_start_matches('/') != FIRMWARE
        {
            return refuse(format!(
                "container.firmware_path says {path}, but the image has the firmware as /{FIRMWARE}; omit the key"
            ));
        }
        match self.annotations.firmware_hash {
            Some(hash) if hash != firmware.digest => refuse(format!(
                "container.firmware_hash says {hash}, but the firmware's digest is {}; omit the key or correct it",
                firmware.digest
            )),
            _ => Ok(()),
        }
    }
}

//! `pack`: firmware in, image out.

mod attached;
mod build;
mod conf;
mod core;
mod firmware;
mod input;
mod labels;
mod machine;
mod pedestal_file;
mod report;
mod system;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use micrun_firmware::signature::Signed;
use micrun_firmware::{Pedestal, Sha256Digest};

use crate::cli::{InputArgs, PackArgs};
use crate::error::{Error, Result};
use crate::image::Image;
use crate::names::ImageName;
use crate::platform::Host;
use crate::timestamp::Timestamp;
use crate::{provenance, say, sink, spool};
use attached::Packed;
use conf::Conf;
use firmware::{Files, Firmware};
pub(crate) use input::{Arch, BuildFacts, Input, open as open_input, origin_of};
use pedestal_file::PedestalFile;
use report::Report;

/// The firmware's place in the image.
pub(crate) const FIRMWARE: &str = "firmware.elf";
/// More than any file that a firmware of the greatest size comes in.
const MAX_STDIN: u64 = 4 << 30;

/// Packs, says on stderr what was written, and gives the text for stdout: the digest of what the tag names, or JSON.
/// Nothing for stdout if the image itself goes there.
pub(crate) fn run(mut args: PackArgs) -> Result<String> {
    let created = Timestamp::from_env()?;
    let stem = stem(&args.firmware);
    if is_stdin(&args.firmware) {
        args.firmware = spool::STDIN.into();
        spool::stdin(MAX_STDIN)?;
    }
    let args = &args;
    // Never called after something that a build says of itself: that could be the name of another file here.
    let output = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{stem}.tar")));
    differ(&output, &args.firmware)?;
    let mut firmware = Firmware::open(args)?;
    let stem = firmware.facts.application.clone().unwrap_or(stem);
    let name = match &args.tag {
        Some(tag) => ImageName::parse(tag)?,
        None => ImageName::from_stem(&stem)?,
    };
    // Whoever names the image gets the same one from a file of any name.
    let title = if args.tag.is_some() { name.short().to_owned() } else { stem };
    let conf = conf::make(args, &title, &firmware)?;
    firmware.check(&conf.settings)?;
    let hosts = hosts(args, conf.settings.pedestal.value, &firmware)?;
    let beside = PedestalFile::open(args, &conf.settings, &firmware)?;
    let content = firmware.measure()?;
    let signature =
        args.sign_key.as_deref().map(|key| sign(key, &conf, &firmware, beside.as_ref())).transpose()?;
    let signature = signature.as_deref();
    let record = Firmware::record(content, conf.text.as_bytes(), beside.as_ref(), signature)?;
    conf.check_promises(&firmware)?;

    let mut sink = sink::create(&output, created.seconds())?;
    let write = |source| Error::Write { path: output.clone(), source };
    sink.begin().map_err(write)?;
    let text = conf.text.as_bytes();
    let compression = args.compression.unwrap_or_default();
    let files = Files { conf: text, beside: beside.as_ref(), signature, record: &record };
    let layer = firmware.layer(sink.as_mut(), &files, compression, created);
    let layer = layer.map_err(write)?;
    sink.end(&layer.blob).map_err(write)?;
    sink::say_written(&layer.blob);
    let image = Image {
        name: &name,
        title: &title,
        hosts: &hosts,
        cmd: vec![format!("/{FIRMWARE}")],
        labels: labels::labels(args, &conf, &firmware),
        annotations: labels::annotations(args, &conf, &firmware),
        layer: &layer,
        compression,
        record: Sha256Digest::of(&record).to_string(),
        created,
    };
    let mut stored = image.store(sink.as_mut()).map_err(write)?;
    let packed = Packed {
        args,
        name: &name,
        title: &title,
        firmware: &firmware,
        conf: &conf,
        beside: beside.as_ref(),
        created,
    };
    packed.attach(&mut stored, sink.as_mut(), &output)?;
    let report = Report::new(&output, &name, &hosts, &stored, &layer, compression);
    sink.commit(stored)?;
    let notes: Vec<_> = firmware.notes.iter().chain(&conf.notes).cloned().collect();
    for note in &notes {
        say::usual(format_args!("note: {note}"));
    }
    say::usual(&report);
    let result = if args.json { report.to_json(&notes) } else { format!("{}\n", report.digest()) };
    Ok(say::beside(&output, result))
}

/// The signature of the key in a file, for everything that decides what runs.
fn sign(key: &Path, conf: &Conf, firmware: &Firmware, beside: Option<&PedestalFile>) -> Result<Vec<u8>> {
    let signed = Signed {
        firmware: firmware.digest,
        conf: Some(Sha256Digest::of(conf.text.as_bytes())),
        pedestal_file: beside.map(|it| it.content().sha256),
    };
    Ok(signed.sign(&provenance::load_key(key)?)?)
}

/// The file's name without its extension: the default of every other name.
fn stem(firmware: &Path) -> String {
    if is_stdin(firmware) {
        return "firmware".to_owned();
    }
    firmware.file_stem().map_or_else(|| "firmware".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

fn is_stdin(firmware: &Path) -> bool {
    firmware == "-" || firmware == spool::STDIN
}

/// Refuses a destination that is the firmware itself.
fn differ(output: &Path, firmware: &Path) -> Result<()> {
    let identity = |path: &Path| fs::metadata(path).ok().map(|it| (it.dev(), it.ino()));
    match identity(output) {
        Some(found) if Some(found) == identity(firmware) => Err(Error::Destination {
            path: output.to_owned(),
            reason: "it is the firmware itself; name another with --output",
        }),
        _ => Ok(()),
    }
}

/// The hosts the image is listed for.
fn hosts(args: &PackArgs, pedestal: Pedestal, firmware: &Firmware) -> Result<Vec<Host>> {
    let mut hosts: Vec<Host> = Vec::new();
    for host in &args.platforms {
        if hosts.contains(host) {
            return Err(Error::Argument {
                what: "platform",
                value: host.to_string(),
                reason: "it is given twice".to_owned(),
            });
        }
        hosts.push(host.clone());
    }
    if !hosts.is_empty() {
        return Ok(hosts);
    }
    if pedestal == Pedestal::Qemu {
        return Ok(Host::with_microvm());
    }
    let own = Host::with_core(firmware.info.machine);
    Ok(own.into_iter().collect())
}

/// What a firmware or its build directory says of itself, beside the firmware's own bytes.
pub(crate) fn facts_of(path: &Path) -> Result<BuildFacts> {
    Ok(input::open(path, &InputArgs::default())?.facts)
}

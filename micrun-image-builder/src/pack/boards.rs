//! An image with a firmware for each of several boards (`docs/BOARD_IMAGES.md`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use micrun_firmware::annotations::PREFIX;
use micrun_firmware::client_conf::FILE_NAME as CONF;
use micrun_firmware::rootfs::boards;

use super::attached::Packed;
use super::contents::Contents;
use super::firmware::Firmware;
use super::part::Part;
use super::{Packing, differ, labels};
use crate::cli::PackArgs;
use crate::error::{Error, Result};
use crate::names::ImageName;
use crate::platform::Host;
use crate::timestamp::Timestamp;

/// Packs the firmware of each board, by the board's name. `args` are those of the image.
pub(crate) fn run(args: &PackArgs, boards: &BTreeMap<String, PackArgs>) -> Result<String> {
    let created = Timestamp::from_env()?;
    let name = ImageName::parse(args.tag.as_deref().unwrap_or_default())?;
    let title = name.short();
    let output = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{title}.tar")));
    let mut contents = Contents::default();
    let names: Vec<_> = boards.keys().map(String::as_str).collect();
    contents.put(CONF, boards::client_conf(&names).as_bytes())?;
    let mut parts = Vec::new();
    let (mut hosts, mut notes, mut facts): (Vec<Host>, Vec<String>, Vec<_>) = Default::default();
    for (board, options) in boards {
        let of_board = |source| Error::Board { name: board.clone(), source: Box::new(source) };
        differ(&output, &options.firmware)?;
        let part =
            Firmware::open(options).and_then(|it| Part::prepare(options, title, it)).map_err(of_board)?;
        part.add_to(&mut contents, &format!("{}/", boards::directory(board).trim_start_matches('/')))?;
        hosts.extend(part.hosts());
        notes.extend(part.notes().map(|note| format!("{board}: {note}")));
        facts.push(labels::facts(&part));
        parts.push(Packed { args: options, board: Some(board), part });
    }
    let mut facts = in_all(facts);
    facts.insert(format!("{PREFIX}{}", boards::KEY), names.join(" "));
    let packing = Packing { args, output, name: &name, title, facts, notes, parts, created };
    packing.write(contents, hosts)
}

/// What is so for every board.
fn in_all(facts: Vec<BTreeMap<String, String>>) -> BTreeMap<String, String> {
    let mut all = facts.into_iter();
    let mut first = all.next().unwrap_or_default();
    for other in all {
        first.retain(|key, value| other.get(key) == Some(value));
    }
    first
}

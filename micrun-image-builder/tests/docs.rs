//! The examples in `docs/`, run as they stand there.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/pages.rs"]
mod pages;

use std::collections::BTreeSet;
use std::path::Path;

use common::Bench;
use common::elf::Elf;

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
const PROGRAM: &str = env!("CARGO_BIN_EXE_micrun-image-builder");

/// A folder with what the examples begin with: `fw.elf`, and `new.elf`, which has another message at the same place.
fn samples() -> Bench {
    let mut elf = Elf::aarch64(40_000);
    let mut say = |name: &str, message: &str, bench: &Bench| {
        elf.content[1000..1000 + message.len()].copy_from_slice(message.as_bytes());
        bench.write(name, elf.to_bytes());
    };
    let bench = Bench::new();
    say("fw.elf", "FreeRTOS Kernel V11.1.0: motor 1", &bench);
    say("new.elf", "FreeRTOS Kernel V11.1.0: motor 2", &bench);
    bench
}

#[test]
fn the_examples_do_what_the_pages_say() {
    let wrong: Vec<_> = pages::sessions(Path::new(DOCS), "test")
        .iter()
        .filter_map(|session| session.run(&samples().path(""), Path::new(PROGRAM)).err())
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Those of registries are run in `tests/registry`.
#[test]
fn every_verb_has_an_example() {
    let sessions = ["test", "registry"].map(|label| pages::sessions(Path::new(DOCS), label));
    let steps = sessions.iter().flatten().flat_map(|session| &session.steps).filter(|step| step.shown);
    let commands: Vec<_> = steps.map(|step| step.command.as_str()).collect();
    let help = samples().run(["--help"]).stdout;
    let (_, verbs) = help.split_once("Commands:\n").unwrap();
    let verbs = verbs.lines().take_while(|line| !line.is_empty()).map(|line| line.split_whitespace().next());
    let without: BTreeSet<_> = verbs
        .flatten()
        .filter(|verb| *verb != "help")
        .filter(|verb| !commands.iter().any(|it| it.contains(&format!("micrun-image-builder {verb}"))))
        .collect();
    assert!(without.is_empty(), "no page has an example of {without:?} that is run");
}

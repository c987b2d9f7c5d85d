//! The documentation page, generated from the table.

use std::fmt::Write as _;

use super::{Effect, PREFIX, TABLE};

const INTRODUCTION: &str = "\
# Annotations

Generated from the table in `micrun/firmware/src/annotations/table.rs` by
`cargo run -p micrun-firmware --example annotations-doc`; a test fails when this page differs.

Every key begins with `org.openeuler.micrun.`. One key with this prefix, or a file `/client.conf` in the rootfs,
makes a container a firmware; without either it is an ordinary Linux container.

- A value is taken from the container's annotations first, then from `[Micrun]` in `/client.conf` (the same keys
  without the prefix, see CLIENT_CONF.md), then from the key of client.conf that the table names, then from the
  host's micrun.conf (MICRUN_CONF.md), then the default.
- A value that cannot be read fails Create with InvalidArgument. Two values are tolerated with a warning, as upstream
  does: `container.auto_close` that is no bool (`\"60\"`) is ignored, a negative timeout becomes 30s.
- Booleans are written as Go reads them: `true`, `false`, `1`, `0`, `t`, `f`, `T`, `F`, `True`, `False`, `TRUE`, `FALSE`.
- An unknown key has no effect and gives a warning that names the nearest known one.
  Keys below `compatibility.` are free for tools and give none.
- `ctr` takes annotations with `--annotation`, `nerdctl` with `-l`; for Kubernetes containerd must pass them:
  `pod_annotations` and `container_annotations = [\"org.openeuler.micrun.*\"]` for the runtime.
";

/// The text of `docs/ANNOTATIONS.md`.
pub fn page() -> String {
    let mut text = INTRODUCTION.to_owned();
    section(&mut text, "Effective", |effect| (effect == Effect::Effective).then_some(""));
    section(&mut text, "Written by our tools, without effect at run time", |effect| {
        (effect == Effect::Informational).then_some("")
    });
    section(&mut text, "Accepted for upstream's sake, without effect", |effect| match effect {
        Effect::None(reason) => Some(reason),
        _ => None,
    });
    text
}

/// One table: the keys whose effect `column` accepts, with the reason it gives.
fn section(text: &mut String, title: &str, column: impl Fn(Effect) -> Option<&'static str>) {
    // Writing to a String cannot fail.
    let _ = write!(text, "\n## {title}\nKeys without the prefix `{PREFIX}`.\n\n");
    text.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
    for key in TABLE {
        if let Some(reason) = column(key.effect) {
            let reason = if reason.is_empty() { String::new() } else { format!(" No effect: {reason}.") };
            let _ =
                writeln!(text, "| `{}` | {} | {} | {}{reason} |", key.name, key.kind, key.default, key.doc);
        }
    }
}

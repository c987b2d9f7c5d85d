//! The documentation page, generated from the table.

use std::fmt::Write as _;

use super::{Effect, PREFIX, TABLE};

const INTRODUCTION: &str = "\
# Annotations

Generated from the table in `micrun/firmware/src/annotations/table.rs` by
`cargo run -p micrun-firmware --example annotations-doc`; a test fails when this page differs.

Every key begins with `org.openeuler.micrun.`. A container is firmware if it has a key with this
prefix, or a file `/client.conf` in its rootfs. Otherwise it is an ordinary Linux container.

The first of these places that has a value decides:

1. the container's annotations
2. `[Micrun]` in `/client.conf`, with the same keys without the prefix (CLIENT_CONF.md)
3. the key of client.conf that the table names
4. the host's micrun.conf (MICRUN_CONF.md)
5. the default

- A value that cannot be read makes Create fail with InvalidArgument. As upstream does, the shim
  tolerates two such values with a warning. It ignores a `container.auto_close` that is not a bool
  (`\"60\"`). It replaces a negative timeout by 30s.
- Booleans are written as Go reads them: `true`, `false`, `1`, `0`, `t`, `f`, `T`, `F`, `True`,
  `False`, `TRUE`, `FALSE`.
- An unknown key has no effect. A warning names the nearest known key. Keys below `compatibility.`
  are free for tools and give no warning.
- `ctr` sets an annotation with `--annotation`, `nerdctl` with `-l`. In Kubernetes, containerd must
  pass annotations on: set `pod_annotations` and `container_annotations` of the runtime to
  `[\"org.openeuler.micrun.*\"]`.
- \"Ours\" means that upstream does not have the key.
";

/// The text of `docs/ANNOTATIONS.md`.
pub fn page() -> String {
    let mut text = INTRODUCTION.to_owned();
    section(&mut text, "Effective", |effect| (effect == Effect::Effective).then_some(""));
    section(&mut text, "Written by our tools, without effect at run time", |effect| {
        (effect == Effect::Informational).then_some("")
    });
    section(&mut text, "Accepted for compatibility with upstream, without effect", |effect| match effect {
        Effect::None(reason) => Some(reason),
        _ => None,
    });
    text
}

/// One table: the keys whose effect `column` accepts, with the reason it gives.
fn section(text: &mut String, title: &str, column: impl Fn(Effect) -> Option<&'static str>) {
    // Writing to a String cannot fail.
    let _ = write!(text, "\n## {title}\n\nKeys without the prefix `{PREFIX}`.\n\n");
    text.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
    for key in TABLE {
        if let Some(reason) = column(key.effect) {
            let reason = if reason.is_empty() { String::new() } else { format!(" No effect: {reason}.") };
            let _ =
                writeln!(text, "| `{}` | {} | {} | {}{reason} |", key.name, key.kind, key.default, key.doc);
        }
    }
}

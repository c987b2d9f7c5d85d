//! The documentation page, generated from the table.

use std::fmt::Write as _;

use super::variables::{Effect, VARIABLES};
use super::{TABLE, Target, full_key};

const INTRODUCTION: &str = "\
# micrun.conf

Generated from the table in `micrun/firmware/src/host_conf/table.rs` by
`cargo run -p micrun-firmware --example micrun-conf-doc`; a test fails when this page differs.

The shim reads these in order. None of them has to exist:

1. `/etc/mica/micrun/micrun.conf`
2. every `*.conf`, `*.ini` and `*.toml` in `/etc/mica/micrun/conf.d`, in the order of their names
3. one further file, if a container or the runtime names one (below)
4. the environment

They are merged key by key, and a later value overrides an earlier one. A drop-in changes only the
keys that it names. `*.toml` is TOML, anything else is ini. Sections are allowed and have no
meaning, because upstream's documentation puts the same keys under several.

The ini text is that of client.conf (CLIENT_CONF.md, \"Syntax\"), with two additions: a key may stand
before any section, and a value may stand in double quotes.

| place | what it does |
|---|---|
| `MICRUN_` and a key in capitals | sets the key; a value that cannot be read is ignored with a warning |
| the annotation `org.openeuler.micrun.config_path` | names a further file for one container, below `/etc/mica` |
| `ConfigPath` in containerd's runtime options | names a further file, anywhere, for all its containers |
| `ConfigBody` there, without `ConfigPath` | is the text of that file, as TOML |

- An annotation overrides client.conf. client.conf overrides micrun.conf. micrun.conf overrides the
  default.
- A file that cannot be read or understood makes Create fail with InvalidArgument. The error names
  the file and the line.
- An unknown key has no effect. A warning names the nearest known key.
- `containerd-shim-mica-v2 --print-config [--json] [BUNDLE]` shows every effective value and where
  it comes from. A firmware's settings have the names that IMAGE_BUILDER.md lists.
- The shim reads the configuration at each Create. It reads `state_dir` and `debug` when it starts.
- \"Ours\" means that upstream does not have the key.
";

/// The text of `docs/MICRUN_CONF.md`.
pub fn page() -> String {
    let mut text = INTRODUCTION.to_owned();
    // Writing to a String cannot fail.
    let _ = write!(text, "\n## Effective\n\n| key | value | default | meaning |\n|---|---|---|---|\n");
    for key in TABLE {
        let doc = match key.target {
            Target::Annotation(name) => {
                format!("{} It is the default of the annotation `{}`.", key.doc, full_key(name))
            }
            Target::Shim => key.doc.to_owned(),
            Target::Nothing(_) => continue,
        };
        let _ = writeln!(text, "| `{}` | {} | {} | {doc} |", key.name, key.kind, key.default);
    }
    let _ = write!(text, "\n## Accepted for compatibility with upstream, without effect\n\n");
    text.push_str("| key | value | meaning |\n|---|---|---|\n");
    for key in TABLE {
        if let Target::Nothing(reason) = key.target {
            let _ = writeln!(text, "| `{}` | {} | {} No effect: {reason}. |", key.name, key.kind, key.doc);
        }
    }
    text.push_str("\n## Variables of the environment that set no key\n\n| variable | meaning |\n|---|---|\n");
    for (name, effect) in VARIABLES {
        let _ = match effect {
            Effect::Does(what) => writeln!(text, "| `{name}` | {what} |"),
            Effect::None(reason) => writeln!(text, "| `{name}` | No effect: {reason}. |"),
        };
    }
    text
}

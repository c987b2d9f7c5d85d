//! The documentation page, generated from the table.

use std::fmt::Write as _;

use super::{TABLE, Target, full_key};

const INTRODUCTION: &str = "\
# micrun.conf

Generated from the table in `micrun/firmware/src/host_conf/table.rs` by
`cargo run -p micrun-firmware --example micrun-conf-doc`; a test fails when this page differs.

The shim reads `/etc/mica/micrun/micrun.conf`, then every `*.conf`, `*.ini` and `*.toml` of `/etc/mica/micrun/conf.d` in
the order of their names, then the environment. None need exist. They are merged key by key: what comes later wins, and
a drop-in changes only what it names. `*.toml` is TOML, anything else ini; sections are allowed and carry no meaning, as
upstream's documentation puts the same keys under several.

| place | |
|---|---|
| `MICRUN_CONF_FILE`, `MICRUN_CONF_DIR` | other places for the file and the directory |
| `MICRUN_` and a key in capitals | sets the key, after all files; a value that cannot be read is passed over with a warning |
| the annotation `org.openeuler.micrun.config_path` | a further file for one container, read after `conf.d`; below `/etc/mica` only |
| `ConfigPath` in containerd's runtime options | the same for every container of the runtime, anywhere: containerd's operator wrote it |
| `ConfigBody` there, without `ConfigPath` | the text itself, as TOML |

- An annotation of the specification goes before client.conf, client.conf before micrun.conf, and that before the default.
- A file that cannot be read or understood fails Create with InvalidArgument, which names the file and the line.
- An unknown key has no effect and gives a warning that names the nearest known one.
- `containerd-shim-mica-v2 --print-config [--json] [BUNDLE]` shows every effective value and where it comes from.
- It is read at each Create; `state_dir` and `debug` when the shim starts.
";

/// The text of `docs/MICRUN_CONF.md`.
pub fn page() -> String {
    let mut text = INTRODUCTION.to_owned();
    // Writing to a String cannot fail.
    let _ = write!(text, "\n## Effective\n\n| key | value | default | meaning |\n|---|---|---|---|\n");
    for key in TABLE {
        let doc = match key.target {
            Target::Annotation(name) => {
                format!("{} The default of the annotation `{}`.", key.doc, full_key(name))
            }
            Target::Shim => key.doc.to_owned(),
            Target::Nothing(_) => continue,
        };
        let _ = writeln!(text, "| `{}` | {} | {} | {doc} |", key.name, key.kind, key.default);
    }
    let _ = write!(text, "\n## Accepted for upstream's sake, without effect\n\n");
    text.push_str("| key | value | meaning |\n|---|---|---|\n");
    for key in TABLE {
        if let Target::Nothing(reason) = key.target {
            let _ = writeln!(text, "| `{}` | {} | {} No effect: {reason}. |", key.name, key.kind, key.doc);
        }
    }
    text
}

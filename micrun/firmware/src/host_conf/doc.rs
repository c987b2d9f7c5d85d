//! The documentation page, generated from the table.

use std::fmt::Write as _;

use super::variables::{Effect, VARIABLES};
use super::{Key, TABLE, Target, full_key};

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
  default. The policy (below) stands above all of them.
- A file that cannot be read or understood makes Create fail with InvalidArgument. The error names
  the file and the line.
- An unknown key has no effect. A warning names the nearest known key.
- `containerd-shim-mica-v2 --print-config [--json] [BUNDLE]` shows every effective value and where
  it comes from. A firmware's settings have the names that IMAGE_BUILDER.md lists.
- The shim reads the configuration at each Create. It reads `state_dir`, `debug` and what is about
  traces when it starts.
- \"Ours\" means that upstream does not have the key.
";

const POLICY: &str = "
## Policy

These keys are the host's own word. Neither an image nor an annotation can lift them. Annotations
with limits of their own, such as `runtime.max_container_memory`, can only lower further.

- \"Capped\" means that a container which asks for more gets what is allowed. A warning in the log
  says so.
- \"Refused\" means that Create fails with PermissionDenied. The error names the key and its file.
- `names` are separated by blanks or commas. `*` stands for any text, and `?` for any one character.
  `none` is the list that allows nothing.
- Only the first two places and the environment set these keys. Containerd's runtime options and the
  file of an annotation come with a container: they can lower a limit, and set nothing else here.
- An empty value, and a variable of the environment that cannot be read, are errors here.
- The mica daemon has a policy of its own for all its clients (MICAD.md, Policy). The shim asks for
  it at each Create, and refuses what the daemon would refuse.

| key | value | default | rule | meaning |
|---|---|---|---|---|
";

const EXAMPLE: &str = "
A host whose pods may use one spare core, called `mica-cpu3`, and small machines:

```ini
[Policy]
allowed_pedestals = qemu, baremetal
allowed_remoteprocs = mica-cpu3
allowed_machines = virt
container_maxmem = 64
max_container_vcpu = 2
```
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
            Target::Policy(_) | Target::Nothing(_) => continue,
        };
        let _ = writeln!(text, "| `{}` | {} | {} | {doc} |", key.name, key.kind, key.default);
    }
    text.push_str(POLICY);
    for key in TABLE {
        if let Target::Policy(excess) = key.target {
            let (rule, Key { name, kind, default, doc, .. }) = (excess.as_str(), key);
            let _ = writeln!(text, "| `{name}` | {kind} | {default} | {rule} | {doc} |");
        }
    }
    text.push_str(EXAMPLE);
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

//! The table itself. An entry under `read` has a type and becomes a field of [`Annotations`]; one under
//! `known` is never read, and stands here so that it can be explained instead of reported as a typing error.

use std::time::Duration;

use super::value::{AutoClose, Greeting, Megabytes, Prompt, Ready, RootfsPath, Text, TimeLimit, Value};
use crate::{Coredump, Os, Pedestal, Sha256Digest, Watchdog};

/// What a key does in this implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It does what its documentation says.
    Effective,
    /// It is written by our tools for people and other tools to read.
    Informational,
    /// It is accepted for upstream's sake and does nothing, for this reason.
    None(&'static str),
}

/// One annotation.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The key without [`super::PREFIX`].
    pub name: &'static str,
    /// The type of its value, in words.
    pub kind: &'static str,
    /// What applies without it, in words.
    pub default: &'static str,
    /// Whether it does anything here.
    pub effect: Effect,
    /// What it means.
    pub doc: &'static str,
}

macro_rules! annotations {
    (
        read { $( #[doc = $doc:literal] $field:ident: $type:ty = $name:literal, $effect:expr, $default:literal; )* }
        known { $( $known:literal, $kind:literal, $kdefault:literal, $keffect:expr, $kdoc:literal; )* }
    ) => {
        /// Every annotation there is, in the order of the documentation.
        pub const TABLE: &[Key] = &[
            $( Key {
                name: $name, kind: <$type as Value>::KIND, default: $default,
                effect: $effect, doc: $doc,
            }, )*
            $( Key {
                name: $known, kind: $kind, default: $kdefault, effect: $keffect, doc: $kdoc,
            }, )*
        ];

        /// What a container's annotations say; `None` where they say nothing.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Annotations {
            $( #[doc = $doc] pub $field: Option<<$type as Value>::Read>, )*
            pub(super) warnings: Vec<String>,
        }

        impl Annotations {
            /// Sets the field of the key `name`. Gives the reason for a value that cannot be read, or a
            /// warning about one that was read leniently.
            pub(crate) fn set(&mut self, name: &str, text: &str) -> Result<Option<String>, String> {
                match name {
                    $( $name => {
                        let read = <$type as Value>::read(text)?;
                        self.$field = read.value;
                        Ok(read.warning)
                    } )*
                    _ => Ok(None),
                }
            }
        }
    };
}

const USED: Effect = Effect::Effective;
const XEN_ONLY: Effect = Effect::None("it concerns Xen, which only upstream's daemon runs");
const NEVER_READ: Effect = Effect::None("upstream defines it, but has never read it");

annotations! {
    read {
        #[doc = "The guest operating system. It informs people and tools and changes nothing else."]
        os: Os = "container.os", USED, "`uniproton`";
        #[doc = "The firmware ELF inside the rootfs. A leading `/` is optional. `..` is refused."]
        firmware_path: RootfsPath = "container.firmware_path", USED,
            "client.conf's `ClientPath`, else `firmware.elf`, else the first `*.elf` in the root directory";
        #[doc = "The digest that the firmware must have: 64 hexadecimal digits, with or without `sha256:`."]
        firmware_hash: Sha256Digest = "container.firmware_hash", USED, "not checked";
        #[doc = "Stop the container with status 0 some time after nobody has its stdin open any more. If nobody ever had, the time runs from the start. Upstream's default is `true`."]
        auto_close: AutoClose = "container.auto_close", USED, "`false`";
        #[doc = "How long that time is. It overrides `container.auto_close`. 0 means never. A negative value means the default."]
        auto_close_timeout: Duration = "container.auto_close_timeout", USED,
            "30s when `container.auto_close` is true";
        #[doc = "The sign by which the firmware shows that it is up: a text on its console, or an rpmsg endpoint that it announces. Start waits for it, and fails without it (FIRMWARE.md). Ours."]
        ready: Ready = "container.ready", USED, "Start waits for nothing";
        #[doc = "How long that may take. Without `container.ready`: after how long firmware that has shown no sign of life is reported in the log. 0 means no limit, and no report. Ours."]
        ready_timeout: TimeLimit = "container.ready_timeout", USED, "10s";
        #[doc = "Of which ends the host keeps what was in memory and registers, for gdb: of none, of faults, or of all (MICAD.md). Ours."]
        coredump: Coredump = "container.coredump", USED, "micad.conf's `Coredump`, else `off`";
        #[doc = "What the firmware must do to live on: beat in its exit record at least once in that time, let its processor rest at least once in that time, print on its console at least once in that time. Else it is ended with status 137, or by `restart` started again, which only clients of the mica command can be (FIRMWARE.md). Ours."]
        watchdog: Watchdog = "container.watchdog", USED, "nothing is watched";
        #[doc = "What is typed on the console once the firmware has started, for firmware that prints nothing before it has got something. An empty value types nothing (FIRMWARE.md). Ours."]
        greeting: Greeting = "container.greeting", USED,
            "`\\0` for Zephyr on the pedestal baremetal, else nothing";
        #[doc = "The least memory of the firmware. It raises the value of client.conf."]
        min_memory_mb: Megabytes = "container.min_memory_mb", USED, "no floor";
        #[doc = "The most virtual CPUs that the firmware may get (`MaxVCPU`). It lowers `VCPU`, and cannot lift the host's `max_container_vcpu`."]
        max_vcpu_num: u32 = "container.max_vcpu_num", USED, "client.conf's `MaxVCPU`, else 8";
        #[doc = "What the firmware runs on. The host's mica daemon must have this pedestal, and its policy must allow it (`MICRUN_CONF.md`)."]
        pedestal: Pedestal = "ped.pedestal", USED,
            "client.conf's `Pedestal`, else `baremetal` for an ELF with `.resource_table`, else `qemu`";
        #[doc = "The pedestal's own file inside the rootfs: guest kernel (Xen), cell (jailhouse), binary (hetero)."]
        pedestal_conf: RootfsPath = "ped.conf", USED,
            "client.conf's `PedestalConf`, else `image.bin` (Xen)";
        #[doc = "Log each step of this container's shim in detail."]
        debug: bool = "runtime.debug", USED, "`false`";
        #[doc = "The most CPUs that a container may get. It lowers `VCPU`."]
        max_container_cpus: u32 = "runtime.max_container_cpus", USED, "no ceiling";
        #[doc = "The most memory that a container may get. It lowers the value of client.conf, and cannot lift the host's `container_maxmem`."]
        max_container_memory: Megabytes = "runtime.max_container_memory", USED, "no ceiling";
        #[doc = "Accept changes of resources at run time, and ignore them."]
        static_resource: bool = "runtime.static_resource", USED, "`false`";
        #[doc = "What the firmware's shell prints at the start of a line when it waits for a command. Exec needs it (FIRMWARE.md). Ours."]
        shell_prompt: Prompt = "container.shell_prompt", USED, "no exec";
        #[doc = "Put the trace of the container's Create on the kernel command line of firmware on the pedestal qemu, as `TRACEPARENT=...`, if that trace is kept (TRACING.md). Ours."]
        trace_context: bool = "container.trace_context", USED, "`false`";
        #[doc = "A further micrun.conf for this container, below `/etc/mica` (`MICRUN_CONF.md`)."]
        config_path: Text = "config_path", USED, "-";
    }
    known {
        "runtime.shim_version", "`2`, `3`", "3 for containerd 2.3 and later, else none", USED,
            "The version that the shim announces to containerd (COMPLIANCE.md). It applies to the whole pod. Ours.";
        "image.machine", "text", "-", Effect::Informational,
            "The firmware's ELF machine (`aarch64`, `arm`, `riscv`). micrun-image-builder writes it. Ours.";
        "image.board", "text", "-", Effect::Informational,
            "The board that the firmware was built for, as its build directory says. micrun-image-builder writes it. Ours.";
        "image.boards", "names", "-", Effect::Informational,
            "In client.conf and as a label: the boards that the image has a firmware for (BOARD_IMAGES.md). micrun-image-builder writes it. Ours.";
        "layer.record", "digest", "-", Effect::Informational,
            "On a layer's descriptor: the digest of the layer's record (LAYER_RECORD.md). Ours.";
        "container.auto_disconnect_timeout", "text", "-",
            Effect::None("it is deprecated; write container.auto_close_timeout"),
            "The former name of `container.auto_close_timeout`.";
        "ped.compatibility", "text", "-", Effect::None("it is deprecated"), "Deprecated upstream.";
        "ped.net_placeholder", "text", "-", NEVER_READ, "A placeholder for networks.";
        "runtime.disable_new_netns", "bool", "`false`", NEVER_READ, "No network namespace of its own.";
        "runtime.experimental", "bool", "`false`", NEVER_READ, "Experimental features.";
        "runtime.pipe_size", "bytes", "-", NEVER_READ, "The size of the stdio pipes.";
        "runtime.pause", "image reference", "-",
            Effect::None("the container runtime chooses the pause image"), "Upstream stores it, and uses it for nothing.";
        "runtime.exclusive_dom0_cpu", "bool", "`false`", XEN_ONLY, "Keep Dom0's CPUs free of containers.";
        "runtime.enable_vcpus_pinning", "bool", "`false`", XEN_ONLY, "Pin virtual CPUs.";
        "runtime.vcpu_pcpu_binding", "bool", "`false`", XEN_ONLY, "An alias of `runtime.enable_vcpus_pinning`.";
        "runtime.hugepage_enable", "bool", "`false`", XEN_ONLY, "Upstream stores it, and uses it for nothing.";
        "pkg.oci.bundle_path", "path", "-", Effect::None("upstream's shim sets it for its own use"), "Internal.";
        "pkg.oci.container_type", "text", "-", Effect::None("upstream's shim sets it for its own use"), "Internal.";
    }
}

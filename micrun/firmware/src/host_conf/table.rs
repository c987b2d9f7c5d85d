//! The keys of micrun.conf. Those of an annotation set its default for every container of the host. Those of the
//! policy stand above every image and every annotation.

/// What a key sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The default of the annotation with this name (without the prefix).
    Annotation(&'static str),
    /// A setting of the shim itself.
    Shim,
    /// A rule of the host's policy.
    Policy(Excess),
    /// Nothing, for this reason: it is accepted for upstream's sake.
    Nothing(&'static str),
}

/// What becomes of a container that asks for more than the policy allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// It gets what is allowed, and a warning tells it.
    Capped,
    /// It is refused, and the error names the key.
    Refused,
}

impl Excess {
    /// The word of the documentation.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Capped => "capped",
            Self::Refused => "refused",
        }
    }
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// The type of its value, in words.
    pub kind: &'static str,
    /// What applies without it, in words.
    pub default: &'static str,
    /// What it sets.
    pub target: Target,
    /// What it means.
    pub doc: &'static str,
}

const XEN_ONLY: Target = Target::Nothing("it concerns Xen, which only upstream's daemon runs");
const NEVER_READ: Target = Target::Nothing("upstream documents it, but has never read it");

/// Every key there is, in the order of the documentation.
pub const TABLE: &[Key] = &[
    key("state_dir", "path", "`/run/micrun`", Target::Shim, "The directory of the containers' files."),
    key(
        "board",
        "name",
        "what the device tree says, else `qemu`",
        Target::Shim,
        "The host's board, for images with a firmware for each of several boards (BOARD_IMAGES.md). Ours.",
    ),
    key(
        "emulator_overhead_mb",
        "MiB",
        "128",
        Target::Shim,
        "How much the kernel's memory limit is above the container's, for the emulator (RESOURCES.md). Ours.",
    ),
    key(
        "shared_cpu_pool",
        "bool",
        "`true`",
        Target::Shim,
        "Whether firmware without CPUs of its own runs in the pool of the mica daemon (`SharedCpus`, RESOURCES.md).",
    ),
    key(
        "log_format",
        "`logfmt` or `json`",
        "`logfmt`",
        Target::Shim,
        "How the shim writes its lines in containerd's log. Those of a container have fields: `container`, `namespace`, and \
         of Kubernetes `pod` and `image`. Ours.",
    ),
    key(
        "trace_endpoint",
        "URL",
        "what `OTEL_EXPORTER_OTLP_ENDPOINT` says, else no traces",
        Target::Shim,
        "The collector of traces: `http://HOST:PORT`, or `unix:///PATH` (TRACING.md). Ours.",
    ),
    key(
        "trace_sample",
        "number from 0 to 1",
        "what `OTEL_TRACES_SAMPLER` says, else 1",
        Target::Shim,
        "The share of traces that are kept, of those that begin in the shim (TRACING.md). Ours.",
    ),
    annotation("debug", "bool", "runtime.debug", "Log each step in detail."),
    annotation(
        "static_resource",
        "bool",
        "runtime.static_resource",
        "Ignore changes of resources at run time.",
    ),
    annotation("container_minmem", "MiB", "container.min_memory_mb", "The least memory of any firmware."),
    annotation(
        "firmware_path",
        "path in the rootfs",
        "container.firmware_path",
        "The firmware of images that name none.",
    ),
    annotation(
        "ready_timeout",
        "seconds, or a duration such as `1m30s`",
        "container.ready_timeout",
        "After how long silent firmware is reported. Ours.",
    ),
    annotation("shell_prompt", "text", "container.shell_prompt", "The prompt of the firmware's shell. Ours."),
    policy(
        "allowed_pedestals",
        "names",
        "`qemu`; another one only if the annotation `ped.pedestal` of the container asks for it",
        Excess::Refused,
        "Pedestals. Once it is set, it holds for annotations, too. nerdctl before version 2 makes annotations of an \
         image's labels, so its annotations are no permission.",
    ),
    policy(
        "allowed_remoteprocs",
        "names",
        "`*`",
        Excess::Refused,
        "Remote processors of the baremetal pedestal, as `CPU` or the cpuset names them. Unless every name is allowed, \
         one has to be given.",
    ),
    policy(
        "allowed_machines",
        "names",
        "the machines of BOARDS.md",
        Excess::Refused,
        "QEMU machines, without options.",
    ),
    policy(
        "allowed_cpus",
        "names",
        "the processors of BOARDS.md",
        Excess::Refused,
        "CPU models of `[Qemu] CPU`. A machine's own model is allowed with the machine.",
    ),
    policy(
        "allowed_annotations",
        "names",
        "`*`",
        Excess::Refused,
        "Annotations that have an effect, without their prefix. It holds for the section `[Micrun]` of images, too.",
    ),
    policy(
        "container_maxmem",
        "MiB",
        "no limit",
        Excess::Capped,
        "Memory of firmware. Create refuses firmware that does not fit then, a `container.min_memory_mb` above it, and \
         a board with more memory than that.",
    ),
    policy("max_container_vcpu", "number", "8", Excess::Capped, "Virtual CPUs: `VCPU` and `MaxVCPU`."),
    policy("max_consoles", "number", "no limit", Excess::Capped, "Serial ports: `[Qemu] Consoles`."),
    policy(
        "max_firmware_size",
        "MiB",
        "256",
        Excess::Refused,
        "The firmware's file, and that of its pedestal. More than 256 cannot be allowed.",
    ),
    policy(
        "allow_restore",
        "bool",
        "`false`",
        Excess::Refused,
        "Whether firmware may go on from a checkpoint. QEMU trusts the state of a machine, and whoever made the \
         checkpoint made that state.",
    ),
    policy(
        "require_signature",
        "path",
        "no signature is asked for",
        Excess::Refused,
        "A directory of public keys (`*.pub`, PEM, ECDSA P-256), or one such file. One of them must have signed the \
         firmware, its client.conf and the pedestal's file (SECURITY.md).",
    ),
    policy(
        "patch_directory",
        "path",
        "no patch is allowed",
        Excess::Refused,
        "A directory of firmware that Update may patch into firmware that runs (PATCH.md). Only root may be able to write \
         there. With `require_signature`, no patch is allowed.",
    ),
    key(
        "pause_image",
        "image reference",
        "-",
        Target::Nothing("the container runtime chooses the pause image"),
        "Upstream stores it, and uses it for nothing.",
    ),
    key("sandbox_minimum_vcpu", "number", "1", XEN_ONLY, "The least virtual CPUs of a pod."),
    key(
        "hugepage_enable",
        "bool",
        "`false`",
        Target::Nothing("upstream stores it, but has never used it"),
        "Huge pages.",
    ),
    key("exclusive_dom0_cpu", "bool", "`false`", XEN_ONLY, "Keep Dom0's CPUs free of containers."),
    key("max_client_number", "number", "-", NEVER_READ, "The most clients."),
    key("image_path", "path", "-", NEVER_READ, "Where images are."),
    key("aux_file_path", "path", "-", NEVER_READ, "Where the pedestal's files are."),
    key("enable_host_container", "bool", "-", NEVER_READ, "Run Linux containers."),
    key("hugepage_support", "bool", "-", NEVER_READ, "Huge pages."),
    key(
        "static_resource_management",
        "bool",
        "-",
        Target::Nothing("write static_resource"),
        "The former name of `static_resource` in upstream's documentation.",
    ),
];

const fn key(
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    target: Target,
    doc: &'static str,
) -> Key {
    Key { name, kind, default, target, doc }
}

const fn policy(
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    excess: Excess,
    doc: &'static str,
) -> Key {
    key(name, kind, default, Target::Policy(excess), doc)
}

const fn annotation(
    name: &'static str,
    kind: &'static str,
    annotation: &'static str,
    doc: &'static str,
) -> Key {
    key(name, kind, "the annotation's", Target::Annotation(annotation), doc)
}

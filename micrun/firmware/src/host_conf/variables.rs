//! The variables of the environment that set no key of micrun.conf.

/// Another place for the file.
pub const CONF_FILE: &str = "MICRUN_CONF_FILE";
/// Another place for the directory.
pub const CONF_DIR: &str = "MICRUN_CONF_DIR";
/// The version that the shim announces.
pub const SHIM_VERSION: &str = "MICRUN_SHIM_VERSION";
/// The runtime of Linux containers.
pub const LINUX_RUNTIME: &str = "MICRUN_LINUX_RUNTIME";

/// What a variable does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// This.
    Does(&'static str),
    /// Nothing, for this reason. Upstream reads it.
    None(&'static str),
}

/// Every variable there is, in the order of the documentation.
pub const VARIABLES: &[(&str, Effect)] = &[
    (CONF_FILE, Effect::Does("The file to read in place of `/etc/mica/micrun/micrun.conf`.")),
    (CONF_DIR, Effect::Does("The directory to read in place of `/etc/mica/micrun/conf.d`.")),
    (
        SHIM_VERSION,
        Effect::Does("The default of the annotation `org.openeuler.micrun.runtime.shim_version`."),
    ),
    (LINUX_RUNTIME, Effect::Does("The OCI runtime of Linux containers (LINUX.md).")),
    ("MICRUN_ENABLE_BAREMETAL", Effect::None("the mica daemon knows its pedestals")),
    ("MICRUN_XL_WORKAROUND", Effect::None("it concerns Xen, which only upstream's daemon runs")),
    ("MICRUN_LOG_CONFIG", LOG),
    ("MICRUN_LOG_FILE", LOG),
    ("MICRUN_CONTAINERD_LOG_PATH", LOG),
];

const LOG: Effect = Effect::None("the log goes to containerd");

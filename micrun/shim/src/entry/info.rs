//! `-info`: what runtime this is. containerd 2.2 and later ask before every Create until it has worked once,
//! so it touches nothing, and does not even read the options on stdin.
//!
//! There is no annotation `containerd.io/runtime-allow-mounts`: it would make containerd leave mounts of the
//! named types to the shim, which wants all of them mounted, to look for firmware in them.

use std::io::Write;

use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::types::introspection::{RuntimeInfo, RuntimeVersion};

use crate::error::{Error, Result};

/// The runtime's name in containerd's configuration.
pub(crate) const NAME: &str = "io.containerd.mica.v2";

/// Prints a `RuntimeInfo`.
pub(crate) fn run() -> Result<()> {
    let mut version = RuntimeVersion::new();
    env!("CARGO_PKG_VERSION").clone_into(&mut version.version);
    let mut info = RuntimeInfo::new();
    NAME.clone_into(&mut info.name);
    info.version = Some(version).into();
    let bytes = info.write_to_bytes().map_err(Error::encode("RuntimeInfo"))?;
    std::io::stdout().write_all(&bytes).map_err(Error::io("write", "stdout"))
}

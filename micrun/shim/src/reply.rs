//! The answer of `start`, in the form that the containerd at hand understands.
//!
//! 2.3 and later send `BootstrapParams` on stdin and want a `BootstrapResult` back; everything older sends the
//! runtime options as an `Any`, or nothing, and takes a plain address, which means ttrpc and Task v2
//! (containerd `core/runtime/v2/shim.go`, `parseStartResponse`; threads containerd#12786, #13763).

use containerd_shim_protos::bootstrap_api::{BootstrapParams, BootstrapResult};
use containerd_shim_protos::protobuf::Message;

use crate::error::{Error, Result};

/// The version that announces Task v3 and one server for all containers of a sandbox.
const SANDBOX_VERSION: i32 = 3;

/// Who called `start`.
#[derive(Debug, PartialEq)]
pub(crate) enum Caller {
    /// containerd up to 2.2.
    Plain,
    /// containerd 2.3 and later.
    Bootstrap(Box<BootstrapParams>),
}

impl Caller {
    /// Tells the caller by what it wrote to stdin.
    ///
    /// An `Any` is also a readable `BootstrapParams` (its type URL lands in `instance_id`), so the mark is
    /// `containerd_version`, whose field number an `Any` has no use for.
    pub(crate) fn recognize(stdin: &[u8]) -> Self {
        match BootstrapParams::parse_from_bytes(stdin) {
            Ok(params) if !params.containerd_version.is_empty() => Self::Bootstrap(Box::new(params)),
            _ => Self::Plain,
        }
    }

    /// The bytes to print on stdout for a server that listens on `address` (`unix://...`).
    pub(crate) fn reply(&self, address: &str) -> Result<Vec<u8>> {
        match self {
            Self::Plain => Ok(address.as_bytes().to_vec()),
            Self::Bootstrap(_) => {
                let mut result = BootstrapResult::new();
                result.version = SANDBOX_VERSION;
                address.clone_into(&mut result.address);
                "ttrpc".clone_into(&mut result.protocol);
                result.write_to_bytes().map_err(|e| Error::Invalid(format!("cannot encode the reply: {e}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use containerd_shim_protos::protobuf::well_known_types::any::Any;

    #[test]
    fn nothing_on_stdin_is_answered_plainly() {
        let caller = Caller::recognize(b"");
        assert_eq!(caller, Caller::Plain);
        assert_eq!(caller.reply("unix:///run/s").unwrap(), b"unix:///run/s");
    }

    #[test]
    fn containerd_13763_options_are_not_taken_for_bootstrap_params() {
        let mut any = Any::new();
        any.type_url = "containerd.runc.v1.Options".into();
        any.value = b"\x12\x07systemd".to_vec();
        assert_eq!(Caller::recognize(&any.write_to_bytes().unwrap()), Caller::Plain);
    }

    #[test]
    fn containerd_12786_params_are_answered_in_kind() {
        let mut params = BootstrapParams::new();
        params.instance_id = "a".into();
        params.containerd_version = "2.3.1".into();
        let caller = Caller::recognize(&params.write_to_bytes().unwrap());
        let reply = caller.reply("unix:///run/s").unwrap();
        let result = BootstrapResult::parse_from_bytes(&reply).unwrap();
        assert_eq!(
            (result.version, result.address.as_str(), result.protocol.as_str()),
            (3, "unix:///run/s", "ttrpc")
        );
    }
}

//! Who calls `start`, and the answer in the form that this containerd understands.
//!
//! | caller | stdin | `MAX_SHIM_VERSION` | reply |
//! |---|---|---|---|
//! | 1.6 | nothing, or options as `Any` | none | plain address |
//! | 1.7 to 2.2 | the same | 2 | plain address; JSON where a version is asked for |
//! | 2.3 and later | `BootstrapParams` | 2 | `BootstrapResult` |
//!
//! A plain address means ttrpc and Task v2, which every version takes from a shim that does not know it
//! better. Version 3 stands for a sandbox whose containers share one shim, which 1.7 refuses and nothing tells
//! from 2.0, so that it is only answered to a caller that must know it, or on request (containerd
//! `core/runtime/v2/shim.go`, `parseStartResponse`; threads containerd#12786, #13763).

use containerd_shim_protos::bootstrap_api::{BootstrapParams, BootstrapResult, LogLevel};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use serde::Serialize;

use crate::entry::args::Args;
use crate::error::{Error, Result};
use crate::oci::options::{self, Options};

/// The version that announces Task v3 and one server for all containers of a sandbox.
const SANDBOX_VERSION: i32 = 3;
/// The version of Task v2 on ttrpc.
const TASK_VERSION: i32 = 2;
const PROTOCOL: &str = "ttrpc";

/// Who called `start`.
#[derive(Debug, PartialEq)]
pub(crate) enum Caller {
    /// containerd up to 2.2.
    Legacy {
        /// Whether it reads JSON: it has set `MAX_SHIM_VERSION` to 2 or more.
        json: bool,
        /// The runtime's options.
        options: Options,
    },
    /// containerd 2.3 and later.
    Bootstrap(Box<BootstrapParams>),
}

/// What containerd 1.7 to 2.2 read besides a plain address.
#[derive(Serialize)]
struct Json<'a> {
    version: i32,
    address: &'a str,
    protocol: &'a str,
}

impl Caller {
    /// Tells the caller by what it wrote to stdin, and by `max_version`, the value of `MAX_SHIM_VERSION`.
    ///
    /// An `Any` is also a readable `BootstrapParams`: its type lands in `instance_id`, its value in
    /// `namespace`. What it cannot have is a `containerd_version`, or this very id and namespace.
    pub(crate) fn recognize(stdin: &[u8], max_version: Option<&str>, args: &Args) -> Result<Self> {
        let same =
            |params: &BootstrapParams| params.instance_id == args.id && params.namespace == args.namespace;
        match BootstrapParams::parse_from_bytes(stdin) {
            Ok(params) if !params.containerd_version.is_empty() => {
                return Ok(Self::Bootstrap(Box::new(params)));
            }
            Ok(params) if !args.id.is_empty() && same(&params) => {
                return Ok(Self::Bootstrap(Box::new(params)));
            }
            _ => {}
        }
        let options = Any::parse_from_bytes(stdin).map_err(|error| {
            Error::Usage(format!("stdin holds neither BootstrapParams nor runtime options: {error}"))
        })?;
        let options = Options::read(&options)?;
        let json = max_version.and_then(|max| max.parse().ok()).is_some_and(|max: i32| max >= TASK_VERSION);
        Ok(Self::Legacy { json, options })
    }

    /// The cgroup that the shim itself is to be in; empty if none is asked for. Of the extensions, those of other types
    /// than options are for others.
    pub(crate) fn shim_cgroup(&self) -> Result<String> {
        let options = match self {
            Self::Legacy { options, .. } => options.clone(),
            Self::Bootstrap(params) => {
                let values = params.extensions.iter().map(|extension| extension.value.get_or_default());
                values
                    .filter(|value| options::is_runc(value))
                    .map(Options::read)
                    .next()
                    .transpose()?
                    .unwrap_or_default()
            }
        };
        Ok(if let Options::Runc(options) = options { options.shim_cgroup } else { String::new() })
    }

    /// The arguments, where the flags that containerd calls deprecated are left out taken from the parameters.
    pub(crate) fn complete(&self, args: &Args) -> Args {
        let mut args = args.clone();
        if let Self::Bootstrap(params) = self {
            let fill = |flag: &mut String, param: &str| {
                if flag.is_empty() {
                    param.clone_into(flag);
                }
            };
            fill(&mut args.id, &params.instance_id);
            fill(&mut args.namespace, &params.namespace);
            fill(&mut args.address, &params.containerd_grpc_address);
            fill(&mut args.publish_binary, &params.containerd_binary);
            args.debug |= params.log_level.value() <= LogLevel::LOG_LEVEL_DEBUG as i32;
        }
        args
    }

    /// The bytes to print on stdout for a server that listens on `address` (`unix://...`). `asked` is the
    /// version that the operator wants to be announced.
    pub(crate) fn reply(&self, address: &str, asked: Option<i32>) -> Result<Vec<u8>> {
        match (self, asked) {
            (Self::Legacy { json: true, .. }, Some(version)) => {
                serde_json::to_vec(&Json { version, address, protocol: PROTOCOL })
                    .map_err(|source| Error::Json { path: "the reply".into(), source })
            }
            (Self::Legacy { .. }, _) => Ok(address.as_bytes().to_vec()),
            (Self::Bootstrap(_), asked) => {
                let mut result = BootstrapResult::new();
                result.version = asked.unwrap_or(SANDBOX_VERSION);
                address.clone_into(&mut result.address);
                PROTOCOL.clone_into(&mut result.protocol);
                result.write_to_bytes().map_err(Error::encode("BootstrapResult"))
            }
        }
    }
}

/// Reads the version that the operator wants to be announced: `2` or `3`.
pub(crate) fn asked_version(value: &str) -> Result<i32> {
    let known = |version: &i32| [TASK_VERSION, SANDBOX_VERSION].contains(version);
    value.parse().ok().filter(known).ok_or_else(|| {
        Error::Invalid(format!("shim version `{value}` is not known: 2 is Task v2, 3 adds sandboxes"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "unix:///run/s";

    fn args() -> Args {
        Args { id: "a".into(), namespace: "ns".into(), ..Args::default() }
    }

    fn options(type_url: &str) -> Vec<u8> {
        let mut any = Any::new();
        type_url.clone_into(&mut any.type_url);
        any.value = b"\x12\x07systemd".to_vec();
        any.write_to_bytes().unwrap()
    }

    fn params(change: impl FnOnce(&mut BootstrapParams)) -> Vec<u8> {
        let mut params = BootstrapParams::new();
        params.instance_id = "a".into();
        params.namespace = "ns".into();
        params.containerd_version = "2.3.1".into();
        change(&mut params);
        params.write_to_bytes().unwrap()
    }

    /// The table above, with each of the versions that the operator may ask for.
    #[test]
    fn every_row_of_the_version_table() {
        let generic = options("runtimeoptions.v1.Options");
        let json =
            |version: i32| format!(r#"{{"version":{version},"address":"{ADDRESS}","protocol":"ttrpc"}}"#);
        for (stdin, max, asked, expected) in [
            (&b""[..], None, None, ADDRESS.to_owned()),
            (b"", None, Some(3), ADDRESS.to_owned()),
            (&generic, None, None, ADDRESS.to_owned()),
            (b"", Some("1"), Some(3), ADDRESS.to_owned()),
            (b"", Some("2"), None, ADDRESS.to_owned()),
            (&generic, Some("2"), None, ADDRESS.to_owned()),
            (b"", Some("2"), Some(2), json(2)),
            (&generic, Some("2"), Some(2), json(2)),
            (&generic, Some("2"), Some(3), json(3)),
            (b"", Some("nonsense"), Some(3), ADDRESS.to_owned()),
        ] {
            let caller = Caller::recognize(stdin, max, &args()).unwrap();
            let reply = String::from_utf8(caller.reply(ADDRESS, asked).unwrap()).unwrap();
            assert_eq!(reply, expected, "{stdin:?} {max:?} {asked:?}");
        }
        for (asked, version) in [(None, 3), (Some(2), 2), (Some(3), 3)] {
            let caller = Caller::recognize(&params(|_| ()), Some("2"), &args()).unwrap();
            let result = BootstrapResult::parse_from_bytes(&caller.reply(ADDRESS, asked).unwrap()).unwrap();
            let parts = (result.version, result.address.as_str(), result.protocol.as_str());
            assert_eq!(parts, (version, ADDRESS, "ttrpc"));
        }
    }

    /// containerd#13763: options of an older containerd are readable as parameters.
    #[test]
    fn containerd_13763_options_are_not_taken_for_bootstrap_params() {
        for type_url in ["containerd.runc.v1.Options", "runtimeoptions.v1.Options"] {
            let stdin = options(type_url);
            assert!(BootstrapParams::parse_from_bytes(&stdin).is_ok(), "else this proves nothing");
            let caller = Caller::recognize(&stdin, Some("2"), &args()).unwrap();
            assert!(matches!(caller, Caller::Legacy { json: true, .. }), "{caller:?}");
        }
    }

    #[test]
    fn params_of_a_containerd_without_a_version_are_known_by_the_id() {
        let stdin = params(|params| params.containerd_version.clear());
        assert!(matches!(Caller::recognize(&stdin, None, &args()).unwrap(), Caller::Bootstrap(_)));
    }

    /// smolvm#889: parameters were read as options, and failed.
    #[test]
    fn smolvm_889_flags_may_be_missing() {
        let stdin = params(|params| {
            params.log_level = LogLevel::LOG_LEVEL_TRACE.into();
            params.containerd_grpc_address = "/run/c.sock".into();
            params.containerd_binary = "/bin/containerd".into();
        });
        let caller = Caller::recognize(&stdin, None, &Args::default()).unwrap();
        let expected = Args {
            address: "/run/c.sock".into(),
            publish_binary: "/bin/containerd".into(),
            debug: true,
            ..args()
        };
        assert_eq!(caller.complete(&Args::default()), expected);
        let flags = Args { id: "flag".into(), ..Args::default() };
        assert_eq!(caller.complete(&flags).id, "flag");
    }

    #[test]
    fn what_is_neither_is_an_error_that_names_it() {
        for (stdin, part) in
            [(options("windows.v1.Options"), "`windows.v1.Options`"), (b"\xff\xff".to_vec(), "neither")]
        {
            let message = Caller::recognize(&stdin, None, &args()).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        assert!(asked_version("4").unwrap_err().to_string().contains("`4`"));
    }
}

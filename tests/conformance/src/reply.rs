//! What `start` answers, read as containerd 2.3 does: protobuf, then JSON, then a plain address
//! (`core/runtime/v2/shim.go`, `parseStartResponse`).

use containerd_shim_protos::bootstrap_api::BootstrapResult;
use containerd_shim_protos::protobuf::Message;
use serde_json::Value;

/// How a reply is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The address alone, which means ttrpc and Task v2.
    Plain,
    /// `{"version":..,"address":..,"protocol":..}`, containerd 1.7 and later.
    Json,
    /// `BootstrapResult`, containerd 2.3 and later.
    Protobuf,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// How it is written.
    pub form: Form,
    /// Version of the Task API.
    pub version: i64,
    /// Where the shim serves.
    pub address: String,
    /// `ttrpc` or `grpc`.
    pub protocol: String,
}

impl Reply {
    /// Reads a reply; panics when containerd could make nothing of it.
    #[track_caller]
    pub fn parse(bytes: &[u8]) -> Self {
        // Some JSON can be read as fields that nobody knows.
        if let Ok(result) = BootstrapResult::parse_from_bytes(bytes)
            && !result.address.is_empty()
        {
            let BootstrapResult { version, address, protocol, .. } = result;
            return Self { form: Form::Protobuf, version: version.into(), address, protocol };
        }
        let text = std::str::from_utf8(bytes).expect("a reply that is no protobuf is text");
        if let Ok(json) = serde_json::from_str::<Value>(text) {
            let field = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
            let version = json["version"].as_i64().unwrap_or_default();
            return Self {
                form: Form::Json,
                version,
                address: field("address"),
                protocol: field("protocol"),
            };
        }
        assert!(text.starts_with("unix://"), "`start` answered {text:?}, which is no address");
        assert_eq!(text, text.trim(), "white space is part of the address");
        Self { form: Form::Plain, version: 2, address: text.to_owned(), protocol: "ttrpc".to_owned() }
    }
}

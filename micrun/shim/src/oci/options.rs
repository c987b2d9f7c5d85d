//! Runtime options: what containerd's configuration, `ctr` or nerdctl say about the runtime itself.
//!
//! They come as an `Any`, with the type's bare name. Runtimes that are not called runc get
//! `runtimeoptions.v1.Options` (containerd#9671), runc's own options are for the Linux containers of a pod.

use std::path::PathBuf;

use containerd_shim_protos::api::CheckpointTaskRequest;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::{CodedInputStream, Message};
use containerd_shim_protos::shim::oci;

use super::any;
use crate::error::{Error, Result};

const RUNC: &str = "containerd.runc.v1.Options";
/// What the client library of containerd 1.x makes for a runtime that is not called runc: `ctr run --uidmap`, for example.
const RUNC_OLD: &str = "containerd.linux.runc.CreateOptions";
const GENERIC: &str = "runtimeoptions.v1.Options";
/// Its name in containerd 1.6 (`pkg/runtimeoptions/v1`).
const GENERIC_OLD: &str = "cri.runtimeoptions.v1.Options";

/// Whether they are runc's.
pub(crate) fn is_runc(any: &Any) -> bool {
    [RUNC, RUNC_OLD].contains(&any::name(any))
}

/// Options of either type.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Options {
    /// None were given.
    #[default]
    None,
    /// `containerd.runc.v1.Options`.
    Runc(Box<oci::Options>),
    /// `runtimeoptions.v1.Options`.
    Generic(Config),
}

/// Where the runtime's own configuration is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    /// What kind of text it is, as its author says.
    pub type_url: String,
    /// A file. It goes before `body`.
    pub path: PathBuf,
    /// The text itself: TOML, from containerd's configuration.
    pub body: Vec<u8>,
}

impl Options {
    /// Reads options. An unknown type is an error: options that are ignored are worse than none.
    pub(crate) fn read(any: &Any) -> Result<Self> {
        let invalid =
            |error| Error::Invalid(format!("the runtime options {} are malformed: {error}", any.type_url));
        match any::name(any) {
            "" if any.value.is_empty() => Ok(Self::None),
            RUNC => {
                let options = oci::Options::parse_from_bytes(&any.value).map_err(invalid)?;
                Ok(Self::Runc(Box::new(options)))
            }
            RUNC_OLD => {
                create_options(&any.value).map(|options| Self::Runc(Box::new(options))).map_err(invalid)
            }
            GENERIC | GENERIC_OLD => Config::parse(&any.value).map(Self::Generic).map_err(invalid),
            other => Err(Error::Invalid(format!(
                "runtime options of type `{other}` are not known: use {GENERIC} (a configuration file or its \
                 text) or {RUNC}"
            ))),
        }
    }
}

/// containerd `runtime/linux/runctypes/runc.proto`, of which no generated code is shipped. The other fields are those of
/// a shim that exists no more.
fn create_options(bytes: &[u8]) -> containerd_shim_protos::protobuf::Result<oci::Options> {
    const NO_PIVOT_ROOT: u32 = 1 << 3;
    const NO_NEW_KEYRING: u32 = 8 << 3;
    const SHIM_CGROUP: u32 = 9 << 3 | 2;
    const IO_UID: u32 = 10 << 3;
    const IO_GID: u32 = 11 << 3;
    const CRIU_WORK_PATH: u32 = 12 << 3 | 2;
    const CRIU_IMAGE_PATH: u32 = 13 << 3 | 2;
    let mut options = oci::Options::new();
    let mut input = CodedInputStream::from_bytes(bytes);
    while let Some(tag) = input.read_raw_tag_or_eof()? {
        match tag {
            NO_PIVOT_ROOT => options.no_pivot_root = input.read_bool()?,
            NO_NEW_KEYRING => options.no_new_keyring = input.read_bool()?,
            SHIM_CGROUP => options.shim_cgroup = input.read_string()?,
            IO_UID => options.io_uid = input.read_uint32()?,
            IO_GID => options.io_gid = input.read_uint32()?,
            CRIU_WORK_PATH => options.criu_work_path = input.read_string()?,
            CRIU_IMAGE_PATH => options.criu_image_path = input.read_string()?,
            other => containerd_shim_protos::protobuf::rt::skip_field_for_tag(other, &mut input)?,
        }
    }
    Ok(options)
}

/// The options of a checkpoint: containerd hands over its client's, which are runc's, if any.
pub(crate) fn checkpoint(request: &CheckpointTaskRequest) -> Result<oci::CheckpointOptions> {
    oci::CheckpointOptions::parse_from_bytes(&request.options.value)
        .map_err(|error| Error::Invalid(format!("the checkpoint's options cannot be read: {error}")))
}

impl Config {
    /// containerd `api/types/runtimeoptions/v1/api.proto`: three fields, for which no generated code is shipped.
    fn parse(bytes: &[u8]) -> containerd_shim_protos::protobuf::Result<Self> {
        const TYPE_URL: u32 = 1 << 3 | 2;
        const CONFIG_PATH: u32 = 2 << 3 | 2;
        const CONFIG_BODY: u32 = 3 << 3 | 2;
        let mut config = Self::default();
        let mut input = CodedInputStream::from_bytes(bytes);
        while let Some(tag) = input.read_raw_tag_or_eof()? {
            match tag {
                TYPE_URL => config.type_url = input.read_string()?,
                CONFIG_PATH => config.path = input.read_string()?.into(),
                CONFIG_BODY => config.body = input.read_bytes()?,
                other => containerd_shim_protos::protobuf::rt::skip_field_for_tag(other, &mut input)?,
            }
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use containerd_shim_protos::protobuf::MessageFull;

    use super::*;

    /// Those of containerd's `api/types/runtimeoptions/v1/api.proto`, by their numbers.
    const GENERIC_FIELDS: [&str; 3] = ["type_url", "config_path", "config_body"];

    fn any(type_url: &str, value: &[u8]) -> Any {
        let mut any = Any::new();
        type_url.clone_into(&mut any.type_url);
        any.value = value.to_vec();
        any
    }

    #[test]
    fn containerd_9671_generic_options() {
        let bytes = b"\x0a\x04text\x12\x06/etc/x\x1a\x05a = 1\x20\x07";
        let config = Config { type_url: "text".into(), path: "/etc/x".into(), body: b"a = 1".to_vec() };
        for name in [GENERIC, GENERIC_OLD, "types.example/runtimeoptions.v1.Options"] {
            assert_eq!(Options::read(&any(name, bytes)).unwrap(), Options::Generic(config.clone()));
        }
        assert_eq!(Options::read(&any(GENERIC, b"")).unwrap(), Options::Generic(Config::default()));
    }

    #[test]
    fn runc_options_and_none() {
        let mut runc = oci::Options::new();
        runc.binary_name = "crun".into();
        let read = Options::read(&any(RUNC, &runc.write_to_bytes().unwrap())).unwrap();
        assert_eq!(read, Options::Runc(Box::new(runc)));
        assert_eq!(Options::read(&Any::new()).unwrap(), Options::None);
    }

    #[test]
    fn options_of_containerd_1_for_runtimes_of_other_names() {
        let bytes = b"\x08\x01\x20\x01\x40\x01\x4a\x02/g\x50\xa0\x8d\x06\x58\x07";
        let Options::Runc(options) = Options::read(&any(RUNC_OLD, bytes)).unwrap() else {
            panic!("not runc's")
        };
        assert_eq!((options.io_uid, options.io_gid, options.shim_cgroup.as_str()), (100_000, 7, "/g"));
        assert!(options.no_pivot_root && options.no_new_keyring);
    }

    /// The fields in a table of the documents, by the words above it.
    fn documented(words: &str) -> Vec<String> {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ENGINES.md");
        let text = std::fs::read_to_string(page).unwrap();
        let rows = text.lines().skip_while(|line| !line.starts_with(words));
        let rows = rows.skip_while(|line| !line.starts_with("|--")).skip(1);
        let rows = rows.take_while(|line| line.starts_with('|'));
        rows.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect()
    }

    /// A field that a later containerd adds gets an effect, or is said to have none.
    #[test]
    fn every_field_is_in_the_documents() {
        let message = oci::Options::descriptor();
        let fields = message.fields().map(|field| field.name().to_owned());
        assert_eq!(documented("`containerd.runc.v1.Options`:"), fields.collect::<Vec<_>>());
        assert_eq!(documented("`runtimeoptions.v1.Options`"), GENERIC_FIELDS);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (any, part) in [
            (any("windows.v1.Options", b""), "`windows.v1.Options`"),
            (any(GENERIC, b"\x0a\x7f"), GENERIC),
            (any(RUNC, b"\x0a"), RUNC),
            (any(RUNC_OLD, b"\x50"), RUNC_OLD),
        ] {
            let message = Options::read(&any).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}

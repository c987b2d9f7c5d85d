//! Runtime options in protobuf: the first byte chooses the type.
#![no_main]

mod shim;

use containerd_shim_protos::api::CheckpointTaskRequest;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use libfuzzer_sys::fuzz_target;
use oci::options::{self, Options};
use shim::{error, oci};

const TYPES: [&str; 6] = [
    "containerd.runc.v1.Options",
    "containerd.linux.runc.CreateOptions",
    "runtimeoptions.v1.Options",
    "types.example/runtimeoptions.v1.Options",
    "cri.runtimeoptions.v1.Options",
    "",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, value)) = bytes.split_first() else { return };
    let kind = TYPES[usize::from(*kind) % TYPES.len()];
    let any = Any { type_url: kind.to_owned(), value: value.to_vec(), ..Any::default() };
    match Options::read(&any) {
        Ok(options) => {
            assert_eq!(Options::read(&any).expect("as before"), options);
            assert_eq!(options == Options::None, kind.is_empty());
        }
        Err(error) => assert!(error.to_string().contains(kind), "the type is named"),
    }
    let request = CheckpointTaskRequest { options: Some(any).into(), ..CheckpointTaskRequest::default() };
    let _ = options::checkpoint(&request);
});

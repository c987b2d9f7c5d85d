//! Messages in protobuf's `Any`, as containerd's typeurl package packs them.

use containerd_shim_protos::protobuf::MessageDyn;
use containerd_shim_protos::protobuf::well_known_types::any::Any;

/// Packs a message under its bare name: typeurl wants no host in front of it.
pub(crate) fn pack(message: &dyn MessageDyn) -> Any {
    let mut any = Any::new();
    message.descriptor_dyn().full_name().clone_into(&mut any.type_url);
    // Cannot fail for a message without required fields, and proto3 has no others.
    any.value = message.write_to_bytes_dyn().unwrap_or_default();
    any
}

/// The name of the type in an `Any`, which other packers put a host in front of.
pub(crate) fn name(any: &Any) -> &str {
    any.type_url.rsplit('/').next().unwrap_or_default()
}

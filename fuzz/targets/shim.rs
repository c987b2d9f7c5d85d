//! What the shim's readers share, which are parts of a program and not of a library. It is no target.

#[path = "../../micrun/shim/src/error.rs"]
pub mod error;

/// The shim's room `oci`, as far as it only reads.
#[path = "."]
pub mod oci {
    #[path = "../../micrun/shim/src/oci/any.rs"]
    pub mod any;
    #[path = "../../micrun/shim/src/oci/bundle.rs"]
    pub mod bundle;
    #[path = "."]
    pub mod mount {
        #[allow(dead_code, reason = "sandboxes build what mounts read")]
        #[path = "../../micrun/shim/src/oci/mount/id_map.rs"]
        mod id_map;
        #[allow(unused_imports, reason = "of the targets, sandboxes alone have it")]
        pub(crate) use id_map::IdMap;
    }
    #[path = "../../micrun/shim/src/oci/options.rs"]
    pub mod options;
    #[path = "../../micrun/shim/src/oci/resources.rs"]
    pub mod resources;
}

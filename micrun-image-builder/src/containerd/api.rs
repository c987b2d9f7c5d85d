//! The messages of containerd's API that are used here, as `api/services` and `api/types` of its sources number their
//! fields. The compiler that makes them of those files needs protoc, which no build of a product has.

use std::collections::HashMap;

use prost::Message;

/// A blob as a manifest names it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Descriptor {
    #[prost(string, tag = "1")]
    pub(super) media_type: String,
    #[prost(string, tag = "2")]
    pub(super) digest: String,
    #[prost(int64, tag = "3")]
    pub(super) size: i64,
    #[prost(map = "string, string", tag = "5")]
    pub(super) annotations: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Empty {}

/// `google.protobuf.FieldMask`: which fields of a message count.
#[derive(Clone, PartialEq, Message)]
pub(super) struct FieldMask {
    #[prost(string, repeated, tag = "1")]
    pub(super) paths: Vec<String>,
}

/// `containerd.services.content.v1`.
pub(super) mod content {
    use super::{FieldMask, HashMap, Message};

    pub(crate) const INFO: &str = "/containerd.services.content.v1.Content/Info";
    pub(crate) const UPDATE: &str = "/containerd.services.content.v1.Content/Update";
    pub(crate) const READ: &str = "/containerd.services.content.v1.Content/Read";
    pub(crate) const WRITE: &str = "/containerd.services.content.v1.Content/Write";
    pub(crate) const ABORT: &str = "/containerd.services.content.v1.Content/Abort";

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Info {
        #[prost(string, tag = "1")]
        pub(crate) digest: String,
        #[prost(int64, tag = "2")]
        pub(crate) size: i64,
        #[prost(map = "string, string", tag = "5")]
        pub(crate) labels: HashMap<String, String>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct InfoRequest {
        #[prost(string, tag = "1")]
        pub(crate) digest: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct InfoResponse {
        #[prost(message, optional, tag = "1")]
        pub(crate) info: Option<Info>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct UpdateRequest {
        #[prost(message, optional, tag = "1")]
        pub(crate) info: Option<Info>,
        #[prost(message, optional, tag = "2")]
        pub(crate) update_mask: Option<FieldMask>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct ReadRequest {
        #[prost(string, tag = "1")]
        pub(crate) digest: String,
        #[prost(int64, tag = "2")]
        pub(crate) offset: i64,
        #[prost(int64, tag = "3")]
        pub(crate) size: i64,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct ReadResponse {
        #[prost(int64, tag = "1")]
        pub(crate) offset: i64,
        #[prost(bytes = "bytes", tag = "2")]
        pub(crate) data: bytes::Bytes,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
    #[repr(i32)]
    pub(crate) enum Action {
        Stat = 0,
        Write = 1,
        Commit = 2,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct WriteRequest {
        #[prost(enumeration = "Action", tag = "1")]
        pub(crate) action: i32,
        #[prost(string, tag = "2")]
        pub(crate) r#ref: String,
        #[prost(int64, tag = "3")]
        pub(crate) total: i64,
        #[prost(string, tag = "4")]
        pub(crate) expected: String,
        #[prost(int64, tag = "5")]
        pub(crate) offset: i64,
        #[prost(bytes = "bytes", tag = "6")]
        pub(crate) data: bytes::Bytes,
        #[prost(map = "string, string", tag = "7")]
        pub(crate) labels: HashMap<String, String>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct WriteResponse {
        #[prost(enumeration = "Action", tag = "1")]
        pub(crate) action: i32,
        #[prost(int64, tag = "4")]
        pub(crate) offset: i64,
        #[prost(int64, tag = "5")]
        pub(crate) total: i64,
        #[prost(string, tag = "6")]
        pub(crate) digest: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct AbortRequest {
        #[prost(string, tag = "1")]
        pub(crate) r#ref: String,
    }
}

/// `containerd.services.images.v1`.
pub(super) mod images {
    use super::{Descriptor, FieldMask, HashMap, Message};

    pub(crate) const GET: &str = "/containerd.services.images.v1.Images/Get";
    pub(crate) const CREATE: &str = "/containerd.services.images.v1.Images/Create";
    pub(crate) const UPDATE: &str = "/containerd.services.images.v1.Images/Update";

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Image {
        #[prost(string, tag = "1")]
        pub(crate) name: String,
        #[prost(map = "string, string", tag = "2")]
        pub(crate) labels: HashMap<String, String>,
        #[prost(message, optional, tag = "3")]
        pub(crate) target: Option<Descriptor>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct GetRequest {
        #[prost(string, tag = "1")]
        pub(crate) name: String,
    }

    /// The answer of `Get`, `Create` and `Update`.
    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Response {
        #[prost(message, optional, tag = "1")]
        pub(crate) image: Option<Image>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct CreateRequest {
        #[prost(message, optional, tag = "1")]
        pub(crate) image: Option<Image>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct UpdateRequest {
        #[prost(message, optional, tag = "1")]
        pub(crate) image: Option<Image>,
        #[prost(message, optional, tag = "2")]
        pub(crate) update_mask: Option<FieldMask>,
    }
}

/// `containerd.services.leases.v1`.
pub(super) mod leases {
    use super::{HashMap, Message};

    pub(crate) const CREATE: &str = "/containerd.services.leases.v1.Leases/Create";
    pub(crate) const DELETE: &str = "/containerd.services.leases.v1.Leases/Delete";

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct CreateRequest {
        #[prost(string, tag = "1")]
        pub(crate) id: String,
        #[prost(map = "string, string", tag = "3")]
        pub(crate) labels: HashMap<String, String>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct DeleteRequest {
        #[prost(string, tag = "1")]
        pub(crate) id: String,
        /// Whether what nothing else holds is removed before the answer.
        #[prost(bool, tag = "2")]
        pub(crate) sync: bool,
    }
}

/// `containerd.services.snapshots.v1` and `containerd.services.diff.v1`.
pub(super) mod snapshots {
    use super::{Descriptor, HashMap, Message};

    pub(crate) const STAT: &str = "/containerd.services.snapshots.v1.Snapshots/Stat";
    pub(crate) const PREPARE: &str = "/containerd.services.snapshots.v1.Snapshots/Prepare";
    pub(crate) const COMMIT: &str = "/containerd.services.snapshots.v1.Snapshots/Commit";
    pub(crate) const REMOVE: &str = "/containerd.services.snapshots.v1.Snapshots/Remove";
    pub(crate) const APPLY: &str = "/containerd.services.diff.v1.Diff/Apply";

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Mount {
        #[prost(string, tag = "1")]
        pub(crate) r#type: String,
        #[prost(string, tag = "2")]
        pub(crate) source: String,
        #[prost(string, tag = "3")]
        pub(crate) target: String,
        #[prost(string, repeated, tag = "4")]
        pub(crate) options: Vec<String>,
    }

    /// The request of `Stat` and `Remove`.
    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct KeyRequest {
        #[prost(string, tag = "1")]
        pub(crate) snapshotter: String,
        #[prost(string, tag = "2")]
        pub(crate) key: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct PrepareRequest {
        #[prost(string, tag = "1")]
        pub(crate) snapshotter: String,
        #[prost(string, tag = "2")]
        pub(crate) key: String,
        #[prost(string, tag = "3")]
        pub(crate) parent: String,
        #[prost(map = "string, string", tag = "4")]
        pub(crate) labels: HashMap<String, String>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct PrepareResponse {
        #[prost(message, repeated, tag = "1")]
        pub(crate) mounts: Vec<Mount>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct CommitRequest {
        #[prost(string, tag = "1")]
        pub(crate) snapshotter: String,
        #[prost(string, tag = "2")]
        pub(crate) name: String,
        #[prost(string, tag = "3")]
        pub(crate) key: String,
        #[prost(map = "string, string", tag = "4")]
        pub(crate) labels: HashMap<String, String>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct ApplyRequest {
        #[prost(message, optional, tag = "1")]
        pub(crate) diff: Option<Descriptor>,
        #[prost(message, repeated, tag = "2")]
        pub(crate) mounts: Vec<Mount>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct ApplyResponse {
        #[prost(message, optional, tag = "1")]
        pub(crate) applied: Option<Descriptor>,
    }
}

//! The messages of containerd's API that are used here, as `api/services` and `api/types` of its sources number their
//! fields, by their names there. The compiler that makes them of those files needs protoc, which no build of a product has.

#![expect(missing_docs, reason = "the messages and their fields are containerd's, and documented there")]

use std::collections::HashMap;

use prost::Message;

/// A blob as a manifest names it.
#[derive(Clone, PartialEq, Message)]
pub struct Descriptor {
    #[prost(string, tag = "1")]
    pub media_type: String,
    #[prost(string, tag = "2")]
    pub digest: String,
    #[prost(int64, tag = "3")]
    pub size: i64,
    #[prost(map = "string, string", tag = "5")]
    pub annotations: HashMap<String, String>,
}

/// `google.protobuf.Empty`.
#[derive(Clone, PartialEq, Message)]
pub struct Empty {}

/// `google.protobuf.Any`: bytes, and what they are.
#[derive(Clone, PartialEq, Message)]
pub struct Any {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub value: bytes::Bytes,
}

/// `google.protobuf.FieldMask`: which fields of a message count.
#[derive(Clone, PartialEq, Message)]
pub struct FieldMask {
    #[prost(string, repeated, tag = "1")]
    pub paths: Vec<String>,
}

/// `containerd.services.content.v1`.
pub mod content {
    use super::{FieldMask, HashMap, Message};

    pub const INFO: &str = "/containerd.services.content.v1.Content/Info";
    pub const UPDATE: &str = "/containerd.services.content.v1.Content/Update";
    pub const READ: &str = "/containerd.services.content.v1.Content/Read";
    pub const WRITE: &str = "/containerd.services.content.v1.Content/Write";
    pub const ABORT: &str = "/containerd.services.content.v1.Content/Abort";

    #[derive(Clone, PartialEq, Message)]
    pub struct Info {
        #[prost(string, tag = "1")]
        pub digest: String,
        #[prost(int64, tag = "2")]
        pub size: i64,
        #[prost(map = "string, string", tag = "5")]
        pub labels: HashMap<String, String>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct InfoRequest {
        #[prost(string, tag = "1")]
        pub digest: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct InfoResponse {
        #[prost(message, optional, tag = "1")]
        pub info: Option<Info>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct UpdateRequest {
        #[prost(message, optional, tag = "1")]
        pub info: Option<Info>,
        #[prost(message, optional, tag = "2")]
        pub update_mask: Option<FieldMask>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct ReadRequest {
        #[prost(string, tag = "1")]
        pub digest: String,
        #[prost(int64, tag = "2")]
        pub offset: i64,
        #[prost(int64, tag = "3")]
        pub size: i64,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct ReadResponse {
        #[prost(int64, tag = "1")]
        pub offset: i64,
        #[prost(bytes = "bytes", tag = "2")]
        pub data: bytes::Bytes,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
    #[repr(i32)]
    pub enum Action {
        Stat = 0,
        Write = 1,
        Commit = 2,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct WriteRequest {
        #[prost(enumeration = "Action", tag = "1")]
        pub action: i32,
        #[prost(string, tag = "2")]
        pub r#ref: String,
        #[prost(int64, tag = "3")]
        pub total: i64,
        #[prost(string, tag = "4")]
        pub expected: String,
        #[prost(int64, tag = "5")]
        pub offset: i64,
        #[prost(bytes = "bytes", tag = "6")]
        pub data: bytes::Bytes,
        #[prost(map = "string, string", tag = "7")]
        pub labels: HashMap<String, String>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct WriteResponse {
        #[prost(enumeration = "Action", tag = "1")]
        pub action: i32,
        #[prost(int64, tag = "4")]
        pub offset: i64,
        #[prost(int64, tag = "5")]
        pub total: i64,
        #[prost(string, tag = "6")]
        pub digest: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct AbortRequest {
        #[prost(string, tag = "1")]
        pub r#ref: String,
    }
}

/// `containerd.services.images.v1`.
pub mod images {
    use super::{Descriptor, FieldMask, HashMap, Message};

    pub const GET: &str = "/containerd.services.images.v1.Images/Get";
    pub const CREATE: &str = "/containerd.services.images.v1.Images/Create";
    pub const UPDATE: &str = "/containerd.services.images.v1.Images/Update";

    #[derive(Clone, PartialEq, Message)]
    pub struct Image {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(map = "string, string", tag = "2")]
        pub labels: HashMap<String, String>,
        #[prost(message, optional, tag = "3")]
        pub target: Option<Descriptor>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct GetRequest {
        #[prost(string, tag = "1")]
        pub name: String,
    }

    /// The answer of `Get`, `Create` and `Update`.
    #[derive(Clone, PartialEq, Message)]
    pub struct Response {
        #[prost(message, optional, tag = "1")]
        pub image: Option<Image>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct CreateRequest {
        #[prost(message, optional, tag = "1")]
        pub image: Option<Image>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct UpdateRequest {
        #[prost(message, optional, tag = "1")]
        pub image: Option<Image>,
        #[prost(message, optional, tag = "2")]
        pub update_mask: Option<FieldMask>,
    }
}

/// `containerd.services.leases.v1`.
pub mod leases {
    use super::{HashMap, Message};

    pub const CREATE: &str = "/containerd.services.leases.v1.Leases/Create";
    pub const DELETE: &str = "/containerd.services.leases.v1.Leases/Delete";

    #[derive(Clone, PartialEq, Message)]
    pub struct CreateRequest {
        #[prost(string, tag = "1")]
        pub id: String,
        #[prost(map = "string, string", tag = "3")]
        pub labels: HashMap<String, String>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct DeleteRequest {
        #[prost(string, tag = "1")]
        pub id: String,
        /// Whether what nothing else holds is removed before the answer.
        #[prost(bool, tag = "2")]
        pub sync: bool,
    }
}

/// `containerd.services.snapshots.v1` and `containerd.services.diff.v1`.
pub mod snapshots {
    use super::{Descriptor, HashMap, Message};

    pub const STAT: &str = "/containerd.services.snapshots.v1.Snapshots/Stat";
    pub const PREPARE: &str = "/containerd.services.snapshots.v1.Snapshots/Prepare";
    pub const COMMIT: &str = "/containerd.services.snapshots.v1.Snapshots/Commit";
    pub const REMOVE: &str = "/containerd.services.snapshots.v1.Snapshots/Remove";
    pub const APPLY: &str = "/containerd.services.diff.v1.Diff/Apply";

    #[derive(Clone, PartialEq, Message)]
    pub struct Mount {
        #[prost(string, tag = "1")]
        pub r#type: String,
        #[prost(string, tag = "2")]
        pub source: String,
        #[prost(string, tag = "3")]
        pub target: String,
        #[prost(string, repeated, tag = "4")]
        pub options: Vec<String>,
    }

    /// The request of `Stat` and `Remove`.
    #[derive(Clone, PartialEq, Message)]
    pub struct KeyRequest {
        #[prost(string, tag = "1")]
        pub snapshotter: String,
        #[prost(string, tag = "2")]
        pub key: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct PrepareRequest {
        #[prost(string, tag = "1")]
        pub snapshotter: String,
        #[prost(string, tag = "2")]
        pub key: String,
        #[prost(string, tag = "3")]
        pub parent: String,
        #[prost(map = "string, string", tag = "4")]
        pub labels: HashMap<String, String>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct PrepareResponse {
        #[prost(message, repeated, tag = "1")]
        pub mounts: Vec<Mount>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct CommitRequest {
        #[prost(string, tag = "1")]
        pub snapshotter: String,
        #[prost(string, tag = "2")]
        pub name: String,
        #[prost(string, tag = "3")]
        pub key: String,
        #[prost(map = "string, string", tag = "4")]
        pub labels: HashMap<String, String>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct ApplyRequest {
        #[prost(message, optional, tag = "1")]
        pub diff: Option<Descriptor>,
        #[prost(message, repeated, tag = "2")]
        pub mounts: Vec<Mount>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct ApplyResponse {
        #[prost(message, optional, tag = "1")]
        pub applied: Option<Descriptor>,
    }
}

/// `containerd.services.containers.v1`.
pub mod containers {
    use super::{Any, HashMap, Message};

    pub const GET: &str = "/containerd.services.containers.v1.Containers/Get";
    pub const CREATE: &str = "/containerd.services.containers.v1.Containers/Create";
    pub const DELETE: &str = "/containerd.services.containers.v1.Containers/Delete";

    #[derive(Clone, PartialEq, Message)]
    pub struct Runtime {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(message, optional, tag = "2")]
        pub options: Option<Any>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct Container {
        #[prost(string, tag = "1")]
        pub id: String,
        #[prost(map = "string, string", tag = "2")]
        pub labels: HashMap<String, String>,
        #[prost(string, tag = "3")]
        pub image: String,
        #[prost(message, optional, tag = "4")]
        pub runtime: Option<Runtime>,
        #[prost(message, optional, tag = "5")]
        pub spec: Option<Any>,
        #[prost(string, tag = "6")]
        pub snapshotter: String,
        #[prost(string, tag = "7")]
        pub snapshot_key: String,
    }

    /// The request of `Get` and `Delete`.
    #[derive(Clone, PartialEq, Message)]
    pub struct IdRequest {
        #[prost(string, tag = "1")]
        pub id: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct CreateRequest {
        #[prost(message, optional, tag = "1")]
        pub container: Option<Container>,
    }

    /// The answer of `Get` and `Create`.
    #[derive(Clone, PartialEq, Message)]
    pub struct Response {
        #[prost(message, optional, tag = "1")]
        pub container: Option<Container>,
    }
}

/// `containerd.services.tasks.v1` and `containerd.v1.types`.
pub mod tasks {
    use super::Message;
    use super::snapshots::Mount;

    pub const CREATE: &str = "/containerd.services.tasks.v1.Tasks/Create";
    pub const START: &str = "/containerd.services.tasks.v1.Tasks/Start";
    pub const GET: &str = "/containerd.services.tasks.v1.Tasks/Get";
    pub const KILL: &str = "/containerd.services.tasks.v1.Tasks/Kill";
    pub const WAIT: &str = "/containerd.services.tasks.v1.Tasks/Wait";
    pub const DELETE: &str = "/containerd.services.tasks.v1.Tasks/Delete";

    #[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
    #[repr(i32)]
    pub enum Status {
        Unknown = 0,
        Created = 1,
        Running = 2,
        Stopped = 3,
        Paused = 4,
        Pausing = 5,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct Process {
        #[prost(uint32, tag = "3")]
        pub pid: u32,
        #[prost(enumeration = "Status", tag = "4")]
        pub status: i32,
        #[prost(uint32, tag = "9")]
        pub exit_status: u32,
    }

    /// A task without streams: its output is to be had elsewhere.
    #[derive(Clone, PartialEq, Message)]
    pub struct CreateRequest {
        #[prost(string, tag = "1")]
        pub container_id: String,
        #[prost(message, repeated, tag = "3")]
        pub rootfs: Vec<Mount>,
    }

    /// The request of `Start`, `Get`, `Wait` and `Delete`.
    #[derive(Clone, PartialEq, Message)]
    pub struct IdRequest {
        #[prost(string, tag = "1")]
        pub container_id: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct GetResponse {
        #[prost(message, optional, tag = "1")]
        pub process: Option<Process>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct KillRequest {
        #[prost(string, tag = "1")]
        pub container_id: String,
        #[prost(uint32, tag = "3")]
        pub signal: u32,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct WaitResponse {
        #[prost(uint32, tag = "1")]
        pub exit_status: u32,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct DeleteResponse {
        #[prost(uint32, tag = "3")]
        pub exit_status: u32,
    }
}

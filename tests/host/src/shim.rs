//! What no client of containerd's command line asks of a shim, asked as containerd asks.

use containerd_shim_protos::api::UpdateTaskRequest;
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::ttrpc::{Client, Request};

use crate::wait;

/// Where shims listen.
const SOCKETS: &str = "/run/containerd/s";

/// Has the only shim update a container, with this annotation; the error is its message.
pub fn update(id: &str, key: &str, value: &str) -> Result<(), String> {
    let sockets: Vec<_> =
        std::fs::read_dir(SOCKETS).expect("a shim runs").map(|entry| entry.unwrap().path()).collect();
    let [socket] = sockets.as_slice() else { panic!("there is one shim: {sockets:?}") };
    let client = Client::connect(&format!("unix://{}", socket.display())).expect("the shim listens");
    let mut update = UpdateTaskRequest::new();
    id.clone_into(&mut update.id);
    update.annotations.insert(key.to_owned(), value.to_owned());
    let mut request = Request::new();
    "containerd.task.v2.Task".clone_into(&mut request.service);
    "Update".clone_into(&mut request.method);
    request.payload = update.write_to_bytes().expect("a request can be encoded");
    request.timeout_nano = i64::try_from(wait::LIMIT.as_nanos()).expect("it is short");
    client.request(request).map(drop).map_err(|error| error.to_string())
}

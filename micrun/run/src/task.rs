//! What runs of a container.

use micrun_containerd::api::Empty;
use micrun_containerd::api::snapshots::Mount;
use micrun_containerd::api::tasks::{
    self, CreateRequest, DeleteResponse, GetResponse, IdRequest, KillRequest, Status, WaitResponse,
};
use micrun_containerd::{Client, Error as Refusal, is_missing};

use crate::error::Result;

fn id(name: &str) -> IdRequest {
    IdRequest { container_id: name.to_owned() }
}

/// The state of its task, if it has one.
pub(crate) async fn state(client: &Client, name: &str) -> Result<Option<Status>> {
    let found: Result<GetResponse, _> = client.call(tasks::GET, id(name)).await;
    match found {
        Ok(found) => Ok(found.process.map(|it| it.status())),
        Err(status) if is_missing(&status) => Ok(None),
        Err(status) => Err(Refusal::refused(format!("look for the task of {name}"), &status).into()),
    }
}

/// Makes the task: the shim has looked at the firmware.
pub(crate) async fn create(client: &Client, name: &str, rootfs: Vec<Mount>) -> Result<()> {
    let request = CreateRequest { container_id: name.to_owned(), rootfs };
    let created: Result<Empty, _> = client.call(tasks::CREATE, request).await;
    Ok(created.map(|_| ()).map_err(|status| Refusal::refused(format!("create {name}"), &status))?)
}

/// Starts what was made.
pub(crate) async fn start(client: &Client, name: &str) -> Result<()> {
    let started: Result<Empty, _> = client.call(tasks::START, id(name)).await;
    Ok(started.map(|_| ()).map_err(|status| Refusal::refused(format!("start {name}"), &status))?)
}

/// Sends a signal; to what has ended, none.
pub(crate) async fn kill(client: &Client, name: &str, signal: u32) -> Result<()> {
    let request = KillRequest { container_id: name.to_owned(), signal };
    let killed: Result<Empty, _> = client.call(tasks::KILL, request).await;
    match killed {
        Err(status) if !is_missing(&status) => {
            Err(Refusal::refused(format!("send signal {signal} to {name}"), &status).into())
        }
        _ => Ok(()),
    }
}

/// Waits for its end.
pub(crate) async fn wait(client: &Client, name: &str) -> Result<u32> {
    let ended: Result<WaitResponse, _> = client.call(tasks::WAIT, id(name)).await;
    let refused = |status| Refusal::refused(format!("wait for {name}"), &status);
    Ok(ended.map_err(refused)?.exit_status)
}

/// Removes a task that has ended.
pub(crate) async fn remove(client: &Client, name: &str) -> Result<()> {
    let removed: Result<DeleteResponse, _> = client.call(tasks::DELETE, id(name)).await;
    match removed {
        Err(status) if !is_missing(&status) => {
            Err(Refusal::refused(format!("remove the task of {name}"), &status).into())
        }
        _ => Ok(()),
    }
}

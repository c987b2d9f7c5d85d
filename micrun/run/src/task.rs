//! What runs of a container.

use micrun_containerd::Client;
use micrun_containerd::api::Empty;
use micrun_containerd::api::snapshots::Mount;
use micrun_containerd::api::tasks::{
    self, CreateRequest, DeleteResponse, GetResponse, IdRequest, KillRequest, Status, WaitResponse,
};

use crate::error::Result;

fn id(name: &str) -> IdRequest {
    IdRequest { container_id: name.to_owned() }
}

/// The state of its task, if it has one.
pub(crate) async fn state(client: &Client, name: &str) -> Result<Option<Status>> {
    let what = format!("look for the task of {name}");
    let found: Option<GetResponse> = client.ask_of(tasks::GET, id(name), what).await?;
    Ok(found.and_then(|it| it.process).map(|it| it.status()))
}

/// Makes the task: the shim has looked at the firmware.
pub(crate) async fn create(client: &Client, name: &str, rootfs: Vec<Mount>) -> Result<()> {
    let request = CreateRequest { container_id: name.to_owned(), rootfs };
    let _: Empty = client.ask(tasks::CREATE, request, format!("create {name}")).await?;
    Ok(())
}

/// Starts what was made.
pub(crate) async fn start(client: &Client, name: &str) -> Result<()> {
    let _: Empty = client.ask(tasks::START, id(name), format!("start {name}")).await?;
    Ok(())
}

/// Sends a signal; to what has ended, none.
pub(crate) async fn kill(client: &Client, name: &str, signal: u32) -> Result<()> {
    let request = KillRequest { container_id: name.to_owned(), signal };
    let what = format!("send signal {signal} to {name}");
    let _: Option<Empty> = client.ask_of(tasks::KILL, request, what).await?;
    Ok(())
}

/// Waits for its end.
pub(crate) async fn wait(client: &Client, name: &str) -> Result<u32> {
    let ended: WaitResponse = client.ask(tasks::WAIT, id(name), format!("wait for {name}")).await?;
    Ok(ended.exit_status)
}

/// Removes a task that has ended.
pub(crate) async fn remove(client: &Client, name: &str) -> Result<()> {
    let what = format!("remove the task of {name}");
    let _: Option<DeleteResponse> = client.ask_of(tasks::DELETE, id(name), what).await?;
    Ok(())
}

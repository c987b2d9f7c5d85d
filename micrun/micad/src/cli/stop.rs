//! `mica stop`.

use anyhow::bail;
use libmica::{Client, ClientState, Error, Result};
use tokio::task::JoinSet;

use super::names;

/// How long firmware that is asked to end may take when nothing else is said, in seconds.
const PATIENCE: u16 = 10;

/// Ends a client's firmware: asks it to end if there is a way to, or cuts its power `now`. It has ended when this returns.
pub(super) async fn stop(client: &Client, name: &str, now: bool) -> Result<()> {
    if now {
        return client.stop(name).await;
    }
    match client.shutdown(name, Some(PATIENCE)).await {
        Ok(()) if is_on(client, name).await? => client.wait(name).await.map(drop),
        Err(Error::Unsupported { .. }) => client.stop(name).await,
        other => other,
    }
}

/// Stops what runs. One that cannot be stopped does not stop the others from being so.
pub(super) async fn stop_all(client: &Client, now: bool) -> anyhow::Result<()> {
    let mut stops = JoinSet::new();
    for name in names(client.dir())? {
        let client = client.clone();
        stops.spawn(async move { stop_running(&client, &name, now).await.map_err(|error| (name, error)) });
    }
    let mut failed = 0;
    while let Some(stopped) = stops.join_next().await {
        if let Err((name, error)) = stopped? {
            eprintln!("mica: cannot stop {name}: {error}");
            failed += 1;
        }
    }
    if failed > 0 {
        bail!("{failed} of the clients could not be stopped");
    }
    Ok(())
}

async fn stop_running(client: &Client, name: &str, now: bool) -> Result<()> {
    if is_on(client, name).await? { stop(client, name, now).await } else { Ok(()) }
}

async fn is_on(client: &Client, name: &str) -> Result<bool> {
    Ok(matches!(client.status(name).await?.state, ClientState::Running | ClientState::Suspended))
}

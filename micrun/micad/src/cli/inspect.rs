//! Everything about one client, also about one that was removed.

use libmica::{Client, Error};
use serde_json::{Value, json};

/// The daemon's document. Of a client that was removed there is only how its runs have ended.
pub(super) async fn inspect(client: &Client, name: &str) -> libmica::Result<Value> {
    match client.inspect(name).await {
        Err(missing @ Error::ClientNotFound { .. }) => {
            let history = client.history().await?;
            let known = history.clients.into_iter().find(|known| known.name == name);
            known.map(|it| json!({"name": it.name, "removed": true, "history": it.ends})).ok_or(missing)
        }
        found => found,
    }
}

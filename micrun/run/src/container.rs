//! The container in containerd's books.

use std::collections::HashMap;

use micrun_containerd::api::containers::{self, Container, CreateRequest, IdRequest, Response, Runtime};
use micrun_containerd::api::snapshots::{self, KeyRequest, Mount, PrepareRequest, PrepareResponse};
use micrun_containerd::api::{Any, Empty};
use micrun_containerd::{Client, Error as Refusal, is_missing};

use crate::args::Args;
use crate::error::Result;
use crate::image::Image;

const RUNTIME: &str = "io.containerd.mica.v2";
/// What this program has made, it may remove.
const OURS: &str = "org.openeuler.micrun.autostart";

/// The container of this name.
pub(crate) async fn find(client: &Client, name: &str) -> Result<Option<Container>> {
    let found: Result<Response, _> = client.call(containers::GET, IdRequest { id: name.to_owned() }).await;
    match found {
        Ok(found) => Ok(found.container),
        Err(status) if is_missing(&status) => Ok(None),
        Err(status) => Err(Refusal::refused(format!("look for the container {name}"), &status).into()),
    }
}

/// Whether this program has made it.
pub(crate) fn is_ours(container: &Container) -> bool {
    container.labels.contains_key(OURS)
}

/// Makes the container; gives what its file system is mounted from.
pub(crate) async fn create(
    client: &Client,
    args: &Args,
    image: &Image,
    name: &str,
    spec: Any,
) -> Result<Vec<Mount>> {
    let refused = |status| Refusal::refused(format!("make the container {}", args.name), &status);
    let of_image = image.config.config().as_ref().and_then(|it| it.labels().clone()).unwrap_or_default();
    let mut labels: HashMap<_, _> = of_image.into_iter().chain(args.labels.iter().cloned()).collect();
    labels.insert(OURS.to_owned(), "true".to_owned());
    let container = Container {
        id: args.name.clone(),
        labels,
        image: name.to_owned(),
        runtime: Some(Runtime { name: RUNTIME.to_owned(), options: None }),
        spec: Some(spec),
        snapshotter: args.snapshotter.clone(),
        snapshot_key: args.name.clone(),
    };
    // Before its files, so that they are somebody's from the first on, and need no lease.
    let request = CreateRequest { container: Some(container.clone()) };
    let _: Response = client.call(containers::CREATE, request).await.map_err(refused)?;
    let prepare = PrepareRequest {
        snapshotter: args.snapshotter.clone(),
        key: args.name.clone(),
        parent: image.snapshot.clone(),
        labels: HashMap::new(),
    };
    let prepared: Result<PrepareResponse, _> = client.call(snapshots::PREPARE, prepare).await;
    match prepared {
        Ok(prepared) => Ok(prepared.mounts),
        Err(status) => {
            remove(client, &container).await?;
            Err(refused(status).into())
        }
    }
}

/// Removes a container that has no task, with its files.
pub(crate) async fn remove(client: &Client, container: &Container) -> Result<()> {
    let request = IdRequest { id: container.id.clone() };
    let removed: Result<Empty, _> = client.call(containers::DELETE, request).await;
    match removed {
        Err(status) if !is_missing(&status) => {
            return Err(Refusal::refused(format!("remove the container {}", container.id), &status).into());
        }
        _ => {}
    }
    remove_snapshot(client, &container.snapshotter, &container.snapshot_key).await
}

async fn remove_snapshot(client: &Client, snapshotter: &str, key: &str) -> Result<()> {
    let request = KeyRequest { snapshotter: snapshotter.to_owned(), key: key.to_owned() };
    let removed: Result<Empty, _> = client.call(snapshots::REMOVE, request).await;
    match removed {
        Err(status) if !is_missing(&status) => {
            Err(Refusal::refused(format!("remove the files of {key}"), &status).into())
        }
        _ => Ok(()),
    }
}

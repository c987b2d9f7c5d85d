//! The container in containerd's books.

use std::collections::HashMap;

use micrun_containerd::Client;
use micrun_containerd::api::containers::{self, Container, CreateRequest, IdRequest, Response, Runtime};
use micrun_containerd::api::snapshots::{self, KeyRequest, Mount, PrepareRequest, PrepareResponse};
use micrun_containerd::api::{Any, Empty};

use crate::args::Args;
use crate::error::Result;
use crate::image::Image;

const RUNTIME: &str = "io.containerd.mica.v2";
/// What this program has made, it may remove.
const OURS: &str = "org.openeuler.micrun.autostart";

/// The container of this name.
pub(crate) async fn find(client: &Client, name: &str) -> Result<Option<Container>> {
    let what = format!("look for the container {name}");
    let request = IdRequest { id: name.to_owned() };
    let found: Option<Response> = client.ask_of(containers::GET, request, what).await?;
    Ok(found.and_then(|it| it.container))
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
    let what = format!("make the container {}", args.name);
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
    let _: Response = client.ask(containers::CREATE, request, what.as_str()).await?;
    let prepare = PrepareRequest {
        snapshotter: args.snapshotter.clone(),
        key: args.name.clone(),
        parent: image.snapshot.clone(),
        labels: HashMap::new(),
    };
    let prepared = client.ask::<_, PrepareResponse>(snapshots::PREPARE, prepare, what).await;
    if prepared.is_err() {
        remove(client, &container).await?;
    }
    Ok(prepared?.mounts)
}

/// Removes a container that has no task, with its files.
pub(crate) async fn remove(client: &Client, container: &Container) -> Result<()> {
    let request = IdRequest { id: container.id.clone() };
    let what = format!("remove the container {}", container.id);
    let _: Option<Empty> = client.ask_of(containers::DELETE, request, what).await?;
    let (snapshotter, key) = (container.snapshotter.clone(), container.snapshot_key.clone());
    let what = format!("remove the files of {key}");
    let _: Option<Empty> = client.ask_of(snapshots::REMOVE, KeyRequest { snapshotter, key }, what).await?;
    Ok(())
}

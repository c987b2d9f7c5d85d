//! Checkpoints by the runtime, where it has CRIU: into a directory, and at Start from there.

use std::path::Path;
use std::sync::Arc;

use containerd_shim_protos::api::CheckpointTaskRequest;
use containerd_shim_protos::shim::oci::CheckpointOptions;

use super::Linux;
use crate::error::{Error, Result};
use crate::oci::options;
use crate::os::lock::lock;
use crate::task::context::Context;
use crate::task::events::Event;
use crate::task::state::Attempt;

impl Linux {
    /// Writes the state of the container's processes down; they go on, unless the options say `exit`.
    pub(super) async fn save(&self, context: &Context, request: &CheckpointTaskRequest) -> Result<()> {
        let _gate = self.init.gate.lock().await;
        self.init.task.life.check(Attempt::Checkpoint)?;
        let options = options::checkpoint(request)?;
        let image = Path::new(&request.path);
        std::fs::create_dir_all(image).map_err(Error::io("create", image))?;
        self.runtime.checkpoint(image, &self.criu_work, &flags(&options)).await?;
        context.events.publish(Event::checkpointed(&self.id, &request.path));
        log::info!(container = self.id; "{}: checkpoint in {}", self.id, image.display());
        Ok(())
    }

    /// Lets the init process begin, or go on from a checkpoint.
    pub(super) async fn begin(self: &Arc<Self>, context: &Arc<Context>) -> Result<()> {
        let streams = lock(&self.waiting).take();
        match streams {
            Some(streams) => self.bring_up(context, streams).await,
            None => self.runtime.start().await,
        }
    }
}

/// The runtime's words for the options.
fn flags(options: &CheckpointOptions) -> Vec<String> {
    let switches = [
        (!options.exit, "--leave-running"),
        (options.open_tcp, "--tcp-established"),
        (options.external_unix_sockets, "--ext-unix-sk"),
        (options.terminal, "--shell-job"),
        (options.file_locks, "--file-locks"),
    ];
    let mut flags: Vec<_> =
        switches.into_iter().filter(|(wanted, _)| *wanted).map(|(_, flag)| flag.to_owned()).collect();
    flags.extend(options.empty_namespaces.iter().map(|name| format!("--empty-ns={name}")));
    let mode = Some(&options.cgroups_mode).filter(|mode| !mode.is_empty());
    flags.extend(mode.map(|mode| format!("--manage-cgroups-mode={mode}")));
    flags
}

//! What a sandbox says of itself.

use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::protobuf::well_known_types::timestamp::Timestamp;
use containerd_shim_protos::sandbox_api::{SandboxMetricsResponse, SandboxStatusResponse};
use containerd_shim_protos::types::platform::Platform;

use super::Sandbox;
use crate::cgroup::{Cgroup, Layout};
use crate::error::{Error, Result};
use crate::os::lock::lock;
use crate::task::context::Context;
use crate::task::state::State;

/// CRI's words for the two states that it knows (`PodSandboxState`).
const READY: &str = "SANDBOX_READY";
const NOT_READY: &str = "SANDBOX_NOTREADY";

impl Sandbox {
    /// Its state; `verbose` adds what `crictl inspectp` shows.
    pub(super) fn status(&self, verbose: bool) -> SandboxStatusResponse {
        let state = self.life.state();
        let pid = lock(&self.held).pid;
        let mut response = SandboxStatusResponse::new();
        response.sandbox_id.clone_from(&self.id);
        response.pid = pid;
        if matches!(state, State::Running) { READY } else { NOT_READY }.clone_into(&mut response.state);
        response.created_at = MessageField::some(Timestamp::from(self.created_at));
        response.exited_at = state.exit().map(|exit| Timestamp::from(exit.at)).into();
        if verbose {
            let info = serde_json::json!({
                "pid": pid,
                "processStatus": state.name(),
                "netNSPath": self.network,
                "hostname": self.config.hostname,
            });
            response.info.insert("info".into(), info.to_string());
        }
        response
    }

    /// What the pod uses: its cgroup's numbers or, without one, those of the shim's own, in which the holder is.
    pub(super) async fn metrics(&self, context: &Context) -> Result<SandboxMetricsResponse> {
        let layout: Layout = context.cgroups.clone().ok_or(Error::NoCgroups)?;
        let parent = &self.config.cgroup_parent;
        let cgroup = if parent.is_empty() {
            Cgroup::of_process(layout, std::process::id())?
        } else {
            Cgroup::of(layout, parent)?
        };
        let mut response = SandboxMetricsResponse::new();
        let metric = response.metrics.mut_or_insert_default();
        metric.timestamp = MessageField::some(Timestamp::now());
        metric.id.clone_from(&self.id);
        metric.data = MessageField::some(cgroup.metrics().await?);
        Ok(response)
    }
}

/// What containers run on: this machine, in the words of Go.
pub(super) fn platform() -> Platform {
    let (architecture, variant) = match std::env::consts::ARCH {
        "x86_64" => ("amd64", ""),
        "aarch64" => ("arm64", "v8"),
        "arm" => ("arm", "v7"),
        "x86" => ("386", ""),
        other => (other, ""),
    };
    let mut platform = Platform::new();
    "linux".clone_into(&mut platform.os);
    architecture.clone_into(&mut platform.architecture);
    variant.clone_into(&mut platform.variant);
    platform
}

//! Which engine runs a container: decided once, at Create, by what the image and its specification say.
//!
//! | what | engine |
//! |---|---|
//! | the sandbox of a pod, by CRI's or CRI-O's annotation | Linux |
//! | an annotation `org.openeuler.micrun.*`, or `/client.conf` in the root file system | RTOS |
//! | anything else | Linux |
//!
//! A marker that is there but wrong is the RTOS engine's to refuse: nothing falls back silently (urunc#876).

use std::path::Path;
use std::sync::Arc;

use containerd_shim_protos::api::CreateTaskRequest;
use micrun_firmware::is_firmware;

use crate::error::Result;
use crate::linux;
use crate::oci::bundle::Spec;
use crate::oci::mount::Rootfs;
use crate::oci::names;
use crate::rtos::create;
use crate::task::context::Context;
use crate::task::engine::Engine;

/// Makes a container of a Create request.
pub(crate) async fn create(context: &Arc<Context>, request: &CreateTaskRequest) -> Result<Arc<dyn Engine>> {
    names::check("container", &request.id)?;
    let bundle = Path::new(&request.bundle);
    let spec = Spec::read(bundle)?;
    let mounted = Rootfs::mount(&request.rootfs, bundle)?;
    if spec.is_sandbox() || !is_firmware(&spec.rootfs(bundle), &spec.annotations) {
        return Ok(linux::create(context, request, &spec, mounted).await?);
    }
    Ok(Arc::new(create::create(context, request, &spec, mounted).await?))
}

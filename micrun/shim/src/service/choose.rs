//! Which engine runs a container: decided once, at Create, by what the image and its specification say.
//!
//! | what | engine |
//! |---|---|
//! | the sandbox of a pod, by CRI's or CRI-O's annotation | Linux |
//! | an annotation `org.openeuler.micrun.*`, or `/client.conf` in the root file system | RTOS |
//! | anything else | Linux |
//!
//! A marker that is there but wrong is the RTOS engine's to refuse: nothing falls back silently (urunc#876).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use containerd_shim_protos::api::CreateTaskRequest;
use containerd_shim_protos::types::mount::Mount;
use micrun_firmware::is_firmware;
use micrun_trace::Span;

use crate::error::Result;
use crate::linux;
use crate::oci::bundle::Spec;
use crate::oci::mount::Rootfs;
use crate::oci::names;
use crate::os::blocking;
use crate::rtos::create;
use crate::service::attributes;
use crate::task::context::Context;
use crate::task::engine::Engine;
use crate::task::labels;

/// Makes a container of a Create request.
pub(crate) async fn create(context: &Arc<Context>, request: &CreateTaskRequest) -> Result<Arc<dyn Engine>> {
    names::check("container", &request.id)?;
    let (bundle, mounts) = (PathBuf::from(&request.bundle), request.rootfs.clone());
    let open = move || Span::internal("open image").run(|| Image::open(&bundle, &mounts));
    let Image { spec, rootfs, is_firmware } = blocking::run(open).await?;
    attributes::specification(&spec, is_firmware);
    labels::introduce(&request.id, &spec.annotations);
    if is_firmware {
        // On the heap: it is the largest of what a request may wait for.
        return Ok(Arc::new(Box::pin(create::create(context, request, spec, rootfs)).await?));
    }
    match linux::create(context, request, &spec).await {
        Ok(container) => {
            rootfs.keep();
            Ok(container)
        }
        Err(error) => {
            blocking::discard(rootfs).await;
            Err(error)
        }
    }
}

/// What decides.
struct Image {
    spec: Spec,
    rootfs: Rootfs,
    is_firmware: bool,
}

impl Image {
    /// Reads the specification, mounts the root file system, and looks for the markers of firmware in both.
    fn open(bundle: &Path, mounts: &[Mount]) -> Result<Self> {
        let spec = Spec::read(bundle)?;
        let rootfs = Rootfs::mount(mounts, bundle)?;
        let is_firmware = !spec.is_sandbox() && is_firmware(&spec.rootfs(bundle), &spec.annotations);
        Ok(Self { spec, rootfs, is_firmware })
    }
}

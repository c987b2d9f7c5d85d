//! A conformance suite for containerd shims of the runtime v2 contract.
//!
//! It stands in for containerd: it runs `SHIM ... start` in a bundle, reads the reply, speaks the Task service
//! over ttrpc, serves the events service that the shim reports to, reads the log FIFO and the standard streams.
//! Every case is named after where its rule stands: containerd's `core/runtime/v2/README.md` (`readme_`), a public
//! thread (`containerd_3177_`), or the version of containerd that asks for it (`containerd_2_2_`).
//!
//! The suite is itself tested: containerd's own `containerd-shim-runc-v2` runs through the same cases, and what it
//! fails is either wrong or listed with the reason in [`expectations`].
//!
//! A case runs inside `tests/host/isolated`: the shim finds `/run` empty, and nothing outlives the case.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::similar_names,
    clippy::unwrap_used,
    reason = "a test harness reports what went wrong by panicking, and a stage has states"
)]

pub mod bundle;
pub mod case;
pub mod cases;
pub mod container;
pub mod events;
pub mod expectations;
pub mod fifo;
pub mod isolated;
pub mod reply;
pub mod shim;
pub mod stage;
pub mod subject;
pub mod subjects;
pub mod table;
pub mod task;

pub use case::Case;
pub use stage::Stage;
pub use subject::Subject;

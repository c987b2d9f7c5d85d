//! Traces: spans of what the shim and the mica daemon do, as children of whoever asked for it.
//!
//! Contexts are W3C's (`traceparent`, `tracestate`), spans are sent as OTLP over HTTP, by a thread of its own that never
//! holds anybody up. What is here is a thin layer over the `opentelemetry` crates. It is there so that nothing is made,
//! allocated or started while tracing is off, and so that a program can be built without them: then every function does
//! nothing.
//!
//! ```
//! use micrun_trace::Span;
//!
//! # async fn copy() -> std::io::Result<()> { Ok(()) }
//! # async fn example() -> std::io::Result<()> {
//! let span = Span::internal("copy firmware").with("container.id", "motor");
//! span.around(copy()).await
//! # }
//! ```

mod carried;
mod error;
mod parent;
mod settings;
mod span;

#[cfg(feature = "otel")]
mod otel;

#[cfg(not(feature = "otel"))]
#[path = "off.rs"]
mod otel;

pub use carried::Carried;
pub use error::Error;
pub use parent::{Parent, TRACEPARENT, TRACESTATE};
pub use settings::Settings;
pub use span::{Current, Entered, Span, Value, event, note};

use std::time::Duration;

/// Starts tracing, if the settings or the environment name a collector. `false` if it stays off. Only the first call has
/// an effect.
pub fn start(settings: &Settings) -> Result<bool, Error> {
    match settings.plan(|name| std::env::var(name).ok())? {
        Some(plan) => otel::start(settings, plan),
        None => Ok(false),
    }
}

/// Sends what is left, for `bound` at most, and ends tracing. It blocks.
pub fn stop(bound: Duration) {
    otel::stop(bound);
}

/// Whether spans are made.
pub fn is_on() -> bool {
    otel::is_on()
}

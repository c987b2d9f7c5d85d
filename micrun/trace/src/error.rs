//! What can be wrong with the settings of traces.

/// Why there will be no traces.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The endpoint is none.
    #[error(
        "traces cannot be sent to {0:?}: write http://HOST:PORT/PATH or unix:///PATH; a collector beside it does TLS"
    )]
    Endpoint(String),
    /// The environment asks for another protocol.
    #[error(
        "traces cannot be sent as {variable} says ({value:?}): only http/protobuf is there; \
         name a collector that takes it by trace_endpoint"
    )]
    Protocol {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// The share of traces is none.
    #[error("traces cannot be sampled by {0:?}: write a number from 0 to 1")]
    Sample(String),
    /// The exporter refused its settings.
    #[error("traces cannot be sent: {0}")]
    Exporter(String),
    /// The program was built without it.
    #[error("traces are asked for, but this program was built without the feature `otel`")]
    NotBuilt,
}

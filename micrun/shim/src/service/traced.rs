//! Each rpc as a span, named as containerd's own (`otelttrpc`), so that both ends of it stand in one trace.

use std::collections::HashMap;

use async_trait::async_trait;
use containerd_shim_protos::ttrpc;
use containerd_shim_protos::ttrpc::r#async::{MethodHandler, Service, TtrpcContext};
use containerd_shim_protos::ttrpc::{Request, Response};
use micrun_trace::{Parent, Span, TRACEPARENT, TRACESTATE};

/// A method that tells of its calls.
struct Traced {
    next: Box<dyn MethodHandler + Send + Sync>,
    service: String,
    method: String,
    /// `SERVICE/METHOD`.
    name: String,
}

/// Has all methods tell of their calls, if there are traces at all.
pub(crate) fn trace(services: HashMap<String, Service>) -> HashMap<String, Service> {
    if !micrun_trace::is_on() {
        return services;
    }
    let traced = |name: &str, service: Service| {
        let methods = service.methods.into_iter().map(|(method, next)| {
            let (service, full) = (name.to_owned(), format!("{name}/{method}"));
            let traced = Traced { next, service, method: method.clone(), name: full };
            (method, Box::new(traced) as Box<dyn MethodHandler + Send + Sync>)
        });
        Service { methods: methods.collect(), streams: service.streams }
    };
    services.into_iter().map(|(name, service)| (name.clone(), traced(&name, service))).collect()
}

#[async_trait]
impl MethodHandler for Traced {
    async fn handler(&self, context: TtrpcContext, request: Request) -> ttrpc::Result<Response> {
        let span = Span::server(&self.name, parent(&context).as_ref())
            .with("rpc.system", "ttrpc")
            .with("rpc.service", self.service.as_str())
            .with("rpc.method", self.method.as_str());
        span.around_all(self.next.handler(context, request), note_status).await
    }
}

/// Whoever asks says in the metadata what for. containerd does so from version 2 on.
fn parent(context: &TtrpcContext) -> Option<Parent> {
    let value = |key| context.metadata.get(key).and_then(|values| values.first()).map(String::as_str);
    Parent::read(value(TRACEPARENT)?, value(TRACESTATE))
}

/// Notes what was answered.
fn note_status(span: &Span, answer: &ttrpc::Result<Response>) {
    match answer {
        Ok(response) => {
            let status = response.status.get_or_default();
            span.note("rpc.ttrpc.status_code", status.code.value());
            if status.code.value() != 0 {
                span.fail(|| status.message.clone());
            }
        }
        Err(error) => span.fail(|| error.to_string()),
    }
}

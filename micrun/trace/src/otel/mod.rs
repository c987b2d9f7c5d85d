//! Spans by the crates of OpenTelemetry.

mod collector;
mod loss;

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer, TracerProvider,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider};

use crate::settings::{Plan, Settings};
use crate::span::{Kind, Value};
use crate::{Error, Parent};
use collector::Collector;
use loss::{Counted, Loss};

pub(crate) use opentelemetry::{Context, ContextGuard as Guard};

/// What makes spans, once tracing is on.
struct Tracing {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    loss: Loss,
}

static TRACING: OnceLock<Tracing> = OnceLock::new();

pub(crate) fn start(settings: &Settings, plan: Plan) -> Result<bool, Error> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        // The collector's address is the client's to know; of this the path is used.
        .with_endpoint(format!("http://collector{}", plan.path))
        .with_timeout(plan.timeout)
        // An attempt that failed is not worth a thread that lives on.
        .with_retry_policy(RetryPolicy::disabled())
        .with_http_client(Collector::new(plan.address, plan.timeout))
        .build()
        .map_err(|error| Error::Exporter(error.to_string()))?;
    let loss = Loss::default();
    let batch = BatchSpanProcessor::builder(Counted::new(exporter, loss.clone())).build();
    let mut provider =
        SdkTracerProvider::builder().with_span_processor(loss.count(batch)).with_resource(resource(settings));
    if let Some(share) = settings.sample {
        provider = provider.with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share))));
    }
    let provider = provider.build();
    let scope = InstrumentationScope::builder("micrun").with_version(settings.version).build();
    let tracer = provider.tracer_with_scope(scope);
    Ok(TRACING.set(Tracing { provider, tracer, loss }).is_ok())
}

fn resource(settings: &Settings) -> Resource {
    let own = settings.attributes.iter().map(|(key, value)| KeyValue::new(*key, value.clone()));
    // The builder has read the variables already, and what is said last goes first.
    let named = Resource::builder().build();
    let mut builder = Resource::builder_empty().with_service_name(settings.service);
    builder = builder.with_attribute(KeyValue::new("service.version", settings.version)).with_attributes(own);
    let others = |name: &str| name.starts_with("unknown_service") || name == settings.parent_service;
    let named =
        named.iter().filter(|(key, value)| key.as_str() != "service.name" || !others(&value.as_str()));
    builder.with_attributes(named.map(|(key, value)| KeyValue::new(key.clone(), value.clone()))).build()
}

pub(crate) fn stop(bound: Duration) {
    if let Some(tracing) = TRACING.get() {
        let flushed = tracing.provider.shutdown_with_timeout(bound);
        tracing.loss.tell(flushed.is_ok());
    }
}

pub(crate) fn is_on() -> bool {
    TRACING.get().is_some()
}

/// The current context, if there is a span in it.
pub(crate) fn current() -> Option<Context> {
    TRACING.get()?;
    Context::map_current(|context| context.has_active_span().then(|| context.clone()))
}

pub(crate) fn child(name: impl FnOnce() -> Cow<'static, str>, kind: Kind) -> Option<Context> {
    let parent = current().filter(|context| context.span().span_context().is_sampled())?;
    begin(name(), kind, &parent)
}

pub(crate) fn server(name: &str, parent: Option<&Parent>) -> Option<Context> {
    TRACING.get()?;
    let parent = parent.map(remote).unwrap_or_default();
    begin(name.to_owned().into(), Kind::Server, &parent)
}

fn begin(name: Cow<'static, str>, kind: Kind, parent: &Context) -> Option<Context> {
    let kind = match kind {
        Kind::Internal => SpanKind::Internal,
        Kind::Client => SpanKind::Client,
        Kind::Server => SpanKind::Server,
    };
    let tracer = &TRACING.get()?.tracer;
    let span = tracer.build_with_context(SpanBuilder::from_name(name).with_kind(kind), parent);
    Some(parent.with_span(span))
}

fn remote(parent: &Parent) -> Context {
    // What vendors wrote may be nothing that this crate can read; the trace goes on without it.
    let state = TraceState::from_str(parent.state()).unwrap_or_default();
    let flags = TraceFlags::new(parent.flags);
    let (trace, span) = (TraceId::from(parent.trace), SpanId::from(parent.span));
    Context::new().with_remote_span_context(SpanContext::new(trace, span, flags, true, state))
}

pub(crate) fn to_others(context: &Context) -> Option<Parent> {
    let span = context.span();
    let span = span.span_context();
    let (trace, id) =
        (u128::from_be_bytes(span.trace_id().to_bytes()), u64::from_be_bytes(span.span_id().to_bytes()));
    span.is_valid().then(|| Parent::new(trace, id, span.trace_flags().to_u8(), span.trace_state().header()))
}

pub(crate) fn enter(context: &Context) -> Guard {
    context.clone().attach()
}

pub(crate) fn note(context: &Context, key: &'static str, value: Value) {
    context.span().set_attribute(KeyValue::new(key, opentelemetry::Value::from(value)));
}

pub(crate) fn event(context: &Context, name: &'static str, key: &'static str, value: Value) {
    context.span().add_event(name, vec![KeyValue::new(key, opentelemetry::Value::from(value))]);
}

pub(crate) fn fail(context: &Context, text: String) {
    context.span().set_status(Status::error(text));
}

pub(crate) fn end(context: &Context) {
    context.span().end();
}

impl From<Value> for opentelemetry::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Text(text) => text.into(),
            Value::Number(number) => number.into(),
        }
    }
}

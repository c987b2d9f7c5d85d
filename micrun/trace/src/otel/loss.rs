//! How many spans were lost: those for which there was no room, and those that the collector did not take.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

use super::Context;

/// The counts, shared by both ends of the queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Loss(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// Spans that ended.
    ended: AtomicU64,
    /// Spans that the collector has taken.
    taken: AtomicU64,
    /// Spans that it has not.
    refused: AtomicU64,
    /// Whether the last export has failed.
    failing: AtomicBool,
}

impl Loss {
    /// The processor, with what comes to it counted.
    pub(super) fn count<P: SpanProcessor>(&self, next: P) -> impl SpanProcessor + use<P> {
        Counting { next, loss: self.clone() }
    }

    /// Says what was lost, at the end.
    pub(super) fn tell(&self, flushed: bool) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (ended, taken, refused) = (count(&self.0.ended), count(&self.0.taken), count(&self.0.refused));
        let lost = ended.saturating_sub(taken);
        if lost > 0 {
            let late = if flushed { "" } else { "; the collector was too slow at the end" };
            log::warn!("{lost} of {ended} spans are lost, {refused} of them with requests that failed{late}");
        }
    }

    fn exported(&self, spans: u64, result: &OTelSdkResult) {
        match result {
            Ok(()) => {
                self.0.taken.fetch_add(spans, Ordering::Relaxed);
                if self.0.failing.swap(false, Ordering::Relaxed) {
                    let refused = self.0.refused.load(Ordering::Relaxed);
                    log::info!("the collector takes traces again; {refused} spans are lost so far");
                }
            }
            Err(error) => {
                self.0.refused.fetch_add(spans, Ordering::Relaxed);
                // Said once, not with every attempt.
                if !self.0.failing.swap(true, Ordering::Relaxed) {
                    log::warn!("traces do not reach the collector: {error}");
                }
            }
        }
    }
}

struct Counting<P> {
    next: P,
    loss: Loss,
}

impl<P: SpanProcessor> SpanProcessor for Counting<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        self.loss.0.ended.fetch_add(1, Ordering::Relaxed);
        self.next.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

impl<P> fmt::Debug for Counting<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counting").field("loss", &self.loss).finish_non_exhaustive()
    }
}

/// An exporter whose results are counted.
#[derive(Debug)]
pub(super) struct Counted<E> {
    next: E,
    loss: Loss,
}

impl<E> Counted<E> {
    pub(super) fn new(next: E, loss: Loss) -> Self {
        Self { next, loss }
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let result = self.next.export(batch).await;
        self.loss.exported(spans, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.next.shutdown()
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::error::OTelSdkError;
    use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};

    use super::*;

    /// A collector that takes one batch when it is told to, and refuses all others.
    #[derive(Debug)]
    struct Slow {
        asked: mpsc::SyncSender<()>,
        go_on: std::sync::Mutex<mpsc::Receiver<()>>,
        taken: AtomicBool,
    }

    impl SpanExporter for Slow {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            let _ = self.asked.try_send(());
            let _ = self.go_on.lock().unwrap().recv();
            let first = !self.taken.swap(true, Ordering::Relaxed);
            if first { Ok(()) } else { Err(OTelSdkError::InternalFailure("full".to_owned())) }
        }
    }

    #[test]
    fn what_does_not_fit_and_what_is_refused_is_counted_and_nobody_waits() {
        let (asked, is_asked) = mpsc::sync_channel(1);
        let (let_go, go_on) = mpsc::channel();
        let slow = Slow { asked, go_on: go_on.into(), taken: AtomicBool::default() };
        let loss = Loss::default();
        let config =
            BatchConfigBuilder::default().with_max_queue_size(2).with_max_export_batch_size(1).build();
        let batch = BatchSpanProcessor::builder(Counted::new(slow, loss.clone())).with_batch_config(config);
        let provider = SdkTracerProvider::builder().with_span_processor(loss.count(batch.build())).build();
        let tracer = provider.tracer("test");
        let make = || drop(tracer.start("span"));
        make();
        is_asked.recv().unwrap();
        // One is with the collector; of ten more, there is room for two.
        (0..10).for_each(|_| make());
        drop(let_go);
        // Whether the very last request has failed is all that it tells.
        let _ = provider.shutdown();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        assert_eq!((count(&loss.0.ended), count(&loss.0.taken), count(&loss.0.refused)), (11, 1, 2));
    }
}

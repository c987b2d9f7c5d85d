//! Work that has a context wherever it is polled.

use std::fmt;
use std::pin::Pin;
use std::task::{Context as Waker, Poll, ready};

use pin_project_lite::pin_project;

use crate::otel::{self, Context};
use crate::span::Span;

pin_project! {
    /// A future in a context, which may be that of a span of its own: that one ends with it.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Carried<F> where F: Future {
        #[pin]
        work: F,
        context: Option<Context>,
        span: Option<Span>,
        outcome: fn(&Span, &F::Output),
    }
}

impl<F: Future> Carried<F> {
    pub(crate) fn new(
        work: F,
        context: Option<Context>,
        span: Option<Span>,
        outcome: fn(&Span, &F::Output),
    ) -> Self {
        Self { work, context, span, outcome }
    }
}

impl<F: Future> Future for Carried<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, waker: &mut Waker<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.context.as_ref().map(otel::enter);
        let output = ready!(this.work.poll(waker));
        if let Some(span) = this.span.take() {
            (this.outcome)(&span, &output);
        }
        Poll::Ready(output)
    }
}

impl<F: Future> fmt::Debug for Carried<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carried").field("context", &self.context).finish_non_exhaustive()
    }
}

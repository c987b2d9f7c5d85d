//! Spans, and the context that work is done in.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write;

use crate::otel::{self, Context, Guard};
use crate::{Carried, Parent};

/// What an attribute may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

/// Whose side of a request a span tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Internal,
    Client,
    #[cfg_attr(not(feature = "otel"), expect(dead_code, reason = "only spans that are made have it"))]
    Server,
}

/// Something that takes time. It ends when this is dropped. While tracing is off, there is nothing in it.
#[derive(Debug)]
pub struct Span(Option<Context>);

impl Span {
    /// Work of this program's own, for whatever the current span tells. There is nothing in it where there is no such
    /// span, or where nobody keeps the trace: what nobody has asked for begins none.
    pub fn internal(name: &'static str) -> Self {
        Self(otel::child(|| name.into(), Kind::Internal))
    }

    /// A request to somebody else, for whatever the current span tells.
    pub fn client(name: impl FnOnce() -> Cow<'static, str>) -> Self {
        Self(otel::child(name, Kind::Client))
    }

    /// A request of somebody else, who may have said what it is for.
    pub fn server(name: &str, parent: Option<&Parent>) -> Self {
        Self(otel::server(name, parent))
    }

    /// The same with an attribute.
    #[must_use]
    pub fn with(self, key: &'static str, value: impl Into<Value>) -> Self {
        self.note(key, value);
        self
    }

    /// Notes something about it.
    pub fn note(&self, key: &'static str, value: impl Into<Value>) {
        if let Some(context) = &self.0 {
            otel::note(context, key, value.into());
        }
    }

    /// It has failed, with this text.
    pub fn fail(&self, text: impl FnOnce() -> String) {
        if let Some(context) = &self.0 {
            otel::fail(context, text());
        }
    }

    /// Does `work` within it. An error is noted.
    pub fn around<T, E: Error>(
        self,
        work: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, E>> {
        self.around_all(work, |span, result| {
            if let Err(error) = result {
                span.fail(|| sentence(error));
            }
        })
    }

    /// Does `work` within it, and notes what came of it.
    pub fn around_all<F: Future>(self, work: F, outcome: fn(&Self, &F::Output)) -> Carried<F> {
        Carried::new(work, self.0.clone(), Some(self), outcome)
    }

    /// Does `work` within it, at once.
    pub fn run<T, E: Error>(self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let _entered = self.0.as_ref().map(otel::enter);
        work().inspect_err(|error| self.fail(|| sentence(error)))
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(context) = &self.0 {
            otel::end(context);
        }
    }
}

fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing into a text cannot fail.
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

/// Notes something about the current span.
pub fn note(key: &'static str, value: impl Into<Value>) {
    if let Some(context) = otel::current() {
        otel::note(&context, key, value.into());
    }
}

/// Tells that something has happened within the current span.
pub fn event(name: &'static str, key: &'static str, value: impl Into<Value>) {
    if let Some(context) = otel::current() {
        otel::event(&context, name, key, value.into());
    }
}

/// What work is done for: to be kept, and carried to where the work is done. Empty while tracing is off.
#[derive(Clone, Debug, Default)]
pub struct Current(Option<Context>);

impl Current {
    /// That of the work which asks.
    pub fn here() -> Self {
        Self(otel::current())
    }

    /// Does `work` for it: for tasks that are spawned.
    pub fn carry<F: Future>(&self, work: F) -> Carried<F> {
        Carried::new(work, self.0.clone(), None, |_, _| ())
    }

    /// What this thread does is for it, until the answer is dropped.
    pub fn enter(&self) -> Entered {
        Entered(self.0.as_ref().map(otel::enter))
    }

    /// For others: what they do is for this. It also says whether the trace is kept.
    pub fn to_others(&self) -> Option<Parent> {
        self.0.as_ref().and_then(otel::to_others)
    }

    /// For a program: variables of its environment that say for what it runs, if the trace is kept.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        self.to_others().filter(Parent::is_sampled).map(|parent| parent.variables()).unwrap_or_default()
    }

    /// The ids of trace and span for a line of a log, if the trace is kept.
    pub fn ids(&self) -> Option<(String, String)> {
        let parent = self.to_others().filter(Parent::is_sampled)?;
        Some((format!("{:032x}", parent.trace), format!("{:016x}", parent.span)))
    }
}

/// See [`Current::enter`].
#[derive(Debug)]
pub struct Entered(
    #[cfg_attr(feature = "otel", expect(dead_code, reason = "it is there to be dropped"))] Option<Guard>,
);

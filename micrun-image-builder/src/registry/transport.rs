//! One request to a registry: authorised, named, traced.

use std::time::{Duration, Instant};

use bytes::Bytes;
use oci_distribution::errors::OciEnvelope;
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};

use super::auth::Auth;
use super::error::Error;
use crate::error::Result;
use crate::say;

/// How often one request may meet a token that has died.
const RENEWALS: u32 = 3;
/// How much of a registry's complaint is read.
const MAX_COMPLAINT: usize = 600;
/// Parts of a query that are no secrets. Registries put upload states and signatures into others.
const OPEN: [&str; 8] = ["digest", "mount", "from", "n", "last", "scope", "service", "ns"];
/// No answer for so long is a fault. It bounds each read of an answer, and the sending of a chunk.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// A registry, or a mirror of one, and how it is reached.
pub(super) struct Endpoint {
    pub(super) client: Client,
    /// Where its API begins, with a slash at the end: `https://registry:5000/v2/`.
    pub(super) base: Url,
    /// Sent along with every request, as hosts.toml asks.
    pub(super) headers: HeaderMap,
    pub(super) auth: Auth,
    /// A blob of at most so many bytes is sent in one piece, a larger one in pieces of this size.
    pub(super) chunk: u64,
    /// The registry that it is a mirror of.
    pub(super) mirror_of: Option<String>,
}

/// A request that can be sent again.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) scope: &'a str,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Option<Bytes>,
}

impl<'a> Request<'a> {
    pub(super) fn new(method: Method, url: Url, scope: &'a str) -> Self {
        Self { method, url, scope, headers: Vec::new(), body: None }
    }

    /// With a header. A value that no header may have is left out: it came from the registry itself.
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    pub(super) fn body(mut self, body: Bytes) -> Self {
        self.body = Some(body);
        self
    }
}

impl Endpoint {
    /// How messages name it.
    pub(super) fn host(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        self.base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The address of something below `v2/`.
    pub(super) fn url(&self, path: &str) -> Result<Url> {
        let mut url = self.base.join(path).map_err(|e| Error::Protocol {
            request: format!("{}{path}", self.base),
            reason: format!("its address is none: {e}"),
        })?;
        if let Some(of) = &self.mirror_of {
            url.query_pairs_mut().append_pair("ns", of);
        }
        Ok(url)
    }

    /// Sends a request. An answer 401 makes a new token, and the request is sent again with it.
    ///
    /// Answers that are neither success nor among `also` are errors.
    pub(super) fn send(&self, request: &Request<'_>, also: &[StatusCode]) -> Result<Response> {
        // Another server, to which a registry sends an upload, has nothing to do with our credentials.
        let ours = request.url.origin() == self.base.origin();
        for renewals in 0.. {
            let held = if ours { self.auth.held(request.scope) } else { None };
            let mut builder = self.client.request(request.method.clone(), request.url.clone());
            if ours {
                builder = builder.headers(self.headers.clone());
            }
            for (name, value) in &request.headers {
                builder = builder.header(name, value);
            }
            if let Some(value) = &held {
                builder = builder.header(AUTHORIZATION, value);
            }
            if let Some(body) = &request.body {
                builder = builder.body(body.clone());
            }
            let (named, answer) = run(&self.client, builder)?;
            let status = answer.status();
            if status.is_success() || also.contains(&status) {
                return Ok(answer);
            }
            let renewed = status == StatusCode::UNAUTHORIZED
                && ours
                && renewals < RENEWALS
                && self.auth.renew(&self.client, answer.headers(), request.scope, held.as_ref())?;
            if renewed {
                continue;
            }
            if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                return Err(Error::Denied { host: self.host(), what: named }.into());
            }
            return Err(failed(named, answer).into());
        }
        unreachable!("the range has no end")
    }
}

/// Runs a request; answers its name beside what came.
pub(super) fn run(client: &Client, request: RequestBuilder) -> Result<(String, Response)> {
    let request =
        request.build().map_err(|source| Error::Network { request: "a request".to_owned(), source })?;
    let named = format!("{} {}", request.method(), shown(request.url()));
    let begun = Instant::now();
    let result = client.execute(request);
    let took = begun.elapsed().as_millis();
    match result {
        Ok(answer) => {
            say::http(format_args!("{named} {} {took} ms", answer.status().as_u16()));
            Ok((named, answer))
        }
        Err(source) => {
            let source = source.without_url();
            say::http(format_args!("{named} no answer {took} ms"));
            Err(Error::unanswered(named, source).into())
        }
    }
}

/// An address without the secrets that it may have.
pub(super) fn shown(url: &Url) -> String {
    let mut plain = url.clone();
    plain.set_query(None);
    // Fails only for addresses that can have neither.
    let _ = plain.set_username("").and_then(|()| plain.set_password(None));
    let query = |(key, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
        if OPEN.contains(&key.as_ref()) { format!("{key}={value}") } else { format!("{key}=...") }
    };
    let query: Vec<_> = url.query_pairs().map(query).collect();
    if query.is_empty() { plain.to_string() } else { format!("{plain}?{}", query.join("&")) }
}

/// The error that an answer stands for.
pub(super) fn failed(request: String, answer: Response) -> Error {
    let status = answer.status();
    let retry_after = answer.headers().get(RETRY_AFTER).and_then(|it| it.to_str().ok()?.trim().parse().ok());
    let text = answer.text().unwrap_or_default();
    let said = match serde_json::from_str::<OciEnvelope>(&text) {
        Ok(envelope) => envelope.errors.iter().map(|it| it.message.clone()).collect::<Vec<_>>().join("; "),
        Err(_) => String::new(),
    };
    let said: String = said.chars().take(MAX_COMPLAINT).collect();
    let said = if said.is_empty() { said } else { format!(": {said}") };
    Error::Status { request, status, said, retry_after: retry_after.map(Duration::from_secs) }
}

/// How this program names itself to registries.
pub(super) fn user_agent() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("{}/{version}", env!("CARGO_PKG_NAME"))
}

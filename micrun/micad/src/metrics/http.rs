//! HTTP, as much of it as a scrape needs: one GET of one path, one answer, close.
//!
//! Whoever asks may be hostile: what is read has a limit, and so has the time for reading and for writing.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::Format;

/// How long a peer may take for its request, for reading the answer, and for closing.
const BOUND: Duration = Duration::from_secs(5);
/// Longest request in bytes, with its header fields. Prometheus's have some 300.
const MOST_BYTES: usize = 4096;
/// Most header fields.
const MOST_FIELDS: usize = 32;
/// How much is read of what a peer sends beyond its request: closing with that unread would take the answer away.
const MOST_REST: u64 = 1 << 20;
/// What can be asked for.
pub(crate) const PATH: &str = "/metrics";

/// Why a request is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Malformed,
    Elsewhere,
    Method,
    Slow,
    TooLong,
}

impl Fault {
    fn status(self) -> &'static str {
        match self {
            Self::Malformed => "400 Bad Request",
            Self::Elsewhere => "404 Not Found",
            Self::Method => "405 Method Not Allowed\r\nAllow: GET",
            Self::Slow => "408 Request Timeout",
            Self::TooLong => "431 Request Header Fields Too Large",
        }
    }
}

/// Serves one connection with what `metrics` gives. A `refusal` is all that the peer gets, if there is one.
pub(crate) async fn converse<F: Future<Output = String>>(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    refusal: Option<String>,
    metrics: impl FnOnce(Format) -> F,
) {
    let answer = match refusal {
        Some(sentence) => response("403 Forbidden", Format::Plain.content_type(), &format!("{sentence}\n")),
        None => match timeout(BOUND, listen(&mut stream)).await.unwrap_or(Ok(Err(Fault::Slow))) {
            Ok(Ok(format)) => response("200 OK", format.content_type(), &metrics(format).await),
            Ok(Err(fault)) => {
                let text = format!("micad answers GET {PATH} and nothing else\n");
                response(fault.status(), Format::Plain.content_type(), &text)
            }
            Err(e) => return log::debug!("a peer went away that asked for metrics: {e}"),
        },
    };
    let write = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    match timeout(BOUND, write).await {
        Ok(Ok(())) => {}
        Ok(Err(e)) => return log::debug!("a peer did not take the metrics: {e}"),
        Err(_) => return log::debug!("a peer did not read the metrics within {BOUND:?}"),
    }
    // Whatever becomes of this, the answer is on its way.
    let mut rest = stream.take(MOST_REST);
    let _ = timeout(BOUND, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
}

fn response(status: &str, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// Reads a request, and tells in which format its sender wants the metrics.
async fn listen(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Result<Format, Fault>> {
    let mut request = Vec::with_capacity(MOST_BYTES);
    let mut limited = stream.take(MOST_BYTES as u64);
    loop {
        if limited.read_buf(&mut request).await? == 0 {
            let full = request.len() == MOST_BYTES;
            return if full { Ok(Err(Fault::TooLong)) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        if let Some(read) = read(&request).transpose() {
            return Ok(read);
        }
    }
}

/// What a request asks for; `None` if there is more of it to come.
fn read(bytes: &[u8]) -> Result<Option<Format>, Fault> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Fault::TooLong),
        Err(_) => return Err(Fault::Malformed),
    }
    if request.path.and_then(|path| path.split('?').next()) != Some(PATH) {
        return Err(Fault::Elsewhere);
    }
    if request.method != Some("GET") {
        return Err(Fault::Method);
    }
    let accepted = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case("accept"));
    let accepted = accepted.filter_map(|field| std::str::from_utf8(field.value).ok());
    Ok(Some(preferred(accepted.flat_map(|value| value.split(',')))))
}

/// The format that is accepted most gladly (RFC 9110, 12.5.1). Of two that are equally welcome, and for a peer that does
/// not say, it is OpenMetrics.
fn preferred<'a>(ranges: impl Iterator<Item = &'a str>) -> Format {
    // How exactly the best range fits, then how welcome what fits it is.
    let mut best = [(0, 0.0); 2];
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let weight = weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
        let exactness = match kind.as_str() {
            "application/openmetrics-text" => [3, 0],
            "application/*" => [2, 0],
            "text/plain" => [0, 3],
            "text/*" => [0, 2],
            "*/*" => [1, 1],
            _ => [0, 0],
        };
        for (best, exactness) in best.iter_mut().zip(exactness) {
            if exactness > best.0 {
                *best = (exactness, weight);
            }
        }
    }
    let [(_, openmetrics), (_, plain)] = best;
    if plain > openmetrics { Format::Plain } else { Format::OpenMetrics }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_most_welcome_one() {
        use Format::{OpenMetrics, Plain};
        for (accept, format) in [
            // Prometheus 2.42, 3.0 without OpenMetrics, curl, a browser, an older scraper, nobody.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                OpenMetrics,
            ),
            ("text/plain;version=0.0.4;q=0.6,text/plain;version=1.0.0;q=0.5,*/*;q=0.1", Plain),
            ("*/*", OpenMetrics),
            ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", OpenMetrics),
            ("text/plain; version=0.0.4; Q=1", Plain),
            ("text/*;q=0.3, application/openmetrics-text;q=0", Plain),
            ("text/plain;q=x, */*;q=0.1", OpenMetrics),
            ("", OpenMetrics),
        ] {
            assert_eq!(preferred(accept.split(',')), format, "{accept}");
        }
    }

    #[test]
    fn what_is_no_request_for_metrics_is_refused() {
        let get = |rest: &str| read(format!("GET /metrics{rest}").as_bytes());
        assert_eq!(get(" HTTP/1.1\r\nHost: x\r\n\r\n"), Ok(Some(Format::OpenMetrics)));
        assert_eq!(get("?a=b HTTP/1.0\r\nACCEPT: text/plain\r\n\r\n"), Ok(Some(Format::Plain)));
        assert_eq!(get(" HTTP/1.1\r\nHost: x\r\n"), Ok(None));
        assert_eq!(get("x HTTP/1.1\r\n\r\n"), Err(Fault::Elsewhere));
        assert_eq!(get(" HTTP/9.9\r\n\r\n"), Err(Fault::Malformed));
        assert_eq!(read(b"POST /metrics HTTP/1.1\r\n\r\n"), Err(Fault::Method));
        assert_eq!(read(b"\x16\x03\x01\x02\0\x01\0"), Err(Fault::Malformed));
        let many = "a: b\r\n".repeat(MOST_FIELDS + 1);
        assert_eq!(get(&format!(" HTTP/1.1\r\n{many}\r\n")), Err(Fault::TooLong));
    }
}

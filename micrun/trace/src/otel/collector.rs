//! A client of a collector: one request, one connection. It blocks, on the exporter's own thread.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::StatusCode;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};

use crate::settings::Address;

/// What is read of an answer. A collector's own is a few bytes.
const MAX_ANSWER: u64 = 64 << 10;
/// Lines of an answer's head.
const MAX_HEADERS: usize = 64;

/// A collector.
pub(super) struct Collector {
    address: Address,
    timeout: Duration,
}

impl Collector {
    /// The collector that listens there; a request to it takes `timeout` at most.
    pub(super) fn new(address: Address, timeout: Duration) -> Self {
        Self { address, timeout }
    }

    fn exchange(&self, request: &Request<Bytes>) -> io::Result<Response<Bytes>> {
        let deadline = Instant::now() + self.timeout;
        let mut connection = self.connect(deadline)?;
        connection.set_bound(deadline)?;
        connection.write_all(self.head(request).as_bytes())?;
        connection.write_all(request.body())?;
        connection.flush()?;
        let mut answer = Vec::new();
        loop {
            if let Some(response) = read(&answer)? {
                return Ok(response);
            }
            connection.set_bound(deadline)?;
            let mut part = [0; 4096];
            match connection.read(&mut part)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => answer.extend_from_slice(&part[..count]),
            }
            if answer.len() as u64 > MAX_ANSWER {
                return Err(io::Error::new(ErrorKind::InvalidData, "the head of the answer is too long"));
            }
        }
    }

    fn connect(&self, deadline: Instant) -> io::Result<Connection> {
        let place = match &self.address {
            Address::Unix(path) => return UnixStream::connect(path).map(Connection::Unix),
            Address::Tcp(place) => place,
        };
        let mut last = io::Error::from(ErrorKind::NotFound);
        for address in place.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, left(deadline)?) {
                Ok(stream) => return Ok(Connection::Tcp(stream)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn head(&self, request: &Request<Bytes>) -> String {
        let host = match &self.address {
            Address::Tcp(place) => place,
            Address::Unix(_) => "localhost",
        };
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let mut head =
            format!("{} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n", request.method());
        for (name, value) in request.headers() {
            if let Ok(value) = value.to_str() {
                head.extend([name.as_str(), ": ", value, "\r\n"]);
            }
        }
        head + &format!("content-length: {}\r\n\r\n", request.body().len())
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        Ok(self.exchange(&request)?)
    }
}

/// With headers a request may have a password, which is nobody's to see.
impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The answer, once its head is complete. Its body says nothing that is acted on.
fn read(answer: &[u8]) -> io::Result<Option<Response<Bytes>>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let wrong = |reason: String| io::Error::new(ErrorKind::InvalidData, reason);
    let complete = head.parse(answer).map_err(|error| wrong(error.to_string()))?.is_complete();
    let Some(code) = head.code.filter(|_| complete) else { return Ok(None) };
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::from_u16(code).map_err(|error| wrong(error.to_string()))?;
    Ok(Some(response))
}

/// What is left of the time.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

enum Connection {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Connection {
    fn set_bound(&self, deadline: Instant) -> io::Result<()> {
        let left = Some(left(deadline)?);
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(left).and_then(|()| stream.set_write_timeout(left)),
            Self::Unix(stream) => stream.set_read_timeout(left).and_then(|()| stream.set_write_timeout(left)),
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(buffer),
            Self::Unix(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;
    use std::thread::{self, JoinHandle};

    use super::*;

    fn request() -> Request<Bytes> {
        let request = Request::post("http://collector/v1/traces?a=b").header("authorization", "secret");
        request.body(Bytes::from_static(b"spans")).unwrap()
    }

    /// Reads a request, and answers.
    fn serve(mut stream: impl Read + Write + Send + 'static, answer: &'static str) -> JoinHandle<String> {
        thread::spawn(move || {
            let mut received = Vec::new();
            while !received.ends_with(b"spans") {
                let mut part = [0; 512];
                let count = stream.read(&mut part).unwrap();
                received.extend_from_slice(&part[..count]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(received).unwrap()
        })
    }

    const BOUND: Duration = Duration::from_mins(1);

    #[test]
    fn a_request_goes_by_tcp_and_the_status_comes_back() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap().to_string();
        let collector = Collector::new(Address::Tcp(place.clone()), BOUND);
        let asking = thread::spawn(move || collector.exchange(&request()).map(|response| response.status()));
        let received = serve(listener.accept().unwrap().0, "HTTP/1.1 503 Busy\r\nretry-after: 1\r\n\r\nno");
        assert_eq!(asking.join().unwrap().unwrap(), StatusCode::SERVICE_UNAVAILABLE);
        let expected = format!(
            "POST /v1/traces?a=b HTTP/1.1\r\nhost: {place}\r\nconnection: close\r\nauthorization: secret\r\n\
             content-length: 5\r\n\r\nspans"
        );
        assert_eq!(received.join().unwrap(), expected);
    }

    #[test]
    fn a_request_goes_by_a_unix_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("collector.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let collector = Collector::new(Address::Unix(path), BOUND);
        let asking = thread::spawn(move || collector.exchange(&request()).map(|response| response.status()));
        let received = serve(listener.accept().unwrap().0, "HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!(asking.join().unwrap().unwrap(), StatusCode::OK);
        assert!(received.join().unwrap().contains("\r\nhost: localhost\r\n"));
    }

    #[test]
    fn whoever_does_not_answer_in_time_or_not_in_http_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = Address::Tcp(listener.local_addr().unwrap().to_string());
        let silent =
            Collector::new(place.clone(), Duration::from_millis(50)).exchange(&request()).unwrap_err();
        assert!(matches!(silent.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silent}");
        drop(listener.accept().unwrap());
        let collector = Collector::new(place, BOUND);
        let asking = thread::spawn(move || collector.exchange(&request()));
        drop(serve(listener.accept().unwrap().0, "220 mail.example ESMTP\r\n"));
        assert_eq!(asking.join().unwrap().unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn an_endless_head_is_refused() {
        let head = ["HTTP/1.1 200 OK\r\n", &"a: b\r\n".repeat(MAX_HEADERS + 1)].concat();
        assert_eq!(read(head.as_bytes()).unwrap_err().kind(), ErrorKind::InvalidData);
        assert!(read(b"HTTP/1.1 200").unwrap().is_none());
    }
}

//! CRI's streaming server, spoken to as `crictl attach` and `crictl exec` do when the kubelet's WebSocket protocol is
//! on (`v4.channel.k8s.io`: the first byte of each message is the stream's number).

use std::net::TcpStream;
use std::time::{Duration, Instant};

use micrun_host_tests::wait;
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Message, WebSocket};

const PROTOCOL: &str = "v4.channel.k8s.io";
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;
/// How long one read may take before the limit is looked at.
const PATIENCE: Duration = Duration::from_millis(100);

/// An open session.
pub struct Stream {
    socket: WebSocket<TcpStream>,
    /// What came on stdout.
    pub stdout: String,
    /// What came on stderr.
    pub stderr: String,
    status: Option<String>,
    closed: bool,
}

impl Stream {
    /// Opens the session at a URL that CRI has answered.
    #[track_caller]
    pub(crate) fn open(url: &str) -> Self {
        let url = url.replacen("http://", "ws://", 1);
        let mut request = url.into_client_request().expect("CRI answers a URL");
        let address = request.uri().authority().expect("it names a server").to_string();
        request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(PROTOCOL));
        let connection = TcpStream::connect(address).expect("the streaming server listens");
        connection.set_read_timeout(Some(wait::LIMIT)).expect("a socket has a timeout");
        let (socket, _) = tungstenite::client(request, connection).expect("it speaks WebSocket");
        socket.get_ref().set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
        Self { socket, stdout: String::new(), stderr: String::new(), status: None, closed: false }
    }

    /// Types.
    #[track_caller]
    pub fn send(&mut self, text: &str) {
        self.message(STDIN, text.as_bytes());
    }

    /// Tells the size of the terminal.
    #[track_caller]
    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.message(RESIZE, format!(r#"{{"Width":{columns},"Height":{rows}}}"#).as_bytes());
    }

    fn message(&mut self, stream: u8, bytes: &[u8]) {
        let bytes = [&[stream], bytes].concat();
        self.socket.send(Message::binary(bytes)).expect("the session is open");
    }

    /// Waits until stdout has a text.
    #[track_caller]
    pub fn expect(&mut self, text: &str) {
        self.until(&format!("{text:?} is printed"), |stream| stream.stdout.contains(text));
    }

    /// Waits for the end; gives what Kubernetes says about it: a `Status` in JSON.
    #[track_caller]
    pub fn end(&mut self) -> String {
        self.until("the session ends", |stream| stream.closed);
        self.status.clone().unwrap_or_default()
    }

    #[track_caller]
    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + wait::LIMIT;
        while !done(self) {
            assert!(!self.closed, "the session ended before {what}: {:?}", (&self.stdout, &self.stderr));
            assert!(Instant::now() < deadline, "in vain: {what}: {:?}", (&self.stdout, &self.stderr));
            self.read();
        }
    }

    fn read(&mut self) {
        match self.socket.read() {
            Ok(Message::Binary(bytes)) => {
                let Some((stream, bytes)) = bytes.split_first() else { return };
                let text = String::from_utf8_lossy(bytes);
                match *stream {
                    STDOUT => self.stdout.push_str(&text),
                    STDERR => self.stderr.push_str(&text),
                    STATUS => self.status.get_or_insert_default().push_str(&text),
                    _ => {}
                }
            }
            Ok(Message::Close(_))
            | Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::Protocol(_)) => {
                self.closed = true;
            }
            Ok(_) => {}
            Err(tungstenite::Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("the session broke: {error}"),
        }
    }
}

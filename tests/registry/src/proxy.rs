//! A proxy before a registry: it makes the faults that a test asks for and notes every request.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use crate::gate::Gate;
use crate::message::Message;

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The proxy answers itself.
    Answer(Message),
    /// The connection ends without an answer, and the request goes nowhere.
    Hang,
    /// The registry gets so many bytes of the request's body, then both connections end.
    CutRequest(usize),
    /// The registry takes so many bytes of a chunk and says so when it is asked. The client gets no answer.
    TakePart(usize),
    /// The client gets so many bytes of the answer's body, then the connection ends.
    CutAnswer(usize),
    /// The registry does what is asked; its answer is lost.
    LoseAnswer,
    /// A byte of the answer's body is another one.
    Corrupt,
}

struct Rule {
    method: &'static str,
    part: &'static str,
    /// How many requests that fit pass before.
    skip: u32,
    times: u32,
    fault: Fault,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    gate: Option<Gate>,
    ignores_ranges: bool,
    requests: Vec<Message>,
    moved: Vec<Moved>,
}

/// The bodies of a request and its answer, in bytes.
struct Moved {
    path: String,
    sent: usize,
    answered: usize,
}

/// The proxy. It runs until the test's process ends.
pub struct Proxy {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    /// Starts one before the registry at `host`.
    pub fn before(host: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, host) = (Arc::clone(&state), host.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (shared, host) = (Arc::clone(&shared), host.clone());
                // A connection that breaks is what tests are about.
                thread::spawn(move || serve(&client, &host, &shared).is_ok());
            }
        });
        Self { port, state }
    }

    /// Where it listens.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics with it")
    }

    /// Makes a fault of `times` requests with this method and this part of the path, after `skip` others of
    /// them.
    pub fn fault(&self, method: &'static str, part: &'static str, skip: u32, times: u32, fault: Fault) {
        self.state().rules.push(Rule { method, part, skip, times, fault });
    }

    /// Wants tokens that live for `life` requests.
    pub fn want_tokens(&self, life: u32) {
        self.state().gate = Some(Gate::new(life));
    }

    /// Answers with the whole where a part is asked for.
    pub fn ignore_ranges(&self) {
        self.state().ignores_ranges = true;
    }

    /// How many tokens were given, and how often a refused one came again.
    pub fn tokens(&self) -> (u32, u32) {
        self.state().gate.as_ref().map_or((0, 0), |gate| (gate.given, gate.dead_reused))
    }

    /// The requests with this method and this part of the path so far.
    pub fn requests(&self, method: &str, part: &str) -> Vec<Message> {
        let fits = |it: &&Message| it.method() == method && it.path().contains(part);
        self.state().requests.iter().filter(fits).cloned().collect()
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        let mut state = self.state();
        state.requests.clear();
        state.moved.clear();
    }

    /// The bytes in the bodies of the requests so far with this part of the path.
    pub fn sent(&self, part: &str) -> usize {
        self.state().moved.iter().filter(|it| it.path.contains(part)).map(|it| it.sent).sum()
    }

    /// The bytes in the bodies of their answers.
    pub fn answered(&self, part: &str) -> usize {
        self.state().moved.iter().filter(|it| it.path.contains(part)).map(|it| it.answered).sum()
    }
}

impl State {
    /// Notes a request; answers what is to happen to it.
    fn meet(&mut self, request: &Message) -> Option<Fault> {
        self.requests.push(Message { body: Vec::new(), ..request.clone() });
        if let Some(answer) = self.gate.as_mut().and_then(|gate| gate.check(request)) {
            return Some(Fault::Answer(answer));
        }
        let fits = |it: &&mut Rule| {
            it.method == request.method() && request.path().contains(it.part) && it.times > 0
        };
        let rule = self.rules.iter_mut().find(fits)?;
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        rule.times -= 1;
        Some(rule.fault.clone())
    }
}

fn serve(client: &TcpStream, host: &str, shared: &Mutex<State>) -> io::Result<()> {
    let mut reader = BufReader::new(client);
    while let Some(mut request) = Message::read(&mut reader)? {
        let fault = {
            let mut state = shared.lock().expect("no thread panics with it");
            let fault = state.meet(&request);
            if state.ignores_ranges {
                request.headers.retain(|(name, _)| name != "range");
            }
            fault
        };
        match fault {
            Some(Fault::Answer(answer)) => {
                send(client, &answer, answer.body.len(), request.method() == "HEAD")?;
            }
            Some(Fault::Hang) => return client.shutdown(Shutdown::Both),
            Some(Fault::CutRequest(bytes)) => {
                let registry = TcpStream::connect(host)?;
                send(&registry, &closing(&request), bytes, false)?;
                registry.shutdown(Shutdown::Write)?;
                // Until the registry has put away what it got.
                io::copy(&mut &registry, &mut io::sink())?;
                return client.shutdown(Shutdown::Both);
            }
            Some(Fault::TakePart(bytes)) => {
                request.body.truncate(bytes);
                request.set("content-length", &bytes.to_string());
                let range = request.header("content-range").unwrap_or_default();
                let start: usize = range.split('-').next().and_then(|it| it.parse().ok()).unwrap_or(0);
                request.set("content-range", &format!("{start}-{}", start + bytes - 1));
                let mut state = forward(&request, host)?;
                "HTTP/1.1 204 No Content".clone_into(&mut state.start);
                let fault = Fault::Answer(state);
                let rule = Rule { method: "GET", part: "/uploads/", skip: 0, times: 1, fault };
                shared.lock().expect("no thread panics with it").rules.push(rule);
                return client.shutdown(Shutdown::Both);
            }
            Some(Fault::LoseAnswer) => {
                forward(&request, host)?;
                return client.shutdown(Shutdown::Both);
            }
            Some(Fault::CutAnswer(bytes)) => {
                let answer = forward(&request, host)?;
                send(client, &answer, bytes.min(answer.body.len()), false)?;
                return client.shutdown(Shutdown::Both);
            }
            Some(Fault::Corrupt) => {
                let mut answer = forward(&request, host)?;
                if let Some(last) = answer.body.last_mut() {
                    *last ^= 1;
                }
                send(client, &answer, answer.body.len(), false)?;
            }
            None => {
                let answer = forward(&request, host)?;
                let head_only = request.method() == "HEAD";
                let (path, sent) = (request.path().to_owned(), request.body.len());
                let moved = Moved { path, sent, answered: answer.body.len() };
                shared.lock().expect("no thread panics with it").moved.push(moved);
                send(client, &answer, answer.body.len(), head_only)?;
            }
        }
    }
    Ok(())
}

fn closing(request: &Message) -> Message {
    let mut request = request.clone();
    request.set("connection", "close");
    request
}

/// Sends a request to the registry; answers what comes, its body without chunks.
fn forward(request: &Message, host: &str) -> io::Result<Message> {
    let registry = TcpStream::connect(host)?;
    send(&registry, &closing(request), request.body.len(), false)?;
    let mut reader = BufReader::new(&registry);
    // The body of the answer to HEAD is only announced.
    let mut answer = Message::read(&mut reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    if answer.header("transfer-encoding").is_some() {
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest)?;
        answer.body = unchunked(&rest);
        answer.headers.retain(|(name, _)| name != "transfer-encoding");
        let length = answer.body.len().to_string();
        answer.set("content-length", &length);
    }
    answer.headers.retain(|(name, _)| name != "connection");
    Ok(answer)
}

fn unchunked(mut text: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = text.windows(2).position(|it| it == b"\r\n") {
        let size = std::str::from_utf8(&text[..end]).ok().and_then(|it| usize::from_str_radix(it, 16).ok());
        let Some(size @ 1..) = size else { break };
        body.extend_from_slice(&text[end + 2..end + 2 + size]);
        text = &text[end + 2 + size + 2..];
    }
    body
}

fn send(mut to: &TcpStream, message: &Message, body: usize, head_only: bool) -> io::Result<()> {
    to.write_all(&message.head())?;
    if !head_only {
        to.write_all(&message.body[..body])?;
    }
    to.flush()
}

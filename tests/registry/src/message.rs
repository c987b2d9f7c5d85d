//! HTTP/1.1 messages, as far as the proxy has to understand them.

use std::io::{self, BufRead, Read};

/// A request or an answer: its head without the empty line, and its body.
#[derive(Clone, Debug)]
pub struct Message {
    /// `GET /v2/ HTTP/1.1` or `HTTP/1.1 200 OK`.
    pub start: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole of it.
    pub body: Vec<u8>,
}

impl Message {
    /// Reads one with a body of a known length. `None` at the end of the connection.
    pub fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut start = String::new();
        if from.read_line(&mut start)? == 0 {
            return Ok(None);
        }
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            if from.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut message = Self { start: start.trim_end().to_owned(), headers, body: Vec::new() };
        let length = message.header("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
        from.take(length).read_to_end(&mut message.body)?;
        Ok(Some(message))
    }

    /// An answer of the proxy's own.
    pub fn answer(status: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut answer = Self { start: format!("HTTP/1.1 {status}"), headers, body: body.into() };
        answer.set("content-length", &body.len().to_string());
        answer
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// Sets a header.
    pub fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(it, _)| it != name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// The bytes of the head.
    pub fn head(&self) -> Vec<u8> {
        let start = [self.start.clone()].into_iter();
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}"));
        let lines: Vec<_> = start.chain(headers).collect();
        (lines.join("\r\n") + "\r\n\r\n").into_bytes()
    }

    /// The method of a request.
    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// The path and query of a request.
    pub fn path(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }
}

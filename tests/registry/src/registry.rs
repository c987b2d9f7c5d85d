//! docker-registry on a port of the loopback device.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use micrun_host_tests::wait;
use tempfile::TempDir;

use crate::bench::{stranger, text};

/// The account of a registry with a password.
pub const USER: &str = "engineer";
/// Its password.
pub const PASSWORD: &str = "secret";
/// The line of htpasswd's file for it: bcrypt with the least cost, for a test.
const HTPASSWD: &str = "engineer:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

/// A running registry, ended when it is dropped.
pub struct Registry {
    process: Child,
    port: u16,
    _folder: TempDir,
}

/// Who may use it, and how.
#[derive(Clone, Copy)]
pub enum Kind<'a> {
    /// Everybody.
    Open,
    /// [`USER`].
    Password,
    /// Everybody, by TLS with this certificate and key.
    Tls(&'a Path, &'a Path),
    /// The same, for whoever has the last certificate.
    TlsOfClients(&'a Path, &'a Path, &'a Path),
}

impl Registry {
    /// Starts one.
    pub fn start(kind: Kind<'_>) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        // Free a moment ago, and so most likely free now.
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port is free").port();
        let passwords = folder.path().join("htpasswd");
        fs::write(&passwords, HTPASSWD).expect("writable");
        let auth = match kind {
            Kind::Password => format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", text(&passwords)),
            _ => String::new(),
        };
        let tls = match kind {
            Kind::Tls(certificate, key) => {
                format!(", tls: {{certificate: {}, key: {}}}", text(certificate), text(key))
            }
            Kind::TlsOfClients(certificate, key, client) => {
                let [certificate, key, client] = [certificate, key, client].map(text);
                format!(", tls: {{certificate: {certificate}, key: {key}, clientcas: [{client}]}}")
            }
            _ => String::new(),
        };
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
             http: {{addr: '127.0.0.1:{port}'{tls}}}\n{auth}",
            text(&folder.path().join("data"))
        );
        let path = folder.path().join("config.yml");
        fs::write(&path, config).expect("writable");
        let process = Command::new(stranger("registry").join("usr/bin/docker-registry"))
            .args(["serve", text(&path)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        wait::until("the registry listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        Self { process, port, _folder: folder }
    }

    /// Where it listens.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill().and_then(|()| self.process.wait());
    }
}

//! `login` and `logout`.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64ct::{Base64, Encoding as _};
use docker_credential::DockerCredential;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::args::{Login, Logout};
use super::connect;
use super::credentials::{self, key};
use super::error::Error;
use super::retry::repeat;
use super::transport::Request;
use crate::error::{Error as Fault, Result};
use crate::say;

/// A password is one line.
const MAX_PASSWORD: u64 = 64 * 1024;

/// Tries the credentials, then stores them.
pub(super) fn login(args: &Login) -> Result<String> {
    let password = password(args)?;
    let credential = DockerCredential::UsernamePassword(args.username.clone(), password.clone());
    let endpoint = connect::with(&args.network, &args.host, credential)?;
    let request = Request::new(Method::GET, endpoint.base.clone(), "");
    repeat(|| endpoint.send(&request, &[]).map(drop))?;
    let mut config = Config::open(&args.host)?;
    if let Some(helper) = config.helper(&args.host) {
        let secret = json!({"ServerURL": key(&args.host), "Username": args.username, "Secret": password});
        ask(&helper, "store", &secret.to_string(), &args.host)?;
        say::usual(format_args!("logged in to {}; {helper} keeps the password", args.host));
    } else {
        let auth = Base64::encode_string(format!("{}:{password}", args.username).as_bytes());
        config.auths().insert(key(&args.host).to_owned(), json!({"auth": auth}));
        config.write()?;
        let path = config.path.display();
        say::usual(format_args!("logged in to {}; the password is in {path}, not encrypted", args.host));
    }
    Ok(String::new())
}

/// Forgets the credentials, wherever they are.
pub(super) fn logout(args: &Logout) -> Result<String> {
    let mut config = Config::open(&args.host)?;
    if let Some(helper) = config.helper(&args.host) {
        ask(&helper, "erase", key(&args.host), &args.host)?;
    }
    let known = config.auths().remove(key(&args.host)).is_some();
    if known {
        config.write()?;
    }
    say::usual(format_args!("logged out of {}", args.host));
    Ok(String::new())
}

fn password(args: &Login) -> Result<String> {
    let wrong = |reason: &str| Fault::Argument {
        what: "password of",
        value: args.username.clone(),
        reason: reason.to_owned(),
    };
    let failed = |source| Fault::Read { path: "the standard input".into(), source };
    let text = if args.password_stdin {
        let mut text = String::new();
        io::stdin().lock().take(MAX_PASSWORD).read_to_string(&mut text).map_err(failed)?;
        text
    } else if io::stdin().is_terminal() {
        rpassword::prompt_password(format!("Password of {} at {}: ", args.username, args.host))
            .map_err(failed)?
    } else {
        return Err(wrong("there is no terminal to ask on; give it with --password-stdin"));
    };
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(wrong("it is empty"));
    }
    Ok(text.to_owned())
}

/// The file in which Docker or podman keeps credentials. What else is in it stays.
struct Config {
    path: PathBuf,
    content: Map<String, Value>,
}

impl Config {
    fn open(host: &str) -> Result<Self> {
        let Some(path) = credentials::file() else {
            let reason =
                "neither HOME nor DOCKER_CONFIG nor REGISTRY_AUTH_FILE says where they are".to_owned();
            return Err(Error::Credentials { host: host.to_owned(), reason }.into());
        };
        let content = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|e| Error::Settings { path: path.clone(), reason: e.to_string() })?,
            Err(e) if e.kind() == ErrorKind::NotFound => Map::new(),
            Err(source) => return Err(Fault::Read { path, source }),
        };
        Ok(Self { path, content })
    }

    /// The program that keeps the credentials of a registry.
    fn helper(&self, host: &str) -> Option<String> {
        let of_host = self.content.get("credHelpers").and_then(|it| it.get(key(host)));
        let name = of_host.or_else(|| self.content.get("credsStore"))?.as_str()?;
        (!name.is_empty()).then(|| format!("docker-credential-{name}"))
    }

    fn auths(&mut self) -> &mut Map<String, Value> {
        let auths = self.content.entry("auths").or_insert_with(|| json!({}));
        if !auths.is_object() {
            *auths = json!({});
        }
        #[expect(clippy::expect_used, reason = "it was made an object above")]
        auths.as_object_mut().expect("an object")
    }

    /// Replaces the file by one that only its owner reads.
    fn write(&self) -> Result<()> {
        let write = |source| Fault::Write { path: self.path.clone(), source };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(write)?;
        // Where a link leads, so that the link stays.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(folder)
            .map_err(write)?;
        let text = serde_json::to_string_pretty(&self.content).unwrap_or_default();
        file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(write)?;
        file.persist(&path).map_err(|e| write(e.error))?;
        Ok(())
    }
}

/// Lets a credential helper do something (<https://github.com/docker/docker-credential-helpers>).
fn ask(helper: &str, action: &str, input: &str, host: &str) -> Result<()> {
    let refuse = |reason: String| Error::Credentials { host: host.to_owned(), reason };
    let failed = |e: io::Error| refuse(format!("{helper} cannot be run: {e}"));
    let mut child = Command::new(helper)
        .arg(action)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that ends early says why by its status.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    Err(refuse(format!("{helper} {action} has failed: {}", said.trim())).into())
}

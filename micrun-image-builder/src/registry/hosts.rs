//! How a registry is reached: containerd's `hosts.toml` and the certificates beside it.
//!
//! <https://github.com/containerd/containerd/blob/main/docs/hosts.md>

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use toml::Spanned;

use super::error::Error;

/// What an endpoint may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Pull,
    Resolve,
    Push,
}

/// A place that has what a registry has.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Where its API begins; `None` for the registry itself, at its usual address.
    pub(super) base: Option<Url>,
    /// PEM files of the authorities that it may be certified by, beside the system's.
    pub(super) authorities: Vec<PathBuf>,
    /// PEM files that prove who we are: certificate and key.
    pub(super) identity: Vec<PathBuf>,
    pub(super) any_certificate: bool,
    pub(super) headers: HeaderMap,
}

/// `hosts.toml`. Fields that only pace containerd (`dial_timeout`) are not read; `client` without a key means
/// a file
/// that holds both.
#[derive(Default, Deserialize)]
struct File {
    server: Option<String>,
    #[serde(flatten)]
    usual: Entry,
    // Their order is a preference; a map alone would lose it.
    #[serde(default)]
    host: HashMap<String, Spanned<Entry>>,
}

#[derive(Clone, Default, Deserialize)]
struct Entry {
    capabilities: Option<Vec<String>>,
    ca: Option<OneOrMore>,
    client: Option<Client>,
    #[serde(default)]
    skip_verify: bool,
    #[serde(default)]
    override_path: bool,
    #[serde(default)]
    header: HashMap<String, OneOrMore>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Client {
    One(String),
    More(Vec<String>),
    Pairs(Vec<Vec<String>>),
}

impl OneOrMore {
    fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(all) => all,
        }
    }
}

/// The places to try for a registry, the preferred one first and the registry itself last; `None` if no
/// folder speaks
/// of it.
pub(super) fn places(folders: &[PathBuf], host: &str, wanted: Use) -> Result<Option<Vec<Place>>, Error> {
    let names = [host.to_owned(), host.replacen(':', "_", 1) + "_", "_default".to_owned()];
    let names: &[String] = if host.contains(':') { &names } else { &[names[0].clone(), names[2].clone()] };
    for folder in names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))) {
        let path = folder.join("hosts.toml");
        let refuse = |reason: String| Error::Settings { path: path.clone(), reason };
        match fs::read_to_string(&path) {
            Ok(text) => {
                let file: File = toml::from_str(&text).map_err(|e| refuse(e.to_string()))?;
                return read(&folder, &file, wanted).map(Some).map_err(refuse);
            }
            Err(e) if e.kind() == ErrorKind::NotFound && folder.is_dir() => {
                return Ok(Some(vec![beside(&folder)]));
            }
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(e) => return Err(refuse(e.to_string())),
        }
    }
    Ok(None)
}

fn read(folder: &Path, file: &File, wanted: Use) -> Result<Vec<Place>, String> {
    let mut hosts: Vec<_> = file.host.iter().collect();
    hosts.sort_by_key(|(_, entry)| entry.span().start);
    let mut places = Vec::new();
    for (address, entry) in hosts {
        if able(entry.get_ref(), wanted) {
            places.push(place(folder, Some(address), entry.get_ref())?);
        }
    }
    // As containerd does: the registry itself can do everything, whatever is said of it.
    places.push(place(folder, file.server.as_deref(), &file.usual)?);
    Ok(places)
}

fn able(entry: &Entry, wanted: Use) -> bool {
    let word = match wanted {
        Use::Pull => "pull",
        Use::Resolve => "resolve",
        Use::Push => "push",
    };
    entry.capabilities.as_ref().is_none_or(|able| able.iter().any(|it| it == word))
}

fn place(folder: &Path, address: Option<&str>, entry: &Entry) -> Result<Place, String> {
    let base = address.map(|address| {
        let full = if address.contains("://") { address.to_owned() } else { format!("https://{address}") };
        let path = if entry.override_path { "/" } else { "/v2/" };
        let text = format!("{}{path}", full.trim_end_matches('/').trim_end_matches("/v2"));
        let text = if entry.override_path { format!("{}/", full.trim_end_matches('/')) } else { text };
        text.parse::<Url>().map_err(|e| format!("{address:?} is no address ({e})"))
    });
    let mut headers = HeaderMap::new();
    for (name, values) in &entry.header {
        for value in values.all() {
            let read = || Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?));
            let (name, mut value) = read().ok_or_else(|| format!("{name:?} is no header"))?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
    }
    let files = |names: &[String]| names.iter().map(|it| folder.join(it)).collect::<Vec<_>>();
    let identity = match &entry.client {
        None => Vec::new(),
        Some(Client::One(file)) => vec![folder.join(file)],
        Some(Client::More(pair)) => files(pair),
        // containerd offers all to the server; one is what a server asks for.
        Some(Client::Pairs(pairs)) => pairs.first().map(|pair| files(pair)).unwrap_or_default(),
    };
    Ok(Place {
        base: base.transpose()?,
        authorities: entry.ca.as_ref().map(|it| files(it.all())).unwrap_or_default(),
        identity,
        any_certificate: entry.skip_verify,
        headers,
    })
}

/// A folder of Docker's: `*.crt` are authorities, `*.cert` and `*.key` a client's certificate and key.
fn beside(folder: &Path) -> Place {
    let mut place = Place::default();
    let mut files: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|it| it.path()).collect();
    files.sort();
    for file in files {
        match file.extension().and_then(|it| it.to_str()) {
            Some("crt") => place.authorities.push(file),
            Some("cert") if place.identity.is_empty() => {
                place.identity = vec![file.clone(), file.with_extension("key")];
            }
            _ => {}
        }
    }
    place
}

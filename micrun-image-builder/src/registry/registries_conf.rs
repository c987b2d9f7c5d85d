//! `registries.conf` of podman, skopeo and buildah: locations and mirrors, for registries that no folder of
//! hosts
//! speaks of.
//!
//! <https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md>, version 2. Short
//! names are
//! completed as everywhere here, whatever `unqualified-search-registries` says.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::Error;
use super::hosts::{Place, Use};

#[derive(Default, Deserialize)]
struct File {
    #[serde(default)]
    registry: Vec<Registry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Registry {
    prefix: Option<String>,
    location: Option<String>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror: Vec<Mirror>,
}

#[derive(Deserialize)]
struct Mirror {
    location: String,
    #[serde(default)]
    insecure: bool,
}

/// Where a registry is, by the file; `None` if it says nothing of that registry.
///
/// Entries for parts of a registry (`prefix = "host/path"`) and for many (`*.example.org`) are refused where
/// they
/// would count: what they do to names is not done here.
pub(super) fn places(host: &str, repository: &str, wanted: Use) -> Result<Option<Vec<Place>>, Error> {
    let Some(path) = path() else { return Ok(None) };
    let refuse = |reason: String| Error::Settings { path: path.clone(), reason };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(refuse(e.to_string())),
    };
    let file: File = toml::from_str(&text).map_err(|e| refuse(e.to_string()))?;
    let full = format!("{host}/{repository}");
    for registry in &file.registry {
        let Some(prefix) = registry.prefix.as_deref().or(registry.location.as_deref()) else { continue };
        if !counts(prefix, host, &full) {
            continue;
        }
        if registry.blocked {
            return Err(refuse(format!("it blocks {prefix}")));
        }
        let location = registry.location.as_deref().unwrap_or(prefix);
        let mut all = Vec::new();
        if wanted != Use::Push {
            all.extend(registry.mirror.iter().map(|it| (it.location.as_str(), it.insecure)));
        }
        all.push((location, registry.insecure));
        if prefix != host || all.iter().any(|(location, _)| location.contains('/')) {
            return Err(refuse(format!(
                "the entry {prefix} is for a part of a registry or for several; write it as hosts.toml or as an entry for {host}"
            )));
        }
        let place = |(location, insecure): (&str, bool)| {
            // `insecure` there also means HTTP. Here it never does.
            let base = (location != host).then(|| format!("https://{location}/v2/").parse());
            let base = base.transpose().map_err(|_| refuse(format!("{location:?} is no address")))?;
            Ok(Place { base, any_certificate: insecure, ..Place::default() })
        };
        return all.into_iter().map(place).collect::<Result<_, _>>().map(Some);
    }
    Ok(None)
}

fn counts(prefix: &str, host: &str, full: &str) -> bool {
    match prefix.strip_prefix('*') {
        Some(end) => host.ends_with(end.split('/').next().unwrap_or(end)),
        None => full.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    }
}

fn path() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    if let Some(path) = set("CONTAINERS_REGISTRIES_CONF") {
        return Some(path);
    }
    let own = set("HOME").map(|home| home.join(".config/containers/registries.conf"));
    own.filter(|it| it.exists()).or_else(|| Some(Path::new("/etc/containers/registries.conf").to_owned()))
}

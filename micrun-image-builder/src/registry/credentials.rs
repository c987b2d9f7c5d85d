//! Stored credentials: Docker's `config.json` and credential helpers, podman's `auth.json`.

use std::env;
use std::path::PathBuf;

use docker_credential::{CredentialRetrievalError, DockerCredential};

use super::error::Error;

/// The file that the variable `REGISTRY_AUTH_FILE` names, as podman and skopeo know it.
pub(super) const AUTH_FILE: &str = "REGISTRY_AUTH_FILE";
/// Where Docker keeps the credentials of docker.io.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// The name under which credentials for a registry are stored.
pub(super) fn key(host: &str) -> &str {
    match host {
        "docker.io" | "registry-1.docker.io" | "index.docker.io" => DOCKER_HUB,
        host => host,
    }
}

/// Where credentials are stored: `$REGISTRY_AUTH_FILE`, `$DOCKER_CONFIG/config.json`,
/// `~/.docker/config.json`.
pub(super) fn file() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    set(AUTH_FILE)
        .or_else(|| Some(set("DOCKER_CONFIG")?.join("config.json")))
        .or_else(|| Some(set("HOME")?.join(".docker/config.json")))
}

/// The stored credentials for a registry, if there are some.
pub(super) fn stored(host: &str) -> Result<Option<DockerCredential>, Error> {
    let key = key(host);
    let found = if env::var_os(AUTH_FILE).is_some() {
        docker_credential::get_podman_credential(key)
    } else {
        match docker_credential::get_credential(key) {
            Err(CredentialRetrievalError::ConfigReadError) if file().is_none_or(|it| !it.exists()) => {
                docker_credential::get_podman_credential(key)
            }
            found => found,
        }
    };
    let none = |path: Option<PathBuf>| path.is_none_or(|it| !it.exists());
    match found {
        Ok(found) => Ok(Some(found)),
        Err(CredentialRetrievalError::NoCredentialConfigured | CredentialRetrievalError::ConfigNotFound) => {
            Ok(None)
        }
        Err(CredentialRetrievalError::ConfigReadError) if none(file()) => Ok(None),
        // What every helper says that has none (docker-credential-helpers, credentials/error.go).
        Err(CredentialRetrievalError::HelperFailure { stdout, .. })
            if stdout.contains("credentials not found") =>
        {
            Ok(None)
        }
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
            Err(Error::Credentials { host: host.to_owned(), reason: format!("{helper} has failed") })
        }
        Err(e) => Err(Error::Credentials { host: host.to_owned(), reason: e.to_string() }),
    }
}

//! Endpoints made of names, settings and options.

use std::fs;
use std::path::Path;

use docker_credential::DockerCredential;
use reqwest::blocking::Client;
use reqwest::{Certificate, Identity, Url};

use super::args::Network;
use super::auth::Auth;
use super::error::Error;
use super::hosts::{self, Place, Use};
use super::registries_conf;
use super::transport::{Endpoint, PATIENCE, user_agent};
use crate::error::Result;

/// The endpoints for a registry, the preferred one first. There is at least one.
pub(super) fn endpoints(
    network: &Network,
    host: &str,
    repository: &str,
    wanted: Use,
) -> Result<Vec<Endpoint>> {
    let places = match hosts::places(&network.hosts_dir, host, wanted)? {
        Some(places) => places,
        None => registries_conf::places(host, repository, wanted)?.unwrap_or_else(|| vec![Place::default()]),
    };
    places.into_iter().map(|place| endpoint(network, host, place)).collect()
}

/// The one endpoint that takes what is sent to a registry.
pub(super) fn writable(network: &Network, host: &str, repository: &str) -> Result<Endpoint> {
    let mut all = endpoints(network, host, repository, Use::Push)?;
    Ok(all.swap_remove(0))
}

/// An endpoint at which these credentials are tried.
pub(super) fn with(network: &Network, host: &str, credential: DockerCredential) -> Result<Endpoint> {
    let mut endpoint = writable(network, host, "")?;
    endpoint.auth = Auth::given(host, credential);
    Ok(endpoint)
}

fn endpoint(network: &Network, host: &str, place: Place) -> Result<Endpoint> {
    let usual = usual(network, host)?;
    let base = place.base.clone().unwrap_or_else(|| usual.clone());
    let client = client(network, &place, base.scheme() == "http")?;
    let address = |url: &Url| {
        let name = url.host_str().unwrap_or_default();
        url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
    };
    let is_mirror = base.origin() != usual.origin();
    let known = if is_mirror { address(&base) } else { host.to_owned() };
    let mirror_of = is_mirror.then(|| host.to_owned());
    Ok(Endpoint {
        client,
        base,
        headers: place.headers,
        auth: Auth::stored(&known),
        chunk: u64::from(network.chunk) << 20,
        mirror_of,
    })
}

fn usual(network: &Network, host: &str) -> Result<Url> {
    let scheme = if network.plain_http { "http" } else { "https" };
    let server = if host == "docker.io" { "registry-1.docker.io" } else { host };
    let url = format!("{scheme}://{server}/v2/").parse();
    url.map_err(|e| crate::error::Error::Argument {
        what: "registry",
        value: host.to_owned(),
        reason: format!("it is no address: {e}"),
    })
}

fn client(network: &Network, place: &Place, plain: bool) -> Result<Client> {
    // Fails if it was done before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(user_agent())
        .timeout(PATIENCE)
        // Neither a redirection nor a token service leaves TLS.
        .https_only(!plain)
        .tls_danger_accept_invalid_certs(network.insecure || place.any_certificate);
    let mut authorities = Vec::new();
    for path in &place.authorities {
        let found = Certificate::from_pem_bundle(&pem(path)?);
        authorities
            .extend(found.map_err(|e| settings(path, format!("it is no PEM file of certificates: {e}")))?);
    }
    if !authorities.is_empty() {
        builder = builder.tls_certs_merge(authorities);
    }
    if let Some(first) = place.identity.first() {
        let mut all = Vec::new();
        for path in &place.identity {
            all.extend(pem(path)?);
        }
        let identity = Identity::from_pem(&all);
        builder = builder.identity(
            identity.map_err(|e| settings(first, format!("it is no certificate with a key: {e}")))?,
        );
    }
    builder.build().map_err(|source| Error::Network { request: "any request".to_owned(), source }.into())
}

fn pem(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|e| settings(path, e.to_string()))
}

fn settings(path: &Path, reason: String) -> Error {
    Error::Settings { path: path.to_owned(), reason }
}

//! How a registry learns who asks: Basic, or tokens of a token service.
//!
//! <https://distribution.github.io/distribution/spec/auth/token/>

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64ct::{Base64, Encoding as _};
use docker_credential::DockerCredential;
use http_auth::ChallengeRef;
use oci_distribution::token_cache::RegistryToken;
use reqwest::Url;
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};

use super::credentials;
use super::error::Error;
use super::transport::{failed, run};
use crate::error::Result;

/// What a request may do, in the words of token services: `repository:NAME:pull,push`, several after spaces.
pub(super) type Scope = String;

/// The credentials for one registry and the tokens got with them.
pub(super) struct Auth {
    host: String,
    given: Option<DockerCredential>,
    held: Mutex<HashMap<Scope, HeaderValue>>,
}

impl Auth {
    /// With the stored credentials for `host`, which are looked up when the registry asks for some.
    pub(super) fn stored(host: &str) -> Self {
        Self { host: host.to_owned(), given: None, held: Mutex::default() }
    }

    /// With these credentials.
    pub(super) fn given(host: &str, credential: DockerCredential) -> Self {
        Self { given: Some(credential), ..Self::stored(host) }
    }

    /// What to send along with a request.
    pub(super) fn held(&self, scope: &str) -> Option<HeaderValue> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).get(scope).cloned()
    }

    /// Answers a challenge: from now on `held` has something else than `dead`, which the registry did not
    /// take.
    /// `false` if there is nothing else.
    ///
    /// One thread at a time renews: the others find its token when it is there.
    pub(super) fn renew(
        &self,
        client: &Client,
        headers: &HeaderMap,
        scope: &str,
        dead: Option<&HeaderValue>,
    ) -> Result<bool> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.get(scope) != dead {
            return Ok(true);
        }
        held.remove(scope);
        let texts: Vec<_> =
            headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|it| it.to_str().ok()).collect();
        let challenges: Vec<_> =
            texts.iter().filter_map(|it| http_auth::parse_challenges(it).ok()).flatten().collect();
        let of = |scheme: &str| challenges.iter().find(|it| it.scheme.eq_ignore_ascii_case(scheme));
        let credential = match &self.given {
            Some(given) => Some(given.clone_of()),
            None => credentials::stored(&self.host)?,
        };
        let value = match (of("bearer"), of("basic"), credential) {
            (Some(challenge), _, credential) => {
                let token = fetch(client, challenge, scope, credential.as_ref(), &self.host)?;
                secret(&format!("Bearer {}", token.token()), &self.host)?
            }
            (None, Some(_), Some(DockerCredential::UsernamePassword(user, password))) => {
                basic(&user, &password, &self.host)?
            }
            _ => return Ok(false),
        };
        if Some(&value) == dead {
            return Ok(false);
        }
        held.insert(scope.to_owned(), value);
        Ok(true)
    }
}

/// `DockerCredential` has no `Clone`.
trait CloneOf {
    fn clone_of(&self) -> Self;
}

impl CloneOf for DockerCredential {
    fn clone_of(&self) -> Self {
        match self {
            Self::IdentityToken(token) => Self::IdentityToken(token.clone()),
            Self::UsernamePassword(user, password) => Self::UsernamePassword(user.clone(), password.clone()),
        }
    }
}

fn basic(user: &str, password: &str, host: &str) -> Result<HeaderValue> {
    secret(&format!("Basic {}", Base64::encode_string(format!("{user}:{password}").as_bytes())), host)
}

fn secret(text: &str, host: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text).map_err(|_| Error::Credentials {
        host: host.to_owned(),
        reason: "they have characters that no header may have".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn fetch(
    client: &Client,
    challenge: &ChallengeRef<'_>,
    scope: &str,
    credential: Option<&DockerCredential>,
    host: &str,
) -> Result<RegistryToken> {
    let param = |name: &str| {
        let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_unescaped())
    };
    let refuse = |reason: &str| Error::Protocol {
        request: format!("the challenge of {host}"),
        reason: reason.to_owned(),
    };
    let realm = param("realm").ok_or_else(|| refuse("it names no token service"))?;
    let realm: Url = realm.parse().map_err(|_| refuse("the address of its token service is none"))?;
    let service = param("service").unwrap_or_default();
    let request = if let Some(DockerCredential::IdentityToken(token)) = credential {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", env!("CARGO_PKG_NAME")),
            ("service", &service),
            ("scope", scope),
            ("refresh_token", token),
        ];
        form_request(client, &realm, &form)
    } else {
        let mut url = realm;
        let services = Some(&service).filter(|it| !it.is_empty());
        url.query_pairs_mut()
            .extend_pairs(services.map(|it| ("service", it)))
            .extend_pairs(scope.split_whitespace().map(|it| ("scope", it)));
        let request = client.get(url);
        match credential {
            Some(DockerCredential::UsernamePassword(user, password)) => {
                request.header(AUTHORIZATION, basic(user, password, host)?)
            }
            _ => request,
        }
    };
    let (named, answer) = run(client, request)?;
    if matches!(answer.status().as_u16(), 400 | 401 | 403) {
        return Err(Error::Denied { host: host.to_owned(), what: "its token service".to_owned() }.into());
    }
    if !answer.status().is_success() {
        return Err(failed(named, answer).into());
    }
    let text = answer.text().map_err(|source| Error::Network { request: named.clone(), source })?;
    let token: Option<RegistryToken> = serde_json::from_str(&text).ok();
    token.ok_or_else(|| Error::Protocol { request: named, reason: "it has no token".to_owned() }.into())
}

fn form_request(client: &Client, realm: &Url, form: &[(&str, &str)]) -> RequestBuilder {
    let mut body = Url::clone(realm);
    body.query_pairs_mut().clear().extend_pairs(form);
    client
        .post(realm.clone())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.query().unwrap_or_default().to_owned())
}

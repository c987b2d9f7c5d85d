//! Where traces go, by the configuration first and by OpenTelemetry's variables second.

use std::path::PathBuf;
use std::time::Duration;

use crate::Error;

/// The path that the specification adds to an endpoint for all signals.
const PATH: &str = "/v1/traces";
const TIMEOUT: Duration = Duration::from_secs(10);
/// Ports of the URL's scheme, and of OTLP over HTTP.
const HTTP_PORT: u16 = 80;
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Each with the variable for all signals behind it.
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];

/// What a program says about its traces.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Its name, unless `OTEL_SERVICE_NAME` says another one.
    pub service: &'static str,
    /// The name that `OTEL_SERVICE_NAME` has for the program that starts this one, which leaves it in the environment.
    pub parent_service: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What else is true of all its spans.
    pub attributes: Vec<(&'static str, String)>,
    /// Where its configuration wants traces to go.
    pub endpoint: Option<String>,
    /// The share of traces that are kept of those which begin here, from 0 to 1.
    pub sample: Option<f64>,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) address: Address,
    /// The path of the request.
    pub(crate) path: String,
    /// Longest that an export may take.
    pub(crate) timeout: Duration,
}

/// Where a collector listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// `HOST:PORT`.
    Tcp(String),
    Unix(PathBuf),
}

impl Settings {
    /// A text of the configuration as [`Self::sample`].
    pub fn parse_sample(text: &str) -> Result<f64, Error> {
        let number = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        number.ok_or_else(|| Error::Sample(text.to_owned()))
    }

    /// A text of the configuration as [`Self::endpoint`].
    pub fn parse_endpoint(text: &str) -> Result<String, Error> {
        read_endpoint(text).map(|_| text.to_owned())
    }

    /// `None` if there are to be no traces.
    pub(crate) fn plan(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Plan>, Error> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let is =
            |name: &str, word: &str| set(name).is_some_and(|value| value.trim().eq_ignore_ascii_case(word));
        if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
            return Ok(None);
        }
        let (address, path) = if let Some(own) = &self.endpoint {
            let (address, path) = read_endpoint(own)?;
            (address, if path.is_empty() || path == "/" { PATH.to_owned() } else { path })
        } else if let Some(of_traces) = set(TRACES_ENDPOINT) {
            let (address, path) = read_endpoint(of_traces.trim())?;
            (address, if path.is_empty() { "/".to_owned() } else { path })
        } else if let Some(of_all) = set(ENDPOINT) {
            let (address, path) = read_endpoint(of_all.trim())?;
            (address, format!("{}{PATH}", path.trim_end_matches('/')))
        } else {
            return Ok(None);
        };
        let protocol = PROTOCOLS.into_iter().find_map(|name| set(name).map(|value| (name, value)));
        if let Some((variable, value)) = protocol
            && value.trim() != "http/protobuf"
            && self.endpoint.is_none()
        {
            return Err(Error::Protocol { variable, value });
        }
        let timeout = TIMEOUTS.into_iter().find_map(|name| set(name)?.trim().parse().ok());
        Ok(Some(Plan { address, path, timeout: timeout.map_or(TIMEOUT, Duration::from_millis) }))
    }
}

/// The address and the path, which may be empty.
fn read_endpoint(text: &str) -> Result<(Address, String), Error> {
    let wrong = || Error::Endpoint(text.to_owned());
    if text.chars().any(|c| c.is_control() || c == ' ') {
        return Err(wrong());
    }
    if let Some(path) = text.strip_prefix("unix://") {
        return if path.starts_with('/') && path.len() > 1 {
            Ok((Address::Unix(path.into()), String::new()))
        } else {
            Err(wrong())
        };
    }
    let rest = text.strip_prefix("http://").ok_or_else(wrong)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.is_empty() || authority.contains('@') || path.contains('#') || path.starts_with('?') {
        return Err(wrong());
    }
    // A colon behind the bracket of an IPv6 address, or the only one.
    let port = match authority.rsplit_once(':') {
        Some((host, _)) if host.starts_with('[') && !host.ends_with(']') => None,
        Some((host, port)) => {
            let number = port.parse::<u16>().ok().filter(|_| !host.is_empty());
            Some(number.filter(|_| host.starts_with('[') || !host.contains(':')).ok_or_else(wrong)?)
        }
        None => None,
    };
    let host = if port.is_some() { authority.to_owned() } else { format!("{authority}:{HTTP_PORT}") };
    Ok((Address::Tcp(host), path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(endpoint: Option<&str>, variables: &[(&str, &str)]) -> Result<Option<Plan>, Error> {
        let settings = Settings { endpoint: endpoint.map(str::to_owned), ..Settings::default() };
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        settings.plan(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    fn goes_to(endpoint: Option<&str>, variables: &[(&str, &str)]) -> Option<(Address, String)> {
        plan(endpoint, variables).unwrap().map(|plan| (plan.address, plan.path))
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is compared with what may be nothing")]
    fn tcp(host: &str, path: &str) -> Option<(Address, String)> {
        Some((Address::Tcp(host.to_owned()), path.to_owned()))
    }

    #[test]
    fn without_a_collector_there_are_no_traces() {
        assert_eq!(plan(None, &[]).unwrap(), None);
        assert_eq!(plan(None, &[(ENDPOINT, " ")]).unwrap(), None);
        for (name, value) in [("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_TRACES_EXPORTER", "none")] {
            assert_eq!(plan(Some("http://a"), &[(name, value)]).unwrap(), None);
        }
    }

    #[test]
    fn an_endpoint_for_all_signals_gets_the_path_of_traces() {
        assert_eq!(goes_to(None, &[(ENDPOINT, "http://a:4318")]), tcp("a:4318", "/v1/traces"));
        assert_eq!(goes_to(None, &[(ENDPOINT, "http://a/b/")]), tcp("a:80", "/b/v1/traces"));
        assert_eq!(goes_to(None, &[(TRACES_ENDPOINT, "http://a:1")]), tcp("a:1", "/"));
        let both = [(ENDPOINT, "http://a:1"), (TRACES_ENDPOINT, "http://[::1]:2/x?y=z")];
        assert_eq!(goes_to(None, &both), tcp("[::1]:2", "/x?y=z"));
        assert_eq!(goes_to(Some("http://own"), &both), tcp("own:80", "/v1/traces"));
        let unix = Some((Address::Unix("/run/c.sock".into()), PATH.to_owned()));
        assert_eq!(goes_to(Some("unix:///run/c.sock"), &[]), unix);
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for wrong in [
            "",
            "a:4318",
            "https://a",
            "http://",
            "http://:1",
            "http://a:b",
            "http://a:70000",
            "http://u@a",
            "http://a:1:2",
            "unix://",
            "unix://a",
            "http://a b",
            "http://a/\n",
        ] {
            let refused = Settings::parse_endpoint(wrong);
            assert!(matches!(&refused, Err(Error::Endpoint(text)) if text == wrong), "{wrong}: {refused:?}");
        }
    }

    #[test]
    fn another_protocol_is_refused_unless_the_configuration_names_a_collector() {
        let grpc = [(ENDPOINT, "http://a:4317"), (PROTOCOLS[1], "grpc")];
        assert!(matches!(plan(None, &grpc), Err(Error::Protocol { .. })));
        assert_eq!(goes_to(Some("http://b:4318"), &grpc), tcp("b:4318", "/v1/traces"));
        assert_eq!(goes_to(None, &[grpc[0], (PROTOCOLS[1], "http/protobuf")]), tcp("a:4317", "/v1/traces"));
    }

    #[test]
    fn the_timeout_is_in_milliseconds_and_that_of_traces_goes_first() {
        let timeout = |variables: &[_]| plan(Some("http://a"), variables).unwrap().unwrap().timeout;
        assert_eq!(timeout(&[]), TIMEOUT);
        assert_eq!(timeout(&[(TIMEOUTS[1], "250")]), Duration::from_millis(250));
        assert_eq!(timeout(&[(TIMEOUTS[1], "250"), (TIMEOUTS[0], "1")]), Duration::from_millis(1));
        assert_eq!(timeout(&[(TIMEOUTS[1], "soon")]), TIMEOUT);
    }

    #[test]
    fn a_share_is_from_nothing_to_all() {
        assert!((Settings::parse_sample("0.25").unwrap() - 0.25).abs() < f64::EPSILON);
        for wrong in ["", "1.1", "-1", "NaN", "1 %"] {
            assert!(Settings::parse_sample(wrong).is_err(), "{wrong}");
        }
    }
}

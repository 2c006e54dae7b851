//! The address of a participant: `http://host:port` or `https://host:port`, checked once.
//!
//! `https` is never quietly downgraded. It never resolves a host: that is done at every connect, so that a name may move; one that was
//! found by discovery has its IP address already. Invariant: an [`Endpoint`] has a host, a port and nothing else.

use std::fmt;
use std::net::SocketAddr;

use http::Uri;

/// Longest part of an offending address that an error shows.
const SHOWN_MAX: usize = 200;

/// Where a participant answers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    text: String,
    tls: bool,
    host: String,
    port: u16,
    /// Host and port, as in the URI of a request.
    authority: String,
    /// Where to connect, if that is known already.
    address: Option<SocketAddr>,
}

/// An address that isn't one that we can call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// It isn't a URI with a host, or it has more than scheme, host and port.
    #[error("{given:?} is not an address: write http://host:port and nothing after the port")]
    NotAnAddress {
        /// What was given, cut to a length that is safe to show.
        given: String,
    },
    /// The scheme is missing or another one.
    #[error("{given:?}: write http://host:port, or https://host:port for TLS")]
    Scheme {
        /// What was given, cut to a length that is safe to show.
        given: String,
    },
    /// Of an HTTP participant: the scheme is missing or another one.
    #[error("{given:?}: write https://host or http://host, with :port where it isn't 443 or 80")]
    HttpScheme {
        /// What was given, cut to a length that is safe to show.
        given: String,
    },
    /// There is no default port for a gRPC participant.
    #[error("{given:?} names no port between 1 and 65535: write http://host:port")]
    Port {
        /// What was given, cut to a length that is safe to show.
        given: String,
    },
}

impl Endpoint {
    /// Reads the address of a gRPC participant. A trailing slash is allowed, letters of the host become small.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        let uri = read_uri(text)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(InvalidEndpoint::Scheme { given: given(text) });
        }
        Self::of(text, &uri, None)
    }

    /// Reads the address of a participant that is called by HTTP. The port may be left out.
    pub fn parse_http(text: &str) -> Result<Self, InvalidEndpoint> {
        let uri = read_uri(text)?;
        match uri.scheme_str() {
            Some("http") => Self::of(text, &uri, Some(80)),
            Some("https") => Self::of(text, &uri, Some(443)),
            _ => Err(InvalidEndpoint::HttpScheme { given: given(text) }),
        }
    }

    fn of(text: &str, uri: &Uri, default_port: Option<u16>) -> Result<Self, InvalidEndpoint> {
        let given = || given(text);
        let authority = uri.authority().ok_or_else(|| InvalidEndpoint::NotAnAddress { given: given() })?;
        let bare = uri.query().is_none() && matches!(uri.path(), "" | "/") && !authority.as_str().contains('@');
        if !bare || authority.host().is_empty() {
            return Err(InvalidEndpoint::NotAnAddress { given: given() });
        }
        let host = authority.host().to_ascii_lowercase();
        let written = authority.as_str().len() > host.len();
        let port = if written { authority.port_u16() } else { default_port };
        let port = port.filter(|port| *port != 0).ok_or_else(|| InvalidEndpoint::Port { given: given() })?;
        let scheme = uri.scheme_str().unwrap_or_default();
        let authority = format!("{host}:{port}");
        Ok(Self {
            text: format!("{scheme}://{authority}"),
            tls: scheme == "https",
            host,
            port,
            authority,
            address: None,
        })
    }

    /// One of the addresses of a service that was found by its name. It is shown with the address; certificates are checked against
    /// the name, and requests carry it.
    pub fn found(tls: bool, name: &str, address: SocketAddr) -> Self {
        let (scheme, port) = (if tls { "https" } else { "http" }, address.port());
        let authority = format!("{name}:{port}");
        Self {
            text: format!("{scheme}://{address}"),
            tls,
            host: name.to_owned(),
            port,
            authority,
            address: Some(address),
        }
    }

    /// Whether it is called over TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The address as text: `http://host:port`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host and port as they stand in the URI of a request.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Where to connect, for one that was found; `None`: its host is resolved first.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Host and port for a socket; an IPv6 address without its brackets.
    pub(super) fn socket(&self) -> (&str, u16) {
        (self.host.trim_start_matches('[').trim_end_matches(']'), self.port)
    }
}

fn given(text: &str) -> String {
    text.chars().take(SHOWN_MAX).collect()
}

fn read_uri(text: &str) -> Result<Uri, InvalidEndpoint> {
    text.trim().parse().map_err(|_| InvalidEndpoint::NotAnAddress { given: given(text) })
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_scheme_host_and_port() {
        let endpoint = Endpoint::parse("http://Payment.svc:7501/").unwrap();
        assert_eq!(endpoint.as_str(), "http://payment.svc:7501");
        assert_eq!(endpoint.authority(), "payment.svc:7501");
        assert_eq!(endpoint.socket(), ("payment.svc", 7501));
        assert_eq!(Endpoint::parse("http://[::1]:80").unwrap().socket(), ("::1", 80));
    }

    #[test]
    fn anything_else_is_refused_with_the_mend() {
        let message = |text: &str| Endpoint::parse(text).unwrap_err().to_string();
        for text in
            ["", "http://", "http://:80", "http://a b:80", "http://a:80/v1", "http://a:80?x=1", "http://u:p@a:80"]
        {
            assert!(message(text).contains("write http://host:port"), "{text}");
        }
        assert!(
            Endpoint::parse("https://a:443").unwrap().is_tls() && !Endpoint::parse("http://a:443").unwrap().is_tls()
        );
        for text in ["grpc://a:80", "localhost:7501", "localhost"] {
            assert!(message(text).contains("https://host:port for TLS"), "{text}: {}", message(text));
        }
        for text in ["http://a", "https://a", "http://a:0", "http://a:65536", "http://a:x"] {
            assert!(message(text).contains("write http://host:port"), "{text}: {}", message(text));
        }
    }

    #[test]
    fn an_http_participant_may_leave_its_port_out_and_use_tls() {
        let endpoint = |text: &str| Endpoint::parse_http(text).unwrap();
        for (text, shown, tls) in [
            ("https://Shop.example", "https://shop.example:443", true),
            ("http://shop.example/", "http://shop.example:80", false),
            ("https://[::1]:8443", "https://[::1]:8443", true),
            ("https://[::1]", "https://[::1]:443", true),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080", false),
        ] {
            assert_eq!((endpoint(text).as_str(), endpoint(text).is_tls()), (shown, tls));
            assert_eq!(endpoint(endpoint(text).as_str()), endpoint(text), "read back as it is stored");
        }
        for text in [
            "shop.example",
            "ftp://shop.example",
            "https://shop.example/hooks",
            "https://a:0",
            "https://a:",
            "https://u@a",
        ] {
            assert!(Endpoint::parse_http(text).is_err(), "{text}");
        }
    }

    #[test]
    fn one_that_was_found_shows_its_address_and_keeps_its_name() {
        let endpoint = Endpoint::found(true, "payment.svc", "[fd00::1]:7503".parse().unwrap());
        assert_eq!(endpoint.as_str(), "https://[fd00::1]:7503");
        assert_eq!((endpoint.authority(), endpoint.socket()), ("payment.svc:7503", ("payment.svc", 7503)));
        assert_eq!(endpoint.address(), Some("[fd00::1]:7503".parse().unwrap()));
    }

    #[test]
    fn a_very_long_text_is_not_shown_whole() {
        assert!(Endpoint::parse(&"x".repeat(10_000)).unwrap_err().to_string().len() < 400);
    }
}

//! The address of a participant: `http://host:port`, checked once.
//!
//! Only plain HTTP/2 so far; `https` is refused by name and not quietly downgraded. It never resolves a host: that is done at
//! every connect, so that a name may move. Invariant: an [`Endpoint`] has a host, a port and nothing else.

use std::fmt;

use http::Uri;

/// Longest part of an offending address that an error shows.
const SHOWN_MAX: usize = 200;

/// Where a participant answers gRPC.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    text: String,
    host: String,
    port: u16,
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
    #[error("{given:?}: only http:// is supported so far, so write http://host:port")]
    Scheme {
        /// What was given, cut to a length that is safe to show.
        given: String,
    },
    /// There is no default port for a participant.
    #[error("{given:?} names no port between 1 and 65535: write http://host:port")]
    Port {
        /// What was given, cut to a length that is safe to show.
        given: String,
    },
}

impl Endpoint {
    /// Reads an address. A trailing slash is allowed, letters of the host become small.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        let given = || text.chars().take(SHOWN_MAX).collect();
        let uri: Uri = text.trim().parse().map_err(|_| InvalidEndpoint::NotAnAddress { given: given() })?;
        if uri.scheme_str() != Some("http") {
            return Err(InvalidEndpoint::Scheme { given: given() });
        }
        let authority = uri.authority().ok_or_else(|| InvalidEndpoint::NotAnAddress { given: given() })?;
        let bare = uri.query().is_none() && matches!(uri.path(), "" | "/") && !authority.as_str().contains('@');
        if !bare || authority.host().is_empty() {
            return Err(InvalidEndpoint::NotAnAddress { given: given() });
        }
        let port =
            authority.port_u16().filter(|port| *port != 0).ok_or_else(|| InvalidEndpoint::Port { given: given() })?;
        let host = authority.host().to_ascii_lowercase();
        Ok(Self { text: format!("http://{host}:{port}"), host, port })
    }

    /// The address as text: `http://host:port`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host and port as they stand in the URI of a request.
    pub(super) fn authority(&self) -> &str {
        self.text.trim_start_matches("http://")
    }

    /// Host and port for a socket; an IPv6 address without its brackets.
    pub(super) fn socket(&self) -> (&str, u16) {
        (self.host.trim_start_matches('[').trim_end_matches(']'), self.port)
    }
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
        for text in ["https://a:443", "grpc://a:80", "localhost:7501", "localhost"] {
            assert!(message(text).contains("only http:// is supported"), "{text}: {}", message(text));
        }
        for text in ["http://a", "http://a:0", "http://a:65536", "http://a:x"] {
            assert!(message(text).contains("write http://host:port"), "{text}: {}", message(text));
        }
    }

    #[test]
    fn a_very_long_text_is_not_shown_whole() {
        assert!(Endpoint::parse(&"x".repeat(10_000)).unwrap_err().to_string().len() < 400);
    }
}

//! Where a participant's addresses come from, where they aren't in its registration.
//!
//! | written | the addresses are |
//! |---|---|
//! | `http+dns://host:port` | all A and AAAA records of the host; a headless service of Kubernetes is one |
//! | `http+srv://_grpc._tcp.name` | the targets of the SRV records, with their ports, weights and priorities |
//! | `http+consul://service` | the service's instances that pass their checks in Consul |
//!
//! With `https+…` they are called over TLS. The transport stands in front because how a service is found says nothing about how it is
//! spoken to, and as in `redis+sentinel://`. It looks nothing up. Invariant: a certificate is checked against the name that is written
//! here, never against one that was looked up: whoever can answer for DNS must not choose whom we trust.

use std::fmt;

use super::endpoint::{Endpoint, InvalidEndpoint};

/// Something that is asked for addresses again and again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// Whether what is found is called over TLS.
    pub tls: bool,
    /// Who is asked.
    pub kind: SourceKind,
}

/// Who is asked for addresses, and for what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// DNS, for A and AAAA records.
    Dns {
        /// The host.
        host: String,
        /// The port of every address.
        port: u16,
    },
    /// DNS, for SRV records.
    Srv {
        /// Their name, `_service._proto.host`.
        name: String,
    },
    /// Consul, for the instances of a service.
    Consul {
        /// Its name there.
        service: String,
    },
}

/// A source that isn't one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSource {
    /// After the `+` stands something else.
    #[error(
        "{0:?} isn't a way to find addresses: write http+dns://host:port, http+srv://_grpc._tcp.host or http+consul://service"
    )]
    Kind(String),
    /// Before the `+` stands something else.
    #[error("{0:?}: what is found is called by http or https: write http+dns://host:port")]
    Transport(String),
    /// The host and port of a DNS name.
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
    /// An IP address is no name.
    #[error("{0:?} is an address already: write http://address:port")]
    Address(String),
    /// The name of SRV records.
    #[error("{0:?} isn't the name of SRV records: write http+srv://_service._tcp.host, without a port")]
    Srv(String),
    /// The name of a service in Consul.
    #[error("{0:?} isn't the name of a service: letters, digits, - and _, at most 63, and nothing behind it")]
    Service(String),
}

impl Source {
    /// Reads a source. `None`: the text is the address itself, and not a source at all.
    pub fn parse(text: &str) -> Option<Result<Self, InvalidSource>> {
        let (scheme, rest) = text.trim().split_once("://")?;
        // What people write who know it from gRPC.
        let (transport, kind) = match scheme {
            "dns" | "srv" | "consul" => ("", scheme),
            _ => scheme.split_once('+')?,
        };
        Some(Self::read(text, transport, kind, rest.strip_suffix('/').unwrap_or(rest)))
    }

    fn read(text: &str, transport: &str, kind: &str, rest: &str) -> Result<Self, InvalidSource> {
        let tls = match transport {
            "http" => false,
            "https" => true,
            _ => return Err(InvalidSource::Transport(shown(text))),
        };
        let kind = match kind {
            "dns" => dns(rest)?,
            "srv" => srv(rest).ok_or_else(|| InvalidSource::Srv(shown(text)))?,
            "consul" => consul(rest).ok_or_else(|| InvalidSource::Service(shown(text)))?,
            _ => return Err(InvalidSource::Kind(shown(text))),
        };
        Ok(Self { tls, kind })
    }

    /// The name that certificates are checked against and requests carry.
    pub fn name(&self) -> &str {
        match &self.kind {
            SourceKind::Dns { host, .. } => host,
            SourceKind::Srv { name } => name.splitn(3, '.').nth(2).unwrap_or(name),
            SourceKind::Consul { service } => service,
        }
    }
}

fn dns(rest: &str) -> Result<SourceKind, InvalidSource> {
    let endpoint = Endpoint::parse(&format!("http://{rest}"))?;
    let (host, port) = endpoint.socket();
    if host.parse::<std::net::IpAddr>().is_ok() {
        return Err(InvalidSource::Address(shown(rest)));
    }
    Ok(SourceKind::Dns { host: host.to_owned(), port })
}

fn srv(rest: &str) -> Option<SourceKind> {
    let name = rest.to_ascii_lowercase();
    let mut labels = name.split('.');
    let is_marked = |label: Option<&str>| label.is_some_and(|label| label.len() > 1 && label.starts_with('_'));
    let marked = is_marked(labels.next()) && is_marked(labels.next());
    let is_host = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let fits = marked && name.len() <= 253 && name.split('.').all(is_host) && labels.next().is_some();
    fits.then_some(SourceKind::Srv { name })
}

fn consul(rest: &str) -> Option<SourceKind> {
    let fits = (1..=63).contains(&rest.len())
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    fits.then(|| SourceKind::Consul { service: rest.to_owned() })
}

/// Longest part of an offending text that an error shows.
fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = if self.tls { "https" } else { "http" };
        match &self.kind {
            SourceKind::Dns { host, port } => write!(f, "{transport}+dns://{host}:{port}"),
            SourceKind::Srv { name } => write!(f, "{transport}+srv://{name}"),
            SourceKind::Consul { service } => write!(f, "{transport}+consul://{service}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Source, InvalidSource> {
        Source::parse(text).unwrap()
    }

    #[test]
    fn sources_are_read_as_they_are_shown() {
        for (text, shown, name) in [
            ("http+dns://Payment.shop.svc:7503/", "http+dns://payment.shop.svc:7503", "payment.shop.svc"),
            ("https+srv://_grpc._tcp.payment.example", "https+srv://_grpc._tcp.payment.example", "payment.example"),
            ("http+consul://payment", "http+consul://payment", "payment"),
        ] {
            let source = read(text).unwrap();
            assert_eq!((source.to_string().as_str(), source.name()), (shown, name));
            assert_eq!(read(shown).unwrap(), source);
            assert_eq!(source.tls, shown.starts_with("https"));
        }
        assert_eq!(Source::parse("http://payment:7503"), None);
        assert_eq!(Source::parse("payment:7503"), None);
    }

    #[test]
    fn anything_else_is_refused_with_the_mend() {
        for (text, mend) in [
            ("dns://payment:7503", "write http+dns://host:port"),
            ("grpc+dns://payment:7503", "write http+dns://host:port"),
            ("http+zookeeper://payment", "write http+dns://host:port"),
            ("http+dns://payment", "names no port"),
            ("http+dns://10.0.0.1:7503", "write http://address:port"),
            ("http+dns://[::1]:7503", "write http://address:port"),
            ("http+srv://payment.example", "http+srv://_service._tcp.host"),
            ("http+srv://_grpc._tcp", "http+srv://_service._tcp.host"),
            ("http+srv://_grpc._tcp.payment:7503", "http+srv://_service._tcp.host"),
            ("http+consul://payment/v1", "nothing behind it"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(mend), "{text}: {message}");
        }
    }
}

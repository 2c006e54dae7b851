//! Where Redis is: the address in the configuration, read and taken apart.
//!
//! ```text
//! redis://[user:password@]host[:6379][/db]                     one server; rediss:// speaks TLS
//! redis+sentinel://[user:password@]host[:26379],…/<master>     Sentinels know the master; rediss+sentinel:// with TLS
//! redis+cluster://[user:password@]host[:6379],…                any nodes of a Cluster; rediss+cluster:// with TLS
//! ```
//!
//! User and password are percent-encoded. Sentinels that want a password of their own get it by `?sentinel_password=…`.
//! Invariant: no `Debug`, `Display` or error shows a password.

use std::fmt;

use percent_encoding::percent_decode_str;

/// An address that can't be read. Never shows the address, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an address of Redis: {0}; write redis://user:password@host:6379, or see config.default.yaml for Sentinel and Cluster"
)]
pub struct AddressError(&'static str);

/// How the servers are put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// One server.
    Standalone {
        /// Its database.
        db: i64,
    },
    /// A master that Sentinels name.
    Sentinel {
        /// Its name there.
        master: String,
        /// Its database.
        db: i64,
        /// What the Sentinels themselves want.
        password: Option<String>,
    },
    /// A Cluster.
    Cluster,
}

/// Where Redis is.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    pub(super) kind: Kind,
    /// Host and port.
    pub(super) hosts: Vec<(String, u16)>,
    pub(super) tls: bool,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

impl Address {
    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressError("it has no scheme"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) =
            authority.rsplit_once('@').map_or((None, authority), |(login, hosts)| (Some(login), hosts));
        let (user, password) = login.map_or(Ok((None, None)), read_login)?;
        let (tls, form) = match scheme.split_once('+').unwrap_or((scheme, "")) {
            ("redis", form) => (false, form),
            ("rediss", form) => (true, form),
            _ => return Err(AddressError("its scheme isn't redis or rediss")),
        };
        let sentinel_password = read_query(query)?;
        let kind = match form {
            "" => Kind::Standalone { db: read_db(path)? },
            "sentinel" => {
                let (master, db) = path.split_once('/').unwrap_or((path, ""));
                if master.is_empty() {
                    return Err(AddressError("it doesn't name the master: write …/<master> behind the Sentinels"));
                }
                let password = sentinel_password.clone();
                Kind::Sentinel { master: decode(master)?, db: read_db(db)?, password }
            }
            "cluster" if path.is_empty() => Kind::Cluster,
            "cluster" => return Err(AddressError("a Cluster has no databases")),
            _ => return Err(AddressError("its form isn't sentinel or cluster")),
        };
        if sentinel_password.is_some() && form != "sentinel" {
            return Err(AddressError("sentinel_password is for Sentinels"));
        }
        let port = if form == "sentinel" { 26_379 } else { 6_379 };
        let hosts = hosts.split(',').map(|host| read_host(host, port)).collect::<Result<Vec<_>, _>>()?;
        if form.is_empty() && hosts.len() > 1 {
            return Err(AddressError("several hosts are for redis+sentinel:// and redis+cluster://"));
        }
        Ok(Self { kind, hosts, tls, user, password })
    }
}

fn decode(text: &str) -> Result<String, AddressError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| AddressError("its percent-encoding isn't UTF-8"))
}

/// User and password; with no colon it would be a user without a password, which Redis doesn't have.
fn read_login(login: &str) -> Result<(Option<String>, Option<String>), AddressError> {
    let (user, password) = login.split_once(':').ok_or(AddressError("there is no password behind the user"))?;
    let user = decode(user)?;
    Ok((Some(user).filter(|user| !user.is_empty()), Some(decode(password)?)))
}

fn read_query(query: &str) -> Result<Option<String>, AddressError> {
    match query.split_once('=') {
        Some(("sentinel_password", password)) => decode(password).map(Some),
        None if query.is_empty() => Ok(None),
        _ => Err(AddressError("the only option behind ? is sentinel_password")),
    }
}

fn read_db(path: &str) -> Result<i64, AddressError> {
    if path.is_empty() {
        return Ok(0);
    }
    path.parse::<u16>().map(i64::from).map_err(|_| AddressError("its database isn't a number"))
}

fn read_host(text: &str, default_port: u16) -> Result<(String, u16), AddressError> {
    const NO_HOST: AddressError = AddressError("a host is missing");
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(AddressError("a bracket isn't closed"))?;
        (host, rest.strip_prefix(':'))
    } else {
        text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
    };
    if host.is_empty() {
        return Err(NO_HOST);
    }
    let port = port.map_or(Ok(default_port), |port| port.parse().map_err(|_| AddressError("a port isn't a number")))?;
    Ok((host.to_owned(), port))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "rediss" } else { "redis" })?;
        f.write_str(match self.kind {
            Kind::Standalone { .. } => "://",
            Kind::Sentinel { .. } => "+sentinel://",
            Kind::Cluster => "+cluster://",
        })?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        for (index, (host, port)) in self.hosts.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if host.contains(':') { write!(f, "{comma}[{host}]:{port}")? } else { write!(f, "{comma}{host}:{port}")? }
        }
        match &self.kind {
            Kind::Sentinel { master, .. } => write!(f, "/{master}"),
            Kind::Standalone { db } if *db > 0 => write!(f, "/{db}"),
            Kind::Standalone { .. } | Kind::Cluster => Ok(()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_shown_without_its_password() {
        for (text, shown) in [
            ("redis://localhost", "redis://localhost:6379"),
            ("redis://10.0.0.1:7000/3", "redis://10.0.0.1:7000/3"),
            ("redis://:s%40cret@h", "redis://h:6379"),
            ("rediss://amends:s3cret@[::1]:7000", "rediss://amends@[::1]:7000"),
            (
                "redis+sentinel://u:s3cret@a,b:1/orders?sentinel_password=s3cret",
                "redis+sentinel://u@a:26379,b:1/orders",
            ),
            ("rediss+cluster://u:s3cret@a:1,b", "rediss+cluster://u@a:1,b:6379"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.to_string(), shown);
            assert!(!format!("{address:?}").contains("cret"), "{address:?}");
            assert_eq!(Address::parse(text).unwrap(), address);
        }
        let address = Address::parse("redis://:s%40cret@h").unwrap();
        assert_eq!((address.user, address.password.as_deref()), (None, Some("s@cret")));
        let address = Address::parse("redis+sentinel://a/orders/2?sentinel_password=x").unwrap();
        let expected = Kind::Sentinel { master: "orders".into(), db: 2, password: Some("x".into()) };
        assert_eq!(address.kind, expected);
    }

    #[test]
    fn what_cant_be_read_is_refused_without_being_shown() {
        for text in [
            "localhost:6379",
            "http://h",
            "redis+magic://h",
            "redis://",
            "redis://a,b",
            "redis://h:port",
            "redis://h/db",
            "redis://s3cret@h",
            "redis://h?sentinel_password=s3cret",
            "redis://h?timeout=s3cret",
            "redis+sentinel://h",
            "redis+cluster://h/1",
            "redis://[::1",
            "redis://u:%ff@h",
        ] {
            let error = Address::parse(text).expect_err(text).to_string();
            assert!(error.starts_with("not an address of Redis: ") && !error.contains("s3cret"), "{error}");
        }
    }
}

//! The entries of `egress.allow`, and how they are written.
//!
//! Invariant: an entry reads back as it is shown, and nothing that isn't one is read as something else.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::addresses::width;

/// One entry of `egress.allow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allow {
    /// `public`: every address that is routed on the internet.
    Public,
    /// `loopback`: this machine, as long as only this machine can reach the coordinator.
    Loopback,
    /// `host` or `host:port`, as participants are registered.
    Host {
        /// In small letters.
        host: String,
        /// `None`: every port.
        port: Option<u16>,
    },
    /// `ip` or `ip:port`: this very address, whatever is special about it.
    Address {
        /// The address.
        ip: IpAddr,
        /// `None`: every port but our own.
        port: Option<u16>,
    },
    /// `10.0.0.0/8`.
    Network {
        /// Its first address.
        first: IpAddr,
        /// How many bits are fixed.
        bits: u8,
    },
}

/// An entry that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is neither public, loopback, host, host:port, ip, ip:port nor ip/bits; an IPv6 address with a port needs [ ]"
)]
pub struct InvalidAllow {
    /// What was given, cut to a length that is safe to show.
    pub given: String,
}

impl FromStr for Allow {
    type Err = InvalidAllow;

    fn from_str(text: &str) -> Result<Self, InvalidAllow> {
        let invalid = || InvalidAllow { given: text.chars().take(200).collect() };
        match text {
            "public" => return Ok(Self::Public),
            "loopback" => return Ok(Self::Loopback),
            _ => {}
        }
        if let Some((first, bits)) = text.split_once('/') {
            let first: IpAddr = first.parse().map_err(|_| invalid())?;
            let bits: u8 = bits.parse().map_err(|_| invalid())?;
            return if bits <= width(first) { Ok(Self::Network { first, bits }) } else { Err(invalid()) };
        }
        if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse() {
            return Ok(Self::Address { ip, port: None });
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self::Address { ip: address.ip(), port: Some(address.port()) });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok().filter(|port| *port != 0).ok_or_else(invalid)?)),
            None => (text, None),
        };
        let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if host.is_empty() || !host.bytes().all(word) {
            return Err(invalid());
        }
        Ok(Self::Host { host: host.to_ascii_lowercase(), port })
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::Loopback => f.write_str("loopback"),
            Self::Host { host, port: None } => f.write_str(host),
            Self::Host { host, port: Some(port) } => write!(f, "{host}:{port}"),
            Self::Address { ip, port: None } => ip.fmt(f),
            Self::Address { ip, port: Some(port) } => SocketAddr::new(*ip, *port).fmt(f),
            Self::Network { first, bits } => write!(f, "{first}/{bits}"),
        }
    }
}

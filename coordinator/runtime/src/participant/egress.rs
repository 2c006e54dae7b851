//! Which addresses a participant may have: judged for every address that a name resolves to, before it is connected to.
//!
//! A participant's name is under somebody else's control, and what it resolves to can change at any time. Without this check
//! the coordinator would call whatever it leads to: a cloud's metadata service, a database behind the firewall, the
//! coordinator itself. It is pure: it resolves and connects nothing. Invariants: an address that is connected to has passed
//! [`Egress::check`]; link-local, multicast, metadata and mapped addresses and the coordinator's own ports pass only if the
//! operator has named that very address. Whoever connects uses the address that was checked, never the name again.

mod addresses;
mod allow;

use std::net::{IpAddr, SocketAddr};

use super::endpoint::Endpoint;
use crate::planted;
use addresses::{contains, is_public, special};
pub use allow::{Allow, InvalidAllow};

/// Why an address isn't connected to, and what to do if it is meant. For the operator's log; whoever starts sagas isn't told,
/// since the difference from a closed port would map the network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {what}; if it is meant, add \"{entry}\" to egress.allow")]
pub struct Refused {
    /// The address.
    pub address: SocketAddr,
    /// What is wrong with it.
    pub what: &'static str,
    /// The narrowest entry that would let it pass.
    pub entry: String,
}

/// The operator's rules.
#[derive(Debug)]
pub struct Egress {
    allow: Vec<Allow>,
    own: Vec<SocketAddr>,
}

impl Default for Egress {
    fn default() -> Self {
        Self::new(Self::ALLOW.into(), Vec::new())
    }
}

impl Egress {
    /// What is allowed where the operator says nothing.
    pub const ALLOW: [Allow; 2] = [Allow::Public, Allow::Loopback];

    /// Rules from `egress.allow`, and where this coordinator listens itself.
    pub fn new(allow: Vec<Allow>, own: Vec<SocketAddr>) -> Self {
        Self { allow, own }
    }

    /// Whether `host`, as it is registered, may be connected to at this address, to which it resolves.
    pub fn check(&self, host: &str, address: SocketAddr) -> Result<(), Refused> {
        if planted::is("egress_not_checked") {
            return Ok(());
        }
        let (ip, port) = (address.ip(), address.port());
        let named = |rule: &Allow, with_port: bool| match rule {
            Allow::Address { ip: allowed, port: Some(allowed_port) } => *allowed == ip && *allowed_port == port,
            Allow::Address { ip: allowed, port: None } => *allowed == ip && !with_port,
            _ => false,
        };
        let refused = |what, entry| Err(Refused { address, what, entry });
        if self.is_own(address) {
            let is_named = self.allow.iter().any(|rule| named(rule, true));
            return if is_named { Ok(()) } else { refused("a port of this coordinator", address.to_string()) };
        }
        if self.allow.iter().any(|rule| named(rule, false)) {
            return Ok(());
        }
        if let Some(what) = special(ip) {
            return refused(what, ip.to_string());
        }
        if self.allow.iter().any(|rule| self.matches(rule, host, ip, port)) {
            return Ok(());
        }
        let what = if is_public(ip) { "not allowed" } else { "not a public address, and not allowed" };
        refused(what, format!("{}:{port}", host.to_ascii_lowercase()))
    }

    /// Checks an endpoint whose host is an address already; a name says nothing before it is resolved.
    pub fn check_literal(&self, endpoint: &Endpoint) -> Result<(), Refused> {
        let (host, port) = endpoint.socket();
        host.parse().map_or(Ok(()), |ip| self.check(host, SocketAddr::new(ip, port)))
    }

    fn matches(&self, rule: &Allow, host: &str, ip: IpAddr, port: u16) -> bool {
        match rule {
            Allow::Public => is_public(ip),
            Allow::Loopback => ip.is_loopback() && self.own.iter().all(|own| own.ip().to_canonical().is_loopback()),
            Allow::Host { host: allowed, port: allowed_port } => {
                allowed.eq_ignore_ascii_case(host) && allowed_port.is_none_or(|allowed| allowed == port)
            }
            // Named exactly, and looked at before.
            Allow::Address { .. } => false,
            Allow::Network { first, bits } => contains(*first, *bits, ip),
        }
    }

    /// Whether we listen there, on all addresses of this machine or on this one.
    fn is_own(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        self.own.iter().any(|own| {
            own.port() == address.port()
                && (own.ip() == ip || ip.is_loopback() || ip.is_unspecified() || own.ip().is_unspecified())
        })
    }
}

#[cfg(test)]
mod tests;

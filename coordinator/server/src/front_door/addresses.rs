//! Which networks may connect: pure.
//!
//! Invariant: IPv4 written as IPv6 is judged as the IPv4 address that it is.

use std::net::IpAddr;

/// A network, `10.0.0.0/8`, or an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no network; write 10.0.0.0/8, 10.1.2.3 or fd00::/8");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(all), |bits| bits.trim().parse().map_err(|_| wrong()))?;
        if bits > all || address.to_canonical() != address {
            return Err(wrong());
        }
        Ok(Self { address, bits })
    }

    fn contains(self, address: IpAddr) -> bool {
        let (network, address, width) = match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => (u32::from(network).into(), u32::from(address).into(), 32),
            (IpAddr::V6(network), IpAddr::V6(address)) => (u128::from(network), u128::from(address), 128),
            _ => return false,
        };
        let ignored = width - u32::from(self.bits);
        // All bits ignored: shifting by the whole width isn't defined.
        ignored == 128 || (network ^ address) >> ignored == 0
    }
}

/// Who may connect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Networks {
    allow: Vec<Network>,
    deny: Vec<Network>,
}

impl Networks {
    /// Empty `allow`: everybody that isn't denied.
    pub(crate) fn parse(allow: &[String], deny: &[String]) -> Result<Self, String> {
        let read = |texts: &[String]| texts.iter().map(|text| Network::parse(text.trim())).collect::<Result<_, _>>();
        Ok(Self { allow: read(allow)?, deny: read(deny)? })
    }

    pub(crate) fn allow(&self, address: IpAddr) -> bool {
        let is_in = |networks: &[Network]| networks.iter().any(|network| network.contains(address));
        !is_in(&self.deny) && (self.allow.is_empty() || is_in(&self.allow))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(allow: &[&str], deny: &[&str]) -> Networks {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Networks::parse(&texts(allow), &texts(deny)).unwrap()
    }

    #[test]
    fn denied_is_denied_even_where_it_is_allowed() {
        let networks = networks(&["10.0.0.0/8", "fd00::/8"], &["10.9.0.0/16"]);
        for (address, expected) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.9.2.3", false),
            ("::ffff:10.9.2.3", false),
            ("11.0.0.1", false),
            ("fd12::1", true),
            ("fe80::1", false),
        ] {
            assert_eq!(networks.allow(address.parse().unwrap()), expected, "{address}");
        }
        assert!(Networks::default().allow("1.2.3.4".parse().unwrap()));
    }

    #[test]
    fn widths_from_none_to_all() {
        assert!(networks(&["0.0.0.0/0"], &[]).allow("255.1.1.1".parse().unwrap()));
        assert!(networks(&["::/0"], &[]).allow("ffff::1".parse().unwrap()));
        assert!(!networks(&["10.1.2.3"], &[]).allow("10.1.2.4".parse().unwrap()));
        for wrong in ["", "10.0.0.0/33", "10.0.0.0/x", "host", "::ffff:10.0.0.1", "fd00::/129"] {
            assert!(Networks::parse(&[wrong.to_owned()], &[]).is_err(), "{wrong}");
        }
    }
}

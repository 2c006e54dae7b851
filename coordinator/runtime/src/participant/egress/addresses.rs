//! What kinds of IP addresses there are.
//!
//! Invariant: what isn't known to be routed on the internet isn't called public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is never meant by a name or a network.
pub(super) fn special(ip: IpAddr) -> Option<&'static str> {
    if ip.is_unspecified() {
        return Some("the unspecified address");
    }
    if ip.is_multicast() {
        return Some("a multicast address");
    }
    match ip {
        IpAddr::V4(v4) if v4.is_link_local() => Some("link-local, where clouds serve credentials"),
        IpAddr::V4(v4) if v4.is_broadcast() => Some("the broadcast address"),
        // Where other clouds serve credentials.
        IpAddr::V4(v4) if v4 == Ipv4Addr::new(100, 100, 100, 200) || v4 == Ipv4Addr::new(168, 63, 129, 16) => {
            Some("a metadata service of a cloud")
        }
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Some("an IPv4 address written as IPv6"),
        // Who allows NAT64 or all of IPv6 means the internet behind it, not what hides there.
        IpAddr::V6(v6) if embedded(v6).is_some_and(|v4| !is_public(v4.into()) || special(v4.into()).is_some()) => {
            Some("an IPv6 form of an IPv4 address that isn't public")
        }
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("link-local"),
        IpAddr::V6(v6) if v6 == Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254) => {
            Some("a metadata service of a cloud")
        }
        _ => None,
    }
}

/// The IPv4 address that a gateway would send packets for this address on to: IPv4-compatible, 6to4, Teredo, NAT64 and ISATAP.
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0..=1] => None,
        [0, 0, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        [0x2001, 0, _, _, _, _, high, low] => v4(!high, !low),
        [0x64, 0xff9b, _, _, _, _, high, low] => v4(high, low),
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => v4(high, low),
        _ => None,
    }
}

/// Addresses that are routed on the internet (the registries of special-purpose addresses say which aren't).
pub(super) fn is_public(ip: IpAddr) -> bool {
    const NOT_V4: [([u8; 4], u8); 15] = [
        ([0, 0, 0, 0], 8),
        ([10, 0, 0, 0], 8),
        ([100, 64, 0, 0], 10),
        ([127, 0, 0, 0], 8),
        ([169, 254, 0, 0], 16),
        ([172, 16, 0, 0], 12),
        ([192, 0, 0, 0], 24),
        ([192, 0, 2, 0], 24),
        ([192, 88, 99, 0], 24),
        ([192, 168, 0, 0], 16),
        ([198, 18, 0, 0], 15),
        ([198, 51, 100, 0], 24),
        ([203, 0, 113, 0], 24),
        ([224, 0, 0, 0], 4),
        ([240, 0, 0, 0], 4),
    ];
    // Of IPv6 only 2000::/3 is given out; in it: tunnels to other address spaces, and examples.
    const NOT_V6: [([u16; 8], u8); 4] = [
        ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
        ([0x2001, 0x0db8, 0, 0, 0, 0, 0, 0], 32),
        ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),
        ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
    ];
    match ip {
        IpAddr::V4(_) => !NOT_V4.into_iter().any(|(first, bits)| contains(IpAddr::from(first), bits, ip)),
        IpAddr::V6(_) => {
            contains(IpAddr::from([0x2000, 0, 0, 0, 0, 0, 0, 0]), 3, ip)
                && !NOT_V6.into_iter().any(|(first, bits)| contains(IpAddr::from(first), bits, ip))
        }
    }
}

pub(super) fn width(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

pub(super) fn contains(first: IpAddr, bits: u8, ip: IpAddr) -> bool {
    if first.is_ipv4() != ip.is_ipv4() {
        return false;
    }
    let number = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    let loose = u32::from(width(ip).saturating_sub(bits));
    number(first).checked_shr(loose).unwrap_or(0) == number(ip).checked_shr(loose).unwrap_or(0)
}

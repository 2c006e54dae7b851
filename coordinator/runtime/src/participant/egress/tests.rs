//! Every class of address, by every kind of entry.

use super::*;

fn egress(allow: &[&str]) -> Egress {
    let own = vec!["127.0.0.1:7400".parse().unwrap()];
    Egress::new(allow.iter().map(|text| text.parse().unwrap()).collect(), own)
}

fn passes(egress: &Egress, host: &str, address: &str) -> bool {
    egress.check(host, address.parse().unwrap()).is_ok()
}

/// Whatever is allowed as a class, these are not.
const SPECIAL: [&str; 20] = [
    "0.0.0.0:80",
    "169.254.169.254:80",
    "169.254.0.1:80",
    "100.100.100.200:80",
    "224.0.0.1:80",
    "255.255.255.255:80",
    "[::]:80",
    "[ff02::1]:80",
    "[fe80::1]:80",
    "[fd00:ec2::254]:80",
    "[::ffff:93.184.216.34]:80",
    "[::ffff:169.254.169.254]:80",
    // The metadata address and others by way of 6to4, NAT64 (both prefixes), IPv4-compatible, Teredo and ISATAP addresses.
    "[2002:a9fe:a9fe::1]:80",
    "[64:ff9b::a9fe:a9fe]:80",
    "[64:ff9b::7f00:1]:80",
    "[64:ff9b:1::a00:1]:80",
    "[::a9fe:a9fe]:80",
    "[2001:0:4136:e378:8000:63bf:5601:5601]:80",
    "[fd00::5efe:a9fe:a9fe]:80",
    "[64:ff9b::a83f:8110]:80",
];

#[test]
fn by_default_the_internet_and_this_machine() {
    let egress = Egress::default();
    for address in ["93.184.216.34:443", "[2606:2800:220:1::1]:443", "127.0.0.1:80", "127.8.8.8:80", "[::1]:80"] {
        assert!(passes(&egress, "shop.example", address), "{address}");
    }
    // An internet of IPv6 only reaches the other one so.
    let nat64 = Egress::new(vec!["64:ff9b::/96".parse().unwrap()], Vec::new());
    assert!(passes(&nat64, "shop.example", "[64:ff9b::5db8:d822]:443"));
    let private = [
        "10.1.2.3:80",
        "172.16.0.1:80",
        "172.31.255.255:80",
        "192.168.1.1:80",
        "100.64.0.1:80",
        "0.1.2.3:80",
        "198.18.0.1:80",
        "203.0.113.9:80",
        "240.0.0.1:80",
        "[fc00::1]:80",
        "[fd12::1]:80",
        "[2001:db8::1]:80",
        "[2002:7f00:1::]:80",
        "[2001:0:1::]:80",
        "[64:ff9b::7f00:1]:80",
        "[::7f00:1]:80",
        "[::ffff:127.0.0.1]:80",
    ];
    for address in private.into_iter().chain(SPECIAL) {
        assert!(!passes(&egress, "shop.example", address), "{address}");
    }
}

#[test]
fn this_machine_is_out_once_others_can_reach_us() {
    let open = Egress::new(Egress::ALLOW.into(), vec!["0.0.0.0:7400".parse().unwrap()]);
    assert!(!passes(&open, "localhost", "127.0.0.1:80"));
    let named = Egress::new(vec!["127.0.0.0/8".parse().unwrap()], vec!["0.0.0.0:7400".parse().unwrap()]);
    assert!(passes(&named, "localhost", "127.0.0.1:80"));
    assert!(passes(&open, "shop.example", "93.184.216.34:443"));
}

#[test]
fn entries_are_all_that_holds() {
    let egress = egress(&["pay.internal:8443", "LEDGER.internal", "10.2.0.0/16", "192.168.1.7:80", "fd12::/16"]);
    assert!(passes(&egress, "Pay.internal", "10.9.9.9:8443"));
    assert!(passes(&egress, "ledger.internal", "172.16.0.1:1"));
    assert!(passes(&egress, "any.example", "10.2.255.255:1"));
    assert!(passes(&egress, "any.example", "192.168.1.7:80"));
    assert!(passes(&egress, "any.example", "[fd12:9::1]:80"));
    for (host, address) in [
        ("pay.internal", "10.9.9.9:443"),
        ("pay.internal.evil.example", "10.9.9.9:8443"),
        ("any.example", "10.3.0.0:1"),
        ("any.example", "192.168.1.7:81"),
        ("any.example", "[fd13::1]:80"),
        ("any.example", "93.184.216.34:443"),
        ("any.example", "127.0.0.1:80"),
    ] {
        assert!(!passes(&egress, host, address), "{host} {address}");
    }
}

#[test]
fn special_addresses_pass_only_by_their_own_name() {
    let by_class = egress(&["public", "loopback", "evil.example", "0.0.0.0/0", "::/0"]);
    for address in SPECIAL {
        assert!(!passes(&by_class, "evil.example", address), "{address}");
        let socket: SocketAddr = address.parse().unwrap();
        let ip = socket.ip().to_string();
        assert!(passes(&egress(&[&ip]), "evil.example", address), "{ip}");
        assert!(passes(&egress(&[address]), "evil.example", address), "{address}");
        assert!(!passes(&egress(&["64:ff9b::/96", "2002::/16", "fd00::/8"]), "evil.example", address), "{address}");
        assert_eq!(by_class.check("evil.example", socket).unwrap_err().entry, ip, "the mend works");
    }
}

#[test]
fn our_own_ports_pass_only_by_address_and_port() {
    for entries in [&[][..], &["loopback"], &["127.0.0.1"], &["localhost:7400"], &["127.0.0.0/8", "public"]] {
        for address in ["127.0.0.1:7400", "127.0.0.2:7400", "[::1]:7400"] {
            assert!(!passes(&egress(entries), "localhost", address), "{entries:?} {address}");
        }
    }
    assert!(passes(&egress(&["127.0.0.1:7400"]), "localhost", "127.0.0.1:7400"));
    assert!(passes(&egress(&["loopback"]), "localhost", "127.0.0.1:7401"));
    assert!(!passes(&egress(&[]), "localhost", "127.0.0.1:7401"), "nothing is allowed by an empty list");
    let open = Egress::new(vec![Allow::Public], vec!["0.0.0.0:7400".parse().unwrap()]);
    assert!(!passes(&open, "self.example", "93.184.216.34:7400"), "it may be this machine's own address");
}

#[test]
fn a_refusal_says_what_to_add() {
    let error = egress(&["public"]).check("Pay.internal", "10.0.0.1:443".parse().unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "10.0.0.1:443 is not a public address, and not allowed; if it is meant, add \"pay.internal:443\" to egress.allow"
    );
    assert!(passes(&egress(&[&error.entry]), "pay.internal", "10.0.0.1:443"), "the mend works");
}

#[test]
fn entries_read_back_and_nonsense_is_refused() {
    for text in [
        "public",
        "loopback",
        "a.example",
        "a.example:80",
        "10.0.0.1",
        "10.0.0.1:80",
        "10.0.0.0/8",
        "::1",
        "[::1]:80",
        "fd00::/8",
    ] {
        assert_eq!(text.parse::<Allow>().unwrap().to_string(), text);
    }
    for text in
        ["", "a b", "http://a", "10.0.0.0/33", "a/8", "a:0", "a:b", "::1:80:x", "*.example", "a:70000", "::/129"]
    {
        assert!(text.parse::<Allow>().is_err(), "{text}");
    }
}

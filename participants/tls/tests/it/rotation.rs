//! Files that change while the process runs: taken up where they can be used, said where they can't.

use std::sync::Arc;

use amends_tls::testing::{Authority, write};
use amends_tls::{Certificate, ClientFiles, ClientTls, Expiry, Keeper, Look, ServerFiles, ServerTls};

use super::clients::{greeting, serve};

fn shown(tls: &ServerTls) -> Certificate {
    tls.current().certificate().clone()
}

#[tokio::test]
async fn new_files_count_from_the_next_connection_on_and_no_connection_fails() {
    let authority = Authority::new();
    let tls = authority.server();
    let address = serve(tls.clone()).await;
    let client = authority.client(None);
    let before = shown(&tls);
    assert_eq!(tls.look(), Look::Unchanged);
    for renewal in 1..=3 {
        authority.write("server", "localhost", 80 - renewal);
        assert_eq!(greeting(address, &client, "localhost").await.unwrap(), "nobody");
        assert_eq!((tls.look(), tls.renewals()), (Look::Renewed, u64::try_from(renewal).unwrap()));
        assert_eq!(greeting(address, &client, "localhost").await.unwrap(), "nobody");
    }
    assert_ne!(shown(&tls).sha256, before.sha256);
    // The host of the next one is another: that it is in use shows in who believes it.
    authority.write("server", "payment.example", 80);
    assert_eq!(tls.look(), Look::Renewed);
    assert_eq!(greeting(address, &client, "payment.example").await.unwrap(), "nobody");
    assert!(greeting(address, &client, "localhost").await.is_err());
}

#[tokio::test]
async fn files_that_cant_be_used_change_nothing_and_are_said_once() {
    let authority = Authority::new();
    let tls = authority.server();
    let (before, good) = (shown(&tls), std::fs::read_to_string(authority.path("server.key")).unwrap());
    let (_, other) = authority.sign("localhost", None, 90);
    let expired = authority.sign("localhost", None, -1);
    for (key, problem) in [
        ("", "no private key in it"),
        ("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n", "its PEM is damaged"),
        (other.as_str(), "don't belong together"),
    ] {
        write(&authority.path("server.key"), key);
        let Look::Broken(said) = tls.look() else { panic!("{problem}: taken up") };
        assert!(said.contains(problem) && !said.contains("BEGIN"), "{said}");
        assert_eq!(tls.look(), Look::Unchanged, "said already");
        assert_eq!(tls.problem(), Some(said));
        assert_eq!(shown(&tls), before);
    }
    std::fs::remove_file(authority.path("server.key")).unwrap();
    assert!(matches!(tls.look(), Look::Broken(said) if said.contains("server.key: it can't be read")));
    write(&authority.path("server.key"), &good);
    assert_eq!((tls.look(), tls.problem()), (Look::Unchanged, None), "the files in use are back");
    write(&authority.path("server.pem"), &expired.0);
    write(&authority.path("server.key"), &expired.1);
    assert!(matches!(tls.look(), Look::Broken(said) if said.contains("has expired")));
    assert_eq!(shown(&tls), before);
}

#[tokio::test]
async fn a_link_that_kubernetes_swaps_is_followed() {
    let authority = Authority::new();
    let folder = authority.folder.path();
    for (version, days) in [("one", 50), ("two", 60)] {
        let (certificate, key) = authority.sign("localhost", None, days);
        std::fs::create_dir(folder.join(version)).unwrap();
        write(&folder.join(version).join("tls.crt"), &certificate);
        write(&folder.join(version).join("tls.key"), &key);
    }
    let link = |version: &str| {
        let fresh = folder.join("..data_tmp");
        std::os::unix::fs::symlink(version, &fresh).unwrap();
        std::fs::rename(fresh, folder.join("..data")).unwrap();
    };
    link("one");
    for name in ["tls.crt", "tls.key"] {
        std::os::unix::fs::symlink(format!("..data/{name}"), folder.join(name)).unwrap();
    }
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    let files = authority.server_files("unused", "localhost", 90);
    let tls = ServerTls::open(ServerFiles { certificate, key, ..files }).unwrap();
    let before = shown(&tls);
    link("two");
    assert_eq!(tls.look(), Look::Renewed);
    assert!(shown(&tls).not_after > before.not_after);
}

#[test]
fn at_the_start_an_expired_certificate_is_a_mistake() {
    let authority = Authority::new();
    let error = ServerTls::open(authority.server_files("server", "localhost", -1)).unwrap_err().to_string();
    assert!(error.contains("server.pem: its certificate has expired"), "{error}");
    let identity = Some(authority.write("client", "shop.example", -1));
    let files = ClientFiles { public: false, ca: vec![authority.ca()], identity };
    assert!(ClientTls::open(files).is_err());
}

#[test]
fn a_keeper_tells_how_everything_stands() {
    let authority = Authority::new();
    let keeper = Keeper::default();
    let server = Arc::new(ServerTls::open(authority.server_files("server", "localhost", 10)).unwrap());
    keeper.watch("tls", server);
    keeper.watch("outgoing_tls", authority.client(None));
    write(&authority.path("ca.pem"), "nothing");
    keeper.look();
    let standing = keeper.standing();
    assert_eq!(standing.iter().map(|it| it.what.as_str()).collect::<Vec<_>>(), ["outgoing_tls", "tls"]);
    let problem = standing[0].problem.as_ref().unwrap();
    assert!(problem.contains("ca.pem: no certificate in it"), "{problem}");
    assert_eq!(standing[0].expires, None);
    assert_eq!(standing[1].expires.unwrap().1, Expiry::Soon);
}

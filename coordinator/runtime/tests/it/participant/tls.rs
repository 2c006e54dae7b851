//! gRPC over TLS: who is believed, what is shown, and files that change while calls are made.

use std::sync::Arc;

use amends_runtime::participant::{Codes, Endpoint, Outgoing, Registration, Reply, TlsSettings, Trust};
use amends_tls::testing::Authority;
use amends_tls::{ClientCertificates, ClientFiles, Keeper, Look, ServerFiles, ServerTls};

use super::servers::{Caller, Server, charge, outgoing, over_tls};

fn registration(server: &Server, host: &str, tls: TlsSettings) -> Registration {
    let endpoint = Endpoint::parse(&format!("https://{host}:{}", server.address.port())).unwrap();
    Registration::new(vec![endpoint], false, Codes::new(), None).unwrap().with_tls(tls).unwrap()
}

fn trusting(authority: &Authority) -> TlsSettings {
    TlsSettings { ca_file: Some(authority.ca()), ..TlsSettings::default() }
}

/// What one call to `localhost` with these settings comes to.
async fn reply(server: &Server, host: &str, tls: TlsSettings) -> Reply {
    let outgoing = outgoing();
    outgoing.trust.load(&tls).unwrap();
    let caller = Caller::with(outgoing);
    caller.put(registration(server, host, tls));
    caller.call(charge()).await.reply
}

fn is_not_sent(reply: &Reply, because: &str) -> bool {
    matches!(reply, Reply::NotSent(why) if why.contains(because))
}

#[tokio::test]
async fn only_a_certificate_that_is_trusted_and_for_the_name_will_do() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = over_tls(authority.server()).await;
    let answered = reply(&server, "localhost", trusting(&authority)).await;
    assert!(matches!(answered, Reply::Ok { .. }), "{answered:?}");
    for (host, tls) in
        [("127.0.0.1", trusting(&authority)), ("localhost", trusting(&other)), ("localhost", TlsSettings::default())]
    {
        let answered = reply(&server, host, tls).await;
        assert!(is_not_sent(&answered, "TLS can't begin"), "{host}: {answered:?}");
    }
    let renamed = TlsSettings { server_name: Some("localhost".to_owned()), ..trusting(&authority) };
    let answered = reply(&server, "127.0.0.1", renamed).await;
    assert!(matches!(answered, Reply::Ok { .. }), "{answered:?}");
}

#[tokio::test]
async fn where_a_certificate_is_asked_for_it_is_shown() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let files = authority.server_files("server", "localhost", 90);
    let files =
        ServerFiles { client_ca: Some(clients.ca()), client_certificates: ClientCertificates::Required, ..files };
    let server = over_tls(Arc::new(ServerTls::open(files).unwrap())).await;
    let without = reply(&server, "localhost", trusting(&authority)).await;
    // In TLS 1.3 the refusal comes after the handshake, and may find the request written already.
    assert!(matches!(without, Reply::NotSent(_) | Reply::Broken(_)), "{without:?}");
    let identity = Some(clients.write("coordinator", "coordinator.example", 90));
    let with = reply(&server, "localhost", TlsSettings { identity: identity.clone(), ..trusting(&authority) }).await;
    assert!(matches!(with, Reply::Ok { .. }), "{with:?}");
    // The server's own settings hold where the registration says nothing.
    let usual = ClientFiles { public: false, ca: vec![authority.ca()], identity };
    let trust = Arc::new(Trust::new(usual, Keeper::default()).unwrap());
    let caller = Caller::with(Outgoing { trust, ..outgoing() });
    caller.put(registration(&server, "localhost", TlsSettings::default()));
    assert!(matches!(caller.call(charge()).await.reply, Reply::Ok { .. }));
}

#[tokio::test]
async fn certificates_change_under_calls_and_none_fails() {
    let authority = Authority::new();
    let tls = authority.server();
    let server = over_tls(tls.clone()).await;
    let outgoing = outgoing();
    outgoing.trust.load(&trusting(&authority)).unwrap();
    for days in [80, 70, 60] {
        // A caller of its own connects anew; the one before goes on over the connection that it has.
        let caller = Caller::with(outgoing.clone());
        caller.put(registration(&server, "localhost", trusting(&authority)));
        assert!(matches!(caller.call(charge()).await.reply, Reply::Ok { .. }));
        authority.write("server", "localhost", days);
        assert_eq!(tls.look(), Look::Renewed);
        assert!(matches!(caller.call(charge()).await.reply, Reply::Ok { .. }));
    }
}

#[tokio::test]
async fn files_that_cant_be_read_stop_calls_and_not_their_checks() {
    let authority = Authority::new();
    let server = over_tls(authority.server()).await;
    let gone = TlsSettings { ca_file: Some(authority.path("gone.pem")), ..TlsSettings::default() };
    let outgoing = outgoing();
    assert!(outgoing.trust.load(&gone).is_err());
    assert!(outgoing.trust.problem(&gone).unwrap().contains("gone.pem"));
    let caller = Caller::with(outgoing.clone());
    caller.put(registration(&server, "localhost", gone.clone()));
    let answered = caller.call(charge()).await.reply;
    assert!(is_not_sent(&answered, "gone.pem"), "{answered:?}");
    std::fs::copy(authority.ca(), authority.path("gone.pem")).unwrap();
    outgoing.trust.mend();
    assert_eq!(outgoing.trust.problem(&gone), None);
}

#[test]
fn settings_that_would_hold_for_nothing_are_refused() {
    let plain = |tls: TlsSettings| {
        let endpoint = Endpoint::parse("http://localhost:1").unwrap();
        Registration::new(vec![endpoint], false, Codes::new(), None).unwrap().with_tls(tls).unwrap_err().to_string()
    };
    let named = TlsSettings { server_name: Some("x".to_owned()), ..TlsSettings::default() };
    assert!(plain(named).contains("no endpoint has https://"));
    let over = |tls: TlsSettings| {
        let endpoint = Endpoint::parse("https://localhost:1").unwrap();
        let registration = Registration::new(vec![endpoint], false, Codes::new(), None).unwrap();
        registration.with_tls(tls).map(|it| assert_eq!(Registration::decode(it.encode()).unwrap(), it))
    };
    let relative = TlsSettings { ca_file: Some("ca.pem".into()), ..TlsSettings::default() };
    assert!(over(relative).unwrap_err().to_string().contains("no absolute path"));
    let odd = TlsSettings { server_name: Some("a b".to_owned()), ..TlsSettings::default() };
    assert!(over(odd).unwrap_err().to_string().contains("no name that a certificate can have"));
    let whole = TlsSettings {
        ca_file: Some("/ca.pem".into()),
        identity: Some(("/a.pem".into(), "/a.key".into())),
        server_name: Some("pay.example".to_owned()),
    };
    over(whole).unwrap();
}

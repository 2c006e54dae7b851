//! Over TLS: the certificate must be for the name and from an authority that is trusted.

use std::path::PathBuf;
use std::sync::Arc;

use amends_runtime::participant::{Call, Reply, Trust};
use amends_tls::testing::Authority;
use amends_tls::{Application, ClientFiles, Keeper, Listener};
use tokio::net::TcpListener;

use super::server::{Caller, SHORT, Server, Setting, answer, notify};

/// A server for `localhost` whose certificate is from this authority.
async fn start(authority: &Authority) -> Server {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::on(&tcp, &[answer("200 OK", &[], "{}")]);
    let mut listener = Listener::new(tcp, Some(authority.server()), Application::Http);
    let accepting = server.clone();
    amends_runtime::seam::spawn(async move {
        loop {
            let io = listener.accept().await.io;
            let serving = accepting.clone();
            amends_runtime::seam::spawn(async move { serving.serve(io).await });
        }
    });
    server
}

#[tokio::test]
async fn only_a_certificate_that_is_trusted_and_for_the_name_will_do() {
    let authority = Authority::new();
    let server = start(&authority).await;
    let port = server.address.port();
    let call = async |host: &str, ca: Vec<PathBuf>| {
        let trust = Trust::new(ClientFiles { public: true, ca, identity: None }, Keeper::default()).unwrap();
        let setting = Setting { trust: Arc::new(trust), ..Setting::default() };
        let caller = Caller::with(&[&format!("https://{host}:{port}")], &[], setting);
        caller.call(notify()).await.reply
    };
    for (host, ca) in [("localhost", vec![]), ("127.0.0.1", vec![authority.ca()])] {
        let reply = call(host, ca).await;
        assert!(matches!(&reply, Reply::NotSent(why) if why.contains("TLS can't begin")), "{host}: {reply:?}");
    }
    assert!(server.seen().is_empty(), "nothing of a request goes to a stranger");
    let reply = call("localhost", vec![authority.ca()]).await;
    assert!(matches!(&reply, Reply::Http(reply) if reply.status == 200), "{reply:?}");
    assert_eq!(server.seen()[0].header("host"), Some(format!("localhost:{port}").as_str()));
}

#[tokio::test]
async fn a_server_without_tls_gets_nothing() {
    let server = Server::start(&[answer("200 OK", &[], "{}")]).await;
    let reply = Caller::of(&format!("https://{}", server.address)).call(Call { timeout: SHORT, ..notify() }).await;
    // It takes the greeting for the beginning of a request, and waits.
    assert!(matches!(reply.reply, Reply::NotSent(_)), "{:?}", reply.reply);
}

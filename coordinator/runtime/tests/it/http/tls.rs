//! Over TLS: the certificate must be for the name and from an authority that is trusted.

use std::sync::Arc;

use amends_runtime::participant::{Call, Reply};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::server::{Caller, SHORT, Server, Setting, answer, notify};

/// A server for `localhost` whose certificate is from an authority made for it.
async fn start() -> (Server, CertificateDer<'static>) {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], private).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::on(&listener, &[answer("200 OK", &[], "{}")]);
    let accepting = server.clone();
    amends_runtime::seam::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (serving, acceptor) = (accepting.clone(), acceptor.clone());
            amends_runtime::seam::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serving.serve(stream).await;
                }
            });
        }
    });
    (server, authority.as_ref().der().clone())
}

#[tokio::test]
async fn only_a_certificate_that_is_trusted_and_for_the_name_will_do() {
    let (server, authority) = start().await;
    let port = server.address.port();
    let call = async |host: &str, roots: Vec<CertificateDer<'static>>| {
        let caller = Caller::with(&[&format!("https://{host}:{port}")], &[], Setting { roots, ..Setting::default() });
        caller.call(notify()).await.reply
    };
    for (host, roots) in [("localhost", vec![]), ("127.0.0.1", vec![authority.clone()])] {
        let reply = call(host, roots).await;
        assert!(matches!(&reply, Reply::NotSent(why) if why.contains("TLS can't begin")), "{host}: {reply:?}");
    }
    assert!(server.seen().is_empty(), "nothing of a request goes to a stranger");
    let reply = call("localhost", vec![authority]).await;
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

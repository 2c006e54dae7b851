//! Who is let in, and who is believed.

use std::net::SocketAddr;
use std::sync::Arc;

use amends_tls::testing::{Authority, write};
use amends_tls::{Application, ClientCertificates, ClientTls, Listener, ServerFiles, ServerTls, connect};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::server::Connected as _;

/// Greets everybody who gets in with the first name of their certificate.
pub(crate) async fn serve(tls: Arc<ServerTls>) -> SocketAddr {
    let mut listener = Listener::new(TcpListener::bind("127.0.0.1:0").await.unwrap(), Some(tls), Application::Grpc);
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let mut io = listener.accept().await.io;
            let shown = io.connect_info().certificate;
            let name = shown.map(|shown| shown.names[0].clone()).unwrap_or("nobody".into());
            tokio::spawn(async move {
                let _ = io.write_all(name.as_bytes()).await;
                let _ = io.shutdown().await;
            });
        }
    });
    address
}

/// What the server says; empty where it lets nobody in.
pub(crate) async fn greeting(address: SocketAddr, tls: &ClientTls, host: &'static str) -> Result<String, String> {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(host).unwrap();
    let mut io = connect(tls, Application::Grpc, name, stream).await.map_err(|error| error.to_string())?;
    let mut text = String::new();
    // In TLS 1.3 a client hears with the first read that its certificate was refused.
    io.read_to_string(&mut text).await.map_err(|error| error.to_string())?;
    Ok(text)
}

fn mutual(authority: &Authority, of_clients: &Authority, client_certificates: ClientCertificates) -> Arc<ServerTls> {
    let files = authority.server_files("server", "localhost", 90);
    let files = ServerFiles { client_ca: Some(of_clients.ca()), client_certificates, ..files };
    Arc::new(ServerTls::open(files).unwrap())
}

#[tokio::test]
async fn a_server_is_believed_only_for_its_name_and_from_a_trusted_authority() {
    let (authority, other) = (Authority::new(), Authority::new());
    let address = serve(authority.server()).await;
    assert_eq!(greeting(address, &authority.client(None), "localhost").await.unwrap(), "nobody");
    let error = greeting(address, &authority.client(None), "payment.example").await.unwrap_err();
    assert!(error.contains("not valid for"), "{error}");
    let error = greeting(address, &other.client(None), "localhost").await.unwrap_err();
    // Both authorities have the same name, and other keys.
    assert!(error.contains("BadSignature"), "{error}");
}

#[tokio::test]
async fn where_certificates_are_required_only_those_of_the_authority_get_in() {
    let (authority, clients, other) = (Authority::new(), Authority::new(), Authority::new());
    let address = serve(mutual(&authority, &clients, ClientCertificates::Required)).await;
    let good = authority.client(Some(clients.write("shop", "shop.example", 90)));
    assert_eq!(greeting(address, &good, "localhost").await.unwrap(), "spiffe://shop.example/shop");
    let error = greeting(address, &authority.client(None), "localhost").await.unwrap_err();
    assert!(error.contains("CertificateRequired"), "{error}");
    let stranger = authority.client(Some(other.write("shop", "shop.example", 90)));
    let error = greeting(address, &stranger, "localhost").await.unwrap_err();
    assert!(error.contains("UnknownCA") || error.contains("DecryptError"), "{error}");
}

#[tokio::test]
async fn where_certificates_are_optional_a_bad_one_is_still_refused() {
    let (authority, clients, other) = (Authority::new(), Authority::new(), Authority::new());
    let address = serve(mutual(&authority, &clients, ClientCertificates::Optional)).await;
    assert_eq!(greeting(address, &authority.client(None), "localhost").await.unwrap(), "nobody");
    let stranger = authority.client(Some(other.write("shop", "shop.example", 90)));
    assert!(greeting(address, &stranger, "localhost").await.is_err());
}

#[tokio::test]
async fn a_client_that_falls_silent_holds_up_nobody() {
    let authority = Authority::new();
    let address = serve(authority.server()).await;
    let _silent = TcpStream::connect(address).await.unwrap();
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"\x16\x03\x01").await.unwrap();
    assert_eq!(greeting(address, &authority.client(None), "localhost").await.unwrap(), "nobody");
}

#[tokio::test]
async fn a_certificate_says_whose_it_is() {
    let authority = Authority::new();
    let (pem, _) = authority.sign("shop.example", Some("spiffe://shop.example/checkout"), 30);
    let files = ServerFiles {
        certificate: authority.path("x.pem"),
        key: authority.path("x.key"),
        client_ca: None,
        client_certificates: ClientCertificates::Required,
    };
    write(&files.certificate, &pem);
    write(&files.key, &pem);
    let error = ServerTls::open(files.clone()).unwrap_err().to_string();
    assert!(error.contains("x.key: no private key in it"), "{error}");
    let (certificate, key) = authority.sign("shop.example", Some("spiffe://shop.example/checkout"), 30);
    write(&files.certificate, &certificate);
    write(&files.key, &key);
    let names = ServerTls::open(files).unwrap().current().certificate().names.clone();
    assert_eq!(names, ["spiffe://shop.example/checkout", "shop.example"]);
}

//! Who is at the other end of a request's connection, by its certificate, for whoever decides what it may do.
//!
//! Invariant: it is there only if the listener has checked the certificate against its authorities; nothing that a client sends
//! can put it there.

use std::net::SocketAddr;

use amends_tls::{Certificate, Connection};
use axum::extract::{ConnectInfo, Request};
use tonic::transport::server::TcpConnectInfo;

/// Who is at the other end of a connection, by its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// URI and DNS names of the certificate, URIs first.
    pub names: Vec<String>,
    /// SHA-256 of the certificate.
    pub sha256: [u8; 32],
}

impl From<&Certificate> for PeerCertificate {
    fn from(certificate: &Certificate) -> Self {
        Self { names: certificate.names.clone(), sha256: certificate.sha256 }
    }
}

/// Says of a request to either listener where it comes from: its address as tonic and axum have it, and a [`PeerCertificate`].
pub(crate) async fn introduce(mut request: Request) -> Request {
    let extensions = request.extensions_mut();
    let Some(connection) = extensions.get::<Connection>().cloned() else { return request };
    extensions.insert(TcpConnectInfo { local_addr: connection.local, remote_addr: connection.remote });
    if let Some(address) = connection.remote {
        extensions.insert(ConnectInfo::<SocketAddr>(address));
    }
    if let Some(certificate) = &connection.certificate {
        extensions.insert(PeerCertificate::from(certificate.as_ref()));
    }
    request
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use amends_tls::testing::Authority;
    use amends_tls::{Application, ClientCertificates, Listener, ServerFiles, ServerTls};
    use axum::Router;
    use axum::middleware::map_request;
    use axum::routing::any;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::front_door::serve_http;

    async fn who(request: Request) -> String {
        let names = request.extensions().get::<PeerCertificate>().map(|peer| peer.names.join(" "));
        let is_addressed = request.extensions().get::<ConnectInfo<SocketAddr>>().is_some();
        format!("{} {is_addressed}", names.unwrap_or_else(|| "nobody".to_owned()))
    }

    #[tokio::test]
    async fn a_request_says_whose_certificate_it_came_with() {
        let authority = Authority::new();
        let files = authority.server_files("server", "localhost", 90);
        let client_certificates = ClientCertificates::Optional;
        let files = ServerFiles { client_ca: Some(authority.ca()), client_certificates, ..files };
        let tls = Arc::new(ServerTls::open(files).unwrap());
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let router = Router::new().route("/", any(who)).layer(map_request(introduce));
        let listener = Listener::new(tcp, Some(tls), Application::Http);
        tokio::spawn(serve_http(listener, router, Duration::from_secs(10), CancellationToken::new()));
        let shop = authority.write("shop", "shop.example", 90);
        for (identity, expected) in
            [(Some(shop), "spiffe://shop.example/shop shop.example true"), (None, "nobody true")]
        {
            let stream = TcpStream::connect(address).await.unwrap();
            let name = "localhost".try_into().unwrap();
            let connected = amends_tls::connect(&authority.client(identity), Application::Http, name, stream).await;
            let mut io = connected.unwrap();
            io.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
            let mut text = String::new();
            io.read_to_string(&mut text).await.unwrap();
            assert!(text.ends_with(expected), "{text}");
        }
    }
}

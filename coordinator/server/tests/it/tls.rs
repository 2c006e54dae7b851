//! Both listeners over TLS, and nodes that talk to each other so: who is let in, what is shown, and files that change.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use amends_participant::signing::Verifier;
use amends_proto::v1;
use amends_proto::v1::cluster_client::ClusterClient;
use amends_server::ServerConfig;
use amends_server::config::Clients;
use amends_tls::testing::{Authority, write};
use amends_tls::{Application, ClientTls, Io, Target, connect};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::server::Connected as _;

use crate::cluster::{completes, nodes_over, shards};
use crate::harness::{CHECKOUT, Memory, Server, checkout};
use crate::shop::Shop;

/// Settings with certificates of this authority for this machine, for listeners and as a client.
fn config(authority: &Authority, mutual: Option<Clients>) -> ServerConfig {
    let mut config = Memory::in_memory().config();
    let (certificate, key) = authority.write("server", "127.0.0.1", 90);
    (config.tls.certificate_file, config.tls.key_file) = (Some(certificate), Some(key));
    let (certificate, key) = authority.write("node", "127.0.0.1", 90);
    (config.outgoing_tls.certificate_file, config.outgoing_tls.key_file) = (Some(certificate), Some(key));
    config.outgoing_tls.ca_file = Some(authority.ca());
    if let Some(clients) = mutual {
        (config.tls.client_ca_file, config.tls.client_certificates) = (Some(authority.ca()), clients);
    }
    config
}

type Listening = (SocketAddr, Application);

/// Both listeners of a server.
fn listeners(server: &Server) -> [Listening; 2] {
    [(server.grpc, Application::Grpc), (server.http, Application::Http)]
}

async fn start(authority: &Authority, mutual: Option<Clients>) -> Server {
    Server::start_with(&Memory::in_memory(), config(authority, mutual)).await
}

async fn open((address, application): Listening, tls: &ClientTls, name: &'static str) -> std::io::Result<Io> {
    let stream = TcpStream::connect(address).await.unwrap();
    connect(tls, application, ServerName::try_from(name).unwrap(), stream).await
}

/// The whole answer to `GET /readyz`.
async fn ready(address: SocketAddr, tls: &ClientTls) -> std::io::Result<String> {
    let mut io = open((address, Application::Http), tls, "127.0.0.1").await?;
    io.write_all(b"GET /readyz HTTP/1.1\r\nhost: amends.example\r\nconnection: close\r\n\r\n").await?;
    let mut text = String::new();
    io.read_to_string(&mut text).await?;
    Ok(text)
}

/// One call over a connection of its own.
async fn call(address: SocketAddr, tls: Arc<ClientTls>) -> Result<(), String> {
    let uri = format!("https://{address}").parse().unwrap();
    let channel = Target::new(&uri, Some(tls), None).unwrap().connect().await.map_err(|error| format!("{error:?}"))?;
    let asked = ClusterClient::new(channel).list_nodes(v1::ListNodesRequest {}).await;
    asked.map(drop).map_err(|status| format!("{status:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_listeners_are_believed_only_by_name_and_authority() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = start(&authority, None).await;
    let good = authority.client(None);
    call(server.grpc, good.clone()).await.unwrap();
    assert!(ready(server.http, &good).await.unwrap().ends_with("ready\n"));
    for listener in listeners(&server) {
        open(listener, &good, "127.0.0.1").await.unwrap();
        assert!(open(listener, &other.client(None), "127.0.0.1").await.is_err(), "wrong authority");
        assert!(open(listener, &good, "payment.example").await.is_err(), "wrong name");
        let mut plain = TcpStream::connect(listener.0).await.unwrap();
        plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let _ = plain.read_to_end(&mut answer).await;
        assert!(answer.is_empty() || answer[0] == 21, "no word but an alert without TLS: {answer:?}");
    }
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_clients_need_a_certificate_nobody_gets_in_without() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = start(&authority, Some(Clients::Required)).await;
    let with = |identity: Option<(PathBuf, PathBuf)>| authority.client(identity);
    let good = with(Some(authority.write("shop", "shop.example", 90)));
    call(server.grpc, good.clone()).await.unwrap();
    assert!(ready(server.http, &good).await.unwrap().contains("200 OK"));
    let none = with(None);
    let stranger = with(Some(other.write("shop", "shop.example", 90)));
    for tls in [none, stranger] {
        assert!(call(server.grpc, tls.clone()).await.is_err());
        assert!(ready(server.http, &tls).await.is_err());
    }
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewed_certificates_are_taken_up_and_no_call_fails() {
    let authority = Authority::new();
    let server = start(&authority, None).await;
    let client = authority.client(None);
    let shown = async |listener| {
        let io = open(listener, &client, "127.0.0.1").await.unwrap();
        io.connect_info().certificate.unwrap().sha256
    };
    let [grpc, http] = listeners(&server);
    let before = shown(grpc).await;
    assert_eq!(shown(http).await, before);
    authority.write("server", "127.0.0.1", 80);
    // It looks every two seconds.
    while shown(grpc).await == before || shown(http).await == before {
        call(server.grpc, client.clone()).await.unwrap();
        assert!(ready(server.http, &client).await.unwrap().contains("200 OK"));
    }
    call(server.grpc, client.clone()).await.unwrap();
    let renewed = shown(grpc).await;
    write(&authority.path("server.key"), "broken");
    loop {
        let said = ready(server.http, &client).await.unwrap();
        assert!(said.contains("200 OK"), "it goes on with what it has: {said}");
        if said.contains("tls: new files can't be used") {
            break;
        }
    }
    assert_eq!(shown(grpc).await, renewed);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_forward_to_each_other_with_certificates() {
    let authority = Authority::new();
    let memory = Memory::in_memory_of(24);
    let names = ["node-a", "node-b"];
    let (mut servers, _shop) = nodes_over(&memory, &names, &config(&authority, Some(Clients::Required))).await;
    let owners: BTreeSet<String> = shards(&servers[0]).await.into_iter().map(|shard| shard.node).collect();
    assert_eq!(owners.len(), 2, "each node has a share: {owners:?}");
    for number in 0..12 {
        completes(&mut servers[number % 2], &format!("order-{number}")).await;
    }
    for server in servers {
        server.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registrar_cant_make_it_call_where_credentials_are() {
    let mut server = Server::start(&Memory::in_memory()).await;
    let put = async |server: &mut Server, participant: v1::Participant| {
        let message = v1::PutParticipantRequest { participant: Some(participant), expected_revision: 0 };
        server.participants.put(message).await
    };
    for endpoint in
        ["http://169.254.169.254:80", "https://[::ffff:169.254.169.254]:443", "http://[64:ff9b::a9fe:a9fe]:80"]
    {
        let participant =
            v1::Participant { name: "evil".into(), endpoints: vec![endpoint.into()], ..Default::default() };
        let refused = put(&mut server, participant).await.unwrap_err();
        let (_, _, fields) = crate::harness::refusal(&refused);
        assert_eq!(fields, ["participant.endpoints[0]"], "{endpoint}");
    }
    let own = v1::Participant {
        name: "self".into(),
        endpoints: vec![format!("http://{}", server.grpc)],
        ..Default::default()
    };
    assert!(put(&mut server, own).await.is_err(), "its own port");
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_has_tls_of_its_own() {
    let authority = Authority::new();
    let mut server = Server::start(&Memory::in_memory()).await;
    let put = async |server: &mut Server, endpoint: &str, tls: v1::ParticipantTls| {
        let participant = v1::Participant {
            name: "pay".into(),
            endpoints: vec![endpoint.into()],
            tls: Some(tls),
            ..Default::default()
        };
        let message = v1::PutParticipantRequest { participant: Some(participant), expected_revision: 0 };
        server.participants.put(message).await.map(tonic::Response::into_inner)
    };
    let tls = v1::ParticipantTls { ca_file: authority.ca().display().to_string(), ..Default::default() };
    let stored = put(&mut server, "https://localhost:1", tls.clone()).await.unwrap();
    assert_eq!((stored.tls.as_ref(), stored.problem.as_str()), (Some(&tls), ""));
    let gone = v1::ParticipantTls { ca_file: "/gone.pem".into(), ..Default::default() };
    let half = v1::ParticipantTls { key_file: "/a.key".into(), ..Default::default() };
    for (endpoint, tls, field) in [
        ("https://localhost:1", gone, "participant.tls"),
        ("https://localhost:1", half, "participant.tls.certificate_file"),
        ("http://localhost:1", tls, "participant.tls"),
    ] {
        let refused = put(&mut server, endpoint, tls).await.unwrap_err();
        assert_eq!(crate::harness::refusal(&refused).2, [field], "{endpoint}");
    }
    server.stop().await.unwrap();
}

/// The coordinator's signatures, and the SDK's check of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_participant_answers_only_what_the_coordinator_has_signed() {
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let authority = Authority::new();
    let mut server = Server::start(&Memory::in_memory()).await;
    let shop = Shop::guarded(Some(authority.server()), Some(Verifier::new([SECRET]).unwrap())).await;
    write(&authority.path("secret"), SECRET);
    write(&authority.path("other"), "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
    let put = async |server: &mut Server, secrets: &[&str]| {
        let reference = |name: &&str| format!("file:{}", authority.path(name).display());
        let participant = v1::Participant {
            name: "shop".into(),
            endpoints: vec![shop.address.clone()],
            signing_secrets: secrets.iter().map(reference).collect(),
            tls: Some(v1::ParticipantTls { ca_file: authority.ca().display().to_string(), ..Default::default() }),
            ..Default::default()
        };
        let message = v1::PutParticipantRequest { participant: Some(participant), expected_revision: 0 };
        server.participants.put(message).await.unwrap()
    };
    for secrets in [&[][..], &["other"]] {
        put(&mut server, secrets).await;
        // Its reflection is open, also to those who have no secret.
        server.register(CHECKOUT).await;
        let id = format!("unsigned-{}", secrets.len());
        server.sagas.start(checkout(&id)).await.unwrap();
        while !format!("{:?}", server.history(&id).await).contains("UNAUTHENTICATED") {}
    }
    assert!(shop.calls().is_empty(), "{:?}", shop.calls());
    put(&mut server, &["other", "secret"]).await;
    completes(&mut server, "signed").await;
    server.stop().await.unwrap();
}

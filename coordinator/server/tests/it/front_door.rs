//! What is let in, over real connections: networks, connections, slow heads, rates.

use std::io::ErrorKind;

use amends_proto::v1;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_types::StatusExt as _;

use crate::access::{Access, of};
use crate::harness::{Memory, Server, checkout, refusal};
use crate::http::client::{self, JSON};

/// Waits until the other end closes; what it said before.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    match stream.read_to_end(&mut said).await {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_gets_so_many_connections_and_then_none() {
    let memory = Memory::in_memory();
    let mut config = memory.config();
    config.front_door.connections_per_address = 2;
    let server = Server::start_with(&memory, config).await;
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(server.http).await.unwrap();
        stream.write_all(format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", server.http).as_bytes()).await.unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        kept.push(stream);
    }
    let mut third = TcpStream::connect(server.http).await.unwrap();
    assert_eq!(until_closed(&mut third).await, "");
    drop(kept);
    // Their places come free as soon as the server has noticed.
    loop {
        let mut again = TcpStream::connect(server.http).await.unwrap();
        let _ = again
            .write_all(
                format!("GET /healthz HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", server.http).as_bytes(),
            )
            .await;
        if until_closed(&mut again).await.starts_with("HTTP/1.1 200") {
            break;
        }
    }
    // The harness holds one connection to the other listener, which counts for itself.
    let second = Endpoint::from_shared(format!("http://{}", server.grpc)).unwrap().connect().await.unwrap();
    let mut third = TcpStream::connect(server.grpc).await.unwrap();
    assert_eq!(until_closed(&mut third).await, "");
    drop(second);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_network_gets_no_connection() {
    let memory = Memory::in_memory();
    let mut config = memory.config();
    config.front_door.deny = vec!["127.9.0.0/16".to_owned()];
    let server = Server::start_with(&memory, config).await;
    for address in [server.http, server.grpc] {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.9.0.1:0".parse().unwrap()).unwrap();
        let mut denied = socket.connect(address).await.unwrap();
        assert_eq!(until_closed(&mut denied).await, "");
    }
    assert_eq!(client::get(&server, "/healthz").await.status, 200);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_never_ends_is_not_waited_for() {
    let memory = Memory::in_memory();
    let mut config = memory.config();
    config.front_door.header_time = std::time::Duration::from_millis(100);
    let server = Server::start_with(&memory, config).await;
    let mut slow = TcpStream::connect(server.http).await.unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-never: ").await.unwrap();
    let said = until_closed(&mut slow).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said}");
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_principal_that_asks_too_often_is_told_when_to_come_again() {
    let (memory, mut access) = (Memory::in_memory(), Access::new());
    let tokens = ["shop", "bank"].map(|name| access.add(name, "{ roles: [admin], namespaces: ['*'] }"));
    let mut config = access.config(&memory);
    config.front_door.starts_per_second = 1;
    let mut server = Server::start_with(&memory, config).await;
    // Refused for want of a definition, but counted.
    let first = server.sagas.start(of(&tokens[0], checkout("a"))).await.unwrap_err();
    assert_eq!(first.code(), Code::NotFound);
    let mut refused = 0;
    for number in 0..20 {
        let Err(status) = server.sagas.start(of(&tokens[0], checkout(&format!("a-{number}")))).await else { continue };
        if status.code() == Code::NotFound {
            continue;
        }
        assert_eq!((status.code(), refusal(&status).1.as_str()), (Code::ResourceExhausted, "TOO_OFTEN"));
        assert!(status.get_error_details().retry_info().unwrap().retry_delay.is_some());
        refused += 1;
    }
    assert!(refused > 0);
    let other = server.sagas.start(of(&tokens[1], checkout("a"))).await.unwrap_err();
    assert_eq!(other.code(), Code::NotFound, "another's rate is its own");
    let bearer = format!("Bearer {}", tokens[1]);
    let headers = [JSON, ("authorization", bearer.as_str())];
    let body = r#"{"sagaId":"a","definition":"checkout"}"#;
    let answer = loop {
        let answer = client::ask(&server, "POST", "/v1/sagas", &headers, body).await;
        if answer.status != 404 {
            break answer;
        }
    };
    assert_eq!((answer.status, answer.refusal().2.as_str()), (429, "TOO_OFTEN"));
    assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
    for _ in 0..20 {
        let cancel = v1::CancelSagaRequest { saga_id: "a".to_owned(), reason: "x".to_owned(), ..Default::default() };
        assert_eq!(server.sagas.cancel(of(&tokens[0], cancel)).await.unwrap_err().code(), Code::NotFound);
    }
    server.stop().await.unwrap();
}

//! The HTTP listener: its pages, here; the API as JSON, in the files below.

pub(crate) mod client;
mod docs;
mod following;
mod life;
mod refusing;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Memory, Server};

/// The whole answer to one request, as text.
async fn get(server: &Server, path: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(server.http).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages() {
    let server = Server::start(&Memory::in_memory()).await;
    let host = server.http.to_string();
    for (path, status, expected) in [
        ("/healthz", "200", "ok"),
        ("/readyz", "200", "ready"),
        ("/version", "200", "{\"name\":\"amends\",\"version\":\""),
        ("/", "200", "/readyz"),
        ("/", "200", "\nPOST /v1/sagas/{sagaId}:cancel "),
        ("/openapi.json", "200", "\"openapi\":\"3.1.0\""),
        ("/other", "404", "/ lists them all"),
    ] {
        let answer = get(&server, path, &host).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        assert!(answer.contains(expected), "{path}: {answer}");
        assert!(answer.contains("x-content-type-options: nosniff"), "{path}: {answer}");
    }
    assert!(get(&server, "/", "localhost").await.contains(&server.grpc.to_string()));
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_hosts_are_refused() {
    let server = Server::start(&Memory::in_memory()).await;
    for host in ["attacker.example", "10.0.0.1:7480", "localhost.attacker.example"] {
        let answer = get(&server, "/version", host).await;
        assert!(answer.starts_with("HTTP/1.1 421 ") && !answer.contains("amends"), "{host}: {answer}");
    }
    server.stop().await.unwrap();
}

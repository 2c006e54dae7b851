//! A Postgres server that is killed, and a connection that breaks at the commit: unknown to the coordinator, and its next
//! attempt finds what stands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use amends_participant::database::Place;
use amends_participant::testing::PostgresServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tonic::Code;

use crate::fixture::{Fixture, step};

fn text(what: &str) -> String {
    what.to_owned()
}

#[tokio::test]
async fn a_killed_server_costs_only_the_calls_under_way_and_keeps_what_was_answered() {
    let mut server = tokio::task::spawn_blocking(PostgresServer::start).await.unwrap().unwrap();
    let f = Fixture::at(Place::Url(server.fresh().await)).await;
    f.does(step("before").action(text("a"))).await.unwrap();
    let calls = (0..40).map(|n| {
        let request = step(&format!("s-{n}")).action(format!("s-{n}"));
        async { f.does(request).await }
    });
    let (killed, calls) = tokio::join!(
        tokio::task::spawn_blocking(move || {
            server.crash().unwrap();
            server
        }),
        futures::future::join_all(calls),
    );
    let mut server = killed.unwrap();
    for answer in &calls {
        let unknown = |code| matches!(code, Code::Unavailable | Code::Internal);
        assert!(answer.as_ref().err().is_none_or(|status| unknown(status.code())), "{answer:?}");
    }
    let server = tokio::task::spawn_blocking(move || server.restart().map(|()| server)).await.unwrap().unwrap();
    assert_eq!(f.does(step("before").action(text("a"))).await.unwrap(), "a #1", "the stored reply");
    for (n, first) in calls.into_iter().enumerate() {
        let again = f.does(step(&format!("s-{n}")).action(format!("s-{n}"))).await.unwrap();
        assert!(first.is_err() || first.is_ok_and(|first| first == again), "an answer was taken back");
    }
    let mut made = f.made().await;
    made.sort();
    made.dedup();
    assert_eq!((made.len(), f.made().await.len()), (41, 41), "each once");
    drop(server);
}

/// Stands between client and server; breaks the next connection that commits.
struct Line {
    address: std::net::SocketAddr,
    at_commit: Arc<AtomicU8>,
}

const WHOLE: u8 = 0;
/// The commit never arrives.
const BREAK_BEFORE: u8 = 1;
/// The commit arrives, and its answer doesn't.
const BREAK_AFTER: u8 = 2;

impl Line {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, at_commit) = (listener.local_addr().unwrap(), Arc::new(AtomicU8::new(WHOLE)));
        let chosen = at_commit.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, chosen.clone()));
            }
        });
        Self { address, at_commit }
    }
}

async fn carry(mut client: TcpStream, at_commit: Arc<AtomicU8>) {
    let mut server = UnixStream::connect(PostgresServer::shared().socket()).await.unwrap();
    let (mut up, mut down) = ([0; 8192], [0; 8192]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(length @ 1..) = read else { return };
                let commits = up[..length].windows(7).any(|word| word == b"COMMIT\0");
                let how = if commits { at_commit.swap(WHOLE, Ordering::Relaxed) } else { WHOLE };
                if how == BREAK_BEFORE || server.write_all(&up[..length]).await.is_err() {
                    return;
                }
                if how == BREAK_AFTER {
                    // The server answers a commit that it has carried out; that answer is dropped here.
                    assert!(server.read(&mut down).await.is_ok_and(|length| length > 0));
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(length @ 1..) = read else { return };
                if client.write_all(&down[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_connection_lost_at_the_commit_is_unknown_and_the_next_attempt_finds_what_stands() {
    let line = Line::new().await;
    let url = PostgresServer::shared().fresh().await;
    let (_, options) = url.split_once("&options").unwrap();
    let url = format!("postgres://postgres@{}/postgres?sslmode=disable&options{options}", line.address);
    let f = Fixture::at(Place::Url(url)).await;
    for (saga, how, made) in [("kept", BREAK_AFTER, 1), ("lost", BREAK_BEFORE, 0)] {
        let before = f.made().await.len();
        line.at_commit.store(how, Ordering::Relaxed);
        let status = f.does(step(saga).action(text(saga))).await.expect_err("no answer to the commit");
        assert_eq!(status.code(), Code::Unavailable, "unknown: {status}");
        assert_eq!(line.at_commit.load(Ordering::Relaxed), WHOLE, "the connection broke at the commit");
        assert_eq!(f.made().await.len() - before, made, "{saga}");
        let reply = f.does(step(saga).action(text(saga))).await.unwrap();
        assert_eq!(f.does(step(saga).action(text(saga))).await.unwrap(), reply);
    }
    assert_eq!(f.made().await, ["kept", "lost"], "each once");
}

//! The faulty network: each fault does what its name says, and nothing else.

use std::net::SocketAddr;
use std::time::Duration;

use amends_redis_lab::{Fault, Proxy, Server, Settings, wait_until};
use redis::aio::MultiplexedConnection;

async fn connect(address: SocketAddr) -> MultiplexedConnection {
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_millis(300)));
    let client = redis::Client::open(format!("redis://{address}")).expect("an address");
    client.get_multiplexed_async_connection_with_config(&config).await.expect("it listens")
}

async fn increase(connection: &mut MultiplexedConnection) -> redis::RedisResult<u64> {
    redis::cmd("INCR").arg("n").query_async(connection).await
}

fn count(server: &Server) -> u64 {
    server.ask::<Option<u64>>(&["GET", "n"]).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_reply_was_done_and_a_cut_request_was_not() {
    let server = Server::start(&Settings::strict());
    let proxy = Proxy::start(server.address()).await;
    let mut connection = connect(proxy.address()).await;
    assert_eq!(increase(&mut connection).await.unwrap(), 1);
    for after in [0, 2] {
        proxy.set(Fault::CutReply { after });
        let error = increase(&mut connection).await.unwrap_err();
        assert!(error.is_connection_dropped(), "{error}");
        connection = connect(proxy.address()).await;
    }
    assert_eq!((count(&server), proxy.cuts()), (3, 2));
    proxy.set(Fault::CutRequest { after: 7 });
    assert!(increase(&mut connection).await.is_err());
    assert_eq!((count(&server), proxy.cuts()), (3, 3));
    // Once only.
    let mut connection = connect(proxy.address()).await;
    assert_eq!(increase(&mut connection).await.unwrap(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_back_arrives_late_unless_the_connection_is_cut() {
    let server = Server::start(&Settings::strict());
    let proxy = Proxy::start(server.address()).await;
    let mut connection = connect(proxy.address()).await;
    proxy.set(Fault::HoldReplies);
    assert!(increase(&mut connection).await.unwrap_err().is_timeout());
    assert_eq!(count(&server), 1);
    proxy.set(Fault::BlackHole);
    assert!(increase(&mut connection).await.unwrap_err().is_timeout());
    assert_eq!(count(&server), 1);
    proxy.heal();
    wait_until("the late request", || (count(&server) == 2).then_some(()));

    proxy.set(Fault::BlackHole);
    let mut connection = connect(server.address()).await;
    assert_eq!(increase(&mut connection).await.unwrap(), 3, "past the proxy");
    proxy.disconnect();
    proxy.heal();
    let mut connection = connect(proxy.address()).await;
    assert_eq!(increase(&mut connection).await.unwrap(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delay_is_a_delay_and_another_address_is_another_server() {
    let (server, other) = (Server::start(&Settings::strict()), Server::start(&Settings::strict()));
    let proxy = Proxy::start(server.address()).await;
    let mut connection = connect(proxy.address()).await;
    proxy.set(Fault::Delay(Duration::from_secs(1)));
    assert!(increase(&mut connection).await.unwrap_err().is_timeout());
    proxy.set(Fault::Refuse);
    assert!(increase(&mut connection).await.is_err());
    proxy.lead_to(other.address());
    proxy.heal();
    let mut connection = connect(proxy.address()).await;
    assert_eq!(increase(&mut connection).await.unwrap(), 1);
    assert_eq!((count(&server), count(&other)), (1, 1));
}

//! Stands between a client and a server on the loopback interface and misbehaves as a test says.
//!
//! What is held back is not lost: it is delivered, in order, when the fault is taken away, as a network does that finds its way
//! again. Invariant: bytes are passed on as they came, or the connection is reset; none is changed, repeated or left out.

mod connection;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the network does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Every reply comes this much later.
    Delay(Duration),
    /// Requests arrive and replies don't come back, until the fault is another.
    HoldReplies,
    /// Neither arrives, and nobody is told, until the fault is another.
    BlackHole,
    /// Connections are taken and reset at once; those that are open are reset too.
    Refuse,
    /// The next reply is cut after so many bytes (0: the server has done it and nobody hears of it), and its connection reset.
    /// Happens once.
    CutReply {
        /// Bytes that still arrive.
        after: usize,
    },
    /// The next request is cut after so many bytes, and its connection reset. Happens once.
    CutRequest {
        /// Bytes that still arrive.
        after: usize,
    },
}

#[derive(Debug, Clone, Copy)]
struct Orders {
    target: SocketAddr,
    fault: Fault,
    /// Connections that were made under a lower number are reset.
    generation: u64,
}

#[derive(Debug)]
struct Shared {
    orders: watch::Sender<Orders>,
    cuts: AtomicU64,
    connections: AtomicU64,
}

/// A faulty network in front of one server.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a port of its own and passes everything on. Needs a tokio runtime, and ends with it.
    pub async fn start(target: SocketAddr) -> Self {
        Self::start_at(IpAddr::V4(Ipv4Addr::LOCALHOST), target).await
    }

    /// The same, on another address of this machine.
    pub async fn start_at(address: IpAddr, target: SocketAddr) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a listening socket");
        let orders = watch::Sender::new(Orders { target, fault: Fault::None, generation: 0 });
        let shared = Arc::new(Shared { orders, cuts: AtomicU64::new(0), connections: AtomicU64::new(0) });
        let listener = tokio::spawn(listen(listener, shared.clone()));
        Self { address, shared, listener }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The store's address, through the proxy.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// From now on this is wrong, on open connections too.
    pub fn set(&self, fault: Fault) {
        self.shared.orders.send_modify(|orders| orders.fault = fault);
        if fault == Fault::Refuse {
            self.disconnect();
        }
    }

    /// From now on nothing is wrong; what was held back is delivered.
    pub fn heal(&self) {
        self.set(Fault::None);
    }

    /// Resets every open connection; what was held back in them is lost.
    pub fn disconnect(&self) {
        self.shared.orders.send_modify(|orders| orders.generation += 1);
    }

    /// New connections lead to another server, as when somebody changes an address book.
    pub fn lead_to(&self, target: SocketAddr) {
        self.shared.orders.send_modify(|orders| orders.target = target);
    }

    /// How many replies and requests have been cut, so that a test can insist on it.
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    /// How many connections have been made.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.disconnect();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(serve(client, shared.clone()));
    }
}

async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let orders = *shared.orders.borrow();
    if orders.fault == Fault::Refuse {
        client.set_zero_linger().ok();
        return;
    }
    // A server that isn't there: the client's connection is closed, as a balancer would.
    if let Ok(server) = TcpStream::connect(orders.target).await {
        connection::carry(client, server, orders.generation, &shared).await;
    }
}

//! One connection through the proxy: two directions, each with the faults that are its own.

use std::io;
use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::{Fault, Orders, Shared};

const CHUNK: usize = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Reply,
}

/// Why a direction ended before both sides had said all.
struct Broken;

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// Carries until both sides have ended, a cut, or the end of the connection's generation.
pub(super) async fn carry(mut client: TcpStream, mut server: TcpStream, generation: u64, shared: &Shared) {
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let mut orders = shared.orders.subscribe();
    let ended = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let both = async {
            tokio::try_join!(
                pump(from_client, to_server, Direction::Request, shared),
                pump(from_server, to_client, Direction::Reply, shared),
            )
        };
        tokio::select! {
            biased;
            _ = orders.wait_for(|orders| orders.generation > generation) => Err(Broken),
            ended = both => ended.map(drop),
        }
    };
    if ended.is_err() {
        client.set_zero_linger().ok();
        server.set_zero_linger().ok();
    }
}

async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    direction: Direction,
    shared: &Shared,
) -> Result<(), Broken> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = from.read(&mut chunk).await?;
        if length == 0 {
            to.shutdown().await?;
            return Ok(());
        }
        let fault = pass(direction, shared).await?;
        match fault {
            Fault::CutReply { after } | Fault::CutRequest { after } => {
                to.write_all(&chunk[..after.min(length)]).await?;
                return Err(Broken);
            }
            Fault::Delay(time) if direction == Direction::Reply => tokio::time::sleep(time).await,
            _ => {}
        }
        to.write_all(&chunk[..length]).await?;
    }
}

/// Waits until this direction may pass something, and gives the fault that still concerns it.
async fn pass(direction: Direction, shared: &Shared) -> Result<Fault, Broken> {
    let holds = |orders: &Orders| match orders.fault {
        Fault::BlackHole => true,
        Fault::HoldReplies => direction == Direction::Reply,
        _ => false,
    };
    shared.orders.subscribe().wait_for(|orders| !holds(orders)).await.map_err(|_| Broken)?;
    let mut fault = Fault::None;
    shared.orders.send_if_modified(|orders| {
        fault = orders.fault;
        let cut = match fault {
            Fault::CutReply { .. } => direction == Direction::Reply,
            Fault::CutRequest { .. } => direction == Direction::Request,
            _ => false,
        };
        match (cut, fault) {
            (true, _) => {
                orders.fault = Fault::None;
                shared.cuts.fetch_add(1, Ordering::SeqCst);
            }
            // The other direction's.
            (false, Fault::CutReply { .. } | Fault::CutRequest { .. }) => fault = Fault::None,
            (false, _) => {}
        }
        cut
    });
    Ok(fault)
}

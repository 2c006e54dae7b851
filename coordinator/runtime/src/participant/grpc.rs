//! Calls participants over the network: picks an address, hands the request to its connection, and says what came of it.
//!
//! One attempt is one request at most: no library below retries, and neither does this. Invariant: once a request has been
//! handed to a connection, [`Reply::NotSent`] needs proof, and there are two: the connection doesn't take the request, or the
//! other side refuses the stream (`REFUSED_STREAM`), which HTTP/2 allows only before any processing.
//! A `GOAWAY` is no proof here. What is on the wire is in `frame.rs`, the connections in `channel.rs`.

use std::sync::Arc;

use amends_engine::ids::{Namespace, ParticipantName};
use async_trait::async_trait;
use bytes::Bytes;
use http::Request;

use super::channel::{Channel, Connection, Found, Pulse, Wait};
use super::dial::Outgoing;
use super::directory::Directory;
use super::exchange::Sender;
use super::pools::{Picked, Pool, Pools, Way as _};
use super::verdict::Verdict;
use super::{Answer, Call, EndpointState, ParticipantCaller, Reply, frame};
use crate::error::with_sources;
use crate::seam::Seams;

/// Longest reply that is read, in bytes, unless told otherwise: 1 MiB.
pub const REPLY_BYTES_MAX: usize = 1024 * 1024;

/// The real caller.
#[derive(Debug)]
pub struct GrpcCaller {
    pools: Pools<Channel>,
    seams: Seams,
    outgoing: Outgoing,
    reply_bytes_max: usize,
}

impl GrpcCaller {
    /// Finds participants in `directory` and reads replies of at most `reply_bytes_max` bytes.
    pub fn new(directory: Arc<Directory>, seams: Seams, outgoing: Outgoing, reply_bytes_max: usize) -> Self {
        Self { pools: Pools::new(directory), seams, outgoing, reply_bytes_max }
    }

    /// How the addresses of a participant stand, as far as this node knows.
    pub fn endpoints(&self, namespace: &Namespace, name: &ParticipantName) -> Vec<EndpointState> {
        self.pools.states(namespace, name, self.seams.now())
    }

    async fn attempt(&self, call: &Call, pool: &Pool<Channel>, progress: &mut Progress) -> Reply {
        let keys = match self.outgoing.keys(&pool.registration().signing) {
            Ok(keys) => keys,
            // Unsigned, it would be refused, or worse: taken from somebody who isn't us.
            Err(why) => return Reply::NotSent(format!("the request can't be signed: {why}")),
        };
        let (picked, connection) = match self.connection(pool, call, progress).await {
            Ok(found) => found,
            Err(why) => return Reply::NotSent(why),
        };
        let request = match frame::request(call, picked.way.endpoint(), &keys, self.seams.now()) {
            Ok(request) => request,
            Err(error) => return Reply::NotSent(with_sources(&error)),
        };
        let Connection { sender, pulse } = connection;
        progress.handed_to = Some((picked, pulse.clone()));
        let reply = exchange(sender, request, self.reply_bytes_max).await;
        pulse.heard();
        reply
    }

    /// A connection to the address that is picked, or to the next that can be reached. An address that somebody is connecting to
    /// is waited for only when no other is left.
    async fn connection(
        &self,
        pool: &Pool<Channel>,
        call: &Call,
        progress: &mut Progress,
    ) -> Result<(Picked<Channel>, Connection), String> {
        let mut search = pool.search(call);
        let mut busy = Vec::new();
        while let Some(picked) = search.next(&self.seams) {
            match self.reach(pool, &picked, progress, Wait::No).await {
                Found::Connection(connection) => return Ok((picked, connection)),
                Found::Busy => busy.push(picked),
                Found::None => {}
            }
        }
        for picked in busy {
            if let Found::Connection(connection) = self.reach(pool, &picked, progress, Wait::Yes).await {
                return Ok((picked, connection));
            }
        }
        Err(search.why_none(self.seams.now()))
    }

    async fn reach(
        &self,
        pool: &Pool<Channel>,
        picked: &Picked<Channel>,
        progress: &mut Progress,
        wait: Wait,
    ) -> Found {
        progress.endpoint = picked.way.endpoint().to_string();
        picked.way.connection(&self.outgoing, &pool.registration().tls, &self.seams, wait).await
    }
}

#[async_trait]
impl ParticipantCaller for GrpcCaller {
    async fn call(&self, call: Call) -> Answer {
        let mut progress = Progress::default();
        let pool = match self.pools.get(&call) {
            Ok(pool) => pool,
            Err(why) => return Answer { reply: Reply::NotSent(why), endpoint: String::new() },
        };
        let outcome = tokio::time::timeout(call.timeout, self.attempt(&call, &pool, &mut progress)).await;
        let reply = outcome.unwrap_or_else(|_| match &progress.handed_to {
            None => Reply::NotSent("no connection within the attempt's time".to_owned()),
            Some((_, pulse)) => {
                pulse.silent();
                Reply::NoAnswer
            }
        });
        if let Some((picked, _)) = &progress.handed_to {
            pool.note(picked, &call, Verdict::of(&reply), self.seams.now());
        }
        Answer { reply, endpoint: progress.endpoint }
    }
}

/// How far an attempt has come; outlives it when its time runs out.
#[derive(Debug, Default)]
struct Progress {
    endpoint: String,
    handed_to: Option<(Picked<Channel>, Pulse)>,
}

/// Sends the request and reads the answer. From here on nothing is certain without proof.
async fn exchange(mut sender: Sender, request: Request<Bytes>, reply_bytes_max: usize) -> Reply {
    let answer = match sender.send(request) {
        Ok(answer) => answer,
        Err(error) => {
            return Reply::NotSent(format!("the connection was lost before the request was written: {error}"));
        }
    };
    match answer.await {
        Ok(response) => frame::read_unary(response, reply_bytes_max).await,
        Err(error) if is_refused_stream(&error) => {
            Reply::NotSent("the participant refused the stream before processing it".to_owned())
        }
        Err(error) => Reply::Broken(with_sources(&error)),
    }
}

/// Whether the other side says that it didn't look at the request (RFC 9113, section 8.7).
fn is_refused_stream(error: &h2::Error) -> bool {
    error.is_reset() && error.is_remote() && error.reason() == Some(h2::Reason::REFUSED_STREAM)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::io::DuplexStream;

    use super::*;
    use crate::participant::{Endpoint, exchange};

    type Driver = h2::client::Connection<DuplexStream, Bytes>;

    /// A connection whose driver is in the test's hand, and the other end of the wire.
    async fn connection() -> (Sender, Driver, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (sender, driver) = exchange::handshake(ours).await.unwrap();
        (sender, driver, theirs)
    }

    fn request() -> Request<Bytes> {
        let endpoint = Endpoint::parse("http://pay:1").unwrap();
        frame::bare_request(&endpoint, "/pay.v1.Pay/Charge", [&Bytes::from_static(b"\x08\x01")]).unwrap()
    }

    #[tokio::test]
    async fn what_a_closed_connection_doesnt_take_was_not_sent() {
        let (sender, driver, _theirs) = connection().await;
        drop(driver);
        assert!(matches!(exchange(sender, request(), 64).await, Reply::NotSent(_)));
    }

    #[tokio::test]
    async fn what_the_connection_has_taken_may_have_been_sent() {
        let (sender, mut driver, theirs) = connection().await;
        let closing = async {
            assert!((&mut driver).now_or_never().is_none(), "it has taken the request and waits for the answer");
            drop((driver, theirs));
        };
        let (reply, ()) = futures::join!(exchange(sender, request(), 64), closing);
        assert!(matches!(reply, Reply::Broken(_)), "{reply:?}");
    }
}

//! Calls participants by HTTP: picks an address, hands the request to a connection, and says what came of it.
//!
//! One attempt is one request at most. A kept connection may be closed by the other side at any moment; if hyper gives the
//! request back, not a byte of it was written, and a new connection takes it: that is the one case in which a request is handed
//! over twice. Invariant: as in `grpc.rs`, [`Reply::NotSent`] needs proof once a request was handed over, and giving it back is
//! the only one that HTTP/1.1 has. Redirects are never followed. What is on the wire is in `wire.rs`, how connections are made
//! and kept in `dial.rs`, `connect.rs` and `line.rs`, who is signed for in `sign.rs`.

mod connect;
mod line;
mod post;
mod sign;
mod wire;

use std::sync::Arc;

use amends_engine::ids::{Namespace, ParticipantName};
use async_trait::async_trait;

use super::dial::Outgoing;
use super::directory::Directory;
use super::pools::{Picked, Pool, Pools, Way as _};
use super::verdict::Verdict;
use super::{Answer, Call, EndpointState, ParticipantCaller, Reply};
use crate::error::with_sources;
use crate::seam::Seams;
use connect::Connector;
use line::{Line, Taken};
pub use post::HttpPost;

/// Calls HTTP participants.
#[derive(Debug)]
pub struct HttpCaller {
    pools: Pools<Line>,
    seams: Seams,
    outgoing: Outgoing,
    reply_bytes_max: usize,
}

impl HttpCaller {
    /// Finds participants in `directory` and reads replies of at most `reply_bytes_max` bytes.
    pub fn new(directory: Arc<Directory>, seams: Seams, outgoing: Outgoing, reply_bytes_max: usize) -> Self {
        Self { pools: Pools::new(directory), seams, outgoing, reply_bytes_max }
    }

    fn connector<'a>(&'a self, pool: &'a Pool<Line>) -> Connector<'a> {
        Connector { outgoing: &self.outgoing, tls: &pool.registration().tls }
    }

    /// How the addresses of a participant stand, as far as this node knows.
    pub fn endpoints(&self, namespace: &Namespace, name: &ParticipantName) -> Vec<EndpointState> {
        self.pools.states(namespace, name, self.seams.now())
    }

    async fn attempt(&self, call: &Call, pool: &Pool<Line>, progress: &mut Progress) -> Reply {
        let keys = match self.outgoing.keys(&pool.registration().signing) {
            Ok(keys) => keys,
            // Unsigned, it would be refused, or worse: taken from somebody who isn't us.
            Err(why) => return Reply::NotSent(format!("the request can't be signed: {why}")),
        };
        let (picked, taken) = match self.take(pool, call, progress).await {
            Ok(found) => found,
            Err(why) => return Reply::NotSent(why),
        };
        let request = match wire::request(call, picked.way.endpoint(), &keys, self.seams.now()) {
            Ok(request) => request,
            Err(error) => return Reply::NotSent(with_sources(&error)),
        };
        let line = picked.way.clone();
        progress.picked = Some(picked);
        self.exchange((&line, self.connector(pool)), taken, request, progress).await
    }

    /// A connection to the address that is picked, or to the next that can be reached.
    async fn take(
        &self,
        pool: &Pool<Line>,
        call: &Call,
        progress: &mut Progress,
    ) -> Result<(Picked<Line>, Taken), String> {
        let mut search = pool.search(call);
        while let Some(picked) = search.next(&self.seams) {
            progress.endpoint = picked.way.endpoint().to_string();
            if let Ok(taken) = picked.way.take(self.connector(pool), &self.seams).await {
                return Ok((picked, taken));
            }
        }
        Err(search.why_none(self.seams.now()))
    }

    /// Sends the request and reads the answer. From here on nothing is certain without proof.
    async fn exchange(
        &self,
        (line, connector): (&Arc<Line>, Connector<'_>),
        taken: Taken,
        request: http::Request<http_body_util::Full<bytes::Bytes>>,
        progress: &mut Progress,
    ) -> Reply {
        let Taken { mut sender, used } = taken;
        progress.handed_over = true;
        let mut sent = sender.try_send_request(request).await;
        if used
            && let Err(failed) = &mut sent
            && let Some(request) = failed.take_message()
        {
            // Given back: not a byte has left. A new connection is tried once, and is not a second attempt.
            progress.handed_over = false;
            sender = match line.connect(connector, &self.seams).await {
                Ok(fresh) => fresh.sender,
                Err(why) => return Reply::NotSent(why),
            };
            progress.handed_over = true;
            sent = sender.try_send_request(request).await;
        }
        match sent {
            Ok(response) => {
                let read = wire::read(response, self.reply_bytes_max, self.seams.now()).await;
                if read.whole {
                    line.give_back(sender, &self.seams);
                }
                read.reply
            }
            Err(failed) if failed.message().is_some() => {
                Reply::NotSent(format!("the connection was lost before the request was written: {}", failed.error()))
            }
            Err(failed) => Reply::Broken(with_sources(failed.error())),
        }
    }
}

#[async_trait]
impl ParticipantCaller for HttpCaller {
    async fn call(&self, call: Call) -> Answer {
        let mut progress = Progress::default();
        let pool = match self.pools.get(&call) {
            Ok(pool) => pool,
            Err(why) => return Answer { reply: Reply::NotSent(why), endpoint: String::new() },
        };
        let outcome = tokio::time::timeout(call.timeout, self.attempt(&call, &pool, &mut progress)).await;
        let reply = outcome.unwrap_or_else(|_| match progress.handed_over {
            false => Reply::NotSent("no connection within the attempt's time".to_owned()),
            true => Reply::NoAnswer,
        });
        if let Some(picked) = &progress.picked {
            pool.note(picked, &call, Verdict::of(&reply), self.seams.now());
        }
        Answer { reply, endpoint: progress.endpoint }
    }
}

/// How far an attempt has come; outlives it when its time runs out.
#[derive(Debug, Default)]
struct Progress {
    endpoint: String,
    picked: Option<Picked<Line>>,
    handed_over: bool,
}

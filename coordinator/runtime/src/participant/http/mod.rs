//! Calls participants by HTTP: picks an address, hands the request to a connection, and says what came of it.
//!
//! One attempt is one request at most. A kept connection may be closed by the other side at any moment; if hyper gives the
//! request back, not a byte of it was written, and a new connection takes it: that is the one case in which a request is handed
//! over twice. Invariant: as in `grpc.rs`, [`Reply::NotSent`] needs proof once a request was handed over, and giving it back is
//! the only one that HTTP/1.1 has. Redirects are never followed. What is on the wire is in `wire.rs`, how connections are made
//! and kept in `connect.rs` and `line.rs`, who is signed for in `sign.rs`.

mod connect;
mod line;
mod sign;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use rustls::pki_types::CertificateDer;

use super::directory::Directory;
use super::egress::Egress;
use super::pools::{Pool, Pools, Way as _};
use super::secret::{Keyring, SigningKey};
use super::{Answer, Call, ParticipantCaller, Reply};
use crate::error::with_sources;
use crate::seam::Seams;
use connect::Connector;
pub use connect::{Resolve, SystemResolver, UnusableRoot};
use line::{Line, Taken};

/// How HTTP participants are called.
#[derive(Debug)]
pub struct HttpSettings {
    /// Which addresses may be connected to.
    pub egress: Arc<Egress>,
    /// Where names are looked up.
    pub resolver: Arc<dyn Resolve>,
    /// The secrets that requests are signed with.
    pub keyring: Arc<Keyring>,
    /// Certificate authorities to trust besides the public ones.
    pub roots: Vec<CertificateDer<'static>>,
    /// Longest reply that is read, in bytes.
    pub reply_bytes_max: usize,
}

/// Calls HTTP participants.
#[derive(Debug)]
pub struct HttpCaller {
    pools: Pools<Line>,
    seams: Seams,
    keyring: Arc<Keyring>,
    connector: Connector,
    reply_bytes_max: usize,
}

impl HttpCaller {
    /// Finds participants in `directory`.
    pub fn new(directory: Arc<Directory>, seams: Seams, settings: HttpSettings) -> Result<Self, UnusableRoot> {
        let HttpSettings { egress, resolver, keyring, roots, reply_bytes_max } = settings;
        let connector = Connector::new(egress, resolver, roots)?;
        Ok(Self { pools: Pools::new(directory), seams, keyring, connector, reply_bytes_max })
    }

    async fn attempt(&self, call: &Call, pool: &Pool<Line>, progress: &mut Progress) -> Reply {
        let keys: Result<Vec<SigningKey>, String> =
            pool.registration.signing.iter().map(|reference| self.keyring.get(reference)).collect();
        let keys = match keys {
            Ok(keys) => keys,
            // Unsigned, it would be refused, or worse: taken from somebody who isn't us.
            Err(why) => return Reply::NotSent(format!("the request can't be signed: {why}")),
        };
        let (line, taken) = match self.take(pool, progress).await {
            Ok(found) => found,
            Err(why) => return Reply::NotSent(why),
        };
        let request = match wire::request(call, line.endpoint(), &keys, self.seams.now()) {
            Ok(request) => request,
            Err(error) => return Reply::NotSent(with_sources(&error)),
        };
        self.exchange(line, taken, request, progress).await
    }

    /// A connection to the address whose turn it is, or to the next that can be reached.
    async fn take<'p>(&self, pool: &'p Pool<Line>, progress: &mut Progress) -> Result<(&'p Arc<Line>, Taken), String> {
        let mut why = String::new();
        for line in pool.in_turn() {
            progress.endpoint = line.endpoint().to_string();
            match line.take(&self.connector, &self.seams).await {
                Ok(taken) => return Ok((line, taken)),
                Err(reason) => why = reason,
            }
        }
        Err(why)
    }

    /// Sends the request and reads the answer. From here on nothing is certain without proof.
    async fn exchange(
        &self,
        line: &Arc<Line>,
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
            sender = match line.connect(&self.connector, &self.seams).await {
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
        Answer { reply, endpoint: progress.endpoint }
    }
}

/// How far an attempt has come; outlives it when its time runs out.
#[derive(Debug, Default)]
struct Progress {
    endpoint: String,
    handed_over: bool,
}

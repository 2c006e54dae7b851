//! The connections to one address: a call takes one for itself, and gives it back when its answer was read to the end.
//!
//! HTTP/1.1 carries one call at a time. An address that can't be reached is left alone for a short, growing time. Invariant: a
//! connection that is given out has no call on it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use amends_engine::time::Timestamp;

use super::super::ejection::Health;
use super::super::endpoint::Endpoint;
use super::super::pools::Way;
use super::connect::{Connector, Sender};
use crate::error::with_sources;
use crate::seam::{self, Seams};

/// Most connections that are kept for later.
const IDLE_MAX: usize = 32;
/// How long a connection is kept. Servers close theirs after 5 s (Node), 60 s and more; a short time makes it rare that both
/// sides act at once.
const IDLE_TIME_MAX: Duration = Duration::from_secs(4);

/// The way to one address.
#[derive(Debug)]
pub(super) struct Line {
    endpoint: Endpoint,
    health: Arc<Health>,
    /// Ready for a call; the last one given back is the last in the list.
    idle: Mutex<Vec<(Sender, Timestamp)>>,
}

/// A connection for one call.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) sender: Sender,
    /// It had calls before: the other side may just be closing it.
    pub(super) used: bool,
}

impl Way for Line {
    fn to(endpoint: Endpoint, health: Arc<Health>) -> Self {
        Self { endpoint, health, idle: Mutex::default() }
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Line {
    /// A connection that is kept, or a new one; the error says why there is none.
    pub(super) async fn take(&self, connector: Connector<'_>, seams: &Seams) -> Result<Taken, String> {
        match self.kept(seams.now()) {
            Some(sender) => Ok(Taken { sender, used: true }),
            None => self.connect(connector, seams).await,
        }
    }

    /// A new connection.
    pub(super) async fn connect(&self, connector: Connector<'_>, seams: &Seams) -> Result<Taken, String> {
        if let Some(why) = self.health.lock().unreached_because(seams.now()) {
            return Err(why.to_owned());
        }
        match connector.connect(&self.endpoint).await {
            Ok(sender) => {
                self.health.lock().reached();
                Ok(Taken { sender, used: false })
            }
            Err(error) => {
                let why = with_sources(&error);
                self.health.lock().not_reached(seams.now(), why.clone());
                Err(why)
            }
        }
    }

    /// Keeps a connection once it is ready for another call, if it ever is.
    pub(super) fn give_back(self: &Arc<Self>, mut sender: Sender, seams: &Seams) {
        let (line, seams) = (self.clone(), seams.clone());
        seam::spawn(async move {
            if sender.ready().await.is_ok() {
                let mut idle = line.idle();
                if idle.len() < IDLE_MAX {
                    idle.push((sender, seams.now()));
                }
            }
        });
    }

    fn kept(&self, now: Timestamp) -> Option<Sender> {
        let mut idle = self.idle();
        idle.retain(|(sender, since)| now.since(*since) < IDLE_TIME_MAX && sender.is_ready());
        idle.pop().map(|(sender, _)| sender)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Sender, Timestamp)>> {
        // Nothing panics while the lock is held.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

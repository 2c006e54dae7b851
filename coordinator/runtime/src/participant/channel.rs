//! One connection to one address: made when it is needed, shared by all calls, made anew when it is lost.
//!
//! Connecting is a step of its own, so that "never left" can be told from "may have happened": what fails before a
//! [`Connection`] exists was certainly never sent. It never sends anything twice and never retries. An address that can't be
//! reached is left alone for a short, growing time, so that thousands of sagas don't all knock at once. Invariant: at most
//! one attempt to connect to an address is under way. Who calls it is in `grpc.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use amends_tls::Application;
use tokio::sync::Mutex;

use super::dial::{ConnectError, Outgoing};
use super::ejection::Health;
use super::endpoint::Endpoint;
use super::exchange::{self, Sender};
use super::pools::Way;
use super::trust::TlsSettings;
use crate::error::with_sources;
use crate::seam::{self, Seams};

/// Longest time to wait for a connection, where the call allows that much.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);
/// Calls without any answer, in a row, after which a connection is replaced: the other machine may be gone without a word,
/// and the kernel takes a quarter of an hour to notice.
const SILENT_CALLS_MAX: u32 = 3;

/// Connects, within [`CONNECT_TIME_MAX`]. Nothing is sent but the connection's own preface.
pub(super) async fn connect(
    outgoing: &Outgoing,
    tls: &TlsSettings,
    endpoint: &Endpoint,
) -> Result<Sender, ConnectError> {
    let connecting = async {
        let io = outgoing.open(endpoint, tls, Application::Grpc).await?;
        exchange::handshake(io).await.map_err(ConnectError::Http2)
    };
    let connected = tokio::time::timeout(CONNECT_TIME_MAX, connecting).await;
    let (sender, driver) = connected.map_err(|_| ConnectError::NoAnswer(CONNECT_TIME_MAX))??;
    let address = endpoint.clone();
    seam::spawn(async move {
        // Calls that it breaks are told so themselves; this is for whoever looks into why.
        if let Err(error) = driver.await {
            tracing::debug!(endpoint = %address, error = with_sources(&error), "connection ended");
        }
    });
    Ok(sender)
}

/// A connection that a call may use. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    /// For the request.
    pub(super) sender: Sender,
    /// For what came of it.
    pub(super) pulse: Pulse,
}

/// How many calls in a row a connection gave no answer to. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Pulse(Arc<AtomicU32>);

impl Pulse {
    /// Tells that something came back from the other side.
    pub(super) fn heard(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Tells that a call's time ran out.
    pub(super) fn silent(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn is_felt(&self) -> bool {
        self.0.load(Ordering::Relaxed) < SILENT_CALLS_MAX
    }
}

impl Connection {
    pub(super) fn new(sender: Sender) -> Self {
        Self { sender, pulse: Pulse::default() }
    }

    fn is_usable(&mut self) -> bool {
        !self.sender.is_closed() && self.pulse.is_felt()
    }
}

/// Whether a caller waits for an attempt to connect that somebody else has under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// It does.
    Yes,
    /// It would rather try another address.
    No,
}

/// What asking for a connection gave.
#[derive(Debug)]
pub(super) enum Found {
    /// Here it is.
    Connection(Connection),
    /// Somebody is connecting, and the caller didn't want to wait.
    Busy,
    /// There is none; the address's health says why.
    None,
}

/// The way to one address.
#[derive(Debug)]
pub(super) struct Channel {
    endpoint: Endpoint,
    health: Arc<Health>,
    /// Held while connecting, so that everybody else waits for that one attempt.
    live: Mutex<Option<Connection>>,
}

impl Way for Channel {
    fn to(endpoint: Endpoint, health: Arc<Health>) -> Self {
        Self { endpoint, health, live: Mutex::default() }
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Channel {
    /// The live connection, or a new one.
    pub(super) async fn connection(&self, outgoing: &Outgoing, tls: &TlsSettings, seams: &Seams, wait: Wait) -> Found {
        let mut live = match (self.live.try_lock(), wait) {
            (Ok(live), _) => live,
            (Err(_), Wait::Yes) => self.live.lock().await,
            (Err(_), Wait::No) => return Found::Busy,
        };
        if let Some(mut connection) = live.clone()
            && connection.is_usable()
        {
            return Found::Connection(connection);
        }
        *live = None;
        if self.health.lock().unreached_because(seams.now()).is_some() {
            return Found::None;
        }
        let mut attempt = Attempt { health: &self.health, seams, is_over: false };
        let connected = connect(outgoing, tls, &self.endpoint).await;
        attempt.is_over = true;
        match connected {
            Ok(sender) => {
                let connection = Connection::new(sender);
                *live = Some(connection.clone());
                self.health.lock().reached();
                Found::Connection(connection)
            }
            Err(error) => {
                self.health.lock().not_reached(seams.now(), with_sources(&error));
                Found::None
            }
        }
    }
}

/// An attempt to connect. A call whose time runs out drops it; that is noted before anybody who waits goes on, since the next call
/// must not walk into the same wait.
#[derive(Debug)]
struct Attempt<'a> {
    health: &'a Health,
    seams: &'a Seams,
    is_over: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let why = "no connection before a call's time ran out";
            self.health.lock().not_reached(self.seams.now(), why.to_owned());
        }
    }
}

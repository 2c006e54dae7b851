//! Connections to other nodes of the store: one per address, made when it is first needed.
//!
//! Invariant: nothing here waits; a node that can't be reached is found out by whoever calls it, within [`CONNECT`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tonic::transport::{Channel, Endpoint, Error};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(1);
/// How long a silent connection is believed in: a node that was cut off must be noticed well before its lease is over.
const KEEPALIVE: Duration = Duration::from_secs(1);

/// The connections. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Channels {
    by_address: Arc<Mutex<BTreeMap<String, Channel>>>,
}

impl Channels {
    /// A connection to the node at `http://host:port`; made at its first use, and again whenever it breaks.
    pub(crate) fn to(&self, address: &str) -> Result<Channel, Error> {
        let mut channels = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(address) {
            return Ok(channel.clone());
        }
        let endpoint = Endpoint::from_shared(address.to_owned())?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE);
        let channel = endpoint.connect_lazy();
        channels.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }
}

//! Connections to other nodes of the store: one per address, made when it is first needed.
//!
//! Invariant: nothing here waits; a node that can't be reached is found out by whoever calls it, within [`CONNECT`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use amends_tls::{ClientTls, Target, Unusable};
use http::Uri;
use tonic::transport::Channel;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(1);
/// How long a silent connection is believed in: a node that was cut off must be noticed well before its lease is over.
const KEEPALIVE: Duration = Duration::from_secs(1);

/// The connections. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Channels {
    tls: Arc<ClientTls>,
    by_address: Arc<Mutex<BTreeMap<String, Channel>>>,
}

impl Channels {
    /// `tls`: for nodes at `https://` addresses.
    pub(crate) fn new(tls: Arc<ClientTls>) -> Self {
        Self { tls, by_address: Arc::default() }
    }

    /// A connection to the node at `http://host:port` or `https://host:port`; made at its first use, and again whenever it breaks.
    pub(crate) fn to(&self, address: &str) -> Result<Channel, Unusable> {
        let mut channels = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(address) {
            return Ok(channel.clone());
        }
        let uri: Uri = address.parse().map_err(|_| Unusable::Address)?;
        let target = Target::new(&uri, Some(self.tls.clone()), None)?.tuned(|endpoint| {
            endpoint
                .connect_timeout(CONNECT)
                .tcp_nodelay(true)
                .http2_keep_alive_interval(KEEPALIVE)
                .keep_alive_timeout(KEEPALIVE)
        });
        let channel = target.lazy();
        channels.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }
}

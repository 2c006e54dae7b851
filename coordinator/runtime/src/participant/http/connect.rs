//! HTTP/1.1 over a connection. Where it goes and how it gets there is in `dial.rs`.
//!
//! Invariant: nothing of any call is sent before a [`Sender`] exists.

use std::time::Duration;

use amends_tls::Application;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use super::super::dial::{ConnectError, Outgoing};
use super::super::endpoint::Endpoint;
use super::super::trust::TlsSettings;
use crate::error::with_sources;
use crate::seam;

/// Longest time to wait for a connection, TLS included, where the call allows that much.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Most bytes of a response's head.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Where requests are handed over to a connection.
pub(super) type Sender = SendRequest<Full<Bytes>>;

/// Makes connections to one participant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Connector<'a> {
    pub(super) outgoing: &'a Outgoing,
    pub(super) tls: &'a TlsSettings,
}

impl Connector<'_> {
    /// Connects, within [`CONNECT_TIME_MAX`].
    pub(super) async fn connect(&self, endpoint: &Endpoint) -> Result<Sender, ConnectError> {
        let connected = tokio::time::timeout(CONNECT_TIME_MAX, self.begin(endpoint)).await;
        connected.map_err(|_| ConnectError::NoAnswer(CONNECT_TIME_MAX))?
    }

    async fn begin(&self, endpoint: &Endpoint) -> Result<Sender, ConnectError> {
        let io = self.outgoing.open(endpoint, self.tls, Application::Http).await?;
        let mut builder = http1::Builder::new();
        let connected = builder.max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(io)).await;
        let (sender, driver) = connected.map_err(ConnectError::Handshake)?;
        let address = endpoint.clone();
        seam::spawn(async move {
            // Calls that it breaks are told so themselves; this is for whoever looks into why.
            if let Err(error) = driver.await {
                tracing::debug!(endpoint = %address, error = with_sources(&error), "connection ended");
            }
        });
        Ok(sender)
    }
}

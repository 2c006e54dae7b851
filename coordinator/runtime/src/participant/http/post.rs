//! Sends a message to a webhook: one attempt, over a connection of its own, signed as Standard Webhooks say.
//!
//! Addresses are checked and TLS begins exactly as for participants. Redirects are answers like any other, and nobody follows
//! them: the address that the operator wrote is the one that gets messages. Invariant: without a signature nothing is sent.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Full;

use super::super::dial::Outgoing;
use super::super::trust::TlsSettings;
use super::connect::Connector;
use super::sign::sign;
use super::wire;
use crate::alerts::{Post, Posted, Target};
use crate::error::with_sources;
use crate::seam::Seams;

/// How long one attempt may take, from the look-up of the name to the answer's head.
const TIME_MAX: Duration = Duration::from_secs(15);

/// Sends messages to webhooks over HTTP/1.1.
#[derive(Debug)]
pub struct HttpPost {
    outgoing: Outgoing,
    seams: Seams,
}

impl HttpPost {
    /// Sends by these rules.
    pub fn new(outgoing: Outgoing, seams: Seams) -> Self {
        Self { outgoing, seams }
    }

    async fn attempt(&self, to: &Target, id: &str, body: &Bytes) -> Posted {
        let failed = |why: String| Posted::Failed { why, retry_after: None };
        let keys = match self.outgoing.keys(&to.secrets) {
            Ok(keys) if keys.is_empty() => return failed("the message can't be signed: there is no secret".to_owned()),
            Ok(keys) => keys,
            Err(why) => return failed(format!("the message can't be signed: {why}")),
        };
        let request = Request::post(to.path.as_str())
            .header(header::HOST, wire::host(&to.endpoint))
            .header(header::USER_AGENT, concat!("amends/", env!("CARGO_PKG_VERSION")))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "close");
        let request = match sign(request, &keys, id, self.seams.now(), body).body(Full::new(body.clone())) {
            Ok(request) => request,
            Err(error) => return failed(with_sources(&error)),
        };
        let connector = Connector { outgoing: &self.outgoing, tls: &TlsSettings::default() };
        let mut sender = match connector.connect(&to.endpoint).await {
            Ok(sender) => sender,
            Err(error) => return failed(with_sources(&error)),
        };
        match sender.send_request(request).await {
            // What it says besides its status is of no use, and may be endless.
            Ok(response) => judge(response.status(), wire::retry_after(response.headers(), self.seams.now())),
            Err(error) => failed(with_sources(&error)),
        }
    }
}

fn judge(status: StatusCode, retry_after: Option<Duration>) -> Posted {
    let why = format!("it answered {status}");
    match status.as_u16() {
        200..=299 => Posted::Delivered,
        300..=399 => {
            Posted::Failed { why: format!("{why}; redirects aren't followed, write its new address"), retry_after }
        }
        400 | 413 | 422 => Posted::Refused { why },
        _ => Posted::Failed { why, retry_after },
    }
}

#[async_trait]
impl Post for HttpPost {
    async fn post(&self, to: &Target, id: &str, body: &Bytes) -> Posted {
        let attempt = tokio::time::timeout(TIME_MAX, self.attempt(to, id, body)).await;
        attempt.unwrap_or_else(|_| Posted::Failed { why: format!("no answer within {TIME_MAX:?}"), retry_after: None })
    }
}

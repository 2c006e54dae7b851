//! The payment service's own flags, beside those of every participant.
//!
//! Invariant: a coordinator's address that is taken here can be connected to, as far as its spelling says.

use std::time::Duration;

use clap::Args;
use tonic::transport::Uri;

/// Whom to call back, and how slow the world is.
#[derive(Debug, Clone, Args)]
pub struct PaymentFlags {
    /// The coordinator's gRPC address, called back when a payer has paid a QR code or hasn't in time. Without it the
    /// coordinator finds out by asking, when the step's time is over.
    #[arg(long, value_name = "http://HOST:PORT", env = "AMENDS_COORDINATOR", value_parser = coordinator)]
    pub coordinator: Option<Uri>,
    /// How long a refund of a QR payment takes; until then the compensation is pending. 0 (as always): no time.
    #[arg(long, value_name = "MILLISECONDS", env = "AMENDS_PAYMENT_REFUND_TAKES_MS", default_value = "0")]
    #[arg(value_parser = milliseconds)]
    pub refund_takes_ms: Duration,
}

fn coordinator(text: &str) -> Result<Uri, String> {
    let explain = || format!("{text:?} is not the address of a coordinator; write for example http://127.0.0.1:7400");
    let uri: Uri = text.parse().map_err(|_| explain())?;
    let is_address = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    if is_address { Ok(uri) } else { Err(explain()) }
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_millis).map_err(|_| format!("{text:?} is no number of milliseconds"))
}

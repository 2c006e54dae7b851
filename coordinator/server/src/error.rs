//! Why a server doesn't start, or ends without having been asked to.
//!
//! What goes wrong with a single request is not in here: see `grpc/status.rs`. Invariant: a message says what to do, and the
//! cause below it is in `source` and not repeated.

use std::net::SocketAddr;

use amends_store::transfer::{CopyError, TransferError};
use amends_store::{OpenError, RedisOpenError, StoreError};

use crate::config::ConfigError;

/// Why the process ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings make no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// TLS files can't be used.
    #[error("{section}: its files can't be used")]
    Tls {
        /// Which section of the settings.
        section: &'static str,
        /// Why.
        #[source]
        source: Box<amends_tls::TlsError>,
    },
    /// A file of authentication can't be used.
    #[error(transparent)]
    Auth(#[from] crate::auth::FileError),
    /// An address can't be had.
    #[error("{what} can't listen on {address}: is another coordinator running? Stop it, or choose another address")]
    Bind {
        /// "gRPC" or "HTTP".
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The store can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store on Redis can't be opened.
    #[error(transparent)]
    OpenRedis(#[from] RedisOpenError),
    /// The store can't be copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// There is no backup, or no restored store.
    #[error(transparent)]
    Backup(#[from] amends_store::sqlite::BackupError),
    /// The mark of a store can't be changed.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// The store was opened and can't be read.
    #[error("the store can't be read")]
    Store(#[from] StoreError),
    /// The store can't go on; only a restart shows what it holds.
    #[error(
        "the store can't go on: {0}. The process ends so that nothing is acknowledged that isn't durable; start it again"
    )]
    StoreLost(String),
    /// A listener ended by itself.
    #[error("serving {what} ended")]
    Serve {
        /// "gRPC" or "HTTP".
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something of the server panicked or was ended; the log says more.
    #[error("{0} broke down; this is a defect of Amends: please report it with the log")]
    Broken(&'static str),
    /// `telemetry.otlp.endpoint` can't be used.
    #[error("telemetry.otlp.endpoint: no way to a collector can be made of it")]
    Otlp(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A webhook's secret can't be used.
    #[error("alerts.webhooks.secrets: messages can't be signed")]
    Secret(#[from] amends_runtime::participant::SecretError),
    /// Logging was set up already, by somebody else.
    #[error("logging can't be set up")]
    Log(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

//! TLS for both ends of a connection: certificates from files, watched and taken up while the process runs.
//!
//! ```text
//!   files ─► material (server.rs, client.rs) ─► Watched: the last that could be used, and what is wrong with the newest
//!                                                  ├─► Listener: accepts, handshakes beside each other
//!                                                  ├─► connector: tonic's clients over TLS
//!                                                  └─► Keeper: looks every few seconds, says what expires
//! ```
//!
//! It decides nothing about who may do what: it hands on whose certificate was shown. rustls with ring, TLS 1.2 and 1.3 only.
//! Invariants: a connection begins with the newest files that could be used; files that can't be used never replace those that
//! could, and are said; no error, log or `Debug` shows a key.

mod certificate;
mod client;
mod connector;
mod error;
mod io;
mod keeper;
mod listener;
mod material;
mod server;
#[cfg(feature = "testing")]
pub mod testing;
mod watched;

pub use certificate::{Certificate, Expiry, UnreadableCertificate};
pub use client::{ClientFiles, ClientSide, ClientTls};
pub use connector::{Target, Unusable, connect};
pub use error::TlsError;
pub use io::{Connection, Io};
pub use keeper::{Keeper, LOOK_PERIOD, Standing};
pub use listener::{Accepted, Listener, Seat};
pub use server::{Application, ClientCertificates, ServerFiles, ServerSide, ServerTls};
pub use watched::{Look, Watched};

/// Makes ring the process's provider; first thing in every `main`, since libraries that ask for a default panic where there are
/// none or two. Installing it again changes nothing.
pub fn install() {
    // The error says that one is there already, and ring is the only one that is built in.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

//! TLS over real sockets on loopback, with certificates made for each test.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod clients;
mod old;
mod rotation;

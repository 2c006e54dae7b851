//! The lab itself: what it says it does to the servers does happen.

mod cluster;
mod power;
mod proxy;
mod sentinel;
mod server;

//! Real servers for tests: Redis alone, under Sentinel and as a Cluster, behind a faulty network, on a disk that loses power.
//!
//! Nothing that ships depends on this crate. Its functions panic with what went wrong, the server's own last words included: a
//! test has nothing better to do. Everything it waits for, it asks for; nothing sleeps and hopes.
//! Invariant: whatever happens to the test, even `kill -9`, no server outlives it; its folders go with it or at the next run.

mod cluster;
mod disk;
mod launcher;
mod patience;
mod ports;
mod programs;
mod proxy;
mod sentinel;
mod server;
mod settings;
mod workplace;

pub use cluster::Cluster;
pub use disk::Disk;
pub use patience::wait_until;
pub use ports::free_address;
pub use proxy::{Fault, Proxy};
pub use sentinel::SentinelSet;
pub use server::Server;
pub use settings::{Program, Settings};

//! Ports of the loopback interface that nobody else takes, not even while their server is down for a restart.
//!
//! They come from below the range out of which the kernel picks ports for outgoing connections, and a lock on a file keeps the
//! other test processes of this user away. Invariant: two living `Port`s of one user never have the same number.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use rand::Rng as _;

use crate::workplace;

/// Below 32768, where Linux begins to number outgoing connections; above what well-known services use.
const RANGE: std::ops::Range<u16> = 14_000..32_000;

/// A reserved port.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    // Held as long as the port is.
    _lock: File,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        let folder = workplace::shared().join("ports");
        fs::create_dir_all(&folder).expect("a folder");
        for _ in 0..1_000 {
            let number = rand::rng().random_range(RANGE);
            let lock = File::create(folder.join(number.to_string())).expect("a lock");
            let ours = lock.try_lock().is_ok();
            if ours && TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Self { number, _lock: lock };
            }
        }
        panic!("no free port between {} and {}", RANGE.start, RANGE.end);
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}

/// An address for a server that isn't this crate's. No other test of this user gets it before this process ends.
pub fn free_address() -> SocketAddr {
    let port: &Port = Box::leak(Box::new(Port::reserve()));
    (Ipv4Addr::LOCALHOST, port.number).into()
}

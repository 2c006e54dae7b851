//! A redis-server that a command starts for itself: which program, and with which settings.
//!
//! Starts nothing. Invariant: the server keeps what it acknowledged as long as its disk does (how soon it syncs is the caller's
//! choice), and evicts nothing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::exit::Failure;

/// When it syncs its append-only file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    /// Before it answers.
    Always,
    /// Once a second.
    EverySecond,
}

impl Sync {
    /// As `appendfsync` spells it.
    pub(crate) fn setting(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::EverySecond => "everysec",
        }
    }
}

/// The program, wherever it is on the search path.
pub(crate) fn program() -> Result<PathBuf, Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("redis-server")).find(|file| file.is_file());
    found.ok_or_else(|| {
        let message = "there is no redis-server on the search path; install Redis 7 or later";
        Failure::Usage(message.to_owned())
    })
}

/// Its arguments; `memory` as Redis writes sizes: `512mb`.
pub(crate) fn arguments(address: SocketAddr, folder: &Path, sync: Sync, memory: &str) -> Vec<String> {
    let (ip, port, folder) = (address.ip().to_string(), address.port().to_string(), folder.display().to_string());
    let place = ["--bind", &ip, "--port", &port, "--dir", &folder, "--save", ""];
    let durable = ["--appendonly", "yes", "--appendfsync", sync.setting(), "--no-appendfsync-on-rewrite", "no"];
    let bounded = ["--maxmemory", memory, "--maxmemory-policy", "noeviction"];
    [&place[..], &durable, &bounded].concat().into_iter().map(str::to_owned).collect()
}

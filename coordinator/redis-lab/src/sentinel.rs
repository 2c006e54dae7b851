//! A primary with a replica, watched by three sentinels that agree by two.
//!
//! Invariant: when `start` returns, the replica is in step, every sentinel knows all the others, and a fail-over is possible.

use std::collections::HashMap;

use crate::patience::wait_until;
use crate::server::Server;
use crate::settings::Settings;

/// The name under which the sentinels know the primary.
const PRIMARY_NAME: &str = "amends";
const QUORUM: u32 = 2;

/// Two servers and three sentinels.
#[derive(Debug)]
pub struct SentinelSet {
    /// The first begins as the primary.
    pub servers: Vec<Server>,
    /// They hold a server for down after two seconds: less is what a busy machine takes to breathe.
    pub sentinels: Vec<Server>,
}

impl SentinelSet {
    /// Starts all five and waits until they have found each other.
    pub fn start(settings: &Settings) -> Self {
        let settings = settings.clone().replicated();
        let primary = Server::start(&settings);
        let replica =
            Server::start(&settings.clone().with("replicaof", &format!("127.0.0.1 {}", primary.address().port())));
        wait_until("the replica to be in step", || in_step(&replica));
        let watching = Settings::sentinel(settings.program, PRIMARY_NAME, primary.address().port(), QUORUM);
        let sentinels: Vec<Server> = (0..3).map(|_| Server::start(&watching)).collect();
        let set = Self { servers: vec![primary, replica], sentinels };
        set.wait_until_ready();
        set
    }

    /// Waits until the sentinels see nothing amiss and every server that runs follows the primary that they name. A former primary
    /// that comes back takes them some ten seconds to turn into a replica.
    pub fn wait_until_ready(&self) {
        wait_until("the sentinels to agree", || self.sentinels.iter().all(is_content).then_some(()));
        wait_until("the servers to follow the primary", || {
            let primary = self.primary();
            let mut running = self.servers.iter().enumerate().filter(|(_, server)| server.is_running());
            let placed =
                |(place, server)| if place == primary { Server::is_primary(server) } else { in_step(server).is_some() };
            running.all(placed).then_some(())
        });
    }

    /// Makes the primary refuse to be copied: what it is told from now on stays with it, and it answers that it is done. For the
    /// sentinels its replica is as good as before.
    pub fn part(&self) {
        let (primary, replica) = (self.primary(), 1 - self.primary());
        self.servers[primary].configure("min-replicas-to-write", "0");
        self.servers[replica].configure("min-replicas-to-write", "0");
        self.servers[primary].ask::<()>(&["ACL", "SETUSER", "default", "-psync", "-sync"]);
        self.servers[primary].ask::<()>(&["CLIENT", "KILL", "TYPE", "replica"]);
        wait_until("the replica to be parted", || in_step(&self.servers[replica]).is_none().then_some(()));
    }

    /// The store's address: the sentinels', and the primary's name.
    pub fn url(&self) -> String {
        let sentinels: Vec<_> = self.sentinels.iter().map(|sentinel| sentinel.address().to_string()).collect();
        format!("redis+sentinel://{}/{PRIMARY_NAME}", sentinels.join(","))
    }

    /// The place in `servers` of the one that the sentinels call the primary.
    pub fn primary(&self) -> usize {
        wait_until("the sentinels to name a primary", || {
            let named: Vec<_> = self.sentinels.iter().filter(|it| it.is_running()).map(named_by).collect();
            let first = named.first().copied().flatten()?;
            let place = self.servers.iter().position(|server| server.address().port() == first)?;
            named.iter().all(|port| *port == Some(first)).then_some(place)
        })
    }

    /// Waits until another server than this one is the primary, and gives its place.
    pub fn wait_for_fail_over(&self, from: usize) -> usize {
        wait_until("a fail-over", || {
            let primary = self.primary();
            (primary != from && self.servers[primary].is_primary()).then_some(primary)
        })
    }
}

fn in_step(replica: &Server) -> Option<()> {
    (replica.info("master_link_status")? == "up").then_some(())
}

fn named_by(sentinel: &Server) -> Option<u16> {
    let answer: Vec<String> = sentinel.try_ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", PRIMARY_NAME]).ok()?;
    answer.get(1)?.parse().ok()
}

/// It sees the primary up, a replica, and two other sentinels.
fn is_content(sentinel: &Server) -> bool {
    let seen: HashMap<String, String> = sentinel.try_ask(&["SENTINEL", "MASTER", PRIMARY_NAME]).unwrap_or_default();
    let is = |field: &str, value: &str| seen.get(field).is_some_and(|it| it == value);
    is("flags", "master") && is("num-slaves", "1") && is("num-other-sentinels", "2")
}

//! A Redis Cluster: three primaries that share the slots, each with a replica.
//!
//! Formed by the servers' own commands, one at a time, so that a test can also take it apart. Invariant: when `start` returns,
//! every node says `cluster_state:ok` and every replica is in step.

use redis::RedisResult;

use crate::patience::wait_until;
use crate::server::Server;
use crate::settings::Settings;

/// How many of the nodes begin as primaries; as many are replicas.
const PRIMARIES: usize = 3;
/// Slots of every Redis Cluster.
const SLOTS: u16 = 16_384;

/// Six servers that are one store.
#[derive(Debug)]
pub struct Cluster {
    /// The first three begin as primaries; the replica of each stands three places after it.
    pub nodes: Vec<Server>,
}

impl Cluster {
    /// Starts the nodes, joins them, and waits until all of them find the Cluster in order.
    pub fn start(settings: &Settings) -> Self {
        let settings = settings
            .clone()
            .replicated()
            .with("cluster-enabled", "yes")
            .with("cluster-config-file", "nodes.conf")
            .with("cluster-node-timeout", "1000")
            .with("cluster-announce-ip", "127.0.0.1")
            .with("cluster-allow-reads-when-down", "no");
        let nodes: Vec<Server> = (0..2 * PRIMARIES).map(|_| Server::start(&settings)).collect();
        let cluster = Self { nodes };
        cluster.join();
        cluster.wait_until_ready();
        cluster
    }

    fn join(&self) {
        for (place, node) in self.nodes.iter().enumerate() {
            // Different from the start, so that no two primaries have to settle which of them is the newer.
            node.ask::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &(place + 1).to_string()]);
        }
        let first = self.nodes[0].address().port().to_string();
        let first_bus = self.nodes[0].bus_port().to_string();
        for node in &self.nodes[1..] {
            node.ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &first, &first_bus]);
        }
        for (place, node) in self.nodes[..PRIMARIES].iter().enumerate() {
            let bound = |place: usize| usize::from(SLOTS) * place / PRIMARIES;
            let (from, to) = (bound(place).to_string(), (bound(place + 1) - 1).to_string());
            node.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", &from, &to]);
        }
        for (place, replica) in self.nodes[PRIMARIES..].iter().enumerate() {
            let primary = self.id(place);
            // Refused until they have heard of each other.
            wait_until("a replica to be taken", || replica.try_ask::<()>(&["CLUSTER", "REPLICATE", &primary]).ok());
        }
    }

    /// Waits until every node that runs says that all is well, and every replica is in step.
    pub fn wait_until_ready(&self) {
        let running = || self.nodes.iter().filter(|node| node.is_running());
        let count = running().count();
        wait_until("the Cluster to be in order", || running().all(|node| is_content(node, count)).then_some(()));
    }

    /// The store's address: those of all nodes.
    pub fn url(&self) -> String {
        let nodes: Vec<_> = self.nodes.iter().map(|node| node.address().to_string()).collect();
        format!("redis+cluster://{}", nodes.join(","))
    }

    /// The id by which the nodes know the one at this place.
    pub fn id(&self, place: usize) -> String {
        self.nodes[place].ask(&["CLUSTER", "MYID"])
    }

    /// The places of the nodes that call themselves primaries.
    pub fn primaries(&self) -> Vec<usize> {
        let running = |place: &usize| self.nodes[*place].is_running();
        (0..self.nodes.len()).filter(running).filter(|place| self.nodes[*place].is_primary()).collect()
    }

    /// The place of the primary of a key's slot, as the running nodes agree.
    pub fn primary_of(&self, key: &str) -> usize {
        wait_until("a primary of the key", || {
            self.primaries().into_iter().find(|place| {
                // Everyone else answers MOVED.
                self.nodes[*place].try_ask::<i64>(&["EXISTS", key]).is_ok()
            })
        })
    }

    /// The place of the running replica of the primary at this place.
    pub fn replica_of(&self, primary: usize) -> usize {
        let port = self.nodes[primary].address().port().to_string();
        let follows = |node: &Server| node.info("master_port").is_some_and(|it| it == port);
        let place = self.nodes.iter().position(follows);
        place.unwrap_or_else(|| panic!("nobody follows {}", self.nodes[primary].url()))
    }

    /// Waits until the node at this place is a primary.
    pub fn wait_for_promotion(&self, replica: usize) {
        wait_until("a promotion", || self.nodes[replica].is_primary().then_some(()));
    }

    /// Begins to move a slot: from now on its keys may be at either of the two.
    ///
    /// # Errors
    /// When a node refuses.
    pub fn begin_move(&self, slot: u16, from: usize, to: usize) -> RedisResult<()> {
        let slot = slot.to_string();
        self.nodes[to].try_ask::<()>(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &self.id(from)])?;
        self.nodes[from].try_ask::<()>(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &self.id(to)])
    }

    /// Moves up to `count` keys of a slot that is being moved, and says how many there were.
    ///
    /// # Errors
    /// When a node refuses.
    pub fn move_keys(&self, slot: u16, from: usize, to: usize, count: usize) -> RedisResult<usize> {
        let keys: Vec<String> =
            self.nodes[from].try_ask(&["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), &count.to_string()])?;
        if keys.is_empty() {
            return Ok(0);
        }
        let port = self.nodes[to].address().port().to_string();
        let mut words = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        words.extend(keys.iter().map(String::as_str));
        self.nodes[from].try_ask::<()>(&words)?;
        Ok(keys.len())
    }

    /// Ends the move of a slot whose keys have all been moved.
    ///
    /// # Errors
    /// When a node refuses.
    pub fn end_move(&self, slot: u16, from: usize, to: usize) -> RedisResult<()> {
        let owner = self.id(to);
        for place in [to, from] {
            self.nodes[place].try_ask::<()>(&["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &owner])?;
        }
        Ok(())
    }
}

fn is_content(node: &Server, count: usize) -> bool {
    let info: String = node.try_ask(&["CLUSTER", "INFO"]).unwrap_or_default();
    let seen: String = node.try_ask(&["CLUSTER", "NODES"]).unwrap_or_default();
    // The flags stand third: `fail?` is a suspicion, `handshake` and `noaddr` an acquaintance that is not complete.
    let sound = |line: &&str| {
        let flags = line.split(' ').nth(2).unwrap_or_default();
        !["fail", "handshake", "noaddr"].iter().any(|bad| flags.contains(bad))
    };
    let known = seen.lines().filter(sound).count();
    let linked = node.info("master_link_status").is_none_or(|status| status == "up");
    info.contains("cluster_state:ok") && known >= count && linked
}

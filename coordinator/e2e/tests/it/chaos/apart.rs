//! A network of a run's own: a hub, where servers and participants are, and each coordinator in a network namespace beside it.
//!
//! The test starts itself again inside `unshare`. Whatever happens to it, `kill -9` too, the kernel then ends its processes and takes
//! namespaces, links and mounts away: nothing needs a name that another run could have, and nothing is left behind.
//! Addresses are of 127.9.0.0/24, which the kernel is told to route, so that every program takes them for loopback and asks for
//! no certificates. Invariant: a cut direction is silent. Packets go to a hardware address that nobody has, and no error comes back.

use std::process::Command;

/// Set in the process that lives inside.
const INSIDE: &str = "AMENDS_CHAOS_INSIDE";
/// Where the customers are, the store, and the participants: three addresses of the hub, so that a node can lose one of them.
pub(super) const CUSTOMERS: &str = "127.9.0.1";
pub(super) const STORE: &str = "127.9.0.2";
pub(super) const PARTICIPANTS: &str = "127.9.0.3";
/// A hardware address that nobody has.
const NOBODY: &str = "02:00:00:00:00:99";

/// Runs this test again in namespaces of its own, and says whether the caller is that run. Fails when it fails.
pub(super) fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    // Everything that the run writes is in it, also what a failed one leaves.
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new("unshare");
    if !is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    let status = command
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(std::env::current_exe().expect("own path"))
        .args(["--exact", &format!("chaos::{test}"), "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .env("TMPDIR", folder.path())
        .status()
        .expect("unshare: run .ci/tools");
    assert!(status.success(), "the run inside has failed: see above");
    false
}

pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The loopback interface of this namespace, up.
pub(super) fn bring_up() {
    shell("ip link set lo up");
}

/// The hub and the coordinators' namespaces.
pub(super) struct Net {
    nodes: usize,
}

impl Net {
    pub(super) fn new(nodes: usize) -> Self {
        shell(&format!(
            "{ROUTED}
             mount -t tmpfs run /run
             ip link add hub type bridge
             for address in {CUSTOMERS} {STORE} {PARTICIPANTS}; do ip addr add $address/24 dev hub; done
             ip link set hub up"
        ));
        for node in 0..nodes {
            let address = Self::address(node);
            shell(&format!(
                "ip netns add node-{node}
                 ip link add node-{node} type veth peer name eth0 netns node-{node}
                 ip link set node-{node} master hub up"
            ));
            inside(node, &format!("{ROUTED}; ip addr add {address}/24 dev eth0; ip link set eth0 up"));
        }
        Self { nodes }
    }

    pub(super) fn address(node: usize) -> String {
        format!("127.9.0.{}", 11 + node)
    }

    /// What a program is started by, to be in a node's namespace: it becomes the program, so that the child's id is the program's.
    pub(super) fn enter(node: usize) -> [String; 1] {
        [format!("--net=/run/netns/node-{node}")]
    }

    /// From now on nothing that this node sends gets to these addresses.
    pub(super) fn cut(&self, node: usize, addresses: &[String]) {
        for address in addresses {
            inside(node, &format!("ip neigh replace {address} lladdr {NOBODY} dev eth0 nud permanent"));
        }
    }

    /// From now on nothing gets to this node, from nobody; what it sends arrives.
    pub(super) fn deafen(&self, node: usize) {
        let address = Self::address(node);
        let deaf = format!("ip neigh replace {address} lladdr {NOBODY} nud permanent dev");
        shell(&format!("{deaf} hub"));
        for other in (0..self.nodes).filter(|other| *other != node) {
            inside(other, &format!("{deaf} eth0"));
        }
    }

    /// Nothing is cut any more.
    pub(super) fn heal(&self) {
        shell("ip neigh flush dev hub nud permanent");
        for node in 0..self.nodes {
            inside(node, "ip neigh flush dev eth0 nud permanent");
        }
    }

    /// The addresses of all other nodes.
    pub(super) fn others(&self, node: usize) -> Vec<String> {
        (0..self.nodes).filter(|other| *other != node).map(Self::address).collect()
    }
}

/// Of 127.0.0.0/8 the loopback interface keeps one address, and the rest may be routed.
const ROUTED: &str = "ip link set lo up; ip addr del 127.0.0.1/8 dev lo; ip addr add 127.0.0.1/32 dev lo; \
                      echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet";

fn inside(node: usize, script: &str) {
    run(Command::new("nsenter").args(Net::enter(node)).args(["sh", "-ec", script]), script);
}

pub(super) fn shell(script: &str) {
    run(Command::new("sh").args(["-ec", script]), script);
}

fn run(command: &mut Command, script: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{script}: {error}"));
    assert!(output.status.success(), "{script}:\n{}", String::from_utf8_lossy(&output.stderr));
}

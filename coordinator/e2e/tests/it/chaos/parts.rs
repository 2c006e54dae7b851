//! What a world is put together from: proxies, participants and coordinators as its plan says, and its store, opened to be judged.
//!
//! Invariant: what is started here listens when its function returns.

use std::path::Path;
use std::sync::Arc;

use amends_participant::database::Place;
use amends_redis_lab::{Proxy, free_address};
use amends_store::redis::Address;
use amends_store::{OpenOptions, RedisOptions, RedisStore, SqliteStore, Store};

use super::apart::{self, Net};
use super::world::{Kept, Plan};
use crate::process::{Process, program};

/// A lease short enough that most faults outlast it.
const SETTINGS: &str = "sagas: { lease: 1s }\n";

/// One for each coordinator, where each is apart.
pub(super) async fn links(plan: &Plan, kept: &Kept) -> Vec<Proxy> {
    let mut links = Vec::new();
    if let (true, Kept::One(server, _)) = (plan.apart, kept) {
        for _ in 0..plan.nodes {
            links.push(Proxy::start_at(apart::STORE.parse().expect("an address"), server.address()).await);
        }
    }
    links
}

pub(super) fn participants(data: &Path, plan: &Plan) -> (Vec<Process>, Vec<Place>) {
    let (mut participants, mut places) = (Vec::new(), Vec::new());
    for name in ["account", "inventory", "payment"] {
        let mut address = free_address();
        if plan.apart {
            address.set_ip(apart::PARTICIPANTS.parse().expect("an address"));
        }
        let file = data.join(format!("{name}.db"));
        let arguments = ["--addr", &address.to_string(), "--database", &file.display().to_string()].map(str::to_owned);
        let mut process = Process::start(name, program(&format!("amends-{name}")), address, arguments.to_vec());
        process.wait_until_listening();
        participants.push(process);
        places.push(Place::File(file));
    }
    (participants, places)
}

pub(super) fn coordinators(data: &Path, plan: &Plan, kept: &Kept, links: &[Proxy]) -> Vec<Process> {
    let settings = data.join("amends.yaml");
    std::fs::write(&settings, SETTINGS).expect("a file");
    let start = |node: usize| {
        let (mut grpc, mut http, name) = (free_address(), free_address(), format!("node-{node}"));
        if plan.apart {
            let own = Net::address(node).parse().expect("an address");
            grpc.set_ip(own);
            http.set_ip(own);
        }
        let folder = data.join(&name).display().to_string();
        let (grpc_text, http, file) = (grpc.to_string(), http.to_string(), settings.display().to_string());
        let mut arguments = vec!["serve", "--grpc", &grpc_text, "--http", &http, "--data", &folder, "--config", &file];
        let store = match kept {
            Kept::Embedded(_) => String::new(),
            Kept::One(server, _) => links.get(node).map_or_else(|| server.url(), Proxy::url),
            Kept::Sentinel(set) => set.url(),
            Kept::Cluster(cluster) => cluster.url(),
        };
        if !store.is_empty() {
            arguments.extend(["--store", &store, "--node", &name]);
        }
        let (mut command, mut before) = (program("amends"), Vec::new());
        if plan.apart {
            before.extend(Net::enter(node));
            before.push(command.display().to_string());
            command = "nsenter".into();
        }
        before.extend(arguments.into_iter().map(str::to_owned));
        Process::start_logging(
            "off,amends_runtime::committer=warn,amends_store::sqlite=warn",
            "coordinator",
            command,
            grpc,
            before,
        )
    };
    let mut coordinators: Vec<Process> = (0..plan.nodes).map(start).collect();
    coordinators.iter_mut().for_each(Process::wait_until_listening);
    coordinators
}

/// The store, to be judged once no coordinator runs.
pub(super) async fn open(kept: &Kept, data: &Path) -> Arc<dyn Store> {
    let url = match kept {
        Kept::Embedded(_) => {
            return Arc::new(SqliteStore::open(OpenOptions::new(data.join("node-0"))).expect("the embedded store"));
        }
        Kept::One(server, _) => server.url(),
        Kept::Sentinel(set) => set.url(),
        Kept::Cluster(cluster) => cluster.url(),
    };
    let address = Address::parse(&url).expect("own address");
    Arc::new(RedisStore::open(RedisOptions::new(address)).await.expect("the store on Redis"))
}

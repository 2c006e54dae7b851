//! One fsync serves many sagas: counted, on the embedded store, with hundreds in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amends_engine::ids::{Namespace, ParticipantName};
use amends_engine::saga::Phase;
use amends_runtime::participant::{Answer, Call, Codes, Directory, Endpoint, ParticipantCaller, Registration, Reply};
use amends_runtime::seam::Seams;
use amends_runtime::{Alone, Node, NodeParts, RuntimeConfig};
use amends_store::{OpenOptions, SqliteStore};
use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::echo;

const DEFINITION: &str = "
saga: chain
steps:
  - step: one
    participant: echo
    action: { call: echo.v1.Echo/Say, request: { text: a } }
    compensate: { call: echo.v1.Echo/Say, request: { text: b } }
  - step: two
    participant: echo
    action: { call: echo.v1.Echo/Say, request: { text: a } }
    compensate: { call: echo.v1.Echo/Say, request: { text: b } }
  - step: three
    participant: echo
    action: { call: echo.v1.Echo/Say, request: { text: a } }
    compensate: { call: echo.v1.Echo/Say, request: { text: b } }
";

/// Gives back what it was given; the third step's calls all at once, when the gate is opened.
#[derive(Debug)]
struct Echo {
    waiting: AtomicU64,
    gate: Semaphore,
}

#[async_trait]
impl ParticipantCaller for Echo {
    async fn call(&self, call: Call) -> Answer {
        if call.step.as_str() == "three" {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            self.gate.acquire().await.expect("open").forget();
        }
        Answer { reply: Reply::Ok { bytes: call.request, pending: false }, endpoint: "memory".to_owned() }
    }
}

/// All are to be called at once, which is more than a participant gets by default.
fn without_limits() -> Arc<Directory> {
    let directory = Directory::new();
    let endpoint = Endpoint::parse("http://echo:1").expect("an address");
    let mut echo = Registration::new(vec![endpoint], false, Codes::new(), None).expect("a registration");
    echo.limits.concurrency = 1_000;
    directory.put(Namespace::default_namespace(), ParticipantName::parse("echo").expect("name"), echo);
    Arc::new(directory)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sync_serves_many_sagas() {
    const SAGAS: u64 = 400;
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(SqliteStore::open(OpenOptions::new(folder.path().join("data"))).expect("a store"));
    echo::register(&*store, "chain", DEFINITION, &["echo"]).await;
    let caller = Arc::new(Echo { waiting: AtomicU64::new(0), gate: Semaphore::new(0) });
    let node = Node::start(NodeParts {
        config: RuntimeConfig::default(),
        store: store.clone(),
        caller: caller.clone(),
        directory: without_limits(),
        peers: Arc::new(Alone),
        seams: Seams::system(),
        telemetry: Arc::default(),
    })
    .await;

    let before = store.stats();
    let runs = (0..SAGAS).map(|number| {
        let coordinator = node.coordinator().clone();
        let start = echo::start_of(&format!("saga-{number}"), "chain", "{}");
        let key = start.key.clone();
        async move {
            coordinator.start(start).await.expect("accepted");
            coordinator.wait(&key, Duration::from_secs(60)).await.expect("there").saga.state.phase
        }
    });
    let all_at_once = async {
        while caller.waiting.load(Ordering::SeqCst) < SAGAS {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let stats = store.stats();
        caller.gate.add_permits(usize::try_from(SAGAS).expect("small"));
        stats
    };
    let (phases, at_the_gate) = futures::future::join(futures::future::join_all(runs), all_at_once).await;
    assert!(phases.iter().all(|phase| *phase == Phase::Completed), "{phases:?}");

    let after = store.stats();
    assert_eq!(after.commits - before.commits, SAGAS * 4, "a clean saga of n steps costs n + 1 commits");
    let syncs = after.transactions - at_the_gate.transactions;
    println!("{SAGAS} answers at once were made durable by {syncs} synced groups");
    assert!(syncs * 2 < SAGAS, "{syncs} syncs for {SAGAS} answers: they are hardly grouped");
    node.stop(Duration::from_secs(5)).await;
}

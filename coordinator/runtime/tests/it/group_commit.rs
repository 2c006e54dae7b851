//! One fsync serves many sagas: counted, on the embedded store, with hundreds in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amends_engine::ids::{Namespace, ParticipantName};
use amends_engine::saga::Phase;
use amends_runtime::participant::{Answer, Call, Codes, Directory, Endpoint, ParticipantCaller, Registration, Reply};
use amends_runtime::seam::Seams;
use amends_runtime::{Alone, Coordinator, Node, NodeParts, RuntimeConfig, Start};
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

/// Whether the start made the saga, and how that has ended: told, since looking after an hour is too late here.
async fn awaited(coordinator: &Coordinator, start: Start) -> (bool, Phase) {
    let (answered, awaited) = coordinator.start_awaited(start).await.expect("accepted");
    let told = tokio::time::timeout(Duration::from_secs(60), awaited.wait(Duration::from_secs(3600))).await;
    (answered.changed, told.expect("told of its end").expect("there").saga.state.phase)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sync_serves_many_sagas() {
    const SAGAS: u64 = 400;
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(SqliteStore::open(OpenOptions::new(folder.path().join("data"))).expect("a store"));
    echo::register(&*store, "chain", DEFINITION, &["echo"]).await;
    let caller = Arc::new(Echo { waiting: AtomicU64::new(0), gate: Semaphore::new(0) });
    let node = Node::start(NodeParts {
        // Longer than a busy machine stands still: no shard is to be lost here.
        config: RuntimeConfig { lease: Duration::from_secs(60), ..RuntimeConfig::default() },
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
        async move {
            // Every other one waits from its start on.
            if number % 2 == 0 {
                let (started, phase) = awaited(&coordinator, start).await;
                assert!(started, "the saga is new");
                return phase;
            }
            let key = start.key.clone();
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
    let again = awaited(node.coordinator(), echo::start_of("saga-0", "chain", "{}")).await;
    assert_eq!(again, (false, Phase::Completed), "a repeat is told of what has ended long ago");
    node.stop(Duration::from_secs(5)).await;
}

//! A coordinator under a steady load for a long time: what it needs must not grow.
//!
//! The coordinator, the participant and Redis are processes of their own; the load comes from this one, at half of what was reached
//! just before, whatever becomes of the sagas before (open). Finished sagas are kept for a minute, so that after a few minutes as many
//! are removed as end. A slice of a few seconds runs with all tests and asserts that every saga ends as it should, no more.
//! `make soak` is the long form: AMENDS_SOAK_MINUTES says how long, AMENDS_SOAK_RESULTS where figures and plots are written to; memory,
//! descriptors and keys are asserted flat there.

mod load;
mod plot;
mod sample;

use std::path::PathBuf;
use std::time::Duration;

use amends_proto::v1 as api;
use amends_redis_lab::{Server, Settings, free_address};
use tonic::transport::Channel;

use crate::fleet::{define, dial, register};
use crate::process::{Process, program, setting};
use load::Load;
use sample::Kept;

/// Retention, the time between two sweeps, and half a minute until a sweep is through: before that there is more of everything with
/// every second.
const WARM_UP: Duration = Duration::from_secs(150);
/// What may be added from the end of the warm-up to the end, in hundredths of the mean.
const GROWTH_MAX: f64 = 10.0;
/// Callers while it is measured what can be reached.
const CALLERS: usize = 64;
/// Connections are closed after the shortest time that there is, so that many are.
const SETTINGS: &str = "sagas: { retention: 1m }\nlimits: { connection_age: 1s }\n";
const DEFINITION: &str = "
saga: soak
input: { type: object, required: [text, last] }
steps:
  - step: one
    participant: noop
    action: { call: amends.bench.v1.Noop/Call, request: { text: \"${input.text}\" } }
    compensate: { call: amends.bench.v1.Noop/Call, request: { text: undo } }
  - step: two
    participant: noop
    action: { call: amends.bench.v1.Noop/Call, request: { text: \"${input.text}\" } }
    compensate: { call: amends.bench.v1.Noop/Call, request: { text: undo } }
  - step: three
    participant: noop
    action: { call: amends.bench.v1.Noop/Call, request: { text: \"${input.last}\" } }
    compensate: { call: amends.bench.v1.Noop/Call, request: { text: undo } }
";

struct World {
    coordinator: Process,
    channels: Vec<Channel>,
    _participant: Process,
    kept: Kept,
    // Removed last.
    _folder: tempfile::TempDir,
}

impl World {
    async fn new(redis: Option<Server>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = folder.path().join("amends.yaml");
        std::fs::write(&settings, SETTINGS).expect("a file");
        let (grpc, http, data) = (free_address(), free_address(), folder.path().join("data"));
        let (grpc_text, http, data_text) = (grpc.to_string(), http.to_string(), data.display().to_string());
        let config = settings.display().to_string();
        let place = ["serve", "--grpc", &grpc_text, "--http", &http, "--data", &data_text, "--config", &config];
        let url = redis.as_ref().map(Server::url);
        let store = url.iter().flat_map(|url| ["--store", url.as_str(), "--node", "node-1"]);
        let arguments = place.into_iter().chain(store).map(str::to_owned).collect();
        let mut coordinator = Process::start("coordinator", program("amends"), grpc, arguments);
        coordinator.wait_until_listening();
        // The benchmark's: an echo that keeps nothing.
        let at = free_address();
        let arguments = ["bench", "--participant", &at.to_string()].map(str::to_owned).to_vec();
        let mut participant = Process::start("participant", program("amends"), at, arguments);
        participant.wait_until_listening();
        let channel = dial(grpc).await;
        register(channel.clone(), "noop", at, false).await;
        let limits = api::SetLimitsRequest {
            name: "noop".to_owned(),
            limits: Some(api::Limits { concurrency: 100_000, ..Default::default() }),
            reason: "soak".to_owned(),
            ..Default::default()
        };
        let mut participants = api::participants_client::ParticipantsClient::new(channel.clone());
        participants.set_limits(limits).await.expect("limits");
        define(channel, DEFINITION.to_owned()).await;
        let mut channels = Vec::new();
        for _ in 0..4 {
            channels.push(dial(grpc).await);
        }
        let kept = redis.map_or(Kept::InFolder(data), Kept::InRedis);
        Self { coordinator, channels, _participant: participant, kept, _folder: folder }
    }
}

async fn soak(name: &str, redis: Option<Server>) {
    let minutes = setting("AMENDS_SOAK_MINUTES", 0);
    let (probe, length) = match minutes {
        0 => (Duration::from_secs(1), Duration::from_secs(2)),
        minutes => (Duration::from_secs(15), Duration::from_secs(60 * minutes)),
    };
    let world = World::new(redis).await;
    let load = Load::new(world.channels.clone());
    let reached = load.closed(CALLERS, probe).await;
    let rate = (reached / 2.0).max(1.0);
    let process = world.coordinator.id();
    let samples = sample::take(&world.kept, process, length, load.open(rate, length)).await;
    let ended = load.ended();
    eprintln!(
        "{name}: reached {reached:.0} sagas/s, then {rate:.0}/s for {length:.0?}: {ended:?}; {} samples",
        samples.len()
    );
    if let Some(folder) = std::env::var_os("AMENDS_SOAK_RESULTS").map(PathBuf::from) {
        let title =
            format!("{name}: {rate:.0} sagas/s begun for {minutes} minutes, half of the {reached:.0} reached before");
        std::fs::write(folder.join(format!("soak-{name}.svg")), plot::svg(&title, &samples)).expect("written");
    }
    assert_eq!(ended.failed, 0, "{ended:?}");
    assert!(ended.completed > 0 && ended.compensated > 0, "{ended:?}");
    if minutes > 0 {
        let shown = sample::growths(&samples, WARM_UP);
        shown.iter().for_each(|growth| eprintln!("{name}: {growth}"));
        let grown: Vec<_> = shown.iter().filter(|growth| growth.is_asserted && growth.percent > GROWTH_MAX).collect();
        assert!(grown.is_empty(), "{grown:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_on_the_embedded_store() {
    soak("embedded", None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_on_redis() {
    soak("redis", Some(Server::start(&Settings::strict().with("maxmemory", "4gb")))).await;
}

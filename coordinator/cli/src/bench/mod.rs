//! `amends bench`: sagas per second and latency on this machine, beside a floor in the same run.
//!
//! The coordinator, the participant and Redis are processes of their own; the load comes from this one. Figures of different runs
//! can't be compared on a noisy machine, so both floors are measured in turn with the sagas, round by round, with the same load
//! (`floor.rs`): the calls of a saga and the grouped writes between them, and the same with one call more, which stands for the
//! request that starts it. What doesn't depend on the noise is counted beside: processor time of every process, commits, round
//! trips, syncs. Invariant: what is printed was measured in this run, the bad figures too.

mod contest;
mod cpu;
mod embedded;
mod floor;
mod load;
mod participant;
mod processes;
mod redis;
mod report;
mod work;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use amends_proto::v1 as api;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use self::work::{Ends, Shape, Work};
use crate::connect::{Address, Connection, request};
use crate::exit::Failure;
use crate::output::Format;

/// The participant's and client's side of `bench.proto`.
mod proto {
    #![allow(clippy::all, missing_debug_implementations, unreachable_pub, reason = "generated code")]
    tonic::include_proto!("amends.bench.v1");
}

/// Measures sagas per second beside a floor in the same run.
#[derive(Debug, Args)]
#[command(
    after_help = "On Redis it starts redis-servers of its own, and asks them what each saga cost them: round trips \
                        (answers that Redis wrote), script calls and all commands, bytes, processor time, and syncs of the \
                        append-only file (with appendfsync always Redis' system calls that write, less those for answers; \
                        with everysec one a second, which is its bound)."
)]
pub(crate) struct Bench {
    /// What the coordinator keeps its sagas in
    #[arg(long, default_value = "embedded", value_name = "KIND")]
    store: Store,
    #[command(flatten)]
    plan: Plan,
    /// Only be the participant, at this address
    #[arg(long, hide = true, value_name = "HOST:PORT")]
    participant: Option<SocketAddr>,
}

/// What the coordinator keeps its sagas in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Store {
    Embedded,
    Redis,
}

/// How much is measured.
#[derive(Debug, Clone, Args)]
struct Plan {
    /// Sagas in flight, one measurement for each
    #[arg(long, value_delimiter = ',', default_value = "1,64,256", value_name = "NUMBERS")]
    in_flight: Vec<usize>,
    /// How long each measurement takes in each round
    #[arg(long = "for", default_value_t = 4, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How often floors and sagas take turns
    #[arg(long, default_value_t = 2, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many steps a saga has
    #[arg(long, value_delimiter = ',', default_value = "3", value_name = "NUMBERS", value_parser = clap::value_parser!(u16).range(1..=100))]
    steps: Vec<u16>,
    /// How sagas end
    #[arg(long, value_delimiter = ',', default_value = "completed", value_name = "KINDS")]
    ends: Vec<Ends>,
    /// How steps follow each other
    #[arg(long, value_delimiter = ',', default_value = "sequence", value_name = "SHAPES")]
    shape: Vec<Shape>,
    /// Begin sagas at these shares of what was reached, whatever becomes of those before: open-loop load
    #[arg(long, value_delimiter = ',', value_name = "SHARES")]
    open: Vec<f64>,
    /// On Redis, how durable it is
    #[arg(long, value_delimiter = ',', default_value = "everysec,always", value_name = "SETTINGS")]
    sync: Vec<Durable>,
}

/// When Redis syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Durable {
    Everysec,
    Always,
}

impl Plan {
    /// Every kind of saga that is to be measured.
    fn works(&self) -> Vec<Work> {
        let mut works = Vec::new();
        for &steps in &self.steps {
            for &shape in &self.shape {
                works.extend(self.ends.iter().map(|&ends| Work { steps: usize::from(steps), shape, ends }));
            }
        }
        works
    }

    fn length(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

impl Bench {
    /// Runs it to its end.
    pub(crate) async fn run(self, output: Format) -> Result<(), Failure> {
        if let Some(address) = self.participant {
            return participant::serve(address).await;
        }
        // Whoever ends it early must not leave its processes behind.
        let report = tokio::select! {
            biased;
            stopped = stopped() => return Err(stopped),
            report = self.measure() => report?,
        };
        report.print(output)
    }

    async fn measure(&self) -> Result<report::Report, Failure> {
        let participant = processes::free_address()?;
        let mut command = processes::own()?;
        command.args(["bench", "--participant", &participant.to_string()]);
        let process = processes::launch(command, participant).await?;
        let participant = Participant { address: participant, process: process.id() };
        match self.store {
            Store::Embedded => embedded::measure(&self.plan, participant).await,
            Store::Redis => redis::measure(&self.plan, participant).await,
        }
    }
}

/// Who is called.
#[derive(Debug, Clone, Copy)]
struct Participant {
    address: SocketAddr,
    process: Option<u32>,
}

async fn stopped() -> Failure {
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => return Failure::Process(error),
    };
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => {
            if let Err(error) = interrupted {
                return Failure::Process(error);
            }
        }
    }
    Failure::Process(std::io::Error::other("the measuring was stopped before its end"))
}

/// The machine that was measured on, in a line.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    format!("128-byte payloads, {cores} cores, {build} build, {}", disk())
}

/// How long the disk takes to sync: without it no durable figure means anything.
fn disk() -> String {
    const SYNCS: usize = 101;
    let measure = || -> std::io::Result<Duration> {
        use std::io::Write as _;
        let mut file = tempfile::tempfile()?;
        let mut taken = Vec::with_capacity(SYNCS);
        for _ in 0..SYNCS {
            file.write_all(&[b'x'; 512])?;
            let begun = Instant::now();
            file.sync_data()?;
            taken.push(begun.elapsed());
        }
        taken.sort_unstable();
        Ok(taken[SYNCS / 2])
    };
    match measure() {
        Ok(median) => format!("the disk syncs in {:.2} ms (median of {SYNCS})", median.as_secs_f64() * 1000.0),
        Err(error) => format!("the disk's sync can't be measured ({error})"),
    }
}

/// Connects to a coordinator, and registers the participant and all definitions there.
async fn set_up(plan: &Plan, coordinator: SocketAddr, participant: SocketAddr) -> Result<Connection, Failure> {
    let address: Address = format!("http://{coordinator}")
        .parse()
        .map_err(|error: crate::connect::InvalidAddress| Failure::Usage(error.to_string()))?;
    let connection = Connection::open(&address).await?;
    let noop = api::Participant {
        name: "noop".to_owned(),
        endpoints: vec![format!("http://{participant}")],
        ..api::Participant::default()
    };
    let put = api::PutParticipantRequest { participant: Some(noop), ..Default::default() };
    connection.participants().put(request(put)).await?;
    // What is measured is the coordinator, not how gently it treats participants.
    let limits = api::SetLimitsRequest {
        name: "noop".to_owned(),
        limits: Some(api::Limits { concurrency: 100_000, ..Default::default() }),
        reason: "bench".to_owned(),
        ..Default::default()
    };
    connection.participants().set_limits(request(limits)).await?;
    for work in plan.works() {
        let define = api::RegisterDefinitionRequest { source: work.definition(), ..Default::default() };
        connection.definitions().register(request(define)).await?;
    }
    Ok(connection)
}

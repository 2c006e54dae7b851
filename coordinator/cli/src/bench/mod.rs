//! `amends bench`: sagas per second and latency on this machine, beside bare gRPC calls in the same run.
//!
//! The coordinator and the participant are processes of their own; the load comes from this one. Figures of different runs
//! can't be compared on a noisy machine, so the floor (three and four bare calls one after the other) is measured at the same
//! concurrency right before. Invariant: what is printed was measured in this run, the bad figures too.

mod load;
mod participant;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use amends_proto::v1 as api;
use clap::Args;
use tokio::process::{Child, Command};

use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::output::{Tone, cell, table};

/// The participant's and client's side of `bench.proto`.
mod proto {
    #![allow(clippy::all, missing_debug_implementations, unreachable_pub, reason = "generated code")]
    tonic::include_proto!("amends.bench.v1");
}

/// How long a process may take until it listens.
const START_MAX: Duration = Duration::from_secs(30);

/// Three steps in a row, 128-byte payloads, no conditions.
const DEFINITION: &str = "\
saga: bench
input: { type: object, required: [text] }
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
    action: { call: amends.bench.v1.Noop/Call, request: { text: \"${input.text}\" } }
    compensate: { call: amends.bench.v1.Noop/Call, request: { text: undo } }
";

/// Measures sagas per second on the embedded store beside bare gRPC calls.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Sagas in flight, one measurement for each
    #[arg(long, value_delimiter = ',', default_value = "1,64,256", value_name = "NUMBERS")]
    in_flight: Vec<usize>,
    /// How long each measurement takes
    #[arg(long = "for", default_value_t = 8, value_name = "SECONDS")]
    seconds: u64,
    /// Only be the participant, at this address
    #[arg(long, hide = true, value_name = "HOST:PORT")]
    participant: Option<SocketAddr>,
}

impl Bench {
    /// Runs it to its end.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        if let Some(address) = self.participant {
            return participant::serve(address).await;
        }
        let data = tempfile::tempdir().map_err(Failure::Process)?;
        let (participant, coordinator) = (free_address()?, free_address()?);
        let _processes = [
            launch(&["bench", "--participant", &participant.to_string()], participant).await?,
            launch(&serve(coordinator, data.path())?.each_ref().map(String::as_str), coordinator).await?,
        ];
        let address = format!("http://{coordinator}").parse().map_err(|_| Failure::Usage("no address".to_owned()))?;
        let connection = Connection::open(&address).await?;
        register(&connection, participant).await?;
        let length = Duration::from_secs(self.seconds);
        eprintln!(
            "three-step saga, 128-byte payloads, embedded store (SQLite, WAL, synchronous=FULL), {} cores, {} build",
            std::thread::available_parallelism().map_or(0, usize::from),
            if cfg!(debug_assertions) { "debug" } else { "release" }
        );
        let mut rows = Vec::new();
        for in_flight in self.in_flight {
            let three = load::bare(participant, 3, in_flight, length).await?;
            let four = load::bare(participant, 4, in_flight, length).await?;
            let sagas = load::sagas(&connection, in_flight, length).await?;
            rows.push(row(in_flight, "3 bare calls", &three, &three));
            rows.push(row(in_flight, "4 bare calls", &four, &three));
            rows.push(row(in_flight, "saga of 3 steps", &sagas, &three));
        }
        let header = ["IN FLIGHT", "WHAT", "PER SECOND", "P50 MS", "P99 MS", "OF 3 BARE", "FAILED"];
        crate::output::write_bytes(table(&header, rows).as_bytes())
    }
}

fn row(in_flight: usize, what: &str, measured: &load::Measured, floor: &load::Measured) -> Vec<comfy_table::Cell> {
    let ratio = measured.per_second / floor.per_second;
    let texts = [
        in_flight.to_string(),
        what.to_owned(),
        format!("{:.0}", measured.per_second),
        format!("{:.2}", measured.p50_ms),
        format!("{:.2}", measured.p99_ms),
        format!("{ratio:.2}"),
        measured.failed.to_string(),
    ];
    texts.iter().map(|text| cell(text, Tone::Plain)).collect()
}

fn free_address() -> Result<SocketAddr, Failure> {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).map_err(Failure::Process)
}

fn serve(grpc: SocketAddr, data: &Path) -> Result<[String; 7], Failure> {
    let http = free_address()?;
    let data = data.display().to_string();
    let words = ["serve", "--grpc", &grpc.to_string(), "--http", &http.to_string(), "--data", &data];
    Ok(words.map(str::to_owned))
}

/// Starts this program once more and waits until it listens.
async fn launch(arguments: &[&str], address: SocketAddr) -> Result<Child, Failure> {
    let own = std::env::current_exe().map_err(Failure::Process)?;
    let child = Command::new(own)
        .args(arguments)
        .env("AMENDS__LOG__FILTER", "error")
        .kill_on_drop(true)
        .spawn()
        .map_err(Failure::Process)?;
    let listening = async {
        while tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let late = || Failure::Process(std::io::Error::other(format!("nothing listens on {address}")));
    tokio::time::timeout(START_MAX, listening).await.map_err(|_| late())?;
    Ok(child)
}

async fn register(connection: &Connection, participant: SocketAddr) -> Result<(), Failure> {
    let noop = api::Participant {
        name: "noop".to_owned(),
        endpoints: vec![format!("http://{participant}")],
        ..api::Participant::default()
    };
    let put = api::PutParticipantRequest { participant: Some(noop), ..Default::default() };
    connection.participants().put(request(put)).await?;
    let define = api::RegisterDefinitionRequest { source: DEFINITION.to_owned(), ..Default::default() };
    connection.definitions().register(request(define)).await?;
    Ok(())
}

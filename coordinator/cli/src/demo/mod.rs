//! `amends demo`: a coordinator on the embedded store or on a Redis of its own, three participants as processes of their own, and a
//! stream of sagas.
//!
//! Everything goes over the public API, as it would for anybody. Nothing is faked: participants refuse, answer too late and
//! crash for real, and any of the processes may be killed; it is started again. Invariant: without `--for` one saga gets stuck on
//! purpose, and the command that repairs it is on the screen; with `--for` nothing gets stuck and the sums must be right.
//!
//! `fleet.rs` runs the processes, `recipes.rs` says which, `world.rs` registers and stocks them, `stream.rs` starts and follows sagas, `screen.rs` says
//! what happens, `report.rs` reads the participants' databases.

mod fleet;
mod recipes;
mod report;
mod screen;
mod stream;
mod world;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::connect::{Address, Connection};
use crate::exit::Failure;
use crate::output::Format;

/// How long a headless demo waits for its last sagas.
const DRAIN: Duration = Duration::from_secs(60);

/// Runs the whole system on this machine and shows what it does.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  amends demo\n  amends demo --store redis\n  amends demo --for 20s --data /tmp/demo --output json"
)]
pub(crate) struct Demo {
    /// Start sagas for this long, wait for them, and print the sums; without it, run until Ctrl-C and let one get stuck
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    length: Option<Duration>,
    /// A new or empty folder for all databases; they are left there
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Sagas started per second
    #[arg(long, default_value_t = 5.0, value_name = "NUMBER")]
    rate: f64,
    /// What the coordinator keeps its sagas in; for redis the demo starts a redis-server of its own
    #[arg(long, default_value = "embedded", value_name = "KIND")]
    store: Store,
    #[command(flatten)]
    addresses: Addresses,
}

/// What the coordinator keeps its sagas in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Store {
    Embedded,
    Redis,
}

/// Where everything listens.
#[derive(Debug, Clone, Args)]
struct Addresses {
    /// The coordinator's gRPC
    #[arg(long, default_value = "127.0.0.1:7400", value_name = "HOST:PORT")]
    grpc: SocketAddr,
    /// The coordinator's HTTP
    #[arg(long, default_value = "127.0.0.1:7480", value_name = "HOST:PORT")]
    http: SocketAddr,
    /// The account service
    #[arg(long, default_value = "127.0.0.1:7501", value_name = "HOST:PORT")]
    account: SocketAddr,
    /// The inventory service
    #[arg(long, default_value = "127.0.0.1:7502", value_name = "HOST:PORT")]
    inventory: SocketAddr,
    /// The payment service
    #[arg(long, default_value = "127.0.0.1:7503", value_name = "HOST:PORT")]
    payment: SocketAddr,
    /// The demo's own redis-server, with --store redis
    #[arg(long, default_value = "127.0.0.1:7504", value_name = "HOST:PORT")]
    redis: SocketAddr,
}

fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|_| "write a time such as 20s or 2m".to_owned())?;
    Duration::try_from(span).map_err(|_| "a time can't be negative".to_owned())
}

impl Demo {
    /// Runs it to its end.
    pub(crate) async fn run(self, output: Format) -> Result<(), Failure> {
        if !(self.rate > 0.0 && self.rate <= 1000.0) {
            return Err(Failure::Usage("--rate: give a number above 0 and up to 1000".to_owned()));
        }
        let data = prepare_folder(self.data.clone())?;
        let fleet = fleet::Fleet::start(recipes::all(self.store, &self.addresses, &data)?).await?;
        let result = tokio::select! {
            result = self.with_fleet(&data, output) => result,
            stopped = self.stopped() => stopped,
        };
        fleet.stop().await;
        result
    }

    /// Completes when somebody ends the demo before its time: its processes have to be ended too. Without `--for` Ctrl-C is its
    /// proper end, which the stream waits for.
    async fn stopped(&self) -> Result<(), Failure> {
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Process)?;
        let interrupted = async {
            match self.length {
                Some(_) => tokio::signal::ctrl_c().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => {}
            interrupted = interrupted => interrupted.map_err(Failure::Process)?,
        }
        Err(Failure::Process(std::io::Error::other("the demo was stopped before its end")))
    }

    async fn with_fleet(&self, data: &Path, output: Format) -> Result<(), Failure> {
        let address: Address = format!("http://{}", self.addresses.grpc)
            .parse()
            .map_err(|error: crate::connect::InvalidAddress| Failure::Usage(error.to_string()))?;
        let connection = Connection::open(&address).await?;
        let world = world::World::set_up(&connection, &self.addresses, self.length.is_none()).await?;
        let before = report::Sums::read(data)?;
        let screen = screen::Screen::new(self.length.is_none());
        screen.begin(self.store, &self.addresses, data);
        let stream = stream::Stream::new(connection, screen, self.rate);
        match self.length {
            Some(length) => {
                let counts = stream.run_for(length, DRAIN).await?;
                drop(world);
                let after = report::Sums::read(data)?;
                report::Report::new(&counts, &before, &after).print(output)
            }
            None => stream.run_until_interrupted(&world).await,
        }
    }
}

/// The folder must be empty, because the sums are about all that is in it.
fn prepare_folder(given: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let folder = given.unwrap_or_else(|| {
        let unique = uuid::Uuid::now_v7().simple().to_string();
        std::env::temp_dir().join(format!("amends-demo-{unique}"))
    });
    std::fs::create_dir_all(&folder).map_err(Failure::Process)?;
    if std::fs::read_dir(&folder).map_err(Failure::Process)?.next().is_some() {
        let message = format!("--data: {} is not empty; the demo's sums need a fresh folder", folder.display());
        return Err(Failure::Usage(message));
    }
    Ok(folder)
}

//! `amends serve`: the coordinator, until it is told to stop.
//!
//! Everything it does is in `amends-server`; here are the flags, the line that says where it listens, and the signals. Invariant:
//! a coordinator that can't do all of its work says why and doesn't start.

use std::path::PathBuf;

use amends_server::{App, Flags, ServerConfig, config, telemetry};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Failure;

/// Runs the coordinator.
#[derive(Debug, Args)]
#[command(
    after_help = "Settings come from --config, then from AMENDS__SECTION__OPTION in the environment, then from flags; \
                        the last one wins. `amends serve --print-config` shows every option with its default."
)]
pub(crate) struct Serve {
    /// The folder of the embedded store
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to answer gRPC
    #[arg(long, value_name = "HOST:PORT")]
    grpc: Option<String>,
    /// Where to answer HTTP
    #[arg(long, value_name = "HOST:PORT")]
    http: Option<String>,
    /// Which store: sqlite, or an address of Redis (with a password, better AMENDS__STORE__REDIS__URL)
    #[arg(long, value_name = "KIND|URL")]
    store: Option<String>,
    /// A file with settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The node's name; a node keeps its name over restarts
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Let other machines connect although there is no TLS or no authentication: whoever can connect may do anything
    #[arg(long)]
    insecure_i_know: bool,
    /// Print all settings with their defaults and end
    #[arg(long)]
    print_config: bool,
}

impl Serve {
    /// Runs until SIGTERM or Ctrl-C.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        if self.print_config {
            return crate::output::write_bytes(config::DEFAULT_FILE.as_bytes());
        }
        let flags = Flags {
            config: self.config,
            data: self.data,
            grpc: self.grpc,
            http: self.http,
            store: self.store,
            node: self.node,
            insecure_i_know: self.insecure_i_know,
        };
        let config: ServerConfig = config::load(&flags).map_err(|error| Failure::Usage(error.to_string()))?;
        telemetry::init(&config).map_err(failed)?;
        let app = App::build(config).await.map_err(failed)?;
        eprintln!("amends: serving gRPC on {}, HTTP on {}", app.grpc_address(), app.http_address());
        app.run(stop()?).await.map_err(failed)
    }
}

fn failed(error: amends_server::Error) -> Failure {
    Failure::Process(std::io::Error::other(amends_server::chain(&error)))
}

/// Completes at SIGTERM or Ctrl-C.
fn stop() -> Result<impl Future<Output = ()>, Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Process)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Process)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

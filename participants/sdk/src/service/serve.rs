//! Serves a participant's gRPC service with health and reflection until it is told to stop.
//!
//! Knows nothing of what the service does. Invariants: a stop lets calls under way finish, within a limit; a database
//! that takes no more writes ends the process, so that somebody notices.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use amends_tls::{Application, ClientTls, Keeper, Listener, ServerTls};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tonic::service::Routes;
use tonic::transport::{Endpoint, Server};
use tonic_health::ServingStatus;

use super::ServiceFlags;
use crate::barrier::BarrierConnection;
use crate::database::{Database, OpenError};
use crate::faults::proto::faults_server::FaultsServer;
use crate::faults::{self, Faults, FaultsApi, FaultsLayer};
use crate::registration::{Instance, Registered};
use crate::signing::SignedLayer;

/// How long a stop waits for calls under way. A call that hangs on purpose would hold it up for ever.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// Why a service can't start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The database's folder can't be made.
    #[error("can't make the folder for the database")]
    Folder(#[source] io::Error),
    /// See [`OpenError`].
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The address can't be used.
    #[error("can't listen on {addr}; give another with --addr")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The files for TLS can't be used.
    #[error("can't serve over TLS")]
    Tls(#[source] Box<amends_tls::TlsError>),
    /// A signing secret can't be read.
    #[error("--signed-with: {0}")]
    Secret(String),
    /// What the service's own flags put into the database at the start.
    #[error("can't put into the database what the flags ask for")]
    Begin(#[source] Box<dyn Error + Send + Sync>),
    /// The descriptors don't fit together.
    #[error("can't serve reflection")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// A signal handler or the standard output can't be used.
    #[error("can't talk to the process's surroundings")]
    Surroundings(#[source] io::Error),
    /// The server broke.
    #[error("the server broke")]
    Server(#[from] tonic::transport::Error),
    /// The disk failed under the database.
    #[error("the database takes no more writes; see the log")]
    DatabaseStopped,
}

/// A gRPC service with what reflection and health need to know of it.
#[derive(Debug)]
pub struct Service {
    /// Its full name: `account.v1.Account`.
    pub name: &'static str,
    /// The encoded descriptor set of its proto file, imports included.
    pub descriptors: &'static [u8],
    /// The service itself.
    pub routes: Routes,
}

/// Serves with health and reflection, and with faults where the flags allow them, until SIGTERM or Ctrl-C.
///
/// Prints `listening on HOST:PORT` to the standard output when calls are answered.
///
/// # Errors
/// When the address can't be used, or the database has failed.
pub async fn serve<C: BarrierConnection>(
    flags: &ServiceFlags,
    database: &Database<C>,
    service: Service,
) -> Result<(), ServeError> {
    let name = service.name;
    let faults = flags.allow_faults.then(|| Faults::new(flags.faults.clone()));
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status(name, ServingStatus::Serving).await;
    let routes = routes(service, faults.as_ref())?.add_service(health_service);
    let keeper = Keeper::default();
    let (tls, signed) = (flags.guard.tls(&keeper)?, flags.guard.verifier()?.map(SignedLayer::new));
    if !flags.addr.ip().to_canonical().is_loopback() && (tls.is_none() || signed.is_none()) {
        tracing::warn!(addr = %flags.addr, "other machines can call this without TLS (--tls-cert) or signature (--signed-with)");
    }
    let coordinators = flags.coordinator.tls(flags.register_with.iter().map(Endpoint::uri), &keeper)?;
    let (listener, addr) = listen(flags.addr, tls).await?;
    // It ends with the process.
    tokio::spawn(keeper.run());
    let stop_signal = stop_signal().map_err(ServeError::Surroundings)?;
    let (drain, draining) = oneshot::channel::<()>();
    let mut server = Server::builder()
        .layer(tower::util::option_layer(signed))
        .layer(tower::util::option_layer(faults.map(FaultsLayer)));
    let incoming = listener.incoming();
    let mut server = std::pin::pin!(server.add_routes(routes).serve_with_incoming_shutdown(incoming, async {
        draining.await.ok();
    }));
    announce(addr).map_err(ServeError::Surroundings)?;
    let registered = register(flags, addr, coordinators);
    tokio::select! {
        result = &mut server => return Ok(result?),
        () = database.stopped() => return Err(ServeError::DatabaseStopped),
        () = stop_signal => {}
    }
    if let Some(registered) = registered {
        // First, while calls are still answered: no new ones come after it.
        tokio::select! {
            result = &mut server => return Ok(result?),
            () = registered.leave() => {}
        }
    }
    health.set_service_status(name, ServingStatus::NotServing).await;
    drop(drain);
    // Whatever hasn't finished by then is unknown to its caller, who will ask again.
    tokio::time::timeout(DRAIN_TIME_MAX, server).await.unwrap_or(Ok(()))?;
    Ok(())
}

/// Tells the coordinators of this instance, where the flags name some.
fn register(flags: &ServiceFlags, addr: SocketAddr, coordinators: Option<Arc<ClientTls>>) -> Option<Registered> {
    let participant = flags.participant.clone().filter(|_| !flags.register_with.is_empty())?;
    let scheme = if flags.guard.tls_cert.is_some() { "https" } else { "http" };
    let endpoint = flags.advertise.clone().unwrap_or_else(|| format!("{scheme}://{addr}"));
    let name = std::env::var("HOSTNAME").unwrap_or_else(|_| format!("process {}", std::process::id()));
    let instance = Instance::new(flags.register_with.clone(), participant, endpoint).name(name);
    Some(instance.over(coordinators).token(flags.coordinator.token()).register())
}

/// Reflection in both versions of its protocol, since many tools speak only the older; faults where they are allowed.
fn routes(service: Service, faults: Option<&Faults>) -> Result<Routes, ServeError> {
    let builder = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(service.descriptors)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        match faults {
            Some(_) => builder.register_encoded_file_descriptor_set(faults::DESCRIPTORS),
            None => builder,
        }
    };
    let (current, older) = (builder().build_v1()?, builder().build_v1alpha()?);
    let routes = service.routes.add_service(current).add_service(older);
    Ok(match faults {
        Some(faults) => routes.add_service(FaultsServer::new(FaultsApi(faults.clone()))),
        None => routes,
    })
}

async fn listen(addr: SocketAddr, tls: Option<Arc<ServerTls>>) -> Result<(Listener, SocketAddr), ServeError> {
    let tcp = TcpListener::bind(addr).await.map_err(|source| ServeError::Listen { addr, source })?;
    let bound = tcp.local_addr().map_err(|source| ServeError::Listen { addr, source })?;
    Ok((Listener::new(tcp, tls, Application::Grpc), bound))
}

/// Registers the handlers at once and gives a future that ends with the first signal.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn announce(addr: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening on {addr}")?;
    out.flush()
}

/// Sends the log to the standard error stream; `RUST_LOG` picks what is in it, `info` by default.
pub fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing_subscriber::filter::LevelFilter::INFO.into())
        .from_env_lossy();
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(io::stderr).init();
}

/// The end of `main`: logs an error with all its causes and gives the exit code.
pub fn exit_code(result: Result<(), ServeError>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    let mut chain = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        chain = format!("{chain}: {error}");
        cause = error.source();
    }
    tracing::error!("{chain}");
    ExitCode::FAILURE
}

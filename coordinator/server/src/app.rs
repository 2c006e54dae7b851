//! The life of the server: what is built in which order, how it serves, and how it stops.
//!
//! ```text
//!   build:  bind ─► open store ─► participants ─► node          nothing is accepted before all of it stands
//!   run:    serve … ─► not ready ─► no new connections ─► requests end ─► node stops ─► store closes
//! ```
//!
//! Invariants: a server that can't do all of its work doesn't start; stopping loses nothing, since what is open is durable
//! and is taken up by the next start; when the store can't go on the process ends at once.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use amends_runtime::participant::{Callers, Directory, Egress, GrpcCaller, REPLY_BYTES_MAX};
use amends_runtime::seam::Seams;
use amends_runtime::{Alone, Coordinator, Node, NodeParts, Peers, RuntimeConfig};
use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic_health::server::HealthReporter;

use crate::calling;
use crate::channels::Channels;
use crate::config::ServerConfig;
use crate::error::{Error, chain};
use crate::grpc::{self, Api, GrpcPeers};
use crate::health::{self, Readiness};
use crate::http::{self, Calls, Gateway, Pages};
use crate::registry::{Outside, Registry};
use crate::store::Backend;

/// How often a node says that it is there; more often where leases are short.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long a stopping node waits for its shards to be given back before it takes no more requests.
const HAND_OVER: Duration = Duration::from_millis(500);
/// How often what other nodes registered is looked for, should their word have been lost.
const REGISTRY_PERIOD: Duration = Duration::from_secs(5);

/// Where requests come from.
#[derive(Debug)]
pub struct Listeners {
    /// For the API.
    pub grpc: TcpListener,
    /// For the API as JSON, health, readiness and version.
    pub http: TcpListener,
}

impl Listeners {
    /// Takes the addresses that the settings name; with port 0 the system chooses one.
    pub async fn bind(config: &ServerConfig) -> Result<Self, Error> {
        let bind = async |what, address| {
            TcpListener::bind(address).await.map_err(|source| Error::Bind { what, address, source })
        };
        Ok(Self { grpc: bind("gRPC", config.grpc.listen).await?, http: bind("HTTP", config.http.listen).await? })
    }
}

/// A server that is ready to serve: its sagas run already, its listeners wait.
#[derive(Debug)]
pub struct App {
    config: ServerConfig,
    backend: Backend,
    listeners: Listeners,
    grpc_address: SocketAddr,
    http_address: SocketAddr,
    node: Node,
    api: Api,
}

impl App {
    /// Builds all that the settings name.
    pub async fn build(config: ServerConfig) -> Result<Self, Error> {
        // First, because a port that is taken is the most common mistake, and costs nothing to find.
        let listeners = Listeners::bind(&config).await?;
        let backend = Backend::open(&config.store, config.sagas.lease).await?;
        Self::build_on(config, listeners, backend).await
    }

    /// Builds on listeners and a store that are there already.
    pub async fn build_on(config: ServerConfig, listeners: Listeners, backend: Backend) -> Result<Self, Error> {
        let address = |what, listener: &TcpListener, address| {
            listener.local_addr().map_err(|source| Error::Bind { what, address, source })
        };
        let grpc_address = address("gRPC", &listeners.grpc, config.grpc.listen)?;
        let http_address = address("HTTP", &listeners.http, config.http.listen)?;
        let seams = Seams::system();
        let directory = Arc::new(Directory::new());
        let outside = Outside {
            egress: Arc::new(Egress::new(config.egress.allow.clone(), vec![grpc_address, http_address])),
            keyring: Arc::default(),
        };
        let http = calling::http(&config.egress, directory.clone(), seams.clone(), &outside)?;
        let registry = Registry::load(backend.store().clone(), directory.clone(), seams.clone(), outside).await?;
        let grpc = GrpcCaller::new(directory.clone(), seams.clone(), REPLY_BYTES_MAX);
        let caller = Arc::new(Callers::new(directory.clone(), grpc, http));
        let channels = Channels::default();
        let peers: Arc<dyn Peers> =
            if backend.is_shared() { Arc::new(GrpcPeers { channels: channels.clone() }) } else { Arc::new(Alone) };
        let parts = NodeParts {
            config: runtime(&config, grpc_address),
            store: backend.store().clone(),
            caller,
            directory,
            peers,
            seams,
        };
        let node = Node::start(parts).await;
        let info = backend.store().info();
        tracing::info!(store = info.kind, id = info.id, shards = info.shards, survives = info.durability, "store open");
        let api = Api {
            coordinator: node.coordinator().clone(),
            registry,
            channels,
            draining: CancellationToken::new(),
            work: TaskTracker::new(),
        };
        Ok(Self { config, backend, listeners, grpc_address, http_address, node, api })
    }

    /// Where gRPC is served.
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc_address
    }

    /// Where HTTP is served.
    pub fn http_address(&self) -> SocketAddr {
        self.http_address
    }

    /// The runtime's handle, for whoever lives in the same process.
    pub fn coordinator(&self) -> &Coordinator {
        self.node.coordinator()
    }

    /// Serves until `shutdown` completes, then stops in order. An error when the server had to end by itself.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let Self { config, backend, listeners, grpc_address, http_address: _, node, api } = self;
        let draining = api.draining.clone();
        let (readiness, is_ready) = watch::channel(Readiness::Ready);
        let reporter = HealthReporter::new();
        let watcher = tokio::spawn(health::watch_over(
            backend.store().clone(),
            draining.clone(),
            readiness,
            reporter.clone(),
            grpc::SERVICES,
        ));
        if backend.is_shared() {
            tokio::spawn(follow_registrations(api.registry.clone(), draining.clone()));
        }
        let http_end = CancellationToken::new();
        let routes = grpc::routes(&api, &config.limits, reporter, backend.is_shared())
            .map_err(|error| Error::Serve { what: "gRPC", source: Box::new(error) })?;
        let bound = grpc::bound(&config.limits);
        let calls = Calls::new(routes.clone(), &bound);
        let gateway = Gateway::new(calls, config.limits.clone(), draining.clone(), api.work.clone())
            .map_err(|error| Error::Serve { what: "HTTP", source: Box::new(error) })?;
        let pages = Pages { grpc: grpc_address, readiness: is_ready };
        let mut http = serve_http(listeners.http, http::router(pages, gateway), http_end.clone());
        let mut grpc = serve_grpc(listeners.grpc, grpc::server(&config.limits, bound), routes, draining.clone());

        let ended = tokio::select! {
            biased;
            why = backend.lost() => Err(Error::StoreLost(why)),
            served = &mut grpc => Err(served_too_short("gRPC", served)),
            served = &mut http => Err(served_too_short("HTTP", served)),
            () = shutdown => Ok(()),
        };
        tracing::info!("stopping");
        // Others take over while requests under way come to their end here, and go to them.
        if node.coordinator().has_heir() && tokio::time::timeout(HAND_OVER, node.coordinator().drain()).await.is_err() {
            tracing::warn!("some shards aren't given back yet");
        }
        draining.cancel();
        // What the store can't go on with can't be finished.
        let grace = if matches!(ended, Err(Error::StoreLost(_))) { Duration::ZERO } else { config.shutdown.grace };
        end_requests(grpc, &api.work, grace / 2).await;
        drop(api);
        node.stop(grace / 2).await;
        http_end.cancel();
        end(http, Duration::from_secs(1)).await;
        // It has seen the drain, and ends by itself.
        let _ = watcher.await;
        backend.close().await;
        tracing::info!("stopped");
        ended
    }
}

async fn follow_registrations(registry: Registry, draining: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = draining.cancelled() => return,
            () = tokio::time::sleep(REGISTRY_PERIOD) => {}
        }
        if let Err(error) = registry.refresh().await
            && !error.is_said_by_store()
        {
            tracing::warn!(error = chain(&error), "what other nodes have registered can't be read; trying again later");
        }
    }
}

type Serving = JoinHandle<Result<(), Box<dyn std::error::Error + Send + Sync>>>;

fn serve_grpc(
    listener: TcpListener,
    mut server: tonic::transport::Server<grpc::Bounded>,
    routes: Routes,
    draining: CancellationToken,
) -> Serving {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tokio::spawn(async move {
        let draining = draining.cancelled_owned();
        let served = server.add_routes(routes).serve_with_incoming_shutdown(incoming, draining).await;
        served.map_err(Into::into)
    })
}

fn serve_http(listener: TcpListener, router: Router, end: CancellationToken) -> Serving {
    // An event stream is many small writes.
    let listener = listener.tap_io(|stream| {
        // Without it they only come later.
        let _ = stream.set_nodelay(true);
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move {
        axum::serve(listener, service).with_graceful_shutdown(end.cancelled_owned()).await.map_err(Into::into)
    })
}

type Served = Result<Result<(), Box<dyn std::error::Error + Send + Sync>>, tokio::task::JoinError>;

fn served_too_short(what: &'static str, served: Served) -> Error {
    match served {
        Ok(Err(source)) => Error::Serve { what, source },
        Ok(Ok(())) | Err(_) => Error::Broken(what),
    }
}

/// Waits until every request has been answered, and what was asked for is done.
async fn end_requests(grpc: Serving, work: &TaskTracker, grace: Duration) {
    work.close();
    let begun = tokio::time::Instant::now();
    end(grpc, grace).await;
    if tokio::time::timeout(grace.saturating_sub(begun.elapsed()), work.wait()).await.is_err() {
        tracing::warn!("the grace period is over; requests under way are not answered");
    }
}

async fn end(mut serving: Serving, grace: Duration) {
    if serving.is_finished() {
        return;
    }
    if tokio::time::timeout(grace, &mut serving).await.is_err() {
        tracing::warn!("the grace period is over; open connections are broken off");
        serving.abort();
    }
}

fn runtime(config: &ServerConfig, grpc: SocketAddr) -> RuntimeConfig {
    RuntimeConfig {
        node: config.node.clone(),
        address: config.grpc.advertise.clone().unwrap_or_else(|| format!("http://{grpc}")),
        lease: config.sagas.lease,
        heartbeat: HEARTBEAT.min(config.sagas.lease / 5),
        retention: config.sagas.retention,
        residents_max: config.limits.sagas_per_shard,
        requests_max: config.limits.requests_per_shard,
        input_bytes_max: config.limits.input_bytes,
        ..RuntimeConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use amends_store::sqlite::Fatal;

    use super::*;

    #[tokio::test]
    async fn a_store_that_cant_go_on_ends_the_server() {
        let mut config = ServerConfig::default();
        config.grpc.listen.set_port(0);
        config.http.listen.set_port(0);
        let listeners = Listeners::bind(&config).await.unwrap();
        let (fatal, backend) = Backend::losable(2);
        let app = App::build_on(config, listeners, backend).await.unwrap();
        fatal.send_replace(Some(Fatal { message: "the disk is gone".to_owned() }));
        let error = app.run(std::future::pending()).await.unwrap_err();
        assert!(error.to_string().starts_with("the store can't go on: the disk is gone. "), "{error}");
    }
}

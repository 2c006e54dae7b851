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

use amends_runtime::alerts::Alerts;
use amends_runtime::participant::{
    Callers, Directory, Egress, FollowSettings, Follower, GrpcCaller, HttpCaller, HttpPost, Keyring, Outgoing,
    REPLY_BYTES_MAX,
};
use amends_runtime::seam::{Running, Seams};
use amends_runtime::telemetry::Spans;
use amends_runtime::{Alone, Coordinator, Node, NodeParts, Peers, RuntimeConfig, Telemetry};
use amends_tls::{Application, Listener};
use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;

use crate::audit::Accounts;
use crate::auth::{self, Auth};
use crate::channels::Channels;
use crate::config::{ConfigError, ServerConfig};
use crate::console::{self, Console};
use crate::discovery::Finder;
use crate::error::{Error, chain};
use crate::front_door::{self, Connections, FrontDoor, Networks, guarded, serve_http};
use crate::grpc::{self, Api, GrpcPeers};
use crate::health::{self, Readiness};
use crate::http::{self, Calls, Gateway, Pages};
use crate::registry::Registry;
use crate::store::Backend;
use crate::telemetry::{self, Metrics, Otlp};
use crate::tls::{self, Tls};

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
    /// For metrics, where they have one of their own.
    pub metrics: Option<TcpListener>,
}

impl Listeners {
    /// Takes the addresses that the settings name; with port 0 the system chooses one.
    pub async fn bind(config: &ServerConfig) -> Result<Self, Error> {
        let bind = async |what, address| {
            TcpListener::bind(address).await.map_err(|source| Error::Bind { what, address, source })
        };
        let metrics = match config.telemetry.metrics.listen {
            Some(address) => Some(bind("metrics", address).await?),
            None => None,
        };
        let (grpc, http) = (bind("gRPC", config.grpc.listen).await?, bind("HTTP", config.http.listen).await?);
        Ok(Self { grpc, http, metrics })
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
    metrics: Arc<Metrics>,
    otlp: Option<Otlp>,
    tls: Tls,
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
        let auth = Auth::open(&config.auth).await?;
        let door = FrontDoor::new(&config.front_door, &config.limits);
        let seams = Seams::system();
        let directory = Arc::new(Directory::new());
        let tls = Tls::open(&config).await?;
        if config.insecure_i_know {
            tracing::warn!(grpc = %grpc_address, http = %http_address, "--insecure-i-know: whoever can connect may do anything");
        }
        let outgoing = tls.outgoing(Egress::new(config.egress.allow.clone(), vec![grpc_address, http_address]));
        let metrics = Arc::new(Metrics::new(&config));
        let otlp = config.telemetry.otlp.endpoint.as_ref().map(|to| Otlp::to(to, &config.node)).transpose()?;
        let spans = otlp.as_ref().map(|otlp| otlp.queue() as Arc<dyn Spans>);
        let telemetry = Arc::new(Telemetry::with_spans(spans));
        let store = metrics.watch(backend.store().clone());
        let http = HttpCaller::new(directory.clone(), seams.clone(), outgoing.clone(), REPLY_BYTES_MAX);
        let grpc = GrpcCaller::new(directory.clone(), seams.clone(), outgoing.clone(), REPLY_BYTES_MAX);
        let follower = Arc::new(Follower::new(FollowSettings {
            directory: directory.clone(),
            find: Arc::new(Finder::new(&config.discovery)),
            egress: outgoing.egress.clone(),
            seams: seams.clone(),
            refresh: config.discovery.refresh,
        }));
        let alerts = alerts(&config, &outgoing, &seams, &telemetry).await?;
        let registry = Registry::load(store.clone(), directory.clone(), seams.clone(), outgoing).await?;
        let callers = Arc::new(Callers::new(directory.clone(), grpc, http));
        let channels = Channels::new(tls.nodes.clone());
        let peers: Arc<dyn Peers> = if backend.is_shared() {
            Arc::new(GrpcPeers { channels: channels.clone(), auth: auth.clone(), node: config.node.clone() })
        } else {
            Arc::new(Alone)
        };
        let parts = NodeParts {
            config: runtime(&config, grpc_address),
            store,
            caller: callers.clone(),
            directory,
            peers,
            seams,
            telemetry,
        };
        let node = Node::start_telling(parts, alerts.clone()).await;
        metrics.add_node(node.coordinator(), otlp.as_ref());
        metrics.add_alerts(node.coordinator(), alerts.clone());
        metrics.add_outside(node.coordinator(), &tls.keeper);
        let info = backend.store().info();
        tracing::info!(store = info.kind, id = info.id, shards = info.shards, survives = info.durability, "store open");
        let (draining, work) = (CancellationToken::new(), TaskTracker::new());
        let accounts =
            Accounts::new(node.coordinator().clone(), channels.clone(), auth.clone(), work.clone(), draining.clone());
        let api = Api {
            coordinator: node.coordinator().clone(),
            registry,
            callers,
            follower,
            channels,
            auth,
            door,
            alerts,
            accounts,
            draining,
            work,
        };
        Ok(Self { config, backend, listeners, grpc_address, http_address, node, api, metrics, otlp, tls })
    }

    /// Where gRPC is served.
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc_address
    }

    /// Where HTTP is served.
    pub fn http_address(&self) -> SocketAddr {
        self.http_address
    }

    /// What judges how much is let in, to be looked at.
    pub fn front_door(&self) -> &FrontDoor {
        &self.api.door
    }

    /// The runtime's handle, for whoever lives in the same process.
    pub fn coordinator(&self) -> &Coordinator {
        self.node.coordinator()
    }

    /// Serves until `shutdown` completes, then stops in order. An error when the server had to end by itself.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let Self { config, backend, listeners, grpc_address, http_address, node, api, metrics, otlp, tls } = self;
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
        tokio::spawn(follow_sources(api.follower.clone(), draining.clone()));
        tokio::spawn(tls.clone().watch(draining.clone()));
        if backend.is_shared() {
            tokio::spawn(follow_registrations(api.registry.clone(), draining.clone()));
        }
        tokio::spawn(api.auth.clone().follow(draining.clone()));
        let http_end = CancellationToken::new();
        let keeping = Running::spawn(metrics.clone().keep(draining.clone()));
        let routes = grpc::routes(&api, &config.limits, reporter, backend.is_shared(), metrics.requests.clone())
            .map_err(|error| Error::Serve { what: "gRPC", source: Box::new(error) })?;
        let bound = grpc::bound(&config.limits);
        let calls = Calls::new(routes.clone(), &bound);
        let rates = Arc::new(console::Rates::default());
        tokio::spawn(console::keep(rates.clone(), node.coordinator().telemetry().clone(), draining.clone()));
        let console = Console {
            rates,
            calls: calls.clone(),
            auth: api.auth.clone(),
            is_tls: tls.listeners.is_some(),
            node: config.node.clone(),
            draining: draining.clone(),
            work: api.work.clone(),
        };
        let gateway = Gateway::new(calls, config.limits.clone(), draining.clone(), api.work.clone())
            .map_err(|error| Error::Serve { what: "HTTP", source: Box::new(error) })?;
        let pages = Pages { grpc: grpc_address, readiness: is_ready, keeper: tls.keeper.clone() };
        let guard =
            http::Guard { is_tls: tls.listeners.is_some(), is_local: http_address.ip().to_canonical().is_loopback() };
        let page = telemetry::page(metrics);
        let (own, beside) = match listeners.metrics {
            Some(listener) => {
                let page = page.layer(axum::middleware::from_fn_with_state(api.auth.clone(), auth::page));
                (Some((listener, page)), Router::new())
            }
            None => (None, page),
        };
        let router = http::router(pages, gateway, beside, console::router(console), guard, &api.auth);
        let (grpc_door, http_door) = doors(&config);
        let over = |listener, application, door, what| {
            guarded(Listener::new(listener, tls.listeners.clone(), application), door, what)
        };
        let header_time = config.front_door.header_time;
        let serve_http = |listener, router: Router| -> Serving {
            let router = router.layer(axum::middleware::map_request(tls::introduce));
            let serving = serve_http(listener, router, header_time, http_end.clone());
            tokio::spawn(async move {
                serving.await;
                Ok(())
            })
        };
        let own = own
            .map(|(listener, page)| serve_http(over(listener, Application::Http, http_door.clone(), "metrics"), page));
        let mut http = serve_http(over(listeners.http, Application::Http, http_door, "HTTP"), router);
        let grpc = over(listeners.grpc, Application::Grpc, grpc_door, "gRPC");
        let mut grpc = serve_grpc(grpc, grpc::server(&config.limits, bound), routes, draining.clone());

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
        drop(keeping);
        node.stop(grace / 2).await;
        http_end.cancel();
        end(http, Duration::from_secs(1)).await;
        if let Some(metrics) = own {
            end(metrics, Duration::from_secs(1)).await;
        }
        if let Some(otlp) = otlp {
            otlp.close().await;
        }
        // It has seen the drain, and ends by itself.
        let _ = watcher.await;
        backend.close().await;
        tracing::info!("stopped");
        ended
    }
}

async fn follow_sources(follower: Arc<Follower>, draining: CancellationToken) {
    tokio::select! {
        biased;
        () = draining.cancelled() => {}
        () = follower.run() => {}
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
    listener: Listener,
    mut server: tonic::transport::Server<grpc::Bounded>,
    routes: Routes,
    draining: CancellationToken,
) -> Serving {
    let routes: Routes = routes.into_axum_router().layer(axum::middleware::map_request(tls::introduce)).into();
    let incoming = front_door::incoming(listener);
    tokio::spawn(async move {
        let draining = draining.cancelled_owned();
        let served = server.add_routes(routes).serve_with_incoming_shutdown(incoming, draining).await;
        served.map_err(Into::into)
    })
}

/// Who may connect to each listener; each counts for itself, so that neither can shut the other out.
fn doors(config: &ServerConfig) -> (Connections, Connections) {
    let front = &config.front_door;
    // The settings have been checked.
    let networks = Arc::new(Networks::parse(&front.allow, &front.deny).unwrap_or_default());
    let door = || Connections::new(networks.clone(), front.connections, front.connections_per_address);
    (door(), door())
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

/// What tells others what happens, once its secrets were read; `None`: nobody is to be told.
async fn alerts(
    config: &ServerConfig,
    outgoing: &Outgoing,
    seams: &Seams,
    telemetry: &Arc<Telemetry>,
) -> Result<Option<Arc<Alerts>>, Error> {
    let unusable = |(key, problem)| Error::Config(ConfigError::Value { key, problem });
    let settings = config.alerts.settings().map_err(unusable)?;
    let references: Vec<_> = settings.webhooks.iter().flat_map(|webhook| webhook.target.secrets.clone()).collect();
    let keyring: Arc<Keyring> = outgoing.keyring.clone();
    let loaded =
        tokio::task::spawn_blocking(move || references.iter().try_for_each(|reference| keyring.load(reference)));
    loaded.await.map_err(|_| Error::Broken("reading secrets"))??;
    let post = Arc::new(HttpPost::new(outgoing.clone(), seams.clone()));
    Ok(Alerts::new(settings, &config.node, post, seams.clone(), telemetry.clone()))
}

fn runtime(config: &ServerConfig, grpc: SocketAddr) -> RuntimeConfig {
    let scheme = if config.tls.files().is_some() { "https" } else { "http" };
    RuntimeConfig {
        node: config.node.clone(),
        address: config.grpc.advertise.clone().unwrap_or_else(|| format!("{scheme}://{grpc}")),
        lease: config.sagas.lease,
        heartbeat: HEARTBEAT.min(config.sagas.lease / 5),
        retention: config.sagas.retention,
        audit_retention: config.audit.retention,
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

//! The API of package `amends.v1` over gRPC, with health and reflection.
//!
//! ```text
//!   sagas, operations, definitions, participants, cluster, batches, audit, alerts   one file per service: read, hand on, show
//!   from_proto  to_proto                           the only code that names both the API's types and ours
//!   asking  reading  registering  holding  showing what a method does between the two
//!   peers                                          what nodes tell each other
//!   status                                         the one table of errors; page, caller: tokens, who asks
//! ```
//!
//! Invariant: a handler that changes something only waits for work that runs elsewhere, in the shard's owner or in a task of
//! its own: tonic drops a handler when its client goes away.

mod alerts;
mod asking;
mod audit;
mod batches;
mod caller;
mod cluster;
mod definitions;
mod endpoints;
mod from_proto;
mod holding;
mod limits;
mod operations;
mod page;
mod participants;
mod peers;
mod reading;
mod registering;
mod sagas;
mod showing;
mod status;
mod to_proto;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use amends_proto::v1::alerts_server::{self, AlertsServer};
use amends_proto::v1::audit_server::{self, AuditServer};
use amends_proto::v1::batches_server::{self, BatchesServer};
use amends_proto::v1::cluster_server::{self, ClusterServer};
use amends_proto::v1::definitions_server::{self, DefinitionsServer};
use amends_proto::v1::operations_server::{self, OperationsServer};
use amends_proto::v1::participants_server::{self, ParticipantsServer};
use amends_proto::v1::peers_server::PeersServer;
use amends_proto::v1::sagas_server::{self, SagasServer};
use amends_runtime::Coordinator;
use amends_runtime::alerts::Alerts;
use amends_runtime::participant::{Callers, Follower};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tower::limit::GlobalConcurrencyLimitLayer;

use crate::audit::{Accounts, account};
use crate::auth::{Auth, Gate, gate};
use crate::channels::Channels;
use crate::config::LimitsConfig;
use crate::forward::{Forwarding, forward};
use crate::front_door::FrontDoor;
use crate::registry::Registry;
use crate::telemetry::{Requests, count};
pub(crate) use caller::{PAYLOADS, PRINCIPAL, claimed_name};
pub(crate) use from_proto::{saga_key, start_key};
pub(crate) use peers::GrpcPeers;
pub(crate) use status::{DOMAIN, ELSEWHERE, Refusal, UNAVAILABLE_RETRY, Violation};

/// Set on a forwarded request to the name of the node that sent it on.
pub(crate) const FORWARDED: &str = "amends-forwarded-by";
/// Largest registration: descriptors of a large service with all its imports.
const REGISTRATION_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Largest word of another node: marks of all shards.
const PEER_BYTES_MAX: usize = 1024 * 1024;
/// Longest time for an answer: the longest wait of a Start, and some more.
pub(crate) const ANSWER_TIME_MAX: Duration = Duration::from_secs(75);
/// Largest header list of a request.
const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// Streams that a client may open and reset before it is taken for an attacker.
const RESET_STREAMS_MAX: usize = 64;
/// How long a connection may be silent before it is asked whether it still lives.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The names by which health is asked for.
pub(crate) const SERVICES: &[&str] = &[SAGAS, OPERATIONS, DEFINITIONS, PARTICIPANTS, CLUSTER, BATCHES, AUDIT, ALERTS];
const SAGAS: &str = sagas_server::SERVICE_NAME;
const OPERATIONS: &str = operations_server::SERVICE_NAME;
const DEFINITIONS: &str = definitions_server::SERVICE_NAME;
const PARTICIPANTS: &str = participants_server::SERVICE_NAME;
const CLUSTER: &str = cluster_server::SERVICE_NAME;
const BATCHES: &str = batches_server::SERVICE_NAME;
const AUDIT: &str = audit_server::SERVICE_NAME;
const ALERTS: &str = alerts_server::SERVICE_NAME;

/// What all services work with. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) coordinator: Coordinator,
    pub(crate) registry: Registry,
    /// Knows how participants' addresses stand.
    pub(crate) callers: Arc<Callers>,
    /// Knows how looking them up goes.
    pub(crate) follower: Arc<Follower>,
    /// To other nodes of the store.
    pub(crate) channels: Channels,
    /// Who is who, and what a node signs with.
    pub(crate) auth: Auth,
    pub(crate) door: FrontDoor,
    /// Who tells others what happens; `None`: nobody is to be told.
    pub(crate) alerts: Option<Arc<Alerts>>,
    /// Where what is called is accounted for.
    pub(crate) accounts: Accounts,
    /// Cancelled when the server begins to stop: what waits ends then.
    pub(crate) draining: CancellationToken,
    /// Work that must come to its end before the server does.
    pub(crate) work: TaskTracker,
}

/// The metadata of a request that this node makes to another for `principal`.
pub(crate) fn marked(auth: &Auth, node: &str, path: &str, principal: &str) -> MetadataMap {
    let mut headers = http::HeaderMap::new();
    auth.mark(&mut headers, node, path, principal, false);
    MetadataMap::from_headers(headers)
}

impl Api {
    fn marked(&self, path: &str, principal: &str) -> MetadataMap {
        marked(&self.auth, self.coordinator.node(), path, principal)
    }

    /// Carries something out to its end, even if whoever waits for it goes away.
    async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.work.spawn(work).await.map_err(|_| Refusal::Broken)?
    }
}

/// All services, whose requests are counted. `is_shared`: other nodes may have a request's shard.
pub(crate) fn routes(
    api: &Api,
    limits: &LimitsConfig,
    health: HealthReporter,
    is_shared: bool,
    requests: Requests,
) -> Result<Routes, ReflectionSetup> {
    let max = |service| message_bytes_max(limits, service);
    let mut routes = Routes::builder();
    routes
        .add_service(SagasServer::new(api.clone()).max_decoding_message_size(max(SAGAS)))
        .add_service(OperationsServer::new(api.clone()).max_decoding_message_size(max(OPERATIONS)))
        .add_service(DefinitionsServer::new(api.clone()).max_decoding_message_size(max(DEFINITIONS)))
        .add_service(ParticipantsServer::new(api.clone()).max_decoding_message_size(max(PARTICIPANTS)))
        .add_service(ClusterServer::new(api.clone()).max_decoding_message_size(max(CLUSTER)))
        .add_service(BatchesServer::new(api.clone()).max_decoding_message_size(max(BATCHES)))
        .add_service(AuditServer::new(api.clone()).max_decoding_message_size(max(AUDIT)))
        .add_service(AlertsServer::new(api.clone()).max_decoding_message_size(max(ALERTS)))
        .add_service(HealthServer::new(HealthService::from_health_reporter(health)))
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    if is_shared {
        // Elsewhere there is no other node to hear, and nobody may pose as one.
        routes.add_service(PeersServer::new(api.clone()).max_decoding_message_size(PEER_BYTES_MAX));
    }
    let routes = routes.routes().into_axum_router();
    let entrance = Entrance::new(api, limits, is_shared, requests);
    Ok(routes.layer(from_fn_with_state(Arc::new(entrance), enter)).into())
}

/// What every request passes before its service. One layer of the router and not four: each costs every request a copy of all that is
/// behind it.
#[derive(Debug)]
struct Entrance {
    requests: Requests,
    gate: Gate,
    /// `None`: no other node may have a request's shard.
    forwarding: Option<Forwarding>,
    accounts: Accounts,
    /// Largest request that is accounted for.
    largest: usize,
}

impl Entrance {
    fn new(api: &Api, limits: &LimitsConfig, is_shared: bool, requests: Requests) -> Self {
        let forwarding = Forwarding {
            coordinator: api.coordinator.clone(),
            channels: api.channels.clone(),
            auth: api.auth.clone(),
            bytes_max: limits.message_bytes,
        };
        let gate = Gate {
            auth: api.auth.clone(),
            door: api.door.clone(),
            coordinator: api.coordinator.clone(),
            limits: limits.clone(),
            accounts: api.accounts.clone(),
        };
        Self {
            requests,
            gate,
            forwarding: is_shared.then_some(forwarding),
            accounts: api.accounts.clone(),
            largest: limits.message_bytes.max(REGISTRATION_BYTES_MAX),
        }
    }
}

async fn enter(State(entrance): State<Arc<Entrance>>, request: Request, next: Next) -> Response {
    let Entrance { requests, gate: keeper, forwarding, accounts, largest } = entrance.as_ref();
    // Behind the forwarding: the node that carries a request out accounts for it.
    let carry_out = |request| account(accounts, *largest, request, next.clone());
    count(requests, request, |request| {
        gate(keeper, request, move |request| async move {
            match forwarding {
                Some(forwarding) => forward(forwarding, request, carry_out).await,
                None => carry_out(request).await,
            }
        })
    })
    .await
}

/// Largest request that a service takes, by the name of the service.
pub(crate) fn message_bytes_max(limits: &LimitsConfig, service: &str) -> usize {
    match service {
        DEFINITIONS | PARTICIPANTS => REGISTRATION_BYTES_MAX,
        _ => limits.message_bytes,
    }
}

type ReflectionSetup = tonic_reflection::server::Error;

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(amends_proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// The limit of requests at the same time; all clones count together, whatever listener a request comes from.
pub(crate) fn bound(limits: &LimitsConfig) -> GlobalConcurrencyLimitLayer {
    GlobalConcurrencyLimitLayer::new(limits.requests)
}

/// The listener's side: limits per connection and for all of them together.
pub(crate) fn server(limits: &LimitsConfig, bound: GlobalConcurrencyLimitLayer) -> tonic::transport::Server<Bounded> {
    tonic::transport::Server::builder()
        .timeout(ANSWER_TIME_MAX)
        .max_concurrent_streams(limits.streams_per_connection)
        // Without max_connection_age_grace: with it, tonic 0.14 breaks connections off instead of closing them gently.
        .max_connection_age(limits.connection_age)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESET_STREAMS_MAX))
        .http2_max_local_error_reset_streams(Some(RESET_STREAMS_MAX))
        .http2_keepalive_interval(Some(KEEPALIVE))
        .load_shed(true)
        .layer(bound)
}

/// The limits that all connections share.
pub(crate) type Bounded = tower::layer::util::Stack<GlobalConcurrencyLimitLayer, tower::layer::util::Identity>;

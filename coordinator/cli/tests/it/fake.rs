//! A coordinator that gives canned answers and remembers what it was asked.

use std::sync::{Arc, Mutex};

use amends_proto::v1::alerts_server::{Alerts, AlertsServer};
use amends_proto::v1::audit_server::AuditServer;
use amends_proto::v1::batches_server::BatchesServer;
use amends_proto::v1::cluster_server::{Cluster, ClusterServer};
use amends_proto::v1::definitions_server::{Definitions, DefinitionsServer};
use amends_proto::v1::operations_server::{Operations, OperationsServer};
use amends_proto::v1::participants_server::{Participants, ParticipantsServer};
use amends_proto::v1::sagas_server::{Sagas, SagasServer};
use amends_proto::v1::*;
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::canned;
use crate::fake_audit::Broken;

/// Ends with its value, and the server with it.
pub(crate) struct Fake {
    address: String,
    answers: Answers,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Clone, Default)]
pub(crate) struct Answers {
    requests: Arc<Mutex<String>>,
    pub(crate) broken: Broken,
}

impl Fake {
    /// Listens on a free port of this machine.
    pub(crate) fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let answers = Answers::default();
        let server = tonic::transport::Server::builder()
            .add_service(SagasServer::new(answers.clone()))
            .add_service(OperationsServer::new(answers.clone()))
            .add_service(DefinitionsServer::new(answers.clone()))
            .add_service(ParticipantsServer::new(answers.clone()))
            .add_service(ClusterServer::new(answers.clone()))
            .add_service(AlertsServer::new(answers.clone()))
            .add_service(BatchesServer::new(answers.clone()))
            .add_service(AuditServer::new(answers.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        runtime.spawn(server);
        Self { address, answers, _runtime: runtime }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// From now on the audit log is one that somebody has tampered with.
    pub(crate) fn break_the_log(&self) {
        self.answers.broken.set();
    }

    /// One line of proto3 JSON per request.
    pub(crate) fn requests(&self) -> String {
        self.answers.requests.lock().expect("not poisoned").clone()
    }
}

pub(crate) type Answer<T> = Result<Response<T>, Status>;

impl Answers {
    pub(crate) fn note<T: serde::Serialize>(&self, method: &str, request: Request<T>) -> T {
        let bearer = request.metadata().get("authorization").map(|value| value.to_str().expect("text").to_owned());
        let bearer = bearer.map_or_else(String::new, |bearer| format!(" authorization: {bearer}"));
        let message = request.into_inner();
        let json = serde_json::to_string(&message).expect("proto3 JSON");
        *self.requests.lock().expect("not poisoned") += &format!("{method} {json}{bearer}\n");
        message
    }
}

fn find(id: &str) -> Result<Saga, Status> {
    canned::saga(id).ok_or_else(|| Status::not_found(format!("there is no saga {id:?} in namespace \"default\"")))
}

fn changed(id: &str) -> Answer<Saga> {
    find(id)?;
    Ok(Response::new(canned::running(id)))
}

#[tonic::async_trait]
impl Sagas for Answers {
    type WatchStream = std::pin::Pin<Box<dyn Stream<Item = Result<WatchSagaResponse, Status>> + Send>>;

    async fn start(&self, request: Request<StartSagaRequest>) -> Answer<Saga> {
        let request = self.note("Start", request);
        let id = if request.saga_id.is_empty() { "derived" } else { &request.saga_id };
        match (request.definition.as_str(), request.wait) {
            ("lost", _) => Err(Status::unavailable("the connection broke")),
            ("taken", _) => Err(Status::already_exists("saga order-1 has another input")),
            ("refunds", Some(_)) => Ok(Response::new(canned::compensated(id))),
            _ => Ok(Response::new(canned::running(id))),
        }
    }

    async fn get(&self, request: Request<GetSagaRequest>) -> Answer<Saga> {
        Ok(Response::new(find(&self.note("Get", request).saga_id)?))
    }

    async fn list(&self, request: Request<ListSagasRequest>) -> Answer<ListSagasResponse> {
        let request = self.note("List", request);
        let (ids, next) = match request.page_token.as_str() {
            "" => (["order-1001", "order-1002"].as_slice(), "page-2"),
            _ => (["order-1003"].as_slice(), ""),
        };
        let sagas = ids.iter().map(|id| Saga { input: None, steps: Vec::new(), ..find(id).expect("canned") }).collect();
        Ok(Response::new(ListSagasResponse { sagas, next_page_token: next.to_owned() }))
    }

    async fn list_history(&self, request: Request<ListHistoryRequest>) -> Answer<ListHistoryResponse> {
        self.note("ListHistory", request);
        let entries = canned::history().into_iter().rev().collect();
        Ok(Response::new(ListHistoryResponse { entries, next_page_token: String::new() }))
    }

    async fn watch(&self, request: Request<WatchSagaRequest>) -> Answer<Self::WatchStream> {
        let saga = find(&self.note("Watch", request).saga_id)?;
        let bare = Saga { steps: Vec::new(), ..saga };
        let history = canned::history();
        let (early, late) = history.split_at(2);
        let changes =
            [early, late].map(|entries| Ok(WatchSagaResponse { saga: Some(bare.clone()), entries: entries.to_vec() }));
        Ok(Response::new(Box::pin(tokio_stream::iter(changes))))
    }

    async fn cancel(&self, request: Request<CancelSagaRequest>) -> Answer<CancelSagaResponse> {
        let request = self.note("Cancel", request);
        let result = match request.saga_id.as_str() {
            "order-1003" => {
                return Err(Status::failed_precondition("saga order-1003 is completed: nothing can be cancelled"));
            }
            "order-1002" => CancelResult::Recorded,
            _ => CancelResult::Compensating,
        };
        Ok(Response::new(CancelSagaResponse { result: result.into(), saga: Some(find(&request.saga_id)?) }))
    }

    async fn complete_step(&self, request: Request<CompleteStepRequest>) -> Answer<CompleteStepResponse> {
        let request = self.note("CompleteStep", request);
        let result = match request.saga_id.as_str() {
            "order-1001" => CompletionResult::Late,
            _ => CompletionResult::Applied,
        };
        let saga = Some(canned::running(&request.saga_id));
        Ok(Response::new(CompleteStepResponse { result: result.into(), saga }))
    }

    async fn count(&self, request: Request<CountSagasRequest>) -> Answer<CountSagasResponse> {
        self.note("Count", request);
        Ok(Response::new(canned::counts()))
    }
}

#[tonic::async_trait]
impl Operations for Answers {
    async fn retry(&self, request: Request<RetrySagaRequest>) -> Answer<Saga> {
        changed(&self.note("Retry", request).saga_id)
    }

    async fn skip(&self, request: Request<SkipOperationRequest>) -> Answer<Saga> {
        changed(&self.note("Skip", request).saga_id)
    }

    async fn resolve(&self, request: Request<ResolveOperationRequest>) -> Answer<Saga> {
        changed(&self.note("Resolve", request).saga_id)
    }

    async fn force_stop(&self, request: Request<ForceStopSagaRequest>) -> Answer<Saga> {
        let request = self.note("ForceStop", request);
        match request.expected_revision {
            0 | 7 => changed(&request.saga_id),
            other => Err(Status::aborted(format!("saga {} is at revision 7, not {other}", request.saga_id))),
        }
    }

    async fn pause(&self, request: Request<PauseSagaRequest>) -> Answer<Saga> {
        changed(&self.note("Pause", request).saga_id)
    }

    async fn resume(&self, request: Request<ResumeSagaRequest>) -> Answer<Saga> {
        changed(&self.note("Resume", request).saga_id)
    }

    async fn acknowledge(&self, request: Request<AcknowledgeSagaRequest>) -> Answer<Saga> {
        changed(&self.note("Acknowledge", request).saga_id)
    }

    async fn repin(&self, request: Request<RepinSagaRequest>) -> Answer<Saga> {
        let request = self.note("Repin", request);
        match request.saga_id.as_str() {
            "order-1002" => Err(Status::failed_precondition(
                "it can't be moved to that version: step `charge`, which has begun, isn't there; the saga is running",
            )),
            id => changed(id),
        }
    }

    async fn reconcile(&self, request: Request<ReconcileSagaRequest>) -> Answer<ReconcileSagaResponse> {
        find(&self.note("Reconcile", request).saga_id)?;
        Ok(Response::new(canned::reconciled()))
    }
}

#[tonic::async_trait]
impl Definitions for Answers {
    async fn register(&self, request: Request<RegisterDefinitionRequest>) -> Answer<RegisterDefinitionResponse> {
        let request = self.note("Register", request);
        let finding = |severity: Severity, rule: &str, message: &str, help: &str| Finding {
            severity: severity.into(),
            rule: rule.to_owned(),
            message: message.to_owned(),
            help: help.to_owned(),
            line: 4,
            column: 5,
            step: "charge".to_owned(),
        };
        let warning = finding(Severity::Warning, "AM-L041", "the step's timeout is longer than the saga's", "");
        if !request.source.contains("broken") {
            let definition = Some(canned::definition());
            return Ok(Response::new(RegisterDefinitionResponse {
                definition,
                created: true,
                findings: vec![warning],
            }));
        }
        if request.dry_run {
            let error = finding(Severity::Error, "AM-L021", "there is no step \"reserve\"", "name a step above it");
            return Ok(Response::new(RegisterDefinitionResponse {
                findings: vec![error, warning],
                ..Default::default()
            }));
        }
        let details = ErrorDetails::with_bad_request_violation("4:5 AM-L021", "there is no step \"reserve\"");
        Err(Status::with_error_details(Code::InvalidArgument, "the definition has 1 error", details))
    }

    async fn get(&self, request: Request<GetDefinitionRequest>) -> Answer<Definition> {
        let version = self.note("Get", request).version;
        let source = match version {
            1 => canned::OLD_SOURCE,
            2 => canned::NEW_SOURCE,
            _ => "saga: checkout\nsteps: []\n",
        };
        Ok(Response::new(Definition { source: source.to_owned(), ..canned::definition() }))
    }

    async fn list_versions(
        &self,
        request: Request<ListDefinitionVersionsRequest>,
    ) -> Answer<ListDefinitionVersionsResponse> {
        self.note("ListVersions", request);
        let versions = canned::versions();
        Ok(Response::new(ListDefinitionVersionsResponse { versions, next_page_token: String::new() }))
    }

    async fn deprecate(&self, request: Request<DeprecateDefinitionRequest>) -> Answer<Definition> {
        let DeprecateDefinitionRequest { version, .. } = self.note("Deprecate", request);
        Ok(Response::new(Definition { version, ..canned::definition() }))
    }

    async fn list(&self, request: Request<ListDefinitionsRequest>) -> Answer<ListDefinitionsResponse> {
        self.note("List", request);
        let definitions = vec![canned::definition()];
        Ok(Response::new(ListDefinitionsResponse { definitions, next_page_token: String::new() }))
    }

    async fn pause(&self, request: Request<PauseDefinitionRequest>) -> Answer<Definition> {
        let reason = self.note("Pause", request).reason;
        let paused = Some(Hold { time: canned::days_ago(0), principal: "sre".to_owned(), reason });
        Ok(Response::new(Definition { paused, ..canned::definition() }))
    }

    async fn resume(&self, request: Request<ResumeDefinitionRequest>) -> Answer<Definition> {
        self.note("Resume", request);
        Ok(Response::new(canned::definition()))
    }
}

#[tonic::async_trait]
impl Participants for Answers {
    async fn put(&self, request: Request<PutParticipantRequest>) -> Answer<Participant> {
        let put = self.note("Put", request).participant.unwrap_or_default();
        Ok(Response::new(Participant { revision: 1, update_time: canned::days_ago(0), ..put }))
    }

    async fn get(&self, request: Request<GetParticipantRequest>) -> Answer<Participant> {
        Ok(Response::new(canned::participant(&self.note("Get", request).name)))
    }

    async fn set_limits(&self, request: Request<SetLimitsRequest>) -> Answer<Participant> {
        let set = self.note("SetLimits", request);
        let change = LimitsChange { time: canned::days_ago(2), principal: "ops".to_owned(), reason: set.reason };
        let changed = canned::participant(&set.name);
        let (limits, limits_change) = (set.limits, Some(change));
        Ok(Response::new(Participant { revision: 3, limits, limits_change, ..changed }))
    }

    async fn list(&self, request: Request<ListParticipantsRequest>) -> Answer<ListParticipantsResponse> {
        let request = self.note("List", request);
        let (name, next) = if request.page_token.is_empty() { ("inventory", "page-2") } else { ("payment", "") };
        let participants = vec![canned::participant(name)];
        Ok(Response::new(ListParticipantsResponse { participants, next_page_token: next.to_owned() }))
    }

    async fn register_endpoint(&self, _: Request<RegisterEndpointRequest>) -> Answer<RegisterEndpointResponse> {
        Err(Status::unimplemented("instances call it, the command line doesn't"))
    }

    async fn deregister_endpoint(&self, _: Request<DeregisterEndpointRequest>) -> Answer<DeregisterEndpointResponse> {
        Err(Status::unimplemented("instances call it, the command line doesn't"))
    }

    async fn pause(&self, request: Request<PauseParticipantRequest>) -> Answer<Participant> {
        Ok(Response::new(canned::participant(&self.note("Pause", request).name)))
    }

    async fn resume(&self, request: Request<ResumeParticipantRequest>) -> Answer<Participant> {
        Ok(Response::new(canned::participant(&self.note("Resume", request).name)))
    }
}

#[tonic::async_trait]
impl Cluster for Answers {
    async fn list_nodes(&self, request: Request<ListNodesRequest>) -> Answer<ListNodesResponse> {
        self.note("ListNodes", request);
        Ok(Response::new(ListNodesResponse { nodes: canned::nodes() }))
    }

    async fn list_shards(&self, request: Request<ListShardsRequest>) -> Answer<ListShardsResponse> {
        self.note("ListShards", request);
        Ok(Response::new(ListShardsResponse { shards: canned::shards() }))
    }

    async fn drain_node(&self, request: Request<DrainNodeRequest>) -> Answer<Node> {
        let message = self.note("DrainNode", request);
        if message.node == "node-a" {
            let why = "no other node could take its shards: start one first, or stop this one";
            return Err(Status::failed_precondition(why));
        }
        let node = canned::nodes().into_iter().find(|node| node.name == message.node).expect("a canned one");
        Ok(Response::new(Node { state: NodeState::Draining.into(), shards: 0, ..node }))
    }

    async fn get_store(&self, request: Request<GetStoreRequest>) -> Answer<StoreState> {
        self.note("GetStore", request);
        Err(Status::unimplemented("not built yet"))
    }
}

#[tonic::async_trait]
impl Alerts for Answers {
    async fn list_webhooks(&self, request: Request<ListWebhooksRequest>) -> Answer<ListWebhooksResponse> {
        self.note("ListWebhooks", request);
        Ok(Response::new(ListWebhooksResponse { webhooks: canned::webhooks(), node: "node-a".to_owned() }))
    }

    async fn test_webhook(&self, request: Request<TestWebhookRequest>) -> Answer<TestWebhookResponse> {
        let delivered = request.get_ref().webhook == "pager";
        self.note("TestWebhook", request);
        let error = if delivered { String::new() } else { "it answered 404 Not Found".to_owned() };
        Ok(Response::new(TestWebhookResponse { delivered, error, node: "node-a".to_owned() }))
    }
}

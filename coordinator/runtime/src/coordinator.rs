//! The handle through which everything outside asks the runtime for something. Cheap to clone.
//!
//! It resolves names, checks what comes in and sends it to the shard's owner; it never changes a saga itself. Invariants: a
//! request is acknowledged only after its commit; reads come from the store, so that they never show what isn't durable.
//! Requests run to their end even if the caller goes away, because the owner carries them out, not the caller.

mod auditing;
mod batches;
mod moving;
mod protection;
mod reconcile;
mod search;
mod waiting;

pub(crate) use batches::Previewed;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use amends_definition::Compiled;
use amends_engine::event::{Event, Finding, Verdict};
use amends_engine::ids::{DefinitionName, Namespace, Operation, SagaKey, StepIndex, StepName, Version};
use amends_engine::outcome::Why;
use amends_engine::payload::Payload;
use amends_engine::saga::{By, OperationStatus, SagaHead};
use amends_engine::standing::StatusWord;
use amends_store::{Cursor, Filter, ListedSaga, Page, ShardId, Store, shard_of};
use tokio::sync::{mpsc, oneshot, watch};

use crate::cluster::{Cluster, Place, Word};
use crate::config::RuntimeConfig;
use crate::definitions::Definitions;
use crate::error::{RequestError, UnreadableSaga, with_sources};
use crate::floor::Floor;
use crate::holds::Holds;
use crate::participant::protection::Protection;
use crate::participant::{Directory, ParticipantCaller};
use crate::seam::Seams;
use crate::shard::{Request, Rest, StartRequest, Waits};
use crate::snapshot::Snapshot;
use crate::stored::{Revived, revive, revive_state};
use crate::telemetry::{Telemetry, TraceContext};

pub use reconcile::{Reconciled, Said};
pub use waiting::Awaited;

/// How a shard that has too much to do asks for patience.
const OVERLOAD_RETRY: Duration = Duration::from_millis(500);

/// What a caller gives to start a saga.
#[derive(Debug, Clone)]
pub struct Start {
    /// Namespace and id.
    pub key: SagaKey,
    /// Which definition.
    pub definition: DefinitionName,
    /// Which version; the newest when absent.
    pub version: Option<Version>,
    /// JSON bytes.
    pub input: Payload,
    /// The caller's labels; the definition's own win.
    pub labels: Vec<(String, String)>,
    /// Who starts it.
    pub principal: String,
    /// The W3C trace context to continue; empty when there is none.
    pub traceparent: String,
}

/// What an operator or participant asks of one operation, by name.
#[derive(Debug, Clone)]
pub enum Ask {
    /// Turn back.
    Cancel,
    /// Fresh attempts, of one step or of all that is stuck or waiting.
    Retry {
        /// Only this step.
        step: Option<StepName>,
    },
    /// Do without an operation; whichever is stuck when none is named.
    Skip {
        /// The step.
        step: StepName,
        /// The operation.
        operation: Option<Operation>,
    },
    /// State a fact; about whichever operation is stuck when none is named.
    Resolve {
        /// The step.
        step: StepName,
        /// The operation.
        operation: Option<Operation>,
        /// The fact.
        finding: Finding,
    },
    /// Stop here.
    ForceStop,
    /// Start nothing more.
    Pause,
    /// Go on.
    Resume,
    /// Somebody looks after what is stuck.
    Acknowledge,
    /// What became of a pending operation.
    CompleteSucceeded {
        /// The step.
        step: StepName,
        /// The operation.
        operation: Operation,
        /// Its output.
        output: Payload,
    },
    /// What became of a pending operation.
    CompleteRejected {
        /// The step.
        step: StepName,
        /// The operation.
        operation: Operation,
        /// Why.
        why: Why,
    },
}

/// The answer to a request that changed something, or found that it was so already.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The saga after it.
    pub snapshot: Arc<Snapshot>,
    /// False when nothing had to change: a repeat.
    pub changed: bool,
}

/// A saga in a list.
#[derive(Debug, Clone)]
pub enum Listed {
    /// As it was last committed, without payloads.
    Saga(Arc<Snapshot>),
    /// It can't be read.
    Unreadable {
        /// Which, and why.
        saga: UnreadableSaga,
        /// The status word of its last commit.
        status: String,
    },
}

/// A commit that somebody waits for.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The revision that it made.
    pub revision: u64,
    /// The saga as it made it, where it has ended or is stuck.
    pub at_rest: Option<Arc<Snapshot>>,
}

/// Whether nothing moves a saga with this status but a person, or nothing at all.
pub(crate) fn rests(status: StatusWord) -> bool {
    match status {
        StatusWord::Stuck | StatusWord::Completed | StatusWord::Compensated | StatusWord::ForceStopped => true,
        StatusWord::Running | StatusWord::Confirming | StatusWord::Compensating | StatusWord::Paused => false,
    }
}

/// The runtime's front.
#[derive(Debug, Clone)]
pub struct Coordinator {
    inner: Arc<CoordinatorParts>,
}

/// What the handle works with.
#[derive(Debug)]
pub(crate) struct CoordinatorParts {
    pub(crate) config: RuntimeConfig,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) definitions: Definitions,
    pub(crate) directory: Arc<Directory>,
    pub(crate) protection: Arc<Protection>,
    pub(crate) holds: Arc<Holds>,
    pub(crate) floor: Arc<Floor>,
    pub(crate) caller: Arc<dyn ParticipantCaller>,
    pub(crate) seams: Seams,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) shards: Vec<mpsc::Sender<Request>>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) batches: Arc<crate::batch::Nudge>,
}

impl Coordinator {
    pub(crate) fn new(parts: CoordinatorParts) -> Self {
        Self { inner: Arc::new(parts) }
    }

    /// Where a saga's shard is, as this node knows it.
    pub fn place(&self, key: &SagaKey) -> Place {
        self.inner.cluster.table.place(self.shard_of(key))
    }

    /// Told whenever a shard may be somewhere else than before.
    pub fn placing(&self) -> watch::Receiver<u64> {
        self.inner.cluster.table.changes()
    }

    /// Where one shard is.
    pub fn place_of(&self, shard: ShardId) -> Place {
        self.inner.cluster.table.place(shard)
    }

    /// Looks at once where shards are.
    pub fn look(&self) {
        self.inner.cluster.look();
    }

    /// Whether another node could take what this one gives back.
    pub fn has_heir(&self) -> bool {
        self.inner.cluster.table.has_heir()
    }

    /// How long a node may be silent before the others take it for dead.
    pub fn silence(&self) -> Duration {
        self.inner.config.lease
    }

    /// Gives back every shard; done when none is held any more. Requests are still taken, for other nodes. Only a restart ends
    /// it.
    pub async fn drain(&self) {
        let cluster = &self.inner.cluster;
        let mut changes = cluster.table.changes();
        cluster.leave();
        while cluster.table.holds_any() {
            // It can't be closed: the table is here.
            let _ = changes.changed().await;
        }
        // They needn't wait for their next heartbeat, and send nothing more to this node.
        cluster.announce().await;
    }

    /// Another node has said something: takes it in, and gives this node's word.
    pub fn hear(&self, word: Word) -> Word {
        let cluster = &self.inner.cluster;
        if word.news {
            self.inner.definitions.look_again();
        }
        cluster.hear(word);
        cluster.word(false)
    }

    /// Tells every other node that something was registered, and waits until each has heard it or can't be reached: that one
    /// finds it with its next heartbeat.
    pub async fn announce(&self) {
        self.inner.cluster.announce().await;
    }

    /// This node's name.
    pub fn node(&self) -> &str {
        &self.inner.config.node
    }

    fn shard_of(&self, key: &SagaKey) -> ShardId {
        shard_of(key, u16::try_from(self.inner.shards.len()).unwrap_or(u16::MAX))
    }

    /// The store behind it, for reads and registrations.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// The compiled definitions.
    pub fn definitions(&self) -> &Definitions {
        &self.inner.definitions
    }

    /// Where participants are found; to be told of every registration.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.inner.directory
    }

    /// Clock and randomness.
    pub fn seams(&self) -> &Seams {
        &self.inner.seams
    }

    /// Starts a saga, durably. The same key, definition name and input give the saga that is there already, unchanged.
    pub async fn start(&self, start: Start) -> Result<Answered, RequestError> {
        self.start_telling(start, None).await
    }

    /// [`Self::start`] for whoever waits for the saga's end: they are woken once, not at every commit.
    pub async fn start_awaited(&self, start: Start) -> Result<(Answered, Awaited), RequestError> {
        let (rest, resting) = oneshot::channel();
        let (coordinator, key) = (self.clone(), start.key.clone());
        let answered = self.start_telling(start, Some(rest)).await?;
        Ok((answered, Awaited { coordinator, key, resting }))
    }

    async fn start_telling(&self, start: Start, rest: Option<Rest>) -> Result<Answered, RequestError> {
        let limit = self.inner.config.input_bytes_max;
        if start.input.bytes.len() > limit {
            let size = start.input.bytes.len();
            return Err(RequestError::BadInput(format!("the input has {size} bytes; at most {limit} are allowed")));
        }
        let chosen = self.inner.definitions.for_start(&start.key.namespace, &start.definition, start.version).await;
        let compiled = match chosen {
            Ok(compiled) => compiled,
            // The saga that it has made already runs on.
            Err(error @ RequestError::Deprecated { .. }) => return self.repeated(&start).await.ok_or(error),
            Err(error) => return Err(error),
        };
        let (input, labels) = match check_start(&start, &compiled) {
            Ok(checked) => checked,
            // A newer version may ask for more; a saga that is there already stays on the one that it began with.
            Err(error) => return self.repeated(&start).await.ok_or(error),
        };
        let head = Arc::new(SagaHead {
            key: start.key.clone(),
            definition: start.definition,
            version: compiled.engine().version(),
            input: start.input.digest(),
            labels,
            principal: start.principal,
            traceparent: self.traced(&start.key, start.traceparent),
        });
        let (reply, answer) = oneshot::channel();
        let request = StartRequest { head, compiled, value: input, input: start.input, reply, rest };
        self.send(&start.key, Request::Start(Box::new(request)))?;
        wait_for(answer).await
    }

    /// The trace that a saga belongs to: its caller's, else one of its own where traces are collected.
    fn traced(&self, key: &SagaKey, given: String) -> String {
        match self.trace_of(key) {
            Some(own) if given.is_empty() => own.to_string(),
            _ => given,
        }
    }

    /// The trace of a saga that nobody gave one; `None` where no traces are collected. The same on every node of a store.
    pub fn trace_of(&self, key: &SagaKey) -> Option<TraceContext> {
        let inner = &self.inner;
        inner.telemetry.spans.as_ref().map(|_| TraceContext::of_saga(&inner.store.info().id, key))
    }

    /// What this node tells about itself.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.inner.telemetry
    }

    /// What the sagas in a shard's memory wait for; asked of its owner, which walks them. `None` where the shard isn't here or
    /// has too much to do.
    pub async fn waits_in(&self, shard: ShardId) -> Option<Waits> {
        if self.place_of(shard) != Place::Here {
            return None;
        }
        let (reply, answer) = oneshot::channel();
        self.inner.shards.get(usize::from(shard.0))?.try_send(Request::Waits(reply)).ok()?;
        answer.await.ok()
    }

    /// The saga that this start has made already, if it has.
    async fn repeated(&self, start: &Start) -> Option<Answered> {
        let snapshot = self.get(&start.key).await.ok()?;
        let head = &snapshot.saga.state.head;
        let same = head.definition == start.definition && head.input == start.input.digest();
        same.then_some(Answered { snapshot, changed: false })
    }

    /// One saga as it was last committed.
    pub async fn get(&self, key: &SagaKey) -> Result<Arc<Snapshot>, RequestError> {
        let stored = self.inner.store.get(key).await?.ok_or_else(|| match self.place(key) {
            // It may be among what the store has lost: that it never was can't be said.
            Place::Frozen(lost) => RequestError::Frozen(lost),
            Place::Here | Place::At { .. } | Place::Nowhere => RequestError::NoSuchSaga(key.clone()),
        })?;
        let Revived { saga, payloads, .. } = revive(&self.inner.definitions, stored).await?;
        Ok(Arc::new(Snapshot { saga, payloads }))
    }

    /// Sagas that match, newest start first, without payloads.
    pub async fn list(
        &self,
        filter: &Filter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<Listed>, RequestError> {
        let page = self.inner.store.list(filter, after, limit).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for ListedSaga { key, revision, state, status } in page.items {
            items.push(match revive_state(&self.inner.definitions, &key, revision, &state).await {
                Ok((saga, _)) => Listed::Saga(Arc::new(Snapshot { saga, payloads: BTreeMap::new() })),
                Err(RequestError::UnreadableSaga(saga)) => Listed::Unreadable { saga, status },
                Err(error) => return Err(error),
            });
        }
        Ok(Page { items, next: page.next })
    }

    /// Asks something of a saga. Answered after its commit.
    pub async fn ask(
        &self,
        key: &SagaKey,
        ask: Ask,
        by: By,
        expected_revision: Option<u64>,
    ) -> Result<Answered, RequestError> {
        let snapshot = self.get(key).await?;
        let ticket = self.ticket(key, &ask, &by);
        let event = self.event_of(&snapshot, ask, by)?;
        let (reply, answer) = oneshot::channel();
        let request = Request::Ask { key: key.clone(), event, expected_revision, reply, ticket };
        self.send(key, request)?;
        wait_for(answer).await
    }

    /// Notice of every commit of a saga from now on, beginning with the last one where its owner has it in memory. Subscribe first and read second, so that no
    /// change between the two is missed.
    pub async fn watch(&self, key: &SagaKey) -> Result<watch::Receiver<Option<Progress>>, RequestError> {
        let (reply, answer) = oneshot::channel();
        self.send(key, Request::Watch { key: key.clone(), reply })?;
        answer.await.map_err(|_| gone())
    }

    fn send(&self, key: &SagaKey, request: Request) -> Result<(), RequestError> {
        let shard = self.shard_of(key);
        match self.inner.cluster.table.place(shard) {
            Place::Here => {}
            Place::At { .. } | Place::Nowhere => return Err(RequestError::Elsewhere(key.clone())),
            Place::Frozen(lost) => return Err(RequestError::Frozen(lost)),
        }
        let queue = self.inner.shards.get(usize::from(shard.0)).ok_or_else(gone)?;
        queue.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => RequestError::Overloaded { retry_after: OVERLOAD_RETRY },
            mpsc::error::TrySendError::Closed(_) => gone(),
        })
    }

    fn event_of(&self, snapshot: &Snapshot, ask: Ask, by: By) -> Result<Event, RequestError> {
        let find = |step: &StepName| find_step(snapshot, step);
        Ok(match ask {
            Ask::Cancel => Event::Cancel(by),
            Ask::Retry { step: None } => Event::Retry { step: None, by },
            Ask::Retry { step: Some(step) } => Event::Retry { step: Some(find(&step)?), by },
            Ask::Skip { step, operation } => {
                let step = find(&step)?;
                Event::Skip { step, operation: operation.unwrap_or_else(|| stuck_operation(snapshot, step)), by }
            }
            Ask::Resolve { step, operation, finding } => {
                let step = find(&step)?;
                let operation = operation.unwrap_or_else(|| stuck_operation(snapshot, step));
                Event::Resolve { step, operation, finding, by }
            }
            Ask::ForceStop => Event::ForceStop(by),
            Ask::Pause => Event::Pause(by),
            Ask::Resume => Event::Resume(by),
            Ask::Acknowledge => Event::Acknowledge(by),
            Ask::CompleteSucceeded { step, operation, output } => {
                self.called_back(snapshot, find(&step)?, operation, Verdict::Succeeded(output), by)
            }
            Ask::CompleteRejected { step, operation, why } => {
                let index = find(&step)?;
                let last_word = self.refusals_final(snapshot, index);
                self.called_back(snapshot, index, operation, Verdict::Rejected { why, last_word }, by)
            }
        })
    }

    fn refusals_final(&self, snapshot: &Snapshot, step: StepIndex) -> bool {
        let namespace = &snapshot.saga.state.head.key.namespace;
        let participant = &snapshot.saga.definition.step(step).participant;
        self.inner.directory.get(namespace, participant).is_some_and(|registration| registration.refusals_final)
    }

    fn called_back(
        &self,
        snapshot: &Snapshot,
        step: StepIndex,
        operation: Operation,
        verdict: Verdict,
        by: By,
    ) -> Event {
        let failures = snapshot.saga.operation(step, operation).failures;
        let policy = snapshot.saga.definition.policy(step, operation);
        let retry_after = policy.map_or(OVERLOAD_RETRY, |policy| {
            crate::retry::delay(policy, failures.saturating_add(1), None, self.inner.seams.unit())
        });
        Event::CalledBack { step, operation, verdict, retry_after, by }
    }
}

fn find_step(snapshot: &Snapshot, step: &StepName) -> Result<StepIndex, RequestError> {
    snapshot.saga.definition.find(step).ok_or_else(|| RequestError::NoSuchStep(step.to_string()))
}

/// The operation of a step that a person most likely means: the one that is stuck, else the one that waits.
fn stuck_operation(snapshot: &Snapshot, step: StepIndex) -> Operation {
    let operations = [Operation::Compensate, Operation::Confirm, Operation::Action];
    let state = |operation: &Operation| snapshot.saga.operation(step, *operation).status;
    let stuck = operations.iter().find(|operation| matches!(state(operation), OperationStatus::Stuck { .. }));
    let waiting = || {
        operations.iter().find(|operation| {
            matches!(state(operation), OperationStatus::Retry { .. } | OperationStatus::Pending { .. })
        })
    };
    stuck.or_else(waiting).copied().unwrap_or(Operation::Action)
}

/// An input as expressions see it, and labels.
type Checked = (serde_json::Value, Vec<(String, String)>);

/// Checks the input against the definition's schema, and gives it with the labels: the caller's, and the definition's, which win.
fn check_start(start: &Start, compiled: &Compiled) -> Result<Checked, RequestError> {
    let bad = |error: &dyn std::error::Error| RequestError::BadInput(with_sources(error));
    let input = compiled.check_input(&start.input.bytes).map_err(|error| bad(&error))?;
    let own = compiled.labels(&input).map_err(|error| bad(&error))?;
    let mut labels: BTreeMap<String, String> = start.labels.iter().cloned().collect();
    labels.extend(own);
    Ok((input, labels.into_iter().collect()))
}

async fn wait_for(answer: oneshot::Receiver<Result<Answered, RequestError>>) -> Result<Answered, RequestError> {
    answer.await.map_err(|_| gone())?
}

fn gone() -> RequestError {
    RequestError::Unavailable("this node is stopping, or has just lost the saga's shard".to_owned())
}

/// The namespace that a request means.
pub fn namespace_or_default(text: &str) -> Result<Namespace, amends_engine::ids::InvalidName> {
    if text.is_empty() { Ok(Namespace::default_namespace()) } else { Namespace::parse(text) }
}

//! A saga in its owner's memory.
//!
//! Only data and its bookkeeping. Invariant: `saga` and `payloads` are what the store has; what a commit under way will make of
//! them is in `staged` and is seen by nobody before it is durable. One commit of a saga is under way at a time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use amends_definition::Compiled;
use amends_engine::event::Event;
use amends_engine::ids::{Operation, StepIndex};
use amends_engine::payload::{Payload, PayloadKey};
use amends_engine::saga::Saga;
use amends_engine::standing;
use amends_engine::time::Timestamp;

use crate::alerts::Written;
use crate::audit::Ticket;
use crate::coordinator::{Answered, Progress, rests};
use crate::definitions::Definitions;
use crate::error::RequestError;
use crate::seam::Running;
use crate::snapshot::Snapshot;

use super::admission::Admissions;
use super::turn::{Admit, Change, Step};
use super::{Reply, Rest, StartRequest};

/// Names one call: step, operation, attempt.
pub(crate) type CallId = (StepIndex, Operation, u32);

/// Something to be done to a saga once no commit of it is under way.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all work is of the large kind; a box would only cost an allocation"
)]
#[derive(Debug)]
pub(crate) enum Work {
    /// Apply an event.
    Apply {
        /// The event.
        event: Event,
        /// Only at this revision.
        expected_revision: Option<u64>,
        /// Who waits.
        reply: Option<Reply>,
        /// The call that the audit log has to tell of.
        ticket: Option<Arc<Ticket>>,
    },
    /// Somebody starts a saga that is there already, or just begun: compare, and answer.
    Start(Box<StartRequest>),
}

impl Work {
    /// Work that nobody waits for.
    pub(crate) fn event(event: Event) -> Self {
        Self::Apply { event, expected_revision: None, reply: None, ticket: None }
    }

    /// Timers come after answers that are already here (semantics A13).
    pub(crate) fn is_timer(&self) -> bool {
        matches!(self, Self::Apply { event: Event::Due, .. })
    }

    /// The call whose answer this is.
    pub(crate) fn call(&self) -> Option<CallId> {
        match self {
            Self::Apply { event: Event::Answered { step, operation, attempt, .. }, .. } => {
                Some((*step, *operation, *attempt))
            }
            Self::Apply { .. } | Self::Start(_) => None,
        }
    }

    /// Tells whoever waits that it can't be done.
    pub(crate) fn refuse(self, error: impl FnOnce() -> RequestError) {
        let reply = match self {
            Self::Apply { reply, .. } => reply,
            Self::Start(start) => Some(start.reply),
        };
        if let Some(reply) = reply {
            // Whoever waited may have gone away; then nobody needs the answer.
            let _ = reply.send(Err(error()));
        }
    }
}

/// A change whose commit is under way.
#[derive(Debug)]
pub(crate) struct Staged {
    /// What the saga becomes.
    pub(crate) saga: Saga,
    /// Payloads that go with it.
    pub(crate) payloads: Vec<(PayloadKey, Payload)>,
    /// What led to it; done again from the store's state should the commit be stale.
    pub(crate) works: Vec<Work>,
    /// Whether it is the saga's first commit.
    pub(crate) is_start: bool,
    /// Steps of which a reply differed from the first one.
    pub(crate) differing: Vec<StepIndex>,
    /// Whether its commit holds entries of the audit log.
    pub(crate) is_audited: bool,
    /// What others are told once it is durable.
    pub(crate) written: Option<Written>,
    /// The version of its definition that it moves to.
    pub(crate) moved: Option<Arc<Compiled>>,
}

/// What became of one piece of work within a turn.
#[derive(Debug)]
pub(super) enum Tried {
    /// It is done, or was so already.
    Done(Work),
    /// It makes no sense.
    Refused(Work, RequestError),
}

/// A saga in memory.
#[derive(Debug)]
pub(crate) struct Resident {
    /// The saga as it is in the store. Before its first commit: as it was begun.
    pub(crate) saga: Saga,
    /// Its definition, compiled.
    pub(crate) compiled: Arc<Compiled>,
    /// Its payloads.
    pub(crate) payloads: BTreeMap<PayloadKey, Payload>,
    /// Input and outputs as values, for expressions; filled when first needed.
    pub(crate) values: Values,
    /// The change under way.
    pub(crate) staged: Option<Box<Staged>>,
    /// What waits for it.
    pub(crate) queue: VecDeque<Work>,
    /// Calls that were started and whose answer isn't durable yet.
    pub(crate) calls: BTreeMap<CallId, Running>,
    /// Its place among the owner's timers.
    pub(crate) timer: Option<Timestamp>,
    /// What it may call, and what it waits for.
    pub(crate) admissions: Admissions,
    /// Who has waited for its end since its start.
    pub(crate) awaited: Option<Rest>,
}

/// Parsed payloads.
#[derive(Debug, Default)]
pub(crate) struct Values {
    /// The input.
    pub(crate) input: serde_json::Value,
    /// Whether `input` has been parsed.
    pub(crate) has_input: bool,
    /// Outputs of actions.
    pub(crate) outputs: BTreeMap<StepIndex, serde_json::Value>,
}

impl Values {
    /// An input that was read already.
    pub(crate) fn take_input(&mut self, input: serde_json::Value) {
        (self.input, self.has_input) = (input, true);
    }
}

impl Resident {
    /// A saga that isn't committing and has nothing queued.
    pub(crate) fn new(saga: Saga, compiled: Arc<Compiled>, payloads: BTreeMap<PayloadKey, Payload>) -> Self {
        Self {
            saga,
            compiled,
            payloads,
            values: Values::default(),
            staged: None,
            queue: VecDeque::new(),
            calls: BTreeMap::new(),
            timer: None,
            admissions: Admissions::default(),
            awaited: None,
        }
    }

    /// The version that a change moves the saga to, where it does. Whoever asked for it has had it compiled.
    pub(crate) fn moved_to(&self, change: &Change, definitions: &Definitions) -> Option<Arc<Compiled>> {
        let (head, at) = (&change.saga.state.head, self.compiled.engine().version());
        (head.version != at)
            .then(|| definitions.compiled(&head.key.namespace, &head.definition, head.version))
            .flatten()
    }

    /// The move is durable. What expressions have read was put together for the old version.
    pub(crate) fn moves(&mut self, to: Option<Arc<Compiled>>) {
        if let Some(compiled) = to {
            (self.compiled, self.values) = (compiled, Values::default());
        }
    }

    /// The saga as it is in the store, for whoever asks.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::new(Snapshot { saga: self.saga.clone(), payloads: self.payloads.clone() })
    }

    /// What is told to whoever watches; nothing before the first commit.
    pub(crate) fn progress(&self) -> Option<Progress> {
        let revision = self.saga.state.revision;
        let at_rest = rests(standing::status(&self.saga)).then(|| self.snapshot());
        (revision > 0).then_some(Progress { revision, at_rest })
    }

    /// Tells whoever has waited since the start, where the saga has ended or is stuck.
    pub(crate) fn tell_at_rest(&mut self) {
        if self.awaited.is_some()
            && rests(standing::status(&self.saga))
            && let Some(awaited) = self.awaited.take()
        {
            // Whoever waited may have gone away; then nobody needs it.
            let _ = awaited.send(self.snapshot());
        }
    }

    /// Answers somebody with the saga as it is in the store.
    pub(crate) fn answer(&self, reply: Reply, changed: bool) {
        // Whoever waited may have gone away; then nobody needs the answer.
        let _ = reply.send(Ok(Answered { snapshot: self.snapshot(), changed }));
    }

    /// Answers a start: the saga that it made, the same saga where it is a repeat, or a refusal.
    pub(crate) fn answer_start(&self, start: StartRequest, created: bool) {
        let head = &self.saga.state.head;
        let difference = if head.definition != start.head.definition {
            "definition"
        } else if head.input != start.head.input {
            "input"
        } else {
            return self.answer(start.reply, created);
        };
        let _ = start.reply.send(Err(RequestError::AlreadyExists { key: head.key.clone(), difference }));
    }

    /// Applies one piece of work to a change in the making.
    pub(super) fn apply(&self, change: &mut Change, work: Work, now: Timestamp, admit: Admit<'_>) -> Tried {
        let Work::Apply { event, expected_revision, .. } = &work else { return Tried::Done(work) };
        let found = change.revision();
        if let Some(expected) = expected_revision.filter(|expected| *expected != found) {
            return Tried::Refused(work, RequestError::RevisionMoved { expected, found });
        }
        let step = change.apply(event, now, admit);
        match step {
            Step::Changed | Step::Same => Tried::Done(work),
            Step::Refused(error) => {
                tracing::debug!(saga = %self.saga.state.head.key, %error, "refused");
                Tried::Refused(work, RequestError::Illegal(error))
            }
        }
    }

    /// Answers whoever waited for this work.
    pub(super) fn done(&mut self, work: Work, changed: bool, is_start: bool) {
        self.is_heard(&work);
        match work {
            Work::Apply { reply: Some(reply), .. } => self.answer(reply, changed),
            Work::Apply { reply: None, .. } => {}
            Work::Start(start) => self.answer_start(*start, is_start),
        }
    }

    /// If this was a call's answer, the call is over: not before the answer is durable, since until then the committed state
    /// still asks for the call, and would have it made a second time.
    pub(super) fn is_heard(&mut self, work: &Work) {
        if let Some(call) = work.call() {
            self.calls.remove(&call);
        }
    }
}

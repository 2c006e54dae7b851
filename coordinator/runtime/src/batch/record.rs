//! The records of a batch as they are stored: protobuf with a format number.
//!
//! ```text
//!   batch           <namespace>,<id>                    Head: what, who, why, where it stands, the first sagas, the calls
//!   batch-part      <namespace>,<id>,i,<shard>,<part>   Part: items, in the order of the plan
//!   batch-part      <namespace>,<id>,p,<shard>          Count: how many items of a shard are settled
//!   batch-running   <namespace>,<id>                    empty: somebody should work on it
//! ```
//!
//! A newer format than this program knows is refused, never guessed at. Invariant: a number in an enum or tag never changes its
//! meaning; the counts are derived from the parts, which are the truth.

use amends_engine::ids::{Namespace, Operation, SagaId, SagaKey};
use amends_engine::time::Timestamp;
use bytes::Bytes;
use prost::{Enumeration, Message};

use super::action::{Action, ActionRecord, of_tag};

const FORMAT: u32 = 1;

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum Status {
    /// Its items are still being written; shown to nobody.
    Draft = 0,
    /// Nothing was done yet.
    Planned = 1,
    /// It is being carried out.
    Running = 2,
    /// Somebody stopped it.
    Stopped = 3,
    /// Every saga was reached.
    Done = 4,
    /// It was never applied in its time. Never stored: a plan's time says it.
    Expired = 5,
}

impl Status {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft | Self::Planned => "planned",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Done => "done",
            Self::Expired => "expired",
        }
    }
}

/// What became of one saga of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum ItemStatus {
    /// Its turn hasn't come.
    Waiting = 0,
    /// It was done.
    Done = 1,
    /// The saga had moved since it was planned: nothing was done.
    Moved = 2,
    /// The saga isn't in a state in which this makes sense: nothing was done.
    Refused = 3,
}

/// One call that a batch leads to.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ItemCall {
    /// The step.
    #[prost(string, tag = "1")]
    pub step: String,
    /// The number of the operation; see [`ItemCall::operation`].
    #[prost(uint32, tag = "2")]
    pub(crate) operation: u32,
    /// The participant.
    #[prost(string, tag = "3")]
    pub participant: String,
    /// The method as the definition names it.
    #[prost(string, tag = "4")]
    pub method: String,
}

impl ItemCall {
    /// The operation.
    pub fn operation(&self) -> Operation {
        of_tag(self.operation).unwrap_or(Operation::Action)
    }

    /// Under which key the participant knows the call: `Call::idempotency_key` of the call to be.
    pub fn idempotency_key(&self, saga: &SagaKey) -> String {
        format!("{saga}/{}/{}", self.step, self.operation())
    }
}

/// One saga of a batch.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Item {
    /// The saga.
    #[prost(string, tag = "1")]
    pub saga_id: String,
    /// The revision at which it was planned.
    #[prost(uint64, tag = "2")]
    pub revision: u64,
    /// What became of it; see [`ItemStatus`].
    #[prost(enumeration = "ItemStatus", tag = "3")]
    pub(crate) state: i32,
    /// Why it was left alone or is going to be refused; empty otherwise.
    #[prost(string, tag = "4")]
    pub message: String,
    /// The calls that it leads to at once.
    #[prost(message, repeated, tag = "5")]
    pub calls: Vec<ItemCall>,
}

impl Item {
    /// What became of it.
    pub fn status(&self) -> ItemStatus {
        ItemStatus::try_from(self.state).unwrap_or(ItemStatus::Waiting)
    }

    /// The saga that it is about, of this tenant.
    pub fn key(&self, namespace: &Namespace) -> Option<SagaKey> {
        Some(SagaKey { namespace: namespace.clone(), id: SagaId::parse(&self.saga_id).ok()? })
    }

    pub(crate) fn settle(&mut self, status: ItemStatus, message: String) {
        self.state = status.into();
        self.message = message;
    }
}

/// Items of one shard, a bounded number of them.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Part {
    #[prost(message, repeated, tag = "1")]
    pub(crate) items: Vec<Item>,
}

/// How many items of a shard are settled, and how.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Count {
    #[prost(uint64, tag = "1")]
    pub(crate) done: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) moved: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) refused: u64,
}

impl Count {
    pub(crate) fn of(items: &[Item]) -> Self {
        let many = |status| items.iter().filter(|item| item.status() == status).count() as u64;
        Self { done: many(ItemStatus::Done), moved: many(ItemStatus::Moved), refused: many(ItemStatus::Refused) }
    }

    pub(crate) fn settled(self) -> u64 {
        self.done + self.moved + self.refused
    }

    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self { done: self.done + other.done, moved: self.moved + other.moved, refused: self.refused + other.refused }
    }
}

/// Calls of one kind.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CallCount {
    /// One of them, without its step.
    #[prost(message, required, tag = "1")]
    pub call: ItemCall,
    /// How many.
    #[prost(uint64, tag = "2")]
    pub count: u64,
}

/// How much of a batch is in one shard.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Share {
    #[prost(uint32, tag = "1")]
    pub(crate) shard: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) parts: u32,
    #[prost(uint64, tag = "3")]
    pub(crate) items: u64,
}

/// A plan, and how far it is carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// The tenant.
    pub namespace: Namespace,
    /// Given by the planner.
    pub id: String,
    /// Where it stands, but for its time; see [`Head::status_at`].
    pub(crate) status: Status,
    /// What is done to each saga.
    pub action: Action,
    /// Which sagas were looked for, in the words of whoever asked: kept for people, and opaque here.
    pub filter: Bytes,
    /// Who planned it.
    pub principal: String,
    /// Why.
    pub reason: String,
    /// When it was planned.
    pub planned_at: Timestamp,
    /// Until when it can be applied.
    pub expires_at: Timestamp,
    /// Who applied it last; empty: nobody did.
    pub applied_by: String,
    /// Why they did.
    pub apply_reason: String,
    /// When it was first applied.
    pub applied_at: Option<Timestamp>,
    /// When it was done, stopped or thrown away.
    pub ended_at: Option<Timestamp>,
    /// Sagas per second on all nodes together.
    pub rate: f64,
    /// How many sagas it names.
    pub planned: u64,
    /// How many of them are going to refuse it, as planned.
    pub refusals: u64,
    /// The calls that it leads to at once.
    pub calls: Vec<CallCount>,
    /// The first of its sagas, as planned.
    pub sample: Vec<Item>,
    pub(crate) shares: Vec<Share>,
}

impl Head {
    /// Where it stands at a time.
    pub fn status_at(&self, now: Timestamp) -> Status {
        if self.status == Status::Planned && now >= self.expires_at { Status::Expired } else { self.status }
    }

    /// When it came, or will come, to its end without anybody doing anything more; `None` while it runs.
    pub(crate) fn over_at(&self) -> Option<Timestamp> {
        match self.status {
            Status::Draft | Status::Planned => Some(self.expires_at),
            Status::Stopped | Status::Done | Status::Expired => Some(self.ended_at.unwrap_or(self.expires_at)),
            Status::Running => None,
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct HeadRecord {
    #[prost(uint32, tag = "1")]
    format: u32,
    #[prost(string, tag = "2")]
    namespace: String,
    #[prost(string, tag = "3")]
    id: String,
    #[prost(enumeration = "Status", tag = "4")]
    status: i32,
    #[prost(message, optional, tag = "5")]
    action: Option<ActionRecord>,
    #[prost(bytes = "bytes", tag = "6")]
    filter: Bytes,
    #[prost(string, tag = "7")]
    principal: String,
    #[prost(string, tag = "8")]
    reason: String,
    #[prost(uint64, tag = "9")]
    planned_at: u64,
    #[prost(uint64, tag = "10")]
    expires_at: u64,
    #[prost(string, tag = "11")]
    applied_by: String,
    #[prost(string, tag = "12")]
    apply_reason: String,
    #[prost(uint64, optional, tag = "13")]
    applied_at: Option<u64>,
    #[prost(uint64, optional, tag = "14")]
    ended_at: Option<u64>,
    #[prost(double, tag = "15")]
    rate: f64,
    #[prost(uint64, tag = "16")]
    planned: u64,
    #[prost(uint64, tag = "17")]
    refusals: u64,
    #[prost(message, repeated, tag = "18")]
    calls: Vec<CallCount>,
    #[prost(message, repeated, tag = "19")]
    sample: Vec<Item>,
    #[prost(message, repeated, tag = "20")]
    shares: Vec<Share>,
}

/// A head as it is stored.
pub(crate) fn encode(head: &Head) -> Bytes {
    let head = head.clone();
    let record = HeadRecord {
        format: FORMAT,
        namespace: head.namespace.to_string(),
        id: head.id,
        status: head.status.into(),
        action: Some(ActionRecord::from(&head.action)),
        filter: head.filter,
        principal: head.principal,
        reason: head.reason,
        planned_at: head.planned_at.0,
        expires_at: head.expires_at.0,
        applied_by: head.applied_by,
        apply_reason: head.apply_reason,
        applied_at: head.applied_at.map(|at| at.0),
        ended_at: head.ended_at.map(|at| at.0),
        rate: head.rate,
        planned: head.planned,
        refusals: head.refusals,
        calls: head.calls,
        sample: head.sample,
        shares: head.shares,
    };
    record.encode_to_vec().into()
}

/// The head in these bytes, or what is wrong with them.
pub(crate) fn decode(bytes: &[u8]) -> Result<Head, String> {
    let record = HeadRecord::decode(bytes).map_err(|error| error.to_string())?;
    if record.format != FORMAT {
        return Err(format!("it has format {}; this version reads {FORMAT}", record.format));
    }
    let status = Status::try_from(record.status).map_err(|_| format!("status {} is unknown", record.status))?;
    Ok(Head {
        namespace: Namespace::parse(&record.namespace).map_err(|error| error.to_string())?,
        id: record.id,
        status,
        action: Action::try_from(record.action.ok_or("it lacks its action")?)?,
        filter: record.filter,
        principal: record.principal,
        reason: record.reason,
        planned_at: Timestamp(record.planned_at),
        expires_at: Timestamp(record.expires_at),
        applied_by: record.applied_by,
        apply_reason: record.apply_reason,
        applied_at: record.applied_at.map(Timestamp),
        ended_at: record.ended_at.map(Timestamp),
        rate: record.rate,
        planned: record.planned,
        refusals: record.refusals,
        calls: record.calls,
        sample: record.sample,
        shares: record.shares,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use amends_engine::ids::StepName;

    use super::*;

    pub(crate) fn head() -> Head {
        let call = ItemCall {
            step: "charge".to_owned(),
            operation: 2,
            participant: "payment".to_owned(),
            method: "payment.v1.Payment/Refund".to_owned(),
        };
        let item = Item { saga_id: "order-1".to_owned(), revision: 7, calls: vec![call.clone()], ..Item::default() };
        Head {
            namespace: Namespace::default_namespace(),
            id: "00fe6a3c41b2d01f3a9c".to_owned(),
            status: Status::Running,
            action: Action::Retry { step: StepName::parse("charge").ok() },
            filter: Bytes::from_static(b"opaque"),
            principal: "ada".to_owned(),
            reason: "payment is back".to_owned(),
            planned_at: Timestamp(5),
            expires_at: Timestamp(10),
            applied_by: "bob".to_owned(),
            apply_reason: "reviewed".to_owned(),
            applied_at: Some(Timestamp(7)),
            ended_at: None,
            rate: 12.5,
            planned: 3,
            refusals: 1,
            calls: vec![CallCount { call, count: 2 }],
            sample: vec![item],
            shares: vec![Share { shard: 3, parts: 1, items: 3 }],
        }
    }

    #[test]
    fn a_head_comes_back_as_it_was_stored() {
        assert_eq!(decode(&encode(&head())), Ok(head()));
        assert!(decode(b"\xff").is_err() && decode(b"").is_err());
    }

    #[test]
    fn a_plans_time_runs_out_and_a_batchs_does_not() {
        let at = |status| Head { status, ..head() }.status_at(Timestamp(10));
        assert_eq!((at(Status::Planned), at(Status::Stopped)), (Status::Expired, Status::Stopped));
        assert_eq!(Head { status: Status::Planned, ..head() }.status_at(Timestamp(9)), Status::Planned);
    }

    #[test]
    fn the_key_is_the_calls_own() {
        let saga = head().sample[0].key(&Namespace::default_namespace());
        let key = saga.map(|saga| head().sample[0].calls[0].idempotency_key(&saga));
        assert_eq!(key.as_deref(), Some("default/order-1/charge/compensate"));
    }
}

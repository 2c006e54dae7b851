//! The message of a saga's state, formats 1 and 2.
//!
//! Written at every commit, so it is kept small: enums are one small number, and see `step.rs` for what is left out.
//! Invariant: field numbers and meanings never change within a format.

use std::sync::Arc;

use amends_engine::ids::{DefinitionName, Namespace, SagaId, SagaKey, Version};
use amends_engine::saga::{
    Acknowledgement, By, CancelRequest, Decision, Parked, Paused, Phase, SagaHead, SagaState, StepState, StuckReason,
};
use amends_engine::time::Timestamp;
use prost::Message;

use super::parts::{ByRecord, CauseRecord, digest, required};
use super::step::{self, StepRecord};
use super::tags::Tagged;
use super::writer::Writer;
use super::{ACKNOWLEDGED, RecordError};

/// A whole state.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StateRecord {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    id: String,
    #[prost(string, tag = "3")]
    definition: String,
    #[prost(uint32, tag = "4")]
    version: u32,
    #[prost(bytes = "vec", tag = "5")]
    input: Vec<u8>,
    #[prost(message, repeated, tag = "6")]
    labels: Vec<LabelRecord>,
    #[prost(string, tag = "7")]
    principal: String,
    #[prost(string, tag = "8")]
    traceparent: String,
    #[prost(uint64, tag = "9")]
    revision: u64,
    #[prost(uint64, tag = "10")]
    history_length: u64,
    #[prost(uint32, tag = "11")]
    phase: u32,
    #[prost(message, optional, tag = "12")]
    parked: Option<ParkedRecord>,
    #[prost(message, optional, tag = "13")]
    paused: Option<RequestRecord>,
    #[prost(message, optional, tag = "14")]
    decision: Option<DecisionRecord>,
    #[prost(message, optional, tag = "15")]
    cancel: Option<RequestRecord>,
    #[prost(uint64, tag = "16")]
    deadline: u64,
    #[prost(bool, tag = "17")]
    late: bool,
    #[prost(uint32, tag = "18")]
    nondeterministic: u32,
    #[prost(uint64, tag = "19")]
    started_at: u64,
    #[prost(uint64, tag = "20")]
    updated_at: u64,
    #[prost(uint64, optional, tag = "21")]
    ended_at: Option<u64>,
    #[prost(message, repeated, tag = "22")]
    steps: Vec<StepRecord>,
    /// Format 2 and later.
    #[prost(message, optional, tag = "23")]
    acknowledgement: Option<RequestRecord>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct LabelRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct ParkedRecord {
    #[prost(uint32, tag = "1")]
    reason: u32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(uint64, tag = "3")]
    since: u64,
}

/// What somebody asked for or said, and when: a pause, a cancel that waits, an acknowledgement.
#[derive(Clone, PartialEq, Eq, Message)]
struct RequestRecord {
    #[prost(uint64, tag = "1")]
    at: u64,
    #[prost(message, optional, tag = "2")]
    by: Option<ByRecord>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct DecisionRecord {
    #[prost(message, optional, tag = "1")]
    cause: Option<CauseRecord>,
    #[prost(uint64, tag = "2")]
    at: u64,
}

impl StateRecord {
    /// What a record of this format says: nothing of what came later.
    pub(super) fn of_format(self, format: u8) -> Self {
        if format < ACKNOWLEDGED { Self { acknowledgement: None, ..self } } else { self }
    }
}

/// About as long as a state is, without its steps.
pub(super) const LENGTH: usize = 256;

/// Writes the message of a state.
pub(super) fn write(state: &SagaState, to: &mut Writer) {
    let head = &state.head;
    to.text(1, head.key.namespace.as_str());
    to.text(2, head.key.id.as_str());
    to.text(3, head.definition.as_str());
    to.number(4, head.version.0);
    to.digest(5, Some(&head.input));
    for (name, value) in &head.labels {
        to.nested(6, |to| {
            to.text(1, name);
            to.text(2, value);
        });
    }
    to.text(7, &head.principal);
    to.text(8, &head.traceparent);
    to.number(9, state.revision);
    to.number(10, state.history_length);
    to.number(11, state.phase.tag());
    to.message(12, state.parked.as_ref().map(ParkedRecord::from).as_ref());
    to.message(13, state.paused.as_ref().map(|paused| RequestRecord::new(paused.since, &paused.by)).as_ref());
    to.message(14, state.decision.as_ref().map(DecisionRecord::from).as_ref());
    to.message(15, state.cancel.as_ref().map(|cancel| RequestRecord::new(cancel.at, &cancel.by)).as_ref());
    to.number(16, state.deadline.0);
    to.number(17, state.late);
    to.number(18, state.nondeterministic);
    to.number(19, state.started_at.0);
    to.number(20, state.updated_at.0);
    to.some_number(21, state.ended_at.map(|at| at.0));
    for state in state.steps.iter() {
        to.nested(22, |to| step::write(state, to));
    }
    to.message(23, state.acknowledgement.as_ref().map(|it| RequestRecord::new(it.at, &it.by)).as_ref());
}

#[cfg(test)]
impl From<&SagaState> for StateRecord {
    fn from(state: &SagaState) -> Self {
        let label = |(name, value): &(String, String)| LabelRecord { name: name.clone(), value: value.clone() };
        let head = &state.head;
        Self {
            namespace: head.key.namespace.as_str().to_owned(),
            id: head.key.id.as_str().to_owned(),
            definition: head.definition.as_str().to_owned(),
            version: head.version.0,
            input: head.input.0.to_vec(),
            labels: head.labels.iter().map(label).collect(),
            principal: head.principal.clone(),
            traceparent: head.traceparent.clone(),
            revision: state.revision,
            history_length: state.history_length,
            phase: state.phase.tag(),
            parked: state.parked.as_ref().map(ParkedRecord::from),
            paused: state.paused.as_ref().map(|paused| RequestRecord::new(paused.since, &paused.by)),
            decision: state.decision.as_ref().map(DecisionRecord::from),
            cancel: state.cancel.as_ref().map(|cancel| RequestRecord::new(cancel.at, &cancel.by)),
            deadline: state.deadline.0,
            late: state.late,
            nondeterministic: state.nondeterministic,
            started_at: state.started_at.0,
            updated_at: state.updated_at.0,
            ended_at: state.ended_at.map(|at| at.0),
            steps: state.steps.iter().map(StepRecord::from).collect(),
            acknowledgement: state.acknowledgement.as_ref().map(|it| RequestRecord::new(it.at, &it.by)),
        }
    }
}

impl TryFrom<StateRecord> for SagaState {
    type Error = RecordError;

    fn try_from(record: StateRecord) -> Result<Self, RecordError> {
        let head = SagaHead {
            key: SagaKey { namespace: Namespace::parse(&record.namespace)?, id: SagaId::parse(&record.id)? },
            definition: DefinitionName::parse(&record.definition)?,
            version: Version(record.version),
            input: digest(&record.input)?,
            labels: record.labels.into_iter().map(|label| (label.name, label.value)).collect(),
            principal: record.principal,
            traceparent: record.traceparent,
        };
        let paused = |request: RequestRecord| request.into_parts().map(|(since, by)| Paused { since, by: by.into() });
        let cancel = |request: RequestRecord| request.into_parts().map(|(at, by)| CancelRequest { at, by: by.into() });
        let acknowledged =
            |request: RequestRecord| request.into_parts().map(|(at, by)| Acknowledgement { at, by: by.into() });
        Ok(Self {
            head: Arc::new(head),
            revision: record.revision,
            history_length: record.history_length,
            phase: Phase::from_tag(record.phase)?,
            parked: record.parked.map(Parked::try_from).transpose()?,
            paused: record.paused.map(paused).transpose()?,
            decision: record.decision.map(Decision::try_from).transpose()?,
            cancel: record.cancel.map(cancel).transpose()?,
            acknowledgement: record.acknowledgement.map(acknowledged).transpose()?,
            deadline: Timestamp(record.deadline),
            late: record.late,
            nondeterministic: record.nondeterministic,
            started_at: Timestamp(record.started_at),
            updated_at: Timestamp(record.updated_at),
            ended_at: record.ended_at.map(Timestamp),
            steps: record.steps.into_iter().map(StepState::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Parked> for ParkedRecord {
    fn from(parked: &Parked) -> Self {
        Self { reason: parked.reason.tag(), message: parked.message.clone(), since: parked.since.0 }
    }
}

impl TryFrom<ParkedRecord> for Parked {
    type Error = RecordError;

    fn try_from(record: ParkedRecord) -> Result<Self, RecordError> {
        let reason = StuckReason::from_tag(record.reason)?;
        Ok(Self { reason, message: record.message, since: Timestamp(record.since) })
    }
}

impl RequestRecord {
    fn new(at: Timestamp, by: &By) -> Self {
        Self { at: at.0, by: Some(ByRecord::from(by)) }
    }

    fn into_parts(self) -> Result<(Timestamp, ByRecord), RecordError> {
        Ok((Timestamp(self.at), required("principal", self.by)?))
    }
}

impl From<&Decision> for DecisionRecord {
    fn from(decision: &Decision) -> Self {
        Self { cause: Some(CauseRecord::from(&decision.cause)), at: decision.at.0 }
    }
}

impl TryFrom<DecisionRecord> for Decision {
    type Error = RecordError;

    fn try_from(record: DecisionRecord) -> Result<Self, RecordError> {
        Ok(Self { cause: required("cause", record.cause)?.try_into()?, at: Timestamp(record.at) })
    }
}

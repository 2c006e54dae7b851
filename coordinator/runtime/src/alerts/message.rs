//! What receivers are sent: JSON, as `docs/alerts.md` has it. Pure.
//!
//! The outbox keeps the very bytes that are sent, so that a repeat is the same message whichever node sends it. Invariants: no
//! input, request or reply of a saga is in a message; what participants said is one line of at most [`SAID_MAX`] characters,
//! and JSON text like any other. Fields are only ever added under one [`VERSION`].

use amends_engine::facts::StepEffect;
use amends_engine::ids::{Operation, StepIndex};
use amends_engine::outcome::Why;
use amends_engine::saga::Saga;
use amends_engine::standing::{self, StatusWord};
use amends_engine::time::Timestamp;
use amends_engine::why::{Around, why};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::event::EventType;
use super::news::{StuckAt, stuck_at};
use crate::telemetry::context::trace_id;

/// Which form of a message this is.
pub(crate) const VERSION: u32 = 1;
/// Longest part of what a participant said, in characters.
const SAID_MAX: usize = 300;

/// A message, whatever it is about.
#[derive(Debug, Serialize)]
pub(crate) struct Message<D> {
    pub(crate) version: u32,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// The same on every repeat; also `webhook-id`.
    pub(crate) id: String,
    /// When it happened, in RFC 3339.
    pub(crate) timestamp: String,
    /// Which node saw it.
    pub(crate) node: String,
    pub(crate) data: D,
}

impl<D: Serialize> Message<D> {
    /// As it is stored and sent.
    pub(crate) fn encode(&self) -> Bytes {
        // Text, numbers and lists of them can't fail to be JSON.
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

/// About one saga.
#[derive(Debug, Serialize)]
pub(crate) struct SagaData {
    namespace: String,
    saga: String,
    definition: String,
    definition_version: u32,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_status: Option<&'static str>,
    revision: u64,
    started_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    /// Why it isn't moving, in one sentence; empty where it is, or has ended.
    why: String,
    stuck: Vec<StuckData>,
    /// For what it was stuck, where it isn't any more.
    was_stuck: Vec<StuckData>,
    residue: Vec<ResidueData>,
    #[serde(skip_serializing_if = "String::is_empty")]
    trace_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

#[derive(Debug, Serialize)]
struct StuckData {
    reason: &'static str,
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    participant: Option<String>,
    code: String,
    message: String,
}

/// An effect that stands, or may.
#[derive(Debug, Serialize)]
struct ResidueData {
    step: String,
    participant: String,
    effect: &'static str,
}

/// A point in time in RFC 3339.
pub(crate) fn time(at: Timestamp) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// What is said about one saga.
pub(crate) fn of_saga(event: EventType, before: Option<&Saga>, after: &Saga, console_url: Option<&str>) -> SagaData {
    let (head, state) = (&after.state.head, &after.state);
    let stuck: Vec<StuckData> = stuck_at(after).iter().map(|at| stuck(after, at)).collect();
    let was_stuck = match (event, before) {
        (EventType::SagaUnstuck, Some(before)) => stuck_at(before).iter().map(|at| self::stuck(before, at)).collect(),
        _ => Vec::new(),
    };
    let status = standing::status(after);
    let left = status == StatusWord::Stuck || state.phase.is_terminal();
    SagaData {
        namespace: head.key.namespace.to_string(),
        saga: head.key.id.to_string(),
        definition: head.definition.to_string(),
        definition_version: head.version.0,
        status: status.as_str(),
        previous_status: before.map(|before| standing::status(before).as_str()),
        revision: state.revision,
        started_at: time(state.started_at),
        ended_at: state.ended_at.map(time),
        why: why(after, &Around { waits: standing::waits(after), ..Around::default() }),
        stuck,
        was_stuck,
        residue: if left { residue(after) } else { Vec::new() },
        trace_id: trace_id(&head.traceparent).to_owned(),
        link: console_url.map(|url| link(url, &format!("/sagas/{}", head.key.id), head.key.namespace.as_str())),
    }
}

/// A page of the console. Names need no escaping.
pub(crate) fn link(console_url: &str, path: &str, namespace: &str) -> String {
    if namespace == "default" {
        return format!("{console_url}/console{path}");
    }
    let joint = if path.contains('?') { '&' } else { '?' };
    format!("{console_url}/console{path}{joint}namespace={namespace}")
}

fn stuck(saga: &Saga, at: &StuckAt) -> StuckData {
    let Why { code, message } = match at.place {
        Some((step, operation)) => saga.operation(step, operation).last.as_ref().map(|last| last.why.clone()),
        None => saga.state.parked.as_ref().map(|parked| Why { code: String::new(), message: parked.message.clone() }),
    }
    .unwrap_or_default();
    let step = |(step, _): (StepIndex, Operation)| saga.definition.step(step);
    StuckData {
        reason: at.reason.as_str(),
        since: time(at.since),
        step: at.place.map(|place| step(place).name.to_string()),
        operation: at.place.map(|(_, operation)| operation.as_str()),
        participant: at.place.map(|place| step(place).participant.to_string()),
        code: one_line(&code),
        message: one_line(&message),
    }
}

fn residue(saga: &Saga) -> Vec<ResidueData> {
    let of = |step: StepIndex| saga.definition.step(step);
    let all = saga.residue();
    let data = all.iter().map(|residue| ResidueData {
        step: of(residue.step).name.to_string(),
        participant: of(residue.step).participant.to_string(),
        effect: match residue.effect {
            StepEffect::None => "none",
            StepEffect::Possible => "possible",
            StepEffect::Stands => "stands",
            StepEffect::Undone => "undone",
        },
    });
    data.collect()
}

/// Participants can say anything; a pager shows lines.
fn one_line(text: &str) -> String {
    text.chars().map(|found| if found.is_control() { ' ' } else { found }).take(SAID_MAX).collect()
}

/// About many sagas that the same has happened to.
#[derive(Debug, Serialize)]
pub(crate) struct ManyData<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) definition: &'a str,
    pub(crate) participant: &'a str,
    pub(crate) reason: &'a str,
    /// How many, all of which no message of their own is sent for.
    pub(crate) count: u64,
    pub(crate) first_at: String,
    pub(crate) last_at: String,
    /// Ids of some of them.
    pub(crate) sample: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<String>,
}

/// About the store or a part of it.
#[derive(Debug, Serialize)]
pub(crate) struct StoreData {
    /// The store's id.
    pub(crate) store: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shard: Option<u16>,
    /// What was found, and what to do about it.
    pub(crate) message: String,
    /// Since when.
    pub(crate) since: String,
    /// It was so, and isn't any more.
    pub(crate) resolved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<String>,
}

/// What a message in the outbox says of itself, so that it can be sent on.
#[derive(Debug, Deserialize)]
pub(crate) struct Head {
    #[serde(rename = "type")]
    kind: String,
    pub(crate) id: String,
    timestamp: String,
    pub(crate) data: HeadData,
}

#[derive(Debug, Deserialize)]
pub(crate) struct HeadData {
    pub(crate) namespace: String,
    pub(crate) saga: String,
    pub(crate) definition: String,
    stuck: Vec<HeadStuck>,
    was_stuck: Vec<HeadStuck>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct HeadStuck {
    pub(crate) reason: String,
    #[serde(default)]
    pub(crate) participant: String,
}

impl Head {
    /// Reads it; `None`: another version of Amends wrote it, or nobody did.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// What happened.
    pub(crate) fn event(&self) -> Option<EventType> {
        EventType::parse(&self.kind)
    }

    /// When it happened; the beginning of time where it doesn't say.
    pub(crate) fn at(&self) -> Timestamp {
        let read: Option<jiff::Timestamp> = self.timestamp.parse().ok();
        Timestamp(read.and_then(|at| u64::try_from(at.as_millisecond()).ok()).unwrap_or_default())
    }

    /// Why it is stuck, or was.
    pub(crate) fn cause(&self) -> HeadStuck {
        self.data.stuck.first().or(self.data.was_stuck.first()).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_rfc_3339() {
        assert_eq!(time(Timestamp(0)), "1970-01-01T00:00:00Z");
        assert_eq!(time(Timestamp(1_614_265_330_123)), "2021-02-25T15:02:10.123Z");
        assert_eq!(time(Timestamp(u64::MAX)), jiff::Timestamp::MAX.to_string(), "no panic");
    }

    #[test]
    fn links_lead_to_the_sagas_tenant() {
        assert_eq!(link("https://a", "/sagas/7", "default"), "https://a/console/sagas/7");
        assert_eq!(link("https://a", "/sagas/7", "shop"), "https://a/console/sagas/7?namespace=shop");
        assert_eq!(
            link("https://a", "/sagas?status=stuck", "shop"),
            "https://a/console/sagas?status=stuck&namespace=shop"
        );
    }

    #[test]
    fn what_was_said_is_one_line_and_not_endless() {
        assert_eq!(one_line("a\nb\u{7}<b>\""), "a b <b>\"");
        assert_eq!(one_line(&"x".repeat(1_000)).len(), SAID_MAX);
    }
}

//! All participants: whether each is called just now, what is under way, what waits and until when.
//!
//! It changes nothing. Invariant: what a breaker says is said with the node that says it: each node has its own.

use std::collections::BTreeMap;

use amends_proto::v1;
use askama::Template;
use axum::Router;
use axum::response::Response;
use axum::routing::get;

use super::definitions::OPEN;
use super::query::Query;
use super::text::{self, When, escaped, when};
use super::trouble::Trouble;
use super::visitor::{Shell, Visitor};
use super::{Section, method, participant, render};

/// The pages about participants.
pub(super) fn routes() -> Router {
    Router::new()
        .route("/console/participants", get(page))
        .route("/console/participants/{name}", get(participant::page))
        .route("/console/participants/{name}/{verb}", get(participant::ask_change).post(participant::change))
}

#[derive(Template)]
#[template(path = "participants.html")]
struct ParticipantsPage {
    shell: Shell,
    rows: Vec<Row>,
    /// The node that tells of breakers.
    node: String,
    next: Option<String>,
}

struct Row {
    name: String,
    link: String,
    protocol: String,
    breaker: Breaker,
    in_flight: u32,
    waiting: String,
    /// Empty: not known.
    held_up: String,
    is_held_up: bool,
    held_up_link: String,
    problem: String,
}

/// What a breaker does, in words.
#[derive(Debug)]
pub(super) struct Breaker {
    pub(super) word: String,
    pub(super) class: &'static str,
    pub(super) since: Option<When>,
    /// What happens next, before `until`.
    pub(super) next: &'static str,
    pub(super) until: Option<When>,
}

impl Breaker {
    pub(super) fn of(protection: Option<&v1::Protection>) -> Self {
        let Some(it) = protection else {
            return Self { word: "not called yet".to_owned(), class: "plain", since: None, next: "", until: None };
        };
        let (word, class, next, until) = match it.breaker() {
            v1::BreakerState::Closed => ("calls pass".to_owned(), "ok", "", None),
            v1::BreakerState::Open => ("open: not called".to_owned(), "bad", "asked again", when(&it.probe_time)),
            v1::BreakerState::Probing => ("open: is it back?".to_owned(), "undo", "", None),
            v1::BreakerState::Resuming => {
                let rate = it.resuming_per_second;
                (format!("back, {rate:.0} calls a second"), "busy", "all called", when(&it.drain_time))
            }
            v1::BreakerState::Held => ("held open by a person".to_owned(), "held", "", None),
            v1::BreakerState::Unspecified => ("not known".to_owned(), "plain", "", None),
        };
        Self { word, class, since: when(&it.since), next, until }
    }
}

async fn page(visitor: Visitor, query: Query) -> Result<Response, Trouble> {
    let wanted = v1::ListParticipantsRequest {
        namespace: visitor.namespace.clone(),
        page_token: query.text("page_token").to_owned(),
        ..Default::default()
    };
    let found = visitor.ask(method::PARTICIPANTS_LIST, wanted).await?;
    let held_up = held_up(&visitor).await;
    let shell = visitor.shell(Section::Participants, "Participants");
    let rows = found.participants.iter().map(|it| row(&shell, it, held_up.as_ref())).collect();
    let next = Some(&found.next_page_token).filter(|token| !token.is_empty());
    let next = next.map(|token| shell.link(&format!("/participants?page_token={}", escaped(token))));
    render(&ParticipantsPage { node: shell.node.clone(), shell, rows, next })
}

/// How many sagas each holds up; nothing where they can't be counted.
async fn held_up(visitor: &Visitor) -> Option<BTreeMap<String, u64>> {
    let wanted = v1::CountSagasRequest {
        namespace: visitor.namespace.clone(),
        statuses: OPEN.map(Into::into).to_vec(),
        ..Default::default()
    };
    let counted = visitor.ask(method::SAGAS_COUNT, wanted).await.ok()?;
    let mut held_up = BTreeMap::new();
    for count in counted.counts.into_iter().filter(|count| !count.participant.is_empty()) {
        *held_up.entry(count.participant).or_default() += count.count;
    }
    Some(held_up)
}

fn row(shell: &Shell, it: &v1::Participant, held_up: Option<&BTreeMap<String, u64>>) -> Row {
    let protection = it.protection.as_ref();
    let name = escaped(&it.name);
    let of = held_up.map(|counts| counts.get(&it.name).copied().unwrap_or_default());
    Row {
        link: shell.link(&format!("/participants/{name}")),
        protocol: protocol(it),
        breaker: Breaker::of(protection),
        in_flight: protection.map_or(0, |it| it.in_flight),
        waiting: waiting(protection),
        held_up: of.map(text::count).unwrap_or_default(),
        is_held_up: of.is_some_and(|count| count > 0),
        held_up_link: shell.link(&format!("/sagas?participant={name}")),
        problem: it.problem.clone(),
        name: it.name.clone(),
    }
}

pub(super) fn protocol(it: &v1::Participant) -> String {
    match it.protocol() {
        v1::ParticipantProtocol::Http => "HTTP",
        v1::ParticipantProtocol::Grpc | v1::ParticipantProtocol::Unspecified => "gRPC",
    }
    .to_owned()
}

/// `12 actions, 3 compensations`; empty: nothing waits.
pub(super) fn waiting(protection: Option<&v1::Protection>) -> String {
    let counts = protection.map(|it| it.waiting.as_slice()).unwrap_or_default();
    let one = |it: &v1::WaitingCount| {
        let (one, many) = match it.operation() {
            v1::Operation::Action => ("action", "actions"),
            v1::Operation::Compensate => ("compensation", "compensations"),
            v1::Operation::Confirm => ("confirm", "confirms"),
            v1::Operation::Query => ("query", "queries"),
            v1::Operation::Unspecified => ("call", "calls"),
        };
        text::counted(it.count, one, many)
    };
    counts.iter().filter(|it| it.count > 0).map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::definitions::tests::shell;

    #[test]
    fn a_participant_that_is_down_says_what_waits_and_until_when() {
        let protection = v1::Protection {
            breaker: v1::BreakerState::Open.into(),
            probe_time: Some(pbjson_types::Timestamp { seconds: 4_000_000_000, nanos: 0 }),
            waiting: vec![
                v1::WaitingCount { operation: v1::Operation::Action.into(), count: 1_200 },
                v1::WaitingCount { operation: v1::Operation::Compensate.into(), count: 0 },
            ],
            ..Default::default()
        };
        let it = v1::Participant {
            name: "payment".to_owned(),
            protection: Some(protection),
            problem: "<i>no secret</i>".to_owned(),
            ..Default::default()
        };
        let shell = shell(Section::Participants);
        let counts = BTreeMap::from([("payment".to_owned(), 1_203)]);
        let rows = vec![row(&shell, &it, Some(&counts)), row(&shell, &v1::Participant::default(), None)];
        let html = ParticipantsPage { node: "n".to_owned(), shell, rows, next: None }.render().unwrap();
        for words in ["open: not called", "asked again", "1\u{202f}200 actions", "1\u{202f}203", "not called yet"] {
            assert!(html.contains(words), "{words} is missing:\n{html}");
        }
        assert!(!html.contains("<i>") && !html.contains("0 compensation"), "{html}");
    }
}

//! One saga: why it isn't moving, what it did, what stands, and what can be done about it.
//!
//! ```text
//!   load     saga, history, definition, asked together          timeline  attempts as bars
//!   verbs    what makes sense now ─► change  the page before, and the deed      live  when there is news
//! ```
//!
//! Invariant: the page shows one state of the saga; every form that it leads to carries that state's revision.

mod change;
mod history;
pub(super) mod live;
mod load;
mod payload;
mod reconcile;
mod steps;
mod timeline;
mod verbs;

use amends_proto::v1;
use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};

use self::history::HistoryRow;
use self::load::Loaded;
use self::payload::Shown;
use self::steps::StepRow;
use self::timeline::Timeline;
use self::verbs::Offer;
use super::graph::{self, Look};
use super::query::Query;
use super::text::{self, When, when};
use super::trouble::Trouble;
use super::visitor::{Shell, Visitor};
use super::{Section, render, row};

pub(super) fn routes() -> Router {
    Router::new()
        .route("/console/sagas/{id}", get(page))
        .route("/console/sagas/{id}/live", get(live::follow))
        .route("/console/sagas/{id}/reconcile", post(reconcile::page))
        .route("/console/sagas/{id}/do/{verb}", get(change::before).post(change::carry_out))
}

#[derive(Template)]
#[template(path = "saga.html")]
struct SagaPage {
    shell: Shell,
    /// What was just done, in words of ours.
    done: &'static str,
    saga: v1::Saga,
    status: String,
    class: &'static str,
    phase: String,
    why: String,
    is_open: bool,
    live: String,
    definition_link: String,
    /// The graph as markup of ours, with all text escaped.
    picture: Option<String>,
    created: Option<When>,
    updated: Option<When>,
    ended: Option<When>,
    deadline: Option<When>,
    labels: Vec<(String, String, String)>,
    decision: Option<String>,
    decided: Option<When>,
    recorded_cancel: Option<String>,
    acknowledged: Option<(String, Option<When>, String)>,
    stuck: Vec<Needs>,
    waiting: Vec<Waits>,
    offers: Vec<Offer>,
    may_reconcile: bool,
    reconcile_link: String,
    steps: Vec<StepRow>,
    timeline: Option<Timeline>,
    input: Option<Shown>,
    /// Whether payloads are withheld from this person.
    is_withheld: bool,
    residue: Vec<Stands>,
    history: Vec<HistoryRow>,
    older: String,
    newest: String,
    audit_link: Option<String>,
}

/// A reason for which somebody is needed.
struct Needs {
    reason: String,
    step: String,
    operation: String,
    code: String,
    message: String,
    since: Option<When>,
    offers: Vec<Offer>,
}

struct Waits {
    reason: String,
    step: String,
    message: String,
    since: Option<When>,
    until: Option<When>,
}

/// An effect that nobody has undone.
struct Stands {
    residue: v1::Residue,
    is_certain: bool,
    since: Option<When>,
    output: Option<Shown>,
}

async fn page(visitor: Visitor, Path(id): Path<String>, query: Query) -> Result<Response, Trouble> {
    let loaded = load::load(&visitor, &id, query.text("history")).await?;
    let shell = visitor.shell(Section::Sagas, id.as_str());
    let done = verbs::done(query.text("done"));
    render(&shown(&visitor, shell, loaded, query.text("history"), done))
}

fn shown(visitor: &Visitor, shell: Shell, loaded: Loaded, history: &str, done: &'static str) -> SagaPage {
    let Loaded { saga, entries, attempts, next, document } = loaded;
    let status = saga.status();
    let is_open = !is_over(status);
    let looks: Vec<Look> = saga.steps.iter().map(Look::of).collect();
    let graph = document.as_ref().and_then(amends_definition::Document::graph);
    // A record that can't be read has no steps.
    let picture = graph.filter(|graph| graph.len() == looks.len());
    let here = shell.saga(&saga.id);
    let at = |path: &str| shell.link(&format!("/sagas/{}{path}", text::escaped(&saga.id)));
    let may_audit = visitor.may(super::method::AUDIT_LIST, "");
    SagaPage {
        done,
        status: text::status(status),
        class: text::status_class(status),
        phase: text::word(saga.phase().as_str_name(), "SAGA_PHASE_"),
        why: row::why(&saga),
        is_open,
        live: at("/live"),
        definition_link: shell.link(&format!(
            "/definitions/{}?version={}",
            text::escaped(&saga.definition),
            saga.version
        )),
        picture: picture.map(|steps| graph::svg(&saga.definition, &steps, Some(&looks))),
        created: when(&saga.create_time),
        updated: when(&saga.update_time),
        ended: when(&saga.end_time),
        deadline: when(&saga.deadline),
        labels: labels(&shell, &saga),
        decision: saga.decision.as_ref().map(decision),
        decided: saga.decision.as_ref().and_then(|it| when(&it.time)),
        recorded_cancel: saga.recorded_cancel.as_ref().map(|it| format!("{}: {}", it.principal, it.reason)),
        acknowledged: saga.acknowledgement.as_ref().map(|it| (it.principal.clone(), when(&it.time), it.note.clone())),
        stuck: saga.stuck.iter().map(|it| needs(visitor, &shell, &saga, it)).collect(),
        waiting: saga.waiting.iter().map(waits).collect(),
        offers: verbs::of_saga(visitor, &shell, &saga),
        may_reconcile: visitor.may(super::method::OPERATIONS_RECONCILE, &saga.definition) && !saga.steps.is_empty(),
        reconcile_link: at("/reconcile"),
        steps: saga.steps.iter().map(|step| StepRow::of(step, document.as_ref())).collect(),
        timeline: timeline::of(&attempts, When::now()),
        input: payload::shown(saga.input.as_ref()),
        is_withheld: saga.input.is_none(),
        residue: saga.residue.iter().map(stands).collect(),
        history: entries.iter().map(HistoryRow::of).collect(),
        older: if next.is_empty() { String::new() } else { at(&format!("?history={}", text::escaped(&next))) },
        newest: if history.is_empty() { String::new() } else { here },
        audit_link: may_audit.then(|| shell.link(&format!("/audit?target=sagas%2F{}", text::escaped(&saga.id)))),
        saga,
        shell,
    }
}

/// Whether nothing more will happen to it.
fn is_over(status: v1::SagaStatus) -> bool {
    matches!(status, v1::SagaStatus::Completed | v1::SagaStatus::Compensated | v1::SagaStatus::ForceStopped)
}

/// Key, value, and the link to all with the same.
fn labels(shell: &Shell, saga: &v1::Saga) -> Vec<(String, String, String)> {
    let mut labels: Vec<_> = saga.labels.iter().collect();
    labels.sort();
    let one = |(key, value): (&String, &String)| {
        let link = shell.link(&format!("/sagas?label={}", text::escaped(&format!("{key}={value}"))));
        (key.clone(), value.clone(), link)
    };
    labels.into_iter().map(one).collect()
}

fn decision(it: &v1::Decision) -> String {
    let mut words = text::word(it.cause().as_str_name(), "DECISION_CAUSE_");
    let parts = [
        (" at ", &it.step),
        (", code ", &it.code),
        (": ", &it.message),
        (", by ", &it.principal),
        (", because ", &it.reason),
    ];
    for (joint, part) in parts.into_iter().filter(|(_, part)| !part.is_empty()) {
        words.push_str(joint);
        words.push_str(part);
    }
    words
}

fn needs(visitor: &Visitor, shell: &Shell, saga: &v1::Saga, it: &v1::Stuck) -> Needs {
    Needs {
        reason: text::stuck_reason(it.reason()),
        step: it.step.clone(),
        operation: if it.step.is_empty() { String::new() } else { text::operation(it.operation()) },
        code: it.code.clone(),
        message: it.message.clone(),
        since: when(&it.since),
        offers: verbs::of_stuck(visitor, shell, saga, it),
    }
}

fn waits(it: &v1::Waiting) -> Waits {
    Waits {
        reason: text::word(it.reason().as_str_name(), "WAITING_REASON_"),
        step: match it.step.as_str() {
            "" => String::new(),
            step => format!("{step} {}", text::operation(it.operation())),
        },
        message: it.message.clone(),
        since: when(&it.since),
        until: when(&it.until),
    }
}

fn stands(residue: &v1::Residue) -> Stands {
    Stands {
        is_certain: residue.effect() == v1::Effect::Stands,
        since: when(&residue.since),
        output: payload::shown(residue.output.as_ref()),
        residue: residue.clone(),
    }
}

//! All plans and batches that are kept, the newest first.
//!
//! It changes nothing; a plan is made from the list of sagas, by its filters. Invariant: what a batch does is said in the words of the
//! verb that it repeats.

use amends_proto::v1;
use askama::Template;
use axum::Router;
use axum::response::Response;
use axum::routing::get;

use super::query::Query;
use super::text::{When, count, escaped, operation, stuck_reason, when, word};
use super::trouble::Trouble;
use super::visitor::{Shell, Visitor};
use super::{Section, batch, method, render};

/// The pages about batches.
pub(super) fn routes() -> Router {
    Router::new()
        .route("/console/batches", get(page))
        .route("/console/batches/{id}", get(batch::page))
        .route("/console/batches/{id}/{verb}", get(batch::ask_change).post(batch::change))
}

#[derive(Template)]
#[template(path = "batches.html")]
struct BatchesPage {
    shell: Shell,
    rows: Vec<Row>,
    next: Option<String>,
}

struct Row {
    id: String,
    link: String,
    action: String,
    status: String,
    class: &'static str,
    planned: String,
    done: String,
    left_alone: u64,
    who: String,
    at: Option<When>,
    reason: String,
}

async fn page(visitor: Visitor, query: Query) -> Result<Response, Trouble> {
    let wanted = v1::ListBatchesRequest {
        namespace: visitor.namespace.clone(),
        page_token: query.text("page_token").to_owned(),
        ..Default::default()
    };
    let found = visitor.ask(method::BATCHES_LIST, wanted).await?;
    let shell = visitor.shell(Section::Batches, "Batches");
    let next = Some(&found.next_page_token).filter(|token| !token.is_empty());
    let next = next.map(|token| shell.link(&format!("/batches?page_token={}", escaped(token))));
    let rows = found.batches.iter().map(|it| row(&shell, it)).collect();
    render(&BatchesPage { shell, rows, next })
}

fn row(shell: &Shell, it: &v1::Batch) -> Row {
    Row {
        link: shell.link(&format!("/batches/{}", escaped(&it.id))),
        action: action(it.action.as_ref()),
        status: status(it.status()),
        class: class(it.status()),
        planned: count(it.planned),
        done: count(it.done),
        left_alone: it.moved + it.refused,
        who: if it.applied_by.is_empty() { it.principal.clone() } else { it.applied_by.clone() },
        at: when(&it.create_time),
        reason: it.reason.clone(),
        id: it.id.clone(),
    }
}

/// `retry`, `skip compensate of reserve-stock`, `repin to version 3` …
pub(super) fn action(action: Option<&v1::BatchAction>) -> String {
    let Some(it) = action else { return String::new() };
    let mut text = word(it.verb().as_str_name(), "BATCH_VERB_");
    if it.operation() != v1::Operation::Unspecified {
        text = format!("{text} {}", operation(it.operation()));
    }
    if !it.step.is_empty() {
        text = format!("{text} of {}", it.step);
    }
    match it.verb() {
        v1::BatchVerb::Resolve if it.happened => text + ": it did happen",
        v1::BatchVerb::Resolve => text + ": it did not happen",
        v1::BatchVerb::Repin => format!("{text} to version {}", it.version),
        _ => text,
    }
}

pub(super) fn status(status: v1::BatchStatus) -> String {
    word(status.as_str_name(), "BATCH_STATUS_")
}

pub(super) fn class(status: v1::BatchStatus) -> &'static str {
    match status {
        v1::BatchStatus::Planned => "undo",
        v1::BatchStatus::Running => "busy",
        v1::BatchStatus::Done => "ok",
        v1::BatchStatus::Stopped => "held",
        v1::BatchStatus::Expired | v1::BatchStatus::Unspecified => "plain",
    }
}

/// Which sagas were looked for, as name and value.
pub(super) fn filter(it: Option<&v1::SagaFilter>) -> Vec<(&'static str, String)> {
    let Some(it) = it else { return Vec::new() };
    let mut all = Vec::new();
    let mut add = |name, value: String| {
        if !value.is_empty() {
            all.push((name, value));
        }
    };
    add("status", it.statuses().map(super::text::status).collect::<Vec<_>>().join(", "));
    add("definition", it.definition.clone());
    add("version", if it.version > 0 { it.version.to_string() } else { String::new() });
    let mut labels: Vec<String> = it.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    labels.sort();
    add("labels", labels.join(", "));
    if it.stuck_reason() != v1::StuckReason::Unspecified {
        add("reason", stuck_reason(it.stuck_reason()));
    }
    add("participant", it.participant.clone());
    add("error with", it.error.clone());
    if let Some(age) = &it.older_than {
        add("older than", super::text::span(u64::try_from(age.seconds).unwrap_or(0)));
    }
    add("acknowledged", if it.unacknowledged { "no".to_owned() } else { String::new() });
    add(
        "ids",
        match it.saga_ids.len() {
            0 => String::new(),
            1..=5 => it.saga_ids.join(", "),
            many => format!("{many} that were chosen"),
        },
    );
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::definitions::tests::shell;

    #[test]
    fn actions_are_said_in_words() {
        let resolve = v1::BatchAction {
            verb: v1::BatchVerb::Resolve.into(),
            step: "charge".to_owned(),
            operation: v1::Operation::Action.into(),
            ..Default::default()
        };
        assert_eq!(action(Some(&resolve)), "resolve action of charge: it did not happen");
        let repin = v1::BatchAction { verb: v1::BatchVerb::Repin.into(), version: 3, ..Default::default() };
        assert_eq!(action(Some(&repin)), "repin to version 3");
    }

    #[test]
    fn batches_are_listed_and_none_teaches() {
        let batch = v1::Batch {
            id: "b-1".to_owned(),
            status: v1::BatchStatus::Running.into(),
            planned: 10_000,
            done: 4_000,
            moved: 1,
            refused: 2,
            reason: "<b>payment was down</b>".to_owned(),
            ..Default::default()
        };
        let shell = shell(Section::Batches);
        let rows = vec![row(&shell, &batch)];
        let html = BatchesPage { shell, rows, next: None }.render().unwrap();
        for words in ["/console/batches/b-1", "10\u{202f}000", "running", "&#60;b&#62;payment", ">3<"] {
            assert!(html.contains(words), "{words} is missing:\n{html}");
        }
        let none = BatchesPage {
            shell: crate::console::definitions::tests::shell(Section::Batches),
            rows: Vec::new(),
            next: None,
        };
        assert!(none.render().unwrap().contains("amends batch plan"));
    }
}

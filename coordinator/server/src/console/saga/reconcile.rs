//! What the participants say about the effects of a saga, beside what is recorded.
//!
//! It changes nothing, here or there; it is a POST because it has participants asked.

use amends_proto::v1;
use askama::Template;
use axum::extract::Path;
use axum::response::Response;

use super::super::form::Posted;
use super::super::text::word;
use super::super::trouble::Trouble;
use super::super::visitor::{Shell, Visitor};
use super::super::{Section, method, render};

#[derive(Template)]
#[template(path = "reconcile.html")]
struct ReconcilePage {
    shell: Shell,
    id: String,
    back: String,
    findings: Vec<Row>,
}

struct Row {
    finding: v1::ReconcileFinding,
    recorded: String,
    answer: String,
    class: &'static str,
}

pub(super) async fn page(visitor: Visitor, Path(id): Path<String>, _: Posted) -> Result<Response, Trouble> {
    let wanted = v1::ReconcileSagaRequest { namespace: visitor.namespace.clone(), saga_id: id.clone() };
    let found = visitor.ask(method::OPERATIONS_RECONCILE, wanted).await?.findings;
    let row = |finding: v1::ReconcileFinding| Row {
        recorded: word(finding.recorded().as_str_name(), "EFFECT_"),
        answer: word(finding.answer().as_str_name(), "RECONCILE_ANSWER_"),
        class: match (finding.agrees, finding.answer()) {
            (true, _) => "ok",
            (false, v1::ReconcileAnswer::CannotAsk | v1::ReconcileAnswer::Unknown) => "held",
            (false, _) => "bad",
        },
        finding,
    };
    let shell = visitor.shell(Section::Sagas, format!("What stands of {id}"));
    render(&ReconcilePage { back: shell.saga(&id), findings: found.into_iter().map(row).collect(), id, shell })
}

//! One batch: what it would do or does, to how many, how far it is, what was left alone and why; and its verbs.
//!
//! Invariant: nobody applies a plan without having been shown the exact number of its sagas and of its calls.

use amends_proto::v1;
use askama::Template;
use axum::extract::Path;
use axum::response::Response;

use super::batches::{action, class, filter, status};
use super::change::{self, Change, Field, Input};
use super::form::Posted;
use super::participant::rate;
use super::text::{self, When, count, counted, escaped, operation, when};
use super::trouble::Trouble;
use super::visitor::{Shell, Visitor};
use super::{Section, method, render, see};

/// What the rate is where nobody says another.
const RATE: &str = "50";
const RATE_MAX: &str = "10000";
const ITEMS: i32 = 100;

#[derive(Template)]
#[template(path = "batch.html")]
struct BatchPage {
    shell: Shell,
    it: v1::Batch,
    action: String,
    status: String,
    class: &'static str,
    is_running: bool,
    /// It can still be applied.
    expires: Option<When>,
    /// Whether nothing was done yet.
    is_plan: bool,
    filter: Vec<(&'static str, String)>,
    calls: Vec<(String, String, String, String)>,
    left: u64,
    /// Planned, done, left, moved, refused.
    numbers: [String; 5],
    left_alone: Vec<Item>,
    more_left_alone: bool,
    sample: Vec<Item>,
    verbs: Vec<(String, &'static str, &'static str)>,
    audit_link: Option<String>,
}

struct Item {
    id: String,
    link: String,
    status: &'static str,
    class: &'static str,
    message: String,
    calls: Vec<String>,
}

/// A batch's page.
pub(super) async fn page(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Trouble> {
    let it = get(&visitor, &id).await?;
    let mut left_alone = Vec::new();
    let mut more = false;
    for status in [v1::BatchItemStatus::Refused, v1::BatchItemStatus::Moved] {
        let is_any = if status == v1::BatchItemStatus::Moved { it.moved > 0 } else { it.refused > 0 };
        if is_any {
            let found = items(&visitor, &id, status).await?;
            more |= !found.next_page_token.is_empty();
            left_alone.extend(found.items);
        }
    }
    let shell = visitor.shell(Section::Batches, format!("Batch {id}"));
    let verbs = verbs(&visitor, &shell, &it);
    let audit = format!("/audit?batch={}", escaped(&id));
    let audit_link = visitor.may(method::AUDIT_LIST, "").then(|| shell.link(&audit));
    render(&BatchPage { more_left_alone: more, audit_link, ..shown(shell, it, &left_alone, verbs) })
}

async fn get(visitor: &Visitor, id: &str) -> Result<v1::Batch, Trouble> {
    let wanted = v1::GetBatchRequest { namespace: visitor.namespace.clone(), id: id.to_owned() };
    Ok(visitor.ask(method::BATCHES_GET, wanted).await?)
}

async fn items(
    visitor: &Visitor,
    id: &str,
    status: v1::BatchItemStatus,
) -> Result<v1::ListBatchItemsResponse, Trouble> {
    let wanted = v1::ListBatchItemsRequest {
        namespace: visitor.namespace.clone(),
        id: id.to_owned(),
        status: status.into(),
        page_size: ITEMS,
        ..Default::default()
    };
    Ok(visitor.ask(method::BATCHES_ITEMS, wanted).await?)
}

fn shown(
    shell: Shell,
    it: v1::Batch,
    left_alone: &[v1::BatchItem],
    verbs: Vec<(String, &'static str, &'static str)>,
) -> BatchPage {
    let is_plan = it.status() == v1::BatchStatus::Planned;
    let left = it.planned.saturating_sub(it.done + it.moved + it.refused);
    BatchPage {
        action: action(it.action.as_ref()),
        status: status(it.status()),
        class: class(it.status()),
        is_running: it.status() == v1::BatchStatus::Running,
        expires: when(&it.expire_time).filter(|_| is_plan),
        is_plan,
        filter: filter(it.filter.as_ref()),
        calls: it.calls.iter().map(calls).collect(),
        left,
        numbers: [it.planned, it.done, left, it.moved, it.refused].map(count),
        left_alone: left_alone.iter().map(|it| item(&shell, it)).collect(),
        more_left_alone: false,
        sample: it.sample.iter().map(|it| item(&shell, it)).collect(),
        verbs,
        audit_link: None,
        shell,
        it,
    }
}

fn calls(it: &v1::BatchCalls) -> (String, String, String, String) {
    (it.participant.clone(), it.method.clone(), operation(it.operation()), count(it.count))
}

fn item(shell: &Shell, it: &v1::BatchItem) -> Item {
    let (status, class) = match it.status() {
        v1::BatchItemStatus::Done => ("done", "ok"),
        v1::BatchItemStatus::Moved => ("had moved", "undo"),
        v1::BatchItemStatus::Refused => ("refused", "bad"),
        v1::BatchItemStatus::Waiting | v1::BatchItemStatus::Unspecified => ("waits", "plain"),
    };
    let call = |it: &v1::BatchItemCall| {
        format!("{} of {}: {} {}", operation(it.operation()), it.step, it.participant, it.method)
    };
    Item {
        link: shell.saga(&it.saga_id),
        status,
        class,
        message: it.message.clone(),
        calls: it.calls.iter().map(call).collect(),
        id: it.saga_id.clone(),
    }
}

fn verbs(visitor: &Visitor, shell: &Shell, it: &v1::Batch) -> Vec<(String, &'static str, &'static str)> {
    let link = |verb: &str| shell.link(&format!("/batches/{}/{verb}", escaped(&it.id)));
    let definition = it.filter.as_ref().map_or("", |filter| filter.definition.as_str());
    let (may_apply, may_rate, may_stop) = (
        visitor.may(method::BATCHES_APPLY, definition),
        visitor.may(method::BATCHES_SET_RATE, definition),
        visitor.may(method::BATCHES_STOP, definition),
    );
    let mut verbs = Vec::new();
    match it.status() {
        v1::BatchStatus::Planned => {
            verbs.extend(may_apply.then(|| (link("apply"), "Apply…", "primary")));
            verbs.extend(may_stop.then(|| (link("stop"), "Throw away…", "grave")));
        }
        v1::BatchStatus::Running => {
            verbs.extend(may_rate.then(|| (link("rate"), "Slower or faster…", "")));
            verbs.extend(may_stop.then(|| (link("stop"), "Stop…", "grave")));
        }
        v1::BatchStatus::Stopped => verbs.extend(may_apply.then(|| (link("apply"), "Go on…", "primary"))),
        v1::BatchStatus::Done | v1::BatchStatus::Expired | v1::BatchStatus::Unspecified => {}
    }
    verbs
}

/// The page before a batch is applied, slowed or stopped.
pub(super) async fn ask_change(
    visitor: Visitor,
    Path((id, verb)): Path<(String, String)>,
) -> Result<Response, Trouble> {
    let it = get(&visitor, &id).await?;
    let left = it.planned.saturating_sub(it.done + it.moved + it.refused);
    let action = action(it.action.as_ref());
    let rate = |value: String| Field {
        name: "rate",
        label: "Sagas per second",
        value,
        hint: "on all nodes together; it can be changed while it runs".to_owned(),
        input: Input::Number("0.1", RATE_MAX),
    };
    let now = if it.rate_per_second > 0.0 { it.rate_per_second.to_string() } else { RATE.to_owned() };
    let (title, what, fields, button, grave) = match verb.as_str() {
        "apply" => {
            let mut what = vec![format!("{action}, for {}.", counted(left, "saga", "sagas"))];
            what.extend(it.calls.iter().map(|it| {
                let (participant, method, operation, _) = calls(it);
                format!("{} {operation} at {participant}: {method}", counted(it.count, "call", "calls"))
            }));
            what.push("Only these sagas, and only those that haven't moved since they were planned.".to_owned());
            (
                format!("Apply {id}"),
                what,
                vec![rate(now)],
                format!("Apply to {}", counted(left, "saga", "sagas")),
                false,
            )
        }
        "rate" => {
            let what =
                vec![format!("It has {} before it. On all nodes within seconds.", counted(left, "saga", "sagas"))];
            (format!("Rate of {id}"), what, vec![rate(now)], "Change the rate".to_owned(), false)
        }
        "stop" => {
            let what = match it.status() {
                v1::BatchStatus::Planned => "The plan is thrown away. Nothing was done.".to_owned(),
                _ => format!(
                    "It stops where it stands: {} stay as they are. What is done stays done, and the rest can be gone on with.",
                    counted(left, "saga", "sagas")
                ),
            };
            (format!("Stop {id}"), vec![what], Vec::new(), "Stop".to_owned(), true)
        }
        _ => return Err(Trouble::nowhere()),
    };
    let shell = visitor.shell(Section::Batches, "");
    let back = (format!("Batch {id}"), shell.link(&format!("/batches/{}", escaped(&id))));
    change::page(&visitor, Section::Batches, Change { title, back, what, fields, button, grave, hidden: Vec::new() })
}

/// Carries it out.
pub(super) async fn change(
    visitor: Visitor,
    Path((id, verb)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, Trouble> {
    let (namespace, reason) = (visitor.namespace.clone(), posted.reason()?);
    let to = visitor.shell(Section::Batches, "").link(&format!("/batches/{}", escaped(&id)));
    match verb.as_str() {
        "apply" => {
            let rate_per_second = rate(&posted, "rate")?;
            visitor.ask(method::BATCHES_APPLY, v1::ApplyBatchRequest { namespace, id, rate_per_second, reason }).await?
        }
        "rate" => {
            let rate_per_second = rate(&posted, "rate")?;
            let wanted = v1::SetBatchRateRequest { namespace, id, rate_per_second, reason };
            visitor.ask(method::BATCHES_SET_RATE, wanted).await?
        }
        "stop" => visitor.ask(method::BATCHES_STOP, v1::StopBatchRequest { namespace, id, reason }).await?,
        _ => return Err(Trouble::nowhere()),
    };
    Ok(see(&to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::definitions::tests::shell;

    fn plan() -> v1::Batch {
        v1::Batch {
            id: "b-1".to_owned(),
            status: v1::BatchStatus::Planned.into(),
            planned: 1_200,
            calls: vec![v1::BatchCalls {
                participant: "payment".to_owned(),
                method: "payment.v1.Payment/Charge".to_owned(),
                operation: v1::Operation::Action.into(),
                count: 1_199,
            }],
            filter: Some(v1::SagaFilter { error: "<script>".to_owned(), ..Default::default() }),
            ..Default::default()
        }
    }

    #[test]
    fn a_plan_says_exactly_what_it_would_do() {
        let html = shown(shell(Section::Batches), plan(), &[], Vec::new()).render().unwrap();
        for words in
            ["1\u{202f}200", "1\u{202f}199", "payment.v1.Payment/Charge", "&#60;script&#62;", "Nothing was done yet"]
        {
            assert!(html.contains(words), "{words} is missing:\n{html}");
        }
    }

    #[test]
    fn what_was_left_alone_has_its_reason() {
        let done = v1::Batch { status: v1::BatchStatus::Running.into(), done: 10, moved: 1, refused: 1, ..plan() };
        let left_alone = [
            v1::BatchItem {
                saga_id: "order-1".to_owned(),
                status: v1::BatchItemStatus::Refused.into(),
                message: "<b>it has ended</b>".to_owned(),
                ..Default::default()
            },
            v1::BatchItem {
                saga_id: "order-2".to_owned(),
                status: v1::BatchItemStatus::Moved.into(),
                ..Default::default()
            },
        ];
        let html = shown(shell(Section::Batches), done, &left_alone, Vec::new()).render().unwrap();
        for words in ["/console/sagas/order-1", "&#60;b&#62;it has ended", "had moved", "1\u{202f}188", "<progress"] {
            assert!(html.contains(words), "{words} is missing:\n{html}");
        }
    }
}

//! The list of sagas, by filters that stand in its address, and the way from there to a plan for all that match.
//!
//! Invariant: what is planned is what the filter says, all of it, never the page that somebody happens to see.

use amends_proto::v1;
use askama::Template;
use axum::extract::OriginalUri;
use axum::response::Response;

use super::filter::{Filter, REASONS, STATUSES, parameters, reason_word, status_word};
use super::form::Posted;
use super::row::SagaRow;
use super::text;
use super::trouble::Trouble;
use super::visitor::{Shell, Visitor, link};
use super::{Section, method, render, see};

const PAGE_SIZE: i32 = 50;

/// What can be done to many: the word in a form, and what it says.
const VERBS: [(v1::BatchVerb, &str, &str); 9] = [
    (v1::BatchVerb::Retry, "retry", "Retry: fresh attempts for what is stuck or waits"),
    (v1::BatchVerb::Skip, "skip", "Skip what is stuck: go on without it, and leave the residue"),
    (v1::BatchVerb::Resolve, "resolve", "Resolve what is stuck: it happened, or it did not"),
    (v1::BatchVerb::Cancel, "cancel", "Cancel: undo what was done"),
    (v1::BatchVerb::ForceStop, "force_stop", "Force-stop: end where it stands, undo nothing"),
    (v1::BatchVerb::Pause, "pause", "Pause: start nothing more until resumed"),
    (v1::BatchVerb::Resume, "resume", "Resume what is paused"),
    (v1::BatchVerb::Acknowledge, "acknowledge", "Acknowledge: somebody looks after it"),
    (v1::BatchVerb::Repin, "repin", "Repin to another version of the definition"),
];

#[derive(Template)]
#[template(path = "sagas.html")]
struct SagasPage {
    shell: Shell,
    filter: Filter,
    /// Word, text, whether it is chosen.
    statuses: Vec<(String, String, bool)>,
    reasons: Vec<(String, String, bool)>,
    sagas: Vec<SagaRow>,
    /// How many match, exactly; empty where the server can't say.
    count: String,
    next: String,
    first: String,
    /// Whether a plan may be made for what matches.
    may_plan: bool,
    verbs: Vec<(&'static str, &'static str)>,
    problem: String,
}

pub(super) async fn page(visitor: Visitor, OriginalUri(uri): OriginalUri) -> Result<Response, Trouble> {
    let pairs = parameters(uri.query());
    let (filter, problem) = match Filter::read(&pairs) {
        Ok(filter) => (filter, String::new()),
        Err(problem) => (as_written(&pairs), problem),
    };
    let shell = visitor.shell(Section::Sagas, "Sagas");
    let token = pairs.iter().find(|(key, _)| key == "page").map_or("", |(_, value)| value.as_str());
    let (found, count) = match problem.is_empty() {
        true => found(&visitor, &filter, token).await?,
        false => (v1::ListSagasResponse::default(), String::new()),
    };
    let query = filter.query();
    let at = |more: String| shell.link(&format!("/sagas?{query}{}{more}", if query.is_empty() { "" } else { "&" }));
    let page = SagasPage {
        statuses: STATUSES
            .into_iter()
            .map(|it| (status_word(it), text::status(it), filter.statuses.contains(&it)))
            .collect(),
        reasons: REASONS
            .into_iter()
            .map(|it| (reason_word(it), text::stuck_reason(it), filter.reason == Some(it)))
            .collect(),
        next: match found.next_page_token.as_str() {
            "" => String::new(),
            token => at(format!("page={}", text::escaped(token))),
        },
        first: if token.is_empty() { String::new() } else { at(String::new()) },
        may_plan: problem.is_empty()
            && !filter.is_empty()
            && !found.sagas.is_empty()
            && visitor.may(method::BATCHES_PLAN, &filter.definition),
        sagas: found.sagas.into_iter().map(|saga| SagaRow::of(saga, &shell)).collect(),
        verbs: VERBS.into_iter().map(|(_, word, text)| (word, text)).collect(),
        count,
        filter,
        shell,
        problem,
    };
    render(&page)
}

/// What can be read of a filter that as a whole can't, so that it can be mended.
fn as_written(pairs: &[(String, String)]) -> Filter {
    let text = |name: &str| pairs.iter().find(|(key, _)| key == name).map_or(String::new(), |(_, value)| value.clone());
    Filter {
        definition: text("definition"),
        version: text("version"),
        participant: text("participant"),
        error: text("error"),
        older_than: text("older_than"),
        ..Filter::default()
    }
}

async fn found(visitor: &Visitor, filter: &Filter, token: &str) -> Result<(v1::ListSagasResponse, String), Trouble> {
    let wanted =
        v1::ListSagasRequest { page_size: PAGE_SIZE, page_token: token.to_owned(), ..filter.list(&visitor.namespace) };
    let (found, count) = futures::join!(
        visitor.ask(method::SAGAS_LIST, wanted),
        visitor.ask(method::SAGAS_COUNT, filter.count(&visitor.namespace))
    );
    // Without a count the list is worth something all the same.
    let count = count.map(|count| text::counted(count.total, "saga", "sagas")).unwrap_or_default();
    Ok((found?, count))
}

/// Makes a plan for all that match, and leads to it: nothing is done yet.
pub(super) async fn plan(visitor: Visitor, posted: Posted) -> Result<Response, Trouble> {
    let reason = posted.reason()?;
    let filter =
        Filter::read(&parameters(Some(posted.text("filter")))).map_err(|problem| Trouble::invalid(&problem))?;
    let request = v1::PlanBatchRequest {
        namespace: visitor.namespace.clone(),
        filter: Some(filter.filter()),
        action: Some(action(&posted)?),
        reason,
    };
    let batch = visitor.ask(method::BATCHES_PLAN, request).await?;
    Ok(see(&link(&visitor.namespace, &format!("/batches/{}", text::escaped(&batch.id)))))
}

fn action(posted: &Posted) -> Result<v1::BatchAction, Trouble> {
    let found = VERBS.into_iter().find(|(_, word, _)| *word == posted.text("verb"));
    let (verb, ..) = found.ok_or_else(|| Trouble::invalid("choose what to do"))?;
    let happened = match (verb, posted.text("happened")) {
        (v1::BatchVerb::Resolve, "yes") => true,
        (v1::BatchVerb::Resolve, "no") => false,
        (v1::BatchVerb::Resolve, _) => return Err(Trouble::invalid("resolve: say whether it happened")),
        _ => false,
    };
    let version = match verb {
        v1::BatchVerb::Repin => u32::try_from(posted.number("version")?)
            .map_err(|_| Trouble::invalid("version: there is no such version"))?,
        _ => 0,
    };
    let step = match verb {
        v1::BatchVerb::Retry | v1::BatchVerb::Skip | v1::BatchVerb::Resolve => posted.text("step").to_owned(),
        _ => String::new(),
    };
    Ok(v1::BatchAction { verb: verb.into(), step, happened, version, ..Default::default() })
}

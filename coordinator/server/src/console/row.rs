//! A saga as a row of a list, the same on every page.
//!
//! Pure. Invariant: a row says why its saga isn't moving wherever somebody knows.

use amends_proto::v1;

use super::text::{self, When, when};
use super::visitor::Shell;

/// What a list shows of a saga.
#[derive(Debug)]
pub(super) struct SagaRow {
    pub(super) id: String,
    pub(super) link: String,
    pub(super) status: String,
    pub(super) class: &'static str,
    pub(super) definition: String,
    pub(super) version: u32,
    /// Why it is stuck, in a word; empty where it isn't.
    pub(super) reason: String,
    /// Why it isn't moving; empty while it moves.
    pub(super) why: String,
    pub(super) participant: String,
    /// Since when it is stuck, else when it was started.
    pub(super) since: Option<When>,
    pub(super) started: Option<When>,
    pub(super) updated: Option<When>,
    pub(super) acknowledged_by: String,
    pub(super) late: bool,
}

impl SagaRow {
    pub(super) fn of(saga: v1::Saga, shell: &Shell) -> Self {
        let status = saga.status();
        let stuck = saga.stuck.first();
        Self {
            link: shell.saga(&saga.id),
            status: text::status(status),
            class: text::status_class(status),
            reason: stuck.map(|stuck| text::stuck_reason(stuck.reason())).unwrap_or_default(),
            why: why(&saga),
            participant: saga.held_up_at.clone(),
            since: stuck.and_then(|stuck| when(&stuck.since)).or_else(|| when(&saga.create_time)),
            started: when(&saga.create_time),
            updated: when(&saga.update_time),
            acknowledged_by: saga.acknowledgement.map(|it| it.principal).unwrap_or_default(),
            late: saga.late,
            id: saga.id,
            definition: saga.definition,
            version: saga.version,
        }
    }
}

/// Why a saga isn't moving: as the service says it, else by what is stuck or waited for.
pub(super) fn why(saga: &v1::Saga) -> String {
    if !saga.why.is_empty() {
        return saga.why.clone();
    }
    let stuck = saga.stuck.first().map(|it| (text::stuck_reason(it.reason()), it.step.clone(), it.message.clone()));
    let waiting = saga.waiting.first().map(|it| {
        let reason = text::word(it.reason().as_str_name(), "WAITING_REASON_");
        (reason, it.step.clone(), it.message.clone())
    });
    let Some((reason, step, message)) = stuck.or(waiting) else { return String::new() };
    let at = if step.is_empty() { String::new() } else { format!(" at {step}") };
    let more = if message.is_empty() { String::new() } else { format!(": {message}") };
    format!("{reason}{at}{more}")
}

/// By how long they have needed somebody.
pub(super) fn oldest_first(mut sagas: Vec<v1::Saga>) -> Vec<v1::Saga> {
    sagas.sort_by_key(|saga| {
        let since = saga.stuck.first().and_then(|stuck| when(&stuck.since)).or_else(|| when(&saga.create_time));
        (since, saga.id.clone())
    });
    sagas
}

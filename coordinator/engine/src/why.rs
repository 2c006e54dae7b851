//! Why a saga isn't moving, since when, and what happens next: one or two sentences, the same for every surface.
//!
//! Pure: from the state and from what only whoever drives it knows (breakers, limits, holds, a frozen shard). Times are absolute, in
//! UTC: a text that travels, is logged or mailed must not grow old; how long ago that is, is for whoever shows it to say.
//! Invariant: empty for a saga that has ended, and for one that isn't stuck while it calls or prepares something; never else.

use crate::facts::{StepEffect, Stuck};
use crate::ids::{Operation, ParticipantName, StepIndex};
use crate::outcome::Why;
use crate::outstanding;
use crate::saga::{Paused, Saga, StuckReason};
use crate::standing::{Waiting, WaitingReason};
use crate::time::Timestamp;

/// How many effects are named; of more it is said how many there are.
const EFFECTS_NAMED: usize = 4;

/// What only whoever drives a saga knows of what holds it up.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// All that it waits for, what ends first at the head.
    pub waits: Vec<Waiting>,
    /// Its definition is paused.
    pub definition: Option<Paused>,
    /// Participants that a person has paused.
    pub participants: Vec<(ParticipantName, Paused)>,
    /// Its shard is frozen, and this is why.
    pub frozen: Option<String>,
}

/// The sentences.
pub fn why(saga: &Saga, around: &Around) -> String {
    if saga.state.phase.is_terminal() {
        return String::new();
    }
    if let Some(lost) = &around.frozen {
        return format!("Its shard is frozen: {lost}. Nothing of it moves until that is mended.");
    }
    let mut stuck = saga.all_stuck();
    stuck.sort_by_key(|stuck| stuck.since);
    if let Some(first) = stuck.first() {
        return of_stuck(saga, around, first, stuck.len());
    }
    if let Some(paused) = &saga.state.paused {
        return format!("Paused since {}. Nothing starts until somebody resumes it.", by_whom(paused));
    }
    if !outstanding::outstanding(saga).is_empty() {
        return String::new();
    }
    if let Some(paused) = &around.definition {
        let name = &saga.state.head.definition;
        let since = by_whom(paused);
        return format!(
            "Definition {name} is paused since {since}. Nothing starts until somebody resumes the definition."
        );
    }
    around.waits.first().map(|waiting| of_waiting(saga, around, waiting)).unwrap_or_default()
}

/// "2026-11-29 02:10:05 UTC by ada (the reason)".
fn by_whom(Paused { since, by }: &Paused) -> String {
    let who = if by.principal.is_empty() { String::new() } else { format!(" by {}", by.principal) };
    let reason = if by.reason.is_empty() { String::new() } else { format!(" ({})", by.reason) };
    format!("{}{who}{reason}", since.utc())
}

/// "undo `charge`".
fn deed(saga: &Saga, step: StepIndex, operation: Operation) -> String {
    let name = &saga.definition.step(step).name;
    match operation {
        Operation::Action => format!("do `{name}`"),
        Operation::Compensate => format!("undo `{name}`"),
        Operation::Confirm => format!("confirm `{name}`"),
        Operation::Query => format!("ask about `{name}`"),
    }
}

/// ` with FAILED_PRECONDITION "already settled"`; empty where nothing was said.
fn said(why: &Why) -> String {
    match (why.code.as_str(), why.message.as_str()) {
        ("", "") => String::new(),
        (code, "") => format!(" with {code}"),
        ("", message) => format!(" with {message:?}"),
        (code, message) => format!(" with {code} {message:?}"),
    }
}

fn of_stuck(saga: &Saga, around: &Around, first: &Stuck, count: usize) -> String {
    let cause = match first.step.zip(first.operation) {
        Some((step, operation)) => at_operation(saga, first.reason, step, operation),
        None => as_a_whole(saga, first.reason),
    };
    let more = match count {
        0 | 1 => String::new(),
        more => format!(" (and {} more)", more - 1),
    };
    let goes_on = !outstanding::outstanding(saga).is_empty() || !around.waits.is_empty();
    let rest = if goes_on { "What doesn't depend on it goes on, and the rest waits" } else { "Nothing more happens" };
    let until = remedy(saga, first);
    format!("Stuck since {}: {cause}{more}. {rest} until somebody {until}{}.", first.since.utc(), standing(saga))
}

fn at_operation(saga: &Saga, reason: StuckReason, step: StepIndex, operation: Operation) -> String {
    let definition = saga.definition.step(step);
    let (name, participant) = (&definition.name, &definition.participant);
    let (state, deed) = (saga.operation(step, operation), deed(saga, step, operation));
    let said = state.last.as_ref().map(|last| said(&last.why)).unwrap_or_default();
    match reason {
        StuckReason::RetriesExhausted => {
            let attempts = state.attempt;
            format!(
                "after {attempts} attempts {participant} has not been seen to {deed}; it answered last{}",
                or_nothing(&said)
            )
        }
        StuckReason::CompensationRefused | StuckReason::ConfirmRefused => {
            format!("{participant} refused to {deed}{said}")
        }
        StuckReason::RejectedAfterPivot => {
            format!("{participant} refused to {deed}{said}, and the saga can only go forward")
        }
        StuckReason::PivotUnknown => {
            format!(
                "nobody can tell whether {participant} has done `{name}`, the pivot; it answered last{}",
                or_nothing(&said)
            )
        }
        StuckReason::BarrierRowMissing => {
            format!("{participant} was to {deed} and doesn't know of `{name}` any more{said}: it has lost data")
        }
        StuckReason::KeyReused => format!("{participant} holds the key of `{name}` with another request{said}"),
        StuckReason::ExpressionFailed => {
            format!(
                "the request to {deed} at {participant} can't be made: an expression of the definition fails for this saga"
            )
        }
        StuckReason::Misconfigured => {
            format!("{participant} doesn't let us {deed}{said}: credentials, permission or method are wrong")
        }
        StuckReason::DefinitionOrParticipantMissing => {
            format!("what is needed to {deed} at {participant} isn't registered")
        }
        StuckReason::Poison => format!("the coordinator failed when it was to {deed} at {participant}"),
    }
}

fn or_nothing(said: &str) -> &str {
    if said.is_empty() { " nothing that says" } else { said }
}

fn as_a_whole(saga: &Saga, reason: StuckReason) -> String {
    let found = saga.state.parked.as_ref().map(|parked| parked.message.as_str()).unwrap_or_default();
    if reason == StuckReason::DefinitionOrParticipantMissing {
        format!("what it needs isn't registered ({found})")
    } else {
        format!("the coordinator failed at it ({found}, {})", reason.as_str())
    }
}

/// What somebody has to do, after "until somebody".
fn remedy(saga: &Saga, stuck: &Stuck) -> &'static str {
    let is_pivot = stuck.step.is_some() && stuck.step == saga.definition.pivot();
    let is_action = stuck.operation == Some(Operation::Action);
    match stuck.reason {
        StuckReason::DefinitionOrParticipantMissing => "registers it and retries",
        StuckReason::Poison => "retries or force-stops it",
        StuckReason::ExpressionFailed => "repins it to a mended version, or resolves or skips that operation",
        _ if is_pivot && is_action => "resolves it as happened or not, or retries it",
        StuckReason::KeyReused | StuckReason::BarrierRowMissing => "resolves or skips it",
        StuckReason::RetriesExhausted
        | StuckReason::CompensationRefused
        | StuckReason::ConfirmRefused
        | StuckReason::RejectedAfterPivot
        | StuckReason::PivotUnknown
        | StuckReason::Misconfigured => "retries, skips or resolves it",
    }
}

/// "; still standing: `hold` at account, perhaps `charge` at payment".
fn standing(saga: &Saga) -> String {
    let effects: Vec<String> = saga
        .residue()
        .iter()
        .map(|residue| {
            let step = saga.definition.step(residue.step);
            let perhaps = if residue.effect == StepEffect::Possible { "perhaps " } else { "" };
            format!("{perhaps}`{}` at {}", step.name, step.participant)
        })
        .collect();
    match effects.len() {
        0 => String::new(),
        1..=EFFECTS_NAMED => format!("; still standing: {}", effects.join(", ")),
        all => format!("; still standing: {} and {} more", effects[..EFFECTS_NAMED].join(", "), all - EFFECTS_NAMED),
    }
}

fn of_waiting(saga: &Saga, around: &Around, waiting: &Waiting) -> String {
    let since = waiting.since.utc();
    let Some((step, operation)) = waiting.step.zip(waiting.operation) else {
        return format!("Waiting since {since}.");
    };
    let participant = &saga.definition.step(step).participant;
    let deed = deed(saga, step, operation);
    let last =
        |operation| saga.operation(step, operation).last.as_ref().map(|last| said(&last.why)).unwrap_or_default();
    let at =
        |until: Option<Timestamp>, before: &str| until.map(|at| format!("{before}{}", at.utc())).unwrap_or_default();
    let until = waiting.until;
    match waiting.reason {
        WaitingReason::RetryDue => {
            let attempt = saga.operation(step, operation).attempt;
            let answered = last(operation);
            let text = format!(
                "Waiting since {since}: attempt {attempt} to {deed} at {participant} ended{}.",
                or_nothing(&answered)
            );
            format!("{text} The next one is made{}.", at(until, " at "))
        }
        WaitingReason::Pending => {
            let doubt = at(until, "; unless it does, it is in doubt from ");
            format!("Waiting since {since} for {participant}, which is to {deed} and will tell us when it has{doubt}.")
        }
        WaitingReason::Quiet => {
            let compensates = format!("Waiting to {deed} at {participant}{}", at(until, " until "));
            format!(
                "{compensates}: an attempt that nobody answered{} may still be on its way.",
                last(Operation::Action)
            )
        }
        WaitingReason::BreakerOpen => {
            let next = "No attempt is used up meanwhile";
            match around.participants.iter().find(|(name, _)| name == participant) {
                Some((_, paused)) => {
                    format!(
                        "Waiting to {deed}: participant {participant} is paused since {}. {next}; it goes on when somebody resumes the participant.",
                        by_whom(paused)
                    )
                }
                None => format!(
                    "Waiting since {since} to {deed}: {participant} doesn't answer and isn't called for now. {next}; it goes on by itself once {participant} is back{}.",
                    at(until, ", by about ")
                ),
            }
        }
        WaitingReason::Limit => {
            format!(
                "Waiting since {since} to {deed}: other calls of {participant} come first. It goes on by itself{}.",
                at(until, " by about ")
            )
        }
        // Of the saga as a whole; said above.
        WaitingReason::Paused => format!("Paused since {since}. Nothing starts until somebody resumes it."),
    }
}

//! Why a saga is not moving, and what happens next: the first thing that an operator reads.
//!
//! Never guesses: every line is said by the coordinator or follows from the closed lists of design §4. Invariant: for
//! each reason there is a next step, and a stuck saga always comes with the commands that could help.

use amends_proto::v1::{Acknowledgement, Saga, SagaStatus, Stuck, StuckReason, Waiting, WaitingReason};

use crate::time::{age, instant, until};
use crate::words;

/// The paragraph under "Why it is not moving", or what it is doing when it is.
pub(super) fn explain(saga: &Saga) -> String {
    let mut lines: Vec<String> = Some(saga.why.clone()).filter(|why| !why.is_empty()).into_iter().collect();
    lines.extend(saga.acknowledgement.as_ref().map(acknowledged));
    for stuck in &saga.stuck {
        lines.extend(explain_stuck(saga, stuck));
    }
    for waiting in &saga.waiting {
        lines.extend(explain_waiting(saga, waiting));
    }
    if lines.is_empty() {
        lines.push(unhindered(saga));
    }
    lines.extend(saga.recorded_cancel.as_ref().map(|cancel| {
        format!(
            "A cancel by {} is recorded and acts if the pivot turns out to be refused.",
            words::or_dash(&cancel.principal)
        )
    }));
    lines.iter().map(|line| format!("  {}\n", line.replace(char::is_control, " "))).collect()
}

fn acknowledged(by: &Acknowledgement) -> String {
    let Acknowledgement { time, principal, note } = by;
    format!(
        "{} looks after it, since {} ({}): {note}",
        words::or_dash(principal),
        instant(time.as_ref()),
        age(time.as_ref())
    )
}

/// The heading that fits [`explain`].
pub(super) fn heading(saga: &Saga) -> &'static str {
    match (saga.end_time.is_some(), saga.stuck.is_empty() && saga.waiting.is_empty()) {
        (true, _) => "It has ended",
        (false, true) => "It is moving",
        (false, false) => "Why it is not moving",
    }
}

fn unhindered(saga: &Saga) -> String {
    match saga.status() {
        SagaStatus::Completed => "Every step succeeded.".to_owned(),
        SagaStatus::Compensated if saga.residue.is_empty() => "What was done is undone.".to_owned(),
        SagaStatus::Compensated => "What was done is undone, but for the residue below.".to_owned(),
        SagaStatus::ForceStopped => "An operator ended it where it stood; the residue below stands.".to_owned(),
        _ => {
            let calls: Vec<String> = saga.steps.iter().flat_map(calls_of).collect();
            if calls.is_empty() {
                "Its next calls are being prepared.".to_owned()
            } else {
                format!("Calling {}.", calls.join(", "))
            }
        }
    }
}

fn calls_of(step: &amends_proto::v1::Step) -> impl Iterator<Item = String> {
    use amends_proto::v1::OperationStatus::{Asking, Calling};

    let under_way = step.operations.iter().filter(|operation| matches!(operation.status(), Calling | Asking));
    under_way.map(|operation| {
        format!("{} (attempt {})", words::place(&step.name, operation.operation), operation.attempts.max(1))
    })
}

fn explain_stuck(saga: &Saga, stuck: &Stuck) -> Vec<String> {
    let place = match words::place(&stuck.step, stuck.operation).as_str() {
        "" => String::new(),
        place => format!(" at {place}"),
    };
    let since = format!("since {} ({})", instant(stuck.since.as_ref()), age(stuck.since.as_ref()));
    let mut lines = vec![format!("Stuck: {}{place}, {since}", words::stuck_reason(stuck.reason))];
    let said = words::said(&stuck.code, &stuck.message);
    if !said.is_empty() {
        lines.push(format!("  {said}"));
    }
    let (advice, verbs) = remedy(stuck.reason());
    lines.push(format!("  Next: nothing happens by itself. {advice}"));
    lines.push("  Then one of".to_owned());
    lines.extend(verbs.iter().map(|verb| format!("    {}", command(saga, verb, &stuck.step, stuck.operation))));
    lines
}

/// What an operator can do about a reason, the likeliest remedy first.
fn remedy(reason: StuckReason) -> (&'static str, &'static [&'static str]) {
    const RETRY: &str = "retry";
    const SKIP: &str = "skip";
    const HAPPENED: &str = "resolve --happened";
    const NOT_HAPPENED: &str = "resolve --did-not-happen";
    const REPIN: &str = "repin";
    const STOP: &str = "force-stop";
    match reason {
        StuckReason::RetriesExhausted => ("Mend what keeps the participant from answering.", &[RETRY, HAPPENED, SKIP]),
        StuckReason::CompensationRefused => (
            "Find out at the participant why it refuses to undo; undo it by hand where it never will.",
            &[RETRY, HAPPENED, SKIP],
        ),
        StuckReason::ConfirmRefused => {
            ("Find out at the participant why it refuses to confirm.", &[RETRY, HAPPENED, SKIP])
        }
        StuckReason::RejectedAfterPivot => {
            ("The saga can only go forward: mend the cause of the refusal, or do it by hand.", &[RETRY, HAPPENED, SKIP])
        }
        StuckReason::PivotUnknown => {
            ("Find out at the participant whether it happened.", &[HAPPENED, NOT_HAPPENED, RETRY])
        }
        StuckReason::BarrierRowMissing => {
            ("The participant has lost data: look at its database before you do anything.", &[HAPPENED, SKIP, RETRY])
        }
        StuckReason::KeyReused => (
            "The participant has seen another request with this key: find out what it did for that one.",
            &[HAPPENED, SKIP],
        ),
        StuckReason::ExpressionFailed => {
            ("Register a version that fits this saga's data, or do the step by hand.", &[REPIN, HAPPENED, SKIP, STOP])
        }
        StuckReason::DefinitionOrParticipantMissing => ("Register what is missing.", &[RETRY, REPIN, STOP]),
        StuckReason::Misconfigured => ("Mend the credentials, the permission or the method's name.", &[RETRY, SKIP]),
        StuckReason::Poison => ("The coordinator's log has the cause; an upgrade may mend it.", &[RETRY, STOP]),
        StuckReason::Unspecified => {
            ("This program is older than the coordinator and doesn't know the reason.", &[RETRY, STOP])
        }
    }
}

/// A command line that only lacks the reason.
fn command(saga: &Saga, verb: &str, step: &str, operation: i32) -> String {
    let (verb, finding) = verb.split_once(' ').unwrap_or((verb, ""));
    let mut words: Vec<String> = vec![format!("amends saga {verb} {}", saga.id)];
    if saga.namespace != "default" {
        words.push(format!("--namespace {}", saga.namespace));
    }
    if !step.is_empty() && !matches!(verb, "force-stop" | "repin") {
        words.push(format!("--step {step}"));
        if verb != "retry" {
            words.push(format!("--operation {}", words::operation(operation)));
        }
    }
    if !finding.is_empty() {
        words.push(finding.to_owned());
    }
    words.push("--reason '…'".to_owned());
    words.join(" ")
}

fn explain_waiting(saga: &Saga, waiting: &Waiting) -> Vec<String> {
    let place = match words::place(&waiting.step, waiting.operation).as_str() {
        "" => String::new(),
        place => format!(" at {place}"),
    };
    let since = format!("since {} ({})", instant(waiting.since.as_ref()), age(waiting.since.as_ref()));
    let mut lines = vec![format!("Waiting: {}{place}, {since}", words::waiting_reason(waiting.reason))];
    if !waiting.message.is_empty() {
        lines.push(format!("  {}", waiting.message));
    }
    let until =
        waiting.until.as_ref().map(|at| format!(" at {} ({})", instant(Some(at)), until(at))).unwrap_or_default();
    lines.push(match waiting.reason() {
        WaitingReason::RetryDue => format!("  Next: another attempt{until}."),
        WaitingReason::Pending if waiting.until.is_none() => {
            "  Next: the participant tells us by CompleteStep.".to_owned()
        }
        WaitingReason::Pending => format!("  Next: the participant tells us by CompleteStep; in doubt{until}."),
        WaitingReason::BreakerOpen => {
            format!("  Next: goes on when the participant answers again{until}; no attempt is used up.")
        }
        WaitingReason::Limit => format!("  Next: goes on when other calls of the participant end{until}."),
        WaitingReason::ShardFrozen => {
            "  Next: goes on when its shard does; the coordinator's log says why it is frozen.".to_owned()
        }
        WaitingReason::Quiet => {
            format!("  Next: compensates{until}; until then an earlier attempt may still be on its way.")
        }
        WaitingReason::Paused if saga.status() != SagaStatus::Paused => {
            format!("  Next: nothing until amends definition resume {} --reason '…'", saga.definition)
        }
        WaitingReason::Paused => format!("  Next: nothing until {}", command(saga, "resume", "", 0)),
        WaitingReason::Unspecified => format!("  Next: goes on by itself{until}."),
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_for_being_stuck_has_a_command_that_helps() {
        for value in 1..=11 {
            let reason = StuckReason::try_from(value).expect("known");
            let saga = Saga { id: "o-1".to_owned(), namespace: "shop".to_owned(), ..Saga::default() };
            let stuck = Stuck { reason: value, step: "charge".to_owned(), operation: 1, ..Stuck::default() };
            let text = explain_stuck(&saga, &stuck).join("\n");
            assert!(text.contains("amends saga ") && text.contains("--namespace shop"), "{reason:?}: {text}");
        }
        assert!(StuckReason::try_from(12).is_err(), "a new reason needs a remedy, and this test its number");
    }

    #[test]
    fn every_wait_says_what_comes_next() {
        for value in 1..=7 {
            let reason = WaitingReason::try_from(value).expect("known");
            let waiting = Waiting { reason: value, ..Waiting::default() };
            let text = explain_waiting(&Saga::default(), &waiting).join("\n");
            assert!(text.contains("  Next: "), "{reason:?}: {text}");
        }
        assert!(WaitingReason::try_from(8).is_err(), "a new reason needs words, and this test its number");
    }

    #[test]
    fn a_saga_that_only_runs_says_what_it_is_calling() {
        let saga = Saga { status: SagaStatus::Running.into(), ..Saga::default() };
        assert_eq!(heading(&saga), "It is moving");
        assert_eq!(explain(&saga), "  Its next calls are being prepared.\n");
    }
}

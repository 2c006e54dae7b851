//! Every rule about a change can fail: a real change, one thing bent, the rule that notices.

use std::sync::Arc;

use amends_engine::apply::Changed;
use amends_engine::event::Event;
use amends_engine::ids::Operation::{Action, Compensate, Confirm};
use amends_engine::ids::{Operation, StepIndex};
use amends_engine::outcome::Outcome;
use amends_engine::payload::Digest;
use amends_engine::saga::{By, Cause, Decision, OperationStatus, Parked, Paused, Phase, Saga, StuckReason};
use amends_engine::time::Timestamp;

use crate::samples::{
    HOLD, PAY, SHIP, after, answer, begun, change, compensating, completed, ok, op, refused, unknown, with_pivot,
    without_pivot,
};
use crate::{Rule, check_step};

/// An event, and the rule that its bent change breaks.
fn broken(before: &Saga, event: &Event, bend: impl FnOnce(&mut Changed)) -> Option<Rule> {
    let mut changed = change(before, event);
    bend(&mut changed);
    check_step(before, event, &changed).err().map(|violation| violation.rule)
}

/// The same for an answer.
fn answered(
    before: &Saga,
    (step, operation, outcome): (StepIndex, Operation, Outcome),
    bend: impl FnOnce(&mut Changed),
) -> Option<Rule> {
    broken(before, &answer(before, step, operation, outcome), bend)
}

/// What hold's first answer changes, bent.
fn held(bend: impl FnOnce(&mut Changed)) -> Option<Rule> {
    answered(&begun(with_pivot()), (HOLD, Action, ok()), bend)
}

fn pivot_is_out() -> Saga {
    after(begun(with_pivot()), &[(HOLD, Action, ok())])
}

#[test]
fn what_is_written_once_stays() {
    assert_eq!(held(|_| ()), None);
    assert_eq!(held(|changed| changed.saga.state.deadline = Timestamp(1)), Some(Rule::WrittenOnce));
    assert_eq!(
        held(|changed| Arc::make_mut(&mut changed.saga.state.head).principal.push('x')),
        Some(Rule::WrittenOnce)
    );
    assert_eq!(held(|changed| changed.payloads.clear()), Some(Rule::WrittenOnce), "an output without its bytes");
    let other_request =
        |changed: &mut Changed| op(&mut changed.saga, HOLD, Action).request = Some(Digest::of(b"other"));
    assert_eq!(held(other_request), Some(Rule::WrittenOnce));
    let other_output = |changed: &mut Changed| op(&mut changed.saga, HOLD, Action).output = Some(Digest::of(b"other"));
    assert_eq!(answered(&pivot_is_out(), (PAY, Action, ok()), other_output), Some(Rule::WrittenOnce));
    let begun_again = |changed: &mut Changed| op(&mut changed.saga, HOLD, Action).begun_at = None;
    assert_eq!(held(begun_again), Some(Rule::WrittenOnce));
    let undone = |changed: &mut Changed| op(&mut changed.saga, HOLD, Action).status = OperationStatus::Idle;
    assert_eq!(answered(&pivot_is_out(), (PAY, Action, ok()), undone), Some(Rule::WrittenOnce));
}

#[test]
fn the_books_are_kept_in_order() {
    assert_eq!(held(|changed| changed.saga.state.revision = 7), Some(Rule::Sequence));
    assert_eq!(held(|changed| changed.saga.state.history_length += 1), Some(Rule::Sequence));
    assert_eq!(held(|changed| changed.history[0].sequence += 1), Some(Rule::Sequence));
    assert_eq!(held(|changed| changed.history[0].at = Timestamp(1)), Some(Rule::Sequence));
    assert_eq!(held(|changed| op(&mut changed.saga, HOLD, Action).attempt = 0), Some(Rule::Sequence));
    let back = |changed: &mut Changed| changed.saga.state.updated_at = Timestamp(0);
    assert_eq!(answered(&pivot_is_out(), (PAY, Action, ok()), back), Some(Rule::Sequence));
}

#[test]
fn phases_follow_each_other_and_an_end_is_an_end() {
    let confirming = after(pivot_is_out(), &[(PAY, Action, ok()), (SHIP, Action, ok())]);
    let back = |changed: &mut Changed| changed.saga.state.phase = Phase::Compensating;
    assert_eq!(answered(&confirming, (HOLD, Confirm, ok()), back), Some(Rule::PhaseOrder));
    let forward = |changed: &mut Changed| changed.saga.state.phase = Phase::Running;
    assert_eq!(answered(&compensating(), (HOLD, Compensate, refused()), forward), Some(Rule::PhaseOrder));
    let ended = completed();
    let changed = Changed { saga: ended.clone(), history: Vec::new(), payloads: Vec::new() };
    let found = check_step(&ended, &Event::Due, &changed).err().map(|violation| violation.rule);
    assert_eq!(found, Some(Rule::PhaseOrder));
}

#[test]
fn a_decision_stands_and_has_its_grounds() {
    let refusal = (HOLD, Compensate, refused());
    let withdrawn = |changed: &mut Changed| changed.saga.state.decision = None;
    assert_eq!(answered(&compensating(), refusal.clone(), withdrawn), Some(Rule::WrittenOnce));
    let deadline = || Some(Decision { cause: Cause::Deadline, at: Timestamp(10_000) });
    let changed_cause = |changed: &mut Changed| changed.saga.state.decision = deadline();
    assert_eq!(answered(&compensating(), refusal, changed_cause), Some(Rule::WrittenOnce));
    let too_early = |changed: &mut Changed| changed.saga.state.decision = deadline();
    assert_eq!(answered(&begun(with_pivot()), (HOLD, Action, refused()), too_early), Some(Rule::Budget));
}

#[test]
fn nothing_turns_back_while_the_pivot_may_have_happened() {
    let before = pivot_is_out();
    let mut after = before.clone();
    after.state.phase = Phase::Compensating;
    after.state.decision = Some(Decision { cause: Cause::Cancelled(By::default()), at: Timestamp(10_000) });
    let changed = Changed { saga: after, history: Vec::new(), payloads: Vec::new() };
    let found = check_step(&before, &Event::Cancel(By::default()), &changed).err().map(|violation| violation.rule);
    assert_eq!(found, Some(Rule::PivotTurnedBack));
}

#[test]
fn doubt_is_not_forgotten() {
    let clear = |changed: &mut Changed| op(&mut changed.saga, HOLD, Action).uncertain = false;
    assert_eq!(answered(&begun(with_pivot()), (HOLD, Action, unknown()), clear), Some(Rule::DoubtForgotten));
    assert_eq!(broken(&begun(with_pivot()), &Event::Loaded, clear), Some(Rule::DoubtForgotten));
    let again = after(begun(with_pivot()), &[(HOLD, Action, unknown())]);
    let again = change(&again, &Event::Retry { step: None, by: By::default() }).saga;
    assert_eq!(
        answered(&again, (HOLD, Action, refused()), clear),
        Some(Rule::DoubtForgotten),
        "one refusal is no fact"
    );
    let landed = |changed: &mut Changed| op(&mut changed.saga, HOLD, Action).quiet_at = None;
    assert_eq!(answered(&again, (HOLD, Action, refused()), landed), Some(Rule::DoubtForgotten));
}

/// A change that only starts an attempt.
fn starts(before: &Saga, step: StepIndex, operation: Operation, event: &Event) -> Option<Rule> {
    let mut after = before.clone();
    let state = op(&mut after, step, operation);
    state.attempt += 1;
    state.begun_at = Some(Timestamp(10_000));
    state.status = OperationStatus::InFlight { deadline: Timestamp(20_000) };
    let changed = Changed { saga: after, history: Vec::new(), payloads: Vec::new() };
    check_step(before, event, &changed).err().map(|violation| violation.rule)
}

#[test]
fn actions_start_in_order_and_forward_only() {
    let before = begun(with_pivot());
    assert_eq!(starts(&before, PAY, Action, &Event::Due), Some(Rule::Order));
    assert_eq!(starts(&compensating(), SHIP, Action, &Event::Due), Some(Rule::Order));
}

#[test]
fn nothing_starts_in_a_saga_that_is_parked() {
    let mut parked = after(begun(with_pivot()), &[(HOLD, Action, unknown())]);
    op(&mut parked, HOLD, Action).status = OperationStatus::Retry { due: Timestamp(0) };
    assert_eq!(starts(&parked, HOLD, Action, &Event::Due), None);
    parked.state.paused = Some(Paused { since: Timestamp(0), by: By::default() });
    assert_eq!(starts(&parked, HOLD, Action, &Event::Due), Some(Rule::StartedWhileParked));
    parked.state.paused = None;
    parked.state.parked = Some(Parked { reason: StuckReason::Poison, message: String::new(), since: Timestamp(0) });
    assert_eq!(starts(&parked, HOLD, Action, &Event::Due), Some(Rule::StartedWhileParked));
    let mut freed = parked.clone();
    freed.state.parked = None;
    let changed = Changed { saga: freed, history: Vec::new(), payloads: Vec::new() };
    let found = check_step(&parked, &Event::Due, &changed).err().map(|violation| violation.rule);
    assert_eq!(found, Some(Rule::Contradiction), "nobody asked for it");
}

#[test]
fn failures_are_counted_on() {
    let mut failed = begun(with_pivot());
    op(&mut failed, HOLD, Action).failures = 1;
    let forget = |changed: &mut Changed| op(&mut changed.saga, HOLD, Action).failures = 0;
    assert_eq!(broken(&failed, &Event::Loaded, |_| ()), None);
    assert_eq!(broken(&failed, &Event::Loaded, forget), Some(Rule::Budget));
}

#[test]
fn an_attempt_waits_until_it_is_due_and_stays_within_its_budget() {
    let mut waiting = after(begun(with_pivot()), &[(HOLD, Action, unknown())]);
    assert_eq!(starts(&waiting, HOLD, Action, &Event::Due), Some(Rule::Budget));
    assert_eq!(starts(&waiting, HOLD, Action, &Event::Retry { step: None, by: By::default() }), None);
    let state = op(&mut waiting, HOLD, Action);
    state.status = OperationStatus::Retry { due: Timestamp(0) };
    state.failures = 8;
    assert_eq!(starts(&waiting, HOLD, Action, &Event::Due), Some(Rule::Budget));
}

#[test]
fn compensations_start_after_their_decision_when_needed_and_in_reverse() {
    let idle = |mut saga: Saga, step| {
        *op(&mut saga, step, Compensate) = amends_engine::saga::OperationState::IDLE;
        saga
    };
    assert_eq!(starts(&pivot_is_out(), HOLD, Compensate, &Event::Due), Some(Rule::NoDecision));
    let mut needless = idle(compensating(), HOLD);
    op(&mut needless, HOLD, Action).status = OperationStatus::Rejected;
    assert_eq!(starts(&needless, HOLD, Compensate, &Event::Due), Some(Rule::NoDecision));
    let mut loud = idle(compensating(), HOLD);
    assert_eq!(starts(&loud, HOLD, Compensate, &Event::Due), None);
    op(&mut loud, HOLD, Action).quiet_at = Some(Timestamp(10_001));
    assert_eq!(starts(&loud, HOLD, Compensate, &Event::Due), Some(Rule::Order));
    let both = after(begun(without_pivot()), &[(HOLD, Action, ok()), (PAY, Action, ok()), (SHIP, Action, unknown())]);
    let both = change(&both, &Event::Cancel(By::default())).saga;
    assert_eq!(starts(&both, HOLD, Compensate, &Event::Due), Some(Rule::Order), "the last step isn't undone yet");
}

#[test]
fn confirms_start_behind_the_point_of_no_return() {
    assert_eq!(starts(&pivot_is_out(), HOLD, Confirm, &Event::Due), Some(Rule::NoDecision));
}

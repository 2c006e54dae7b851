//! Every rule about one state can fail: a good state, one field bent, the rule that notices.

use amends_engine::ids::Operation::{Action, Compensate, Confirm, Query};
use amends_engine::payload::Digest;
use amends_engine::saga::{
    By, CancelRequest, OperationState, OperationStatus, Parked, Phase, Saga, SkippedBy, StuckReason,
};
use amends_engine::time::Timestamp;

use crate::samples::{
    HOLD, PAY, SHIP, after, begun, compensated, compensating, completed, ok, op, refused, unknown, with_pivot,
    without_pivot,
};
use crate::{Rule, check_state};

/// The rule that a bent state breaks.
fn broken(mut saga: Saga, bend: impl FnOnce(&mut Saga)) -> Option<Rule> {
    check_state(&saga).expect("a good state before it is bent");
    bend(&mut saga);
    check_state(&saga).err().map(|violation| violation.rule)
}

#[test]
fn real_states_pass() {
    let running = begun(without_pivot());
    for saga in [running, completed(), compensating(), compensated()] {
        assert_eq!(check_state(&saga), Ok(()));
    }
}

#[test]
fn an_end_has_nothing_left_to_do() {
    let calling = OperationStatus::InFlight { deadline: Timestamp(20_000) };
    let unconfirmed = |saga: &mut Saga| {
        op(saga, HOLD, Confirm).status = OperationStatus::Ready;
        op(saga, HOLD, Confirm).output = None;
    };
    assert_eq!(broken(completed(), unconfirmed), Some(Rule::UnfinishedEnd));
    assert_eq!(broken(compensated(), |saga| op(saga, PAY, Action).status = calling), Some(Rule::UnfinishedEnd));
    assert_eq!(broken(completed(), |saga| saga.state.ended_at = None), Some(Rule::Contradiction));
}

#[test]
fn completed_means_done_and_confirmed() {
    assert_eq!(
        broken(completed(), |saga| op(saga, SHIP, Action).status = OperationStatus::Idle),
        Some(Rule::Contradiction)
    );
    let undone = |saga: &mut Saga| {
        op(saga, SHIP, Action).status = OperationStatus::GaveUp;
        op(saga, SHIP, Action).output = None;
    };
    assert_eq!(broken(completed(), undone), Some(Rule::NotCompleted));
    let unconfirmed = |saga: &mut Saga| {
        op(saga, HOLD, Confirm).status = OperationStatus::Idle;
        op(saga, HOLD, Confirm).output = None;
    };
    assert_eq!(broken(completed(), unconfirmed), Some(Rule::NotCompleted));
}

#[test]
fn compensated_means_that_nothing_stands_that_nobody_accepted() {
    let never_undone = |saga: &mut Saga| *op(saga, HOLD, Compensate) = OperationState::IDLE;
    assert_eq!(broken(compensated(), never_undone), Some(Rule::NotCompensated));
    let dropped = |saga: &mut Saga| {
        op(saga, HOLD, Compensate).status = OperationStatus::Idle;
        op(saga, HOLD, Compensate).output = None;
    };
    assert_eq!(broken(compensated(), dropped), Some(Rule::UnfinishedEnd));
    assert_eq!(broken(compensated(), |saga| op(saga, PAY, Action).uncertain = true), Some(Rule::NotCompensated));
    let accepted = |saga: &mut Saga| {
        op(saga, HOLD, Compensate).status = OperationStatus::Skipped(SkippedBy::Operator);
        op(saga, HOLD, Compensate).output = None;
    };
    assert_eq!(broken(compensated(), accepted), None, "an operator accepted it");
    let declared = after(
        begun(without_pivot()),
        &[(HOLD, Action, ok()), (PAY, Action, ok()), (SHIP, Action, refused()), (HOLD, Compensate, ok())],
    );
    assert_eq!((declared.state.phase, check_state(&declared)), (Phase::Compensated, Ok(())), "the team declared it");
}

#[test]
fn nothing_goes_back_without_a_decision_or_over_a_pivot_that_happened() {
    assert_eq!(broken(compensating(), |saga| saga.state.decision = None), Some(Rule::NoDecision));
    let forward = |saga: &mut Saga| saga.state.phase = Phase::Running;
    assert_eq!(broken(compensating(), forward), Some(Rule::NoDecision));
    let passed = |saga: &mut Saga| {
        op(saga, PAY, Action).status = OperationStatus::Succeeded;
        op(saga, PAY, Action).output = Some(Digest::of(b"{}"));
    };
    assert_eq!(broken(compensating(), passed), Some(Rule::PivotTurnedBack));
    let undoes = |saga: &mut Saga| {
        let calling = op(saga, HOLD, Action).clone();
        *op(saga, HOLD, Compensate) = calling;
    };
    assert_eq!(broken(begun(with_pivot()), undoes), Some(Rule::NoDecision));
    let confirms = |saga: &mut Saga| op(saga, HOLD, Confirm).status = OperationStatus::Ready;
    assert_eq!(broken(begun(with_pivot()), confirms), Some(Rule::NoDecision));
}

#[test]
fn a_compensation_never_runs_beside_its_action() {
    let beside = |saga: &mut Saga| op(saga, HOLD, Action).status = op(saga, HOLD, Compensate).status;
    assert_eq!(
        broken(compensating(), |saga| {
            beside(saga);
            op(saga, HOLD, Action).output = None;
        }),
        Some(Rule::Order)
    );
}

#[test]
fn no_step_begins_before_those_it_comes_after() {
    let early = |saga: &mut Saga| op(saga, SHIP, Action).status = OperationStatus::Ready;
    assert_eq!(broken(begun(with_pivot()), early), Some(Rule::Order));
}

#[test]
fn attempts_are_bounded_and_have_an_intent_with_a_request() {
    assert_eq!(broken(begun(with_pivot()), |saga| op(saga, HOLD, Action).failures = 9), Some(Rule::Budget));
    assert_eq!(broken(begun(with_pivot()), |saga| op(saga, HOLD, Action).failures = 2), Some(Rule::Budget));
    assert_eq!(broken(begun(with_pivot()), |saga| op(saga, HOLD, Action).begun_at = None), Some(Rule::Contradiction));
    assert_eq!(broken(begun(with_pivot()), |saga| op(saga, HOLD, Action).request = None), Some(Rule::Contradiction));
    let no_number = |saga: &mut Saga| {
        op(saga, HOLD, Action).attempt = 0;
        op(saga, HOLD, Action).begun_at = None;
    };
    assert_eq!(broken(begun(with_pivot()), no_number), Some(Rule::NoIntent));
}

#[test]
fn outputs_belong_to_successes() {
    assert_eq!(broken(completed(), |saga| op(saga, PAY, Action).output = None), Some(Rule::Contradiction));
    let early = |saga: &mut Saga| op(saga, HOLD, Action).output = Some(Digest::of(b"{}"));
    assert_eq!(broken(begun(with_pivot()), early), Some(Rule::Contradiction));
}

#[test]
fn a_query_runs_exactly_while_its_action_asks() {
    let asking = || after(begun(with_pivot()), &[(HOLD, Action, ok()), (PAY, Action, unknown())]);
    assert_eq!(asking().operation(PAY, Action).status, OperationStatus::Asking);
    assert_eq!(broken(asking(), |saga| op(saga, PAY, Query).status = OperationStatus::Idle), Some(Rule::Contradiction));
    let forgotten = |saga: &mut Saga| op(saga, PAY, Action).status = OperationStatus::GaveUp;
    assert_eq!(broken(asking(), forgotten), Some(Rule::Contradiction));
}

#[test]
fn what_the_definition_does_not_have_is_not_there() {
    let confirm = |saga: &mut Saga| op(saga, SHIP, Confirm).status = OperationStatus::Ready;
    assert_eq!(broken(completed(), confirm), Some(Rule::Contradiction));
    let condition = |saga: &mut Saga| {
        op(saga, SHIP, Action).status = OperationStatus::Skipped(SkippedBy::Condition);
        op(saga, SHIP, Action).output = None;
    };
    assert_eq!(broken(completed(), condition), Some(Rule::Contradiction));
    assert_eq!(broken(completed(), |saga| op(saga, HOLD, Confirm).uncertain = true), Some(Rule::Contradiction));
    assert_eq!(broken(completed(), |saga| saga.state.steps[0].sealing = true), Some(Rule::Contradiction));
    assert_eq!(broken(completed(), |saga| saga.state.steps.resize(1)), Some(Rule::Contradiction));
}

#[test]
fn a_cancel_is_kept_only_where_it_can_still_act() {
    let cancel = |saga: &mut Saga| {
        saga.state.cancel = Some(CancelRequest { at: Timestamp(0), by: By::default() });
    };
    assert_eq!(broken(completed(), cancel), Some(Rule::Contradiction));
    assert_eq!(broken(begun(without_pivot()), cancel), Some(Rule::Contradiction));
    assert_eq!(broken(begun(with_pivot()), cancel), None);
}

#[test]
fn times_do_not_contradict_each_other() {
    assert_eq!(broken(completed(), |saga| saga.state.ended_at = Some(Timestamp(99_999))), Some(Rule::Sequence));
    assert_eq!(broken(completed(), |saga| saga.state.started_at = Timestamp(99_999)), Some(Rule::Sequence));
    assert_eq!(broken(completed(), |saga| saga.state.history_length = 0), Some(Rule::Sequence));
}

#[test]
fn an_open_saga_is_never_idle_in_silence() {
    let forgotten = |saga: &mut Saga| op(saga, HOLD, Action).status = OperationStatus::GaveUp;
    assert_eq!(broken(begun(with_pivot()), forgotten), Some(Rule::SilentlyIdle));
    let nobody = |saga: &mut Saga| op(saga, HOLD, Compensate).status = OperationStatus::GaveUp;
    assert_eq!(broken(compensating(), nobody), Some(Rule::SilentlyIdle));
    let parked = |saga: &mut Saga| {
        op(saga, HOLD, Action).status = OperationStatus::GaveUp;
        let message = "panic".to_owned();
        saga.state.parked = Some(Parked { reason: StuckReason::Poison, message, since: Timestamp(0) });
    };
    assert_eq!(broken(begun(with_pivot()), parked), None, "somebody was told");
}

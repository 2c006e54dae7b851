//! Attempts that are held back by a breaker or a limit: nothing of them is there but a due time.

use amends_engine::event::Event;
use amends_engine::ids::Operation;
use amends_engine::outcome::Doubt;
use amends_engine::saga::{OperationStatus, Phase};
use amends_engine::standing::{WaitingReason, waiting};
use amends_engine::time::Timestamp;
use amends_engine::{Ignored, next_due, next_due_beside, outstanding};

use crate::script::{Script, somebody, unknown};

#[test]
fn a_first_attempt_that_is_held_back_was_never_begun() {
    let mut s = Script::start("stock | hold within=1000");
    s.held = true;
    s.succeed(&["stock"]);
    let hold = s.saga.operation(s.step("hold"), Operation::Action);
    assert_eq!((hold.attempt, hold.begun_at), (0, None), "its time hasn't begun");
    assert_eq!(hold.status, OperationStatus::Retry { due: Timestamp(0) });
    assert!(outstanding(&s.saga).is_empty());

    s.at(5_000);
    let commits = s.commits;
    assert_eq!(s.event(Event::Due), Some(Ignored::NothingDue), "still held back: nothing is written");
    assert_eq!(s.commits, commits);

    s.held = false;
    s.event(Event::Due);
    let hold = s.saga.operation(s.step("hold"), Operation::Action);
    assert_eq!((hold.attempt, hold.begun_at), (1, Some(Timestamp(5_000))));
    s.succeed(&["hold"]);
    assert_eq!(s.saga.state.phase, Phase::Completed);
}

#[test]
fn a_retry_that_is_held_back_uses_up_nothing_and_keeps_its_place() {
    let mut s = Script::start("stock tries=2");
    s.held = true;
    s.answer("stock", unknown(Doubt::NoAnswer));
    for later in [100, 10_000, 30_000] {
        s.at(later);
        assert_eq!(s.event(Event::Due), Some(Ignored::NothingDue));
        let stock = s.saga.operation(s.step("stock"), Operation::Action);
        assert_eq!((stock.attempt, stock.failures), (1, 1));
        assert_eq!(stock.status, OperationStatus::Retry { due: Timestamp(100) });
    }
    assert_eq!(waiting(&s.saga).map(|it| it.reason), Some(WaitingReason::RetryDue));
    assert_eq!(next_due(&s.saga), Some(Timestamp(100)), "whoever takes over finds it at once");
    let beside = next_due_beside(&s.saga, |_, operation| operation == Operation::Action);
    assert_eq!(beside, Some(s.saga.state.deadline), "whoever holds it back waits for the deadline alone");
}

#[test]
fn what_is_held_back_can_be_cancelled_and_its_step_needs_no_compensation() {
    let mut s = Script::start("stock | hold");
    s.held = true;
    s.succeed(&["stock"]);
    s.held = false;
    s.event(Event::Cancel(somebody()));
    assert_eq!(s.saga.operation(s.step("hold"), Operation::Action).status, OperationStatus::Idle);
    s.succeed(&["stock.compensate"]);
    assert_eq!(s.saga.state.phase, Phase::Compensated);
}

#[test]
fn a_compensation_that_is_held_back_holds_up_its_predecessors() {
    let mut s = Script::start("stock | hold | seat");
    s.succeed(&["stock", "hold"]);
    s.held = true;
    s.event(Event::Cancel(somebody()));
    s.answer("seat", unknown(Doubt::NoAnswer));
    s.at(100_000);
    s.event(Event::Due);
    let compensate = |s: &Script, step: &str| s.saga.operation(s.step(step), Operation::Compensate).attempt;
    assert_eq!((compensate(&s, "seat"), compensate(&s, "hold")), (0, 0));
    s.held = false;
    s.event(Event::Due);
    assert_eq!((compensate(&s, "seat"), compensate(&s, "hold")), (1, 0));
}

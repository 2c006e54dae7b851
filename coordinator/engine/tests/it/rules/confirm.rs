//! TCC: confirming is a point of no return, and no confirm stops another for good.

use amends_engine::IllegalEvent;
use amends_engine::event::Event;
use amends_engine::history::Change;
use amends_engine::outcome::Doubt;

use crate::script::{Script, rejected, somebody, unknown};

#[test]
fn confirms_begin_when_all_actions_are_done_in_the_order_of_the_steps() {
    let mut s = Script::start("hold tcc | stock | seat tcc");
    s.succeed(&["hold", "stock"]);
    s.expect("running: hold ok, stock ok, seat calling#1");
    s.succeed(&["seat"]);
    s.expect("confirming: hold ok, hold.confirm calling#1, stock ok, seat ok");
    assert!(s.says(&Change::DecidedToConfirm));
    s.succeed(&["hold.confirm"]);
    s.expect("confirming: hold ok, hold.confirm ok, stock ok, seat ok, seat.confirm calling#1");
    s.succeed(&["seat.confirm"]);
    s.expect("completed: hold ok, hold.confirm ok, stock ok, seat ok, seat.confirm ok");
}

#[test]
fn independent_confirms_run_in_parallel() {
    let mut s = Script::start("hold tcc after=- | seat tcc after=-");
    s.succeed(&["hold", "seat"]);
    s.expect("confirming: hold ok, hold.confirm calling#1, seat ok, seat.confirm calling#1");
}

#[test]
fn a_refused_try_cancels_the_others() {
    let mut s = Script::start("hold tcc after=- | seat tcc after=-");
    s.succeed(&["hold"]);
    s.answer("seat", rejected());
    s.expect("compensating: hold ok, hold.compensate calling#1, seat rejected");
}

#[test]
fn a_confirm_in_doubt_holds_up_those_behind_it_and_a_refused_one_does_not() {
    let mut s = Script::start("hold tcc | seat tcc");
    s.succeed(&["hold", "seat"]);
    s.answer("hold.confirm", unknown(Doubt::NoAnswer));
    s.expect("confirming: hold ok, hold.confirm retry#1@100, seat ok");
    s.wait();
    s.answer("hold.confirm", rejected());
    s.expect("confirming: hold ok, hold.confirm retry#2@200, seat ok, seat.confirm calling#1");
}

#[test]
fn a_stuck_confirm_does_not_stop_the_others_and_the_saga_waits_for_it() {
    let mut s = Script::start("hold tcc finish=1 | seat tcc");
    s.succeed(&["hold", "seat"]);
    s.answer("hold.confirm", rejected());
    s.expect("confirming: hold ok, hold.confirm stuck(confirm_refused), seat ok, seat.confirm calling#1");
    s.succeed(&["seat.confirm"]);
    s.expect("confirming: hold ok, hold.confirm stuck(confirm_refused), seat ok, seat.confirm ok");
    s.retry();
    s.succeed(&["hold.confirm"]);
    s.expect("completed: hold ok, hold.confirm ok, seat ok, seat.confirm ok");
}

#[test]
fn a_skipped_step_has_nothing_to_confirm() {
    let mut s = Script::start_unprepared("hold tcc | seat tcc if", &["seat"]);
    s.succeed(&["hold"]);
    let step = s.step("seat");
    s.event(Event::ConditionFalse { step });
    s.expect("confirming: hold ok, hold.confirm calling#1, seat skipped(if)");
    s.succeed(&["hold.confirm"]);
    s.expect("completed: hold ok, hold.confirm ok, seat skipped(if)");
}

#[test]
fn nothing_turns_back_from_confirming() {
    let mut s = Script::start("hold tcc");
    s.succeed(&["hold"]);
    assert_eq!(s.illegal(Event::Cancel(somebody())), IllegalEvent::PastPivot);
}

#[test]
fn a_confirm_that_an_operator_skips_leaves_a_residue_though_the_saga_completes() {
    let mut s = Script::start("hold tcc finish=1");
    s.succeed(&["hold"]);
    s.answer("hold.confirm", rejected());
    let event = s.skip("hold.confirm");
    s.event(event);
    s.expect("completed: hold ok, hold.confirm skipped");
    assert!(s.saga.residue().iter().any(|residue| residue.unconfirmed));
}

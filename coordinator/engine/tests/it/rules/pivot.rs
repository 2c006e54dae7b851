//! The pivot: in doubt nothing turns back, behind it nothing does.

use amends_engine::IllegalEvent;
use amends_engine::event::Event;
use amends_engine::history::Change;
use amends_engine::outcome::Doubt;
use amends_engine::saga::Cause;

use crate::script::{Script, not_sent, ok, refused_for_good, rejected, somebody, unknown};

#[test]
fn a_pivot_that_is_refused_at_once_turns_back() {
    let mut s = Script::start("stock | pay pivot");
    s.succeed(&["stock"]);
    s.answer("pay", rejected());
    s.expect("compensating: stock ok, stock.compensate calling#1, pay rejected");
}

#[test]
fn a_pivot_whose_outcome_stays_unknown_is_stuck_and_never_guessed() {
    let mut s = Script::start("stock | pay pivot tries=1");
    s.succeed(&["stock"]);
    s.answer("pay", unknown(Doubt::NoAnswer));
    s.expect("running: stock ok, pay stuck(pivot_unknown)?");
}

#[test]
fn a_late_success_frees_a_pivot_that_was_stuck() {
    let mut s = Script::start("pay pivot tries=1 | ship");
    s.answer("pay", unknown(Doubt::NoAnswer));
    s.answer("pay#1", ok());
    s.expect("running: pay ok?, ship calling#1");
}

#[test]
fn a_late_final_refusal_frees_a_pivot_that_was_stuck() {
    let mut s = Script::start("stock | pay pivot tries=1");
    s.succeed(&["stock"]);
    s.answer("pay", unknown(Doubt::NoAnswer));
    s.answer("pay#1", refused_for_good());
    s.expect("compensating: stock ok, stock.compensate calling#1, pay rejected");
}

#[test]
fn a_final_refusal_settles_a_pivot_in_doubt_also_while_a_later_attempt_is_out() {
    let mut s = Script::start("stock | pay pivot");
    s.succeed(&["stock"]);
    s.answer("pay", unknown(Doubt::NoAnswer));
    s.wait();
    s.expect("running: stock ok, pay calling#2?");
    s.answer("pay#1", refused_for_good());
    s.expect("compensating: stock ok, stock.compensate calling#1, pay rejected");
}

#[test]
fn a_cancel_in_doubt_is_recorded_and_acts_when_the_pivot_is_refused() {
    let mut s = Script::start("stock | pay pivot");
    s.succeed(&["stock"]);
    assert_eq!(s.event(Event::Cancel(somebody())), None);
    s.expect("running: stock ok, pay calling#1 [cancel]");
    assert!(s.says(&Change::CancelRecorded));
    s.answer("pay", rejected());
    s.expect("compensating: stock ok, stock.compensate calling#1, pay rejected");
}

#[test]
fn a_cancel_in_doubt_acts_when_the_pivot_turns_out_never_to_have_left() {
    let mut s = Script::start("stock | pay pivot");
    s.succeed(&["stock"]);
    s.event(Event::Cancel(somebody()));
    s.answer("pay", not_sent());
    s.expect("compensating: stock ok, stock.compensate calling#1, pay gave_up");
    let cause = s.saga.state.decision.as_ref().map(|decision| decision.cause.clone());
    assert_eq!(cause, Some(Cause::Cancelled(somebody())));
}

#[test]
fn a_cancel_in_doubt_is_dropped_when_the_pivot_succeeds() {
    let mut s = Script::start("pay pivot | ship");
    s.event(Event::Cancel(somebody()));
    s.succeed(&["pay"]);
    s.expect("running: pay ok, ship calling#1");
    assert_eq!(s.illegal(Event::Cancel(somebody())), IllegalEvent::PastPivot);
}

#[test]
fn a_cancel_before_the_pivot_is_called_acts_at_once() {
    let mut s = Script::start_unprepared("stock | pay pivot", &["pay"]);
    s.succeed(&["stock"]);
    s.expect("running: stock ok, pay ready");
    s.event(Event::Cancel(somebody()));
    s.expect("compensating: stock ok, stock.compensate calling#1");
}

#[test]
fn behind_the_pivot_a_refusal_is_stuck_and_a_retry_goes_forward() {
    let mut s = Script::start("pay pivot | ship tries=1");
    s.succeed(&["pay"]);
    s.answer("ship", rejected());
    s.expect("running: pay ok, ship stuck(rejected_after_pivot)");
    s.retry();
    s.expect("running: pay ok, ship calling#2");
    s.answer("ship", unknown(Doubt::NoAnswer));
    s.expect("running: pay ok, ship stuck(retries_exhausted)?");
    s.retry();
    s.succeed(&["ship"]);
    s.expect("completed: pay ok, ship ok?");
}

#[test]
fn other_branches_go_on_beside_a_stuck_one() {
    let mut s = Script::start("pay pivot | ship after=pay | mail after=pay | done after=mail");
    s.succeed(&["pay"]);
    s.answer("ship", rejected());
    s.succeed(&["mail", "done"]);
    s.expect("running: pay ok, ship stuck(rejected_after_pivot), mail ok, done ok");
}

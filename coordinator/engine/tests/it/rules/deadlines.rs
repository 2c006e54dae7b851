//! The saga's deadline: compensates where that is safe, raises an alarm elsewhere.

use amends_engine::event::Event;
use amends_engine::history::Change;
use amends_engine::next_due;
use amends_engine::outcome::{Doubt, Outcome};
use amends_engine::saga::Cause;

use crate::script::{Script, not_sent, ok, rejected, somebody, unknown};

#[test]
fn before_the_pivot_the_deadline_compensates() {
    let mut s = Script::start("stock | pay pivot");
    s.answer("stock", Outcome::Pending);
    s.wait();
    assert_eq!(s.now.0, 60_000);
    s.expect("compensating: stock pending, stock.compensate calling#1 [late]");
    assert_eq!(s.saga.state.decision.as_ref().map(|decision| &decision.cause), Some(&Cause::Deadline));
}

#[test]
fn an_answer_that_is_here_is_applied_before_a_deadline_that_is_due() {
    let mut s = Script::start("stock");
    s.now = amends_engine::time::Timestamp(70_000);
    s.answer("stock", ok());
    s.expect("completed: stock ok");
}

#[test]
fn a_deadline_that_is_due_acts_before_the_pivot_is_begun() {
    let mut s = Script::start("stock | pay pivot");
    s.now = amends_engine::time::Timestamp(60_000);
    s.answer("stock", ok());
    s.expect("compensating: stock ok, stock.compensate calling#1 [late]");

    // Also where the pivot only lacked its request.
    let mut s = Script::start_unprepared("stock | pay pivot", &["pay"]);
    s.succeed(&["stock"]);
    s.now = amends_engine::time::Timestamp(60_000);
    let requests = vec![(amends_engine::ids::Operation::Action, amends_engine::payload::Payload::json("1"))];
    let step = s.step("pay");
    s.event(Event::Prepared { step, operation: amends_engine::ids::Operation::Action, requests });
    s.expect("compensating: stock ok, stock.compensate calling#1 [late]");
}

#[test]
fn in_doubt_the_deadline_only_raises_an_alarm_and_acts_when_the_pivot_is_refused() {
    let mut s = Script::start("stock | pay pivot");
    s.succeed(&["stock"]);
    s.at(58_000);
    s.expect("running: stock ok, pay stuck(pivot_unknown)?");
    s.at(60_000);
    s.expect("running: stock ok, pay stuck(pivot_unknown)? [late]");
    assert!(s.says(&Change::Late));

    let mut s = Script::start("stock | pay pivot");
    s.succeed(&["stock"]);
    s.answer("pay", Outcome::Pending);
    s.at(60_000);
    s.expect("running: stock ok, pay pending [late]");
    s.call_back(
        "pay",
        amends_engine::event::Verdict::Rejected { why: amends_engine::outcome::Why::default(), last_word: false },
    );
    s.expect("compensating: stock ok, stock.compensate calling#1, pay rejected [late]");
}

#[test]
fn a_pivot_that_never_left_is_not_begun_for_the_deadline() {
    let mut s = Script::start("stock | pay pivot");
    s.succeed(&["stock"]);
    s.now = amends_engine::time::Timestamp(60_000);
    s.answer("pay", not_sent());
    s.expect("compensating: stock ok, stock.compensate calling#1, pay gave_up [late]");
}

#[test]
fn while_compensating_it_is_an_alarm_once() {
    let mut s = Script::start("stock | pay");
    s.succeed(&["stock"]);
    s.answer("pay", rejected());
    s.answer("stock.compensate", Outcome::Pending);
    s.at(60_000);
    s.expect("compensating: stock ok, stock.compensate pending, pay rejected [late]");
    assert_eq!(s.history.iter().filter(|entry| entry.change == Change::Late).count(), 1);
    assert_eq!(next_due(&s.saga), None);
}

#[test]
fn it_runs_on_while_the_saga_is_paused_and_acts_when_it_resumes() {
    let mut s = Script::start("stock | pay");
    s.event(Event::Pause(somebody()));
    s.answer("stock", ok());
    s.now = amends_engine::time::Timestamp(61_000);
    assert_eq!(next_due(&s.saga), None, "a paused saga isn't woken");
    s.event(Event::Resume(somebody()));
    s.expect("compensating: stock ok, stock.compensate calling#1 [late]");
}

#[test]
fn the_time_of_a_step_is_checked_between_its_attempts() {
    let mut s = Script::start("stock | pay within=1500 tries=9");
    s.succeed(&["stock"]);
    s.at(1450);
    s.expect("running: stock ok, pay calling#1");
    s.answer("pay", unknown(Doubt::NoAnswer));
    s.expect("compensating: stock ok, pay gave_up?, pay.compensate calling#1");
}

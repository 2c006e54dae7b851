//! Operations that answer "later": how long they are waited for, and what is done then.

use amends_engine::event::{Event, Verdict};
use amends_engine::history::Change;
use amends_engine::next_due;
use amends_engine::outcome::Outcome;
use amends_engine::payload::Payload;

use crate::script::{Script, not_found, rejected, somebody};

fn done() -> Verdict {
    Verdict::Succeeded(Payload::json("{}"))
}

#[test]
fn a_pending_step_is_waited_for_without_end_where_it_has_no_time() {
    let mut s = Script::start("pay pivot | ship");
    s.answer("pay", Outcome::Pending);
    s.expect("running: pay pending");
    s.at(60_000);
    s.expect("running: pay pending [late]");
    assert_eq!(next_due(&s.saga), None);
    s.call_back("pay", done());
    s.expect("running: pay ok, ship calling#1 [late]");
}

#[test]
fn a_pending_step_past_its_time_is_treated_as_unknown() {
    let mut s = Script::start("stock | pay within=5000");
    s.succeed(&["stock"]);
    s.answer("pay", Outcome::Pending);
    s.wait();
    assert_eq!(s.now.0, 5000);
    assert!(s.says(&Change::PendingExpired));
    s.expect("compensating: stock ok, pay gave_up?, pay.compensate calling#1");
}

#[test]
fn a_pending_pivot_past_its_time_is_asked_for_and_then_stuck() {
    let mut s = Script::start("stock | pay pivot query within=5000");
    s.succeed(&["stock"]);
    s.answer("pay", Outcome::Pending);
    s.wait();
    s.expect("running: stock ok, pay asking, pay.query calling#1");
    s.answer("pay.query", Outcome::Pending);
    s.wait();
    s.answer("pay.query", not_found());
    s.expect("running: stock ok, pay stuck(pivot_unknown)?");
}

#[test]
fn a_pending_pivot_without_a_time_is_asked_about_now_and_then() {
    let mut s = Script::start("pay pivot query | ship");
    s.answer("pay", Outcome::Pending);
    s.at(60_000);
    s.expect("running: pay asking, pay.query calling#1 [late]");
    s.answer("pay.query", Outcome::Pending);
    s.expect("running: pay pending [late]");
    s.at(120_000);
    s.expect("running: pay asking, pay.query calling#2 [late]");
    s.succeed(&["pay.query"]);
    s.expect("running: pay ok, ship calling#1 [late]");
}

#[test]
fn a_pending_pivot_that_is_asked_about_and_then_refused_turns_back() {
    let mut s = Script::start("stock | pay pivot query within=5000");
    s.succeed(&["stock"]);
    s.answer("pay", Outcome::Pending);
    s.wait();
    s.expect("running: stock ok, pay asking, pay.query calling#1");
    let why = amends_engine::outcome::Why::new("DECLINED", "no money");
    s.call_back("pay", Verdict::Rejected { why, last_word: false });
    s.expect("compensating: stock ok, stock.compensate calling#1, pay rejected");
}

#[test]
fn a_query_that_finds_nothing_of_a_pending_action_leaves_it_in_doubt() {
    let mut s = Script::start("stock query within=5000");
    s.answer("stock", Outcome::Pending);
    s.wait();
    s.answer("stock.query", not_found());
    s.expect("compensating: stock gave_up?, stock.compensate calling#1");
}

#[test]
fn asking_about_a_pending_action_when_the_saga_turns_back_leaves_it_in_doubt() {
    let mut s = Script::start("stock query within=5000");
    s.answer("stock", Outcome::Pending);
    s.wait();
    s.expect("running: stock asking, stock.query calling#1");
    s.event(Event::Cancel(somebody()));
    s.expect("compensating: stock gave_up?, stock.compensate calling#1");
}

#[test]
fn a_refund_may_take_its_time() {
    let mut s = Script::start("stock within=5000 finish=2 | pay");
    s.at(2000);
    s.succeed(&["stock"]);
    s.answer("pay", rejected());
    s.answer("stock.compensate", Outcome::Pending);
    s.expect("compensating: stock ok, stock.compensate pending, pay rejected");
    assert_eq!(next_due(&s.saga).map(|due| due.0), Some(7000), "the step's time, from the pending answer on");
    s.wait();
    s.expect("compensating: stock ok, stock.compensate calling#2, pay rejected");
    s.answer("stock.compensate", Outcome::Pending);
    s.call_back("stock.compensate", done());
    s.expect("compensated: stock ok, stock.compensate ok, pay rejected");
}

#[test]
fn a_refund_that_never_comes_is_stuck_when_its_attempts_are_used_up() {
    let mut s = Script::start("stock within=5000 finish=1 | pay");
    s.succeed(&["stock"]);
    s.answer("pay", rejected());
    s.answer("stock.compensate", Outcome::Pending);
    s.wait();
    s.expect("compensating: stock ok, stock.compensate stuck(retries_exhausted), pay rejected");
}

//! `CompleteStep`: from the first intent until the end, whatever the state of the operation.

use amends_engine::event::{Event, Verdict};
use amends_engine::ids::Operation;
use amends_engine::outcome::{Doubt, Outcome, Why};
use amends_engine::payload::Payload;
use amends_engine::{Ignored, IllegalEvent, next_due};

use crate::script::{Script, ok, rejected, somebody, unknown};

fn done() -> Verdict {
    Verdict::Succeeded(Payload::json("{}"))
}

fn refused(last_word: bool) -> Verdict {
    Verdict::Rejected { why: Why::new("DECLINED", "no"), last_word }
}

#[test]
fn a_callback_about_what_was_never_called_is_an_error() {
    let mut s = Script::start("stock | pay");
    let event = s.callback("pay", done());
    assert_eq!(s.illegal(event), IllegalEvent::NotBegun(Operation::Action));
}

#[test]
fn a_callback_that_contradicts_what_is_settled_is_an_error_and_a_repeat_is_not() {
    let mut s = Script::start("stock | pay");
    s.succeed(&["stock"]);
    assert_eq!(s.call_back("stock", done()), Some(Ignored::Duplicate));
    let event = s.callback("stock", refused(false));
    assert_eq!(s.illegal(event), IllegalEvent::SettledOtherwise(Operation::Action));
    s.answer("pay", rejected());
    assert_eq!(s.call_back("pay", refused(false)), Some(Ignored::Duplicate));
    let event = s.callback("pay", done());
    assert_eq!(s.illegal(event), IllegalEvent::SettledOtherwise(Operation::Action));
}

#[test]
fn a_refusal_of_what_was_in_doubt_turns_back_and_compensates_it() {
    let mut s = Script::start("stock");
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.call_back("stock", refused(false));
    s.expect("compensating: stock rejected?");
    assert_eq!(s.call_back("stock", refused(true)), None, "the last word ends the doubt");
    s.expect("compensated: stock rejected");
}

#[test]
fn a_refusal_that_beats_the_reply_leaves_the_call_in_doubt_unless_it_is_final() {
    let mut s = Script::start("stock | pay pivot");
    s.succeed(&["stock"]);
    s.call_back("pay", refused(false));
    s.expect("running: stock ok, pay stuck(pivot_unknown)?");

    let mut s = Script::start("stock | pay pivot");
    s.succeed(&["stock"]);
    s.call_back("pay", refused(true));
    s.expect("compensating: stock ok, stock.compensate calling#1, pay rejected");
}

#[test]
fn a_call_that_a_callback_overtook_is_waited_for_before_its_step_is_undone() {
    let mut s = Script::start("stock | pay");
    s.call_back("stock", done());
    s.answer("pay", rejected());
    s.expect("compensating: stock ok, pay rejected");
    assert_eq!(next_due(&s.saga).map(|due| due.0), Some(1000));
}

#[test]
fn a_refusal_says_nothing_new_of_what_is_stuck_and_does_not_make_it_younger() {
    let mut s = Script::start("pay pivot tries=1");
    s.answer("pay", unknown(Doubt::NoAnswer));
    let since = s.saga.stuck().map(|stuck| stuck.since);
    s.at(500);
    s.call_back("pay", refused(false));
    s.expect("running: pay stuck(pivot_unknown)?");
    assert_eq!(s.saga.stuck().map(|stuck| stuck.since), since);
}

#[test]
fn a_refused_compensation_is_retried_as_if_the_call_had_said_so() {
    let mut s = Script::start("stock finish=2");
    s.succeed(&[]);
    s.answer("stock", Outcome::Pending);
    s.event(Event::Cancel(somebody()));
    s.answer("stock.compensate", Outcome::Pending);
    s.call_back("stock.compensate", refused(false));
    s.expect("compensating: stock pending, stock.compensate retry#1@100");
    s.call_back("stock.compensate", refused(false));
    s.expect("compensating: stock pending, stock.compensate retry#1@100");
    assert_eq!(s.op("stock.compensate").failures, 1, "a repeat is not another attempt");
    s.wait();
    s.call_back("stock.compensate", refused(false));
    s.expect("compensating: stock pending, stock.compensate stuck(compensation_refused)");
}

#[test]
fn a_callback_frees_what_is_stuck() {
    let mut s = Script::start("stock finish=1 | pay");
    s.succeed(&["stock"]);
    s.answer("pay", rejected());
    s.answer("stock.compensate", unknown(Doubt::NoAnswer));
    s.expect("compensating: stock ok, stock.compensate stuck(retries_exhausted), pay rejected");
    s.call_back("stock.compensate", done());
    s.expect("compensated: stock ok, stock.compensate ok, pay rejected");
}

#[test]
fn a_callback_to_a_saga_that_has_ended_is_an_error() {
    let mut s = Script::start("stock");
    s.succeed(&["stock"]);
    let event = s.callback("stock", done());
    assert_eq!(s.illegal(event), IllegalEvent::Ended);
    assert_eq!(s.answer("stock#1", ok()), Some(Ignored::Ended));
}

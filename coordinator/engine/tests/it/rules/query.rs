//! Asking what became of an attempt.

use amends_engine::event::Event;
use amends_engine::ids::Operation;
use amends_engine::outcome::{Doubt, Outcome};

use crate::script::{Script, not_found, not_sent, ok, rejected, unknown};

#[test]
fn an_unknown_outcome_is_asked_for_and_found() {
    let mut s = Script::start("pay pivot query | ship");
    s.answer("pay", unknown(Doubt::NoAnswer));
    s.expect("running: pay asking?, pay.query retry#0@100");
    s.wait();
    s.expect("running: pay asking?, pay.query calling#1");
    s.succeed(&["pay.query"]);
    s.expect("running: pay ok?, ship calling#1");
}

#[test]
fn not_found_means_not_yet_and_the_action_is_sent_again_with_the_same_key() {
    let mut s = Script::start("pay pivot query");
    let request = s.op("pay").request;
    s.answer("pay", unknown(Doubt::NoAnswer));
    s.wait();
    s.answer("pay.query", not_found());
    s.expect("running: pay calling#2?");
    assert_eq!(s.op("pay").request, request);
}

#[test]
fn not_found_does_not_end_the_doubt_about_the_earlier_attempts() {
    let mut s = Script::start("stock query tries=2");
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.wait();
    s.answer("stock.query", not_found());
    s.answer("stock", rejected());
    s.wait();
    s.expect("compensating: stock rejected?, stock.compensate calling#1");
}

#[test]
fn a_query_that_cannot_tell_leaves_it_to_the_action_within_its_budget() {
    let mut s = Script::start("stock query tries=1");
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.wait();
    s.answer("stock.query", unknown(Doubt::NoAnswer));
    s.expect("running: stock asking?, stock.query retry#1@200");
    s.wait();
    s.answer("stock.query", rejected());
    s.expect("compensating: stock gave_up?");
}

#[test]
fn a_query_that_never_left_uses_up_nothing() {
    let mut s = Script::start("stock query");
    s.answer("stock", unknown(Doubt::NoAnswer));
    for attempt in 1..=4 {
        s.wait();
        s.answer("stock.query", not_sent());
        s.expect(&format!("running: stock asking?, stock.query retry#{attempt}@{}", (attempt + 1) * 100));
    }
}

#[test]
fn a_query_that_a_lost_owner_had_asked_is_asked_again_and_uses_up_nothing() {
    let mut s = Script::start("stock query");
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.wait();
    for attempt in 2..=4 {
        s.event(Event::Loaded);
        s.expect(&format!("running: stock asking?, stock.query calling#{attempt}"));
    }
}

#[test]
fn a_query_may_say_that_the_action_is_pending() {
    let mut s = Script::start("pay pivot query");
    s.answer("pay", unknown(Doubt::NoAnswer));
    s.wait();
    s.answer("pay.query", Outcome::Pending);
    s.expect("running: pay pending?");
}

#[test]
fn a_late_success_of_the_action_ends_the_asking() {
    let mut s = Script::start("pay query | ship");
    s.answer("pay", unknown(Doubt::NoAnswer));
    s.wait();
    s.succeed(&["pay#1"]);
    s.expect("running: pay ok?, ship calling#1");
    assert_eq!(s.answer("pay.query#1", ok()), Some(amends_engine::Ignored::Duplicate));
    assert_eq!(s.answer("pay.query#1", not_found()), None, "recorded, and nothing more");
    s.expect("running: pay ok?, ship calling#1");
}

#[test]
fn a_query_whose_request_cannot_be_evaluated_is_as_good_as_none() {
    let mut s = Script::start("stock query");
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.stop_preparing("stock");
    s.wait();
    s.expect("running: stock asking?, stock.query ready");
    let step = s.step("stock");
    s.event(Event::PrepareFailed { step, operation: Operation::Query, message: "null".to_owned() });
    s.expect("running: stock calling#2?");
}

#[test]
fn misconfigured_is_not_asked_about() {
    let mut s = Script::start("pay query");
    s.answer("pay", unknown(Doubt::Misconfigured));
    s.expect("running: pay retry#1@100?");
}

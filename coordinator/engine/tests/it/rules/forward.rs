//! Going forward: order, conditions, requests, outputs.

use amends_engine::event::Event;
use amends_engine::history::Change;
use amends_engine::ids::{Operation, StepIndex};
use amends_engine::outcome::{Doubt, Outcome};
use amends_engine::payload::Payload;
use amends_engine::saga::StuckReason;
use amends_engine::{Ignored, IllegalEvent};

use crate::script::{Script, not_sent, ok, unknown};

#[test]
fn a_chain_runs_one_step_after_the_other_and_costs_one_commit_more_than_it_has_steps() {
    let mut s = Script::start("stock | pay | ship");
    s.expect("running: stock calling#1");
    s.succeed(&["stock"]);
    s.expect("running: stock ok, pay calling#1");
    s.succeed(&["pay", "ship"]);
    s.expect("completed: stock ok, pay ok, ship ok");
    assert_eq!(s.commits, 4);
}

#[test]
fn what_can_start_runs_in_parallel_and_a_join_waits_for_all() {
    let mut s = Script::start("stock after=- | hold after=- | pay after=stock,hold");
    s.expect("running: stock calling#1, hold calling#1");
    s.succeed(&["hold"]);
    s.expect("running: stock calling#1, hold ok");
    s.succeed(&["stock"]);
    s.expect("running: stock ok, hold ok, pay calling#1");
}

#[test]
fn a_false_condition_skips_its_step_and_what_follows_runs() {
    let mut s = Script::start_unprepared("stock if | pay", &["stock"]);
    s.expect("running: stock ready");
    let step = s.step("stock");
    assert_eq!(s.event(Event::ConditionFalse { step }), None);
    s.expect("running: stock skipped(if), pay calling#1");
    s.succeed(&["pay"]);
    s.expect("completed: stock skipped(if), pay ok");
    assert!(s.says(&Change::ConditionFalse));
}

#[test]
fn a_step_without_a_condition_cannot_be_skipped_by_one() {
    let mut s = Script::start_unprepared("stock", &["stock"]);
    let step = s.step("stock");
    assert_eq!(s.illegal(Event::ConditionFalse { step }), IllegalEvent::NoCondition);
}

#[test]
fn an_unknown_outcome_is_retried_with_the_same_request_and_a_new_number() {
    let mut s = Script::start("pay");
    let request = s.op("pay").request;
    s.answer("pay", unknown(Doubt::Broken));
    s.expect("running: pay retry#1@100?");
    s.wait();
    s.expect("running: pay calling#2?");
    assert_eq!(s.op("pay").request, request);
    s.succeed(&["pay"]);
    s.expect("completed: pay ok?");
}

#[test]
fn when_an_unknown_outcome_uses_up_its_retries_its_own_step_is_compensated_too() {
    let mut s = Script::start("stock | pay tries=2");
    s.succeed(&["stock"]);
    s.answer("pay", unknown(Doubt::NoAnswer));
    s.wait();
    s.answer("pay", unknown(Doubt::NoAnswer));
    s.expect("compensating: stock ok, pay gave_up?");
    s.wait();
    s.expect("compensating: stock ok, pay gave_up?, pay.compensate calling#1");
    s.succeed(&["pay.compensate", "stock.compensate"]);
    s.expect("compensated: stock ok, stock.compensate ok, pay gave_up?, pay.compensate ok");
}

#[test]
fn an_attempt_that_never_left_uses_up_no_attempt_and_leaves_no_doubt_but_counts_against_the_time() {
    let mut s = Script::start("stock | pay tries=1 within=350");
    s.succeed(&["stock"]);
    for attempt in 1..=3 {
        s.answer("pay", not_sent());
        s.expect(&format!("running: stock ok, pay retry#{attempt}@{}", attempt * 100));
        s.wait();
    }
    assert_eq!(s.op("pay").failures, 0);
    s.answer("pay", not_sent());
    s.expect("compensating: stock ok, stock.compensate calling#1, pay gave_up");
}

#[test]
fn what_was_prepared_is_not_prepared_again() {
    let mut s = Script::start("stock");
    let requests = vec![(Operation::Action, Payload::json("\"other\""))];
    let event = Event::Prepared { step: StepIndex(0), operation: Operation::Action, requests };
    assert_eq!(s.event(event), Some(Ignored::Stale));
}

#[test]
fn a_request_that_cannot_be_evaluated_turns_back_before_the_pivot() {
    let mut s = Script::start_unprepared("stock | pay", &["pay"]);
    s.succeed(&["stock"]);
    s.expect("running: stock ok, pay ready");
    let event = Event::PrepareFailed { step: s.step("pay"), operation: Operation::Action, message: "null".to_owned() };
    assert_eq!(s.event(event), None);
    s.expect("compensating: stock ok, stock.compensate calling#1, pay gave_up");
}

#[test]
fn a_request_that_cannot_be_evaluated_after_the_pivot_is_stuck_and_a_retry_prepares_it_anew() {
    let mut s = Script::start_unprepared("pay pivot | ship", &["ship"]);
    s.succeed(&["pay"]);
    let failed =
        Event::PrepareFailed { step: s.step("ship"), operation: Operation::Action, message: "null".to_owned() };
    assert_eq!(s.event(failed), None);
    s.expect("running: pay ok, ship stuck(expression_failed)");
    s.retry();
    s.expect("running: pay ok, ship ready");
}

#[test]
fn the_first_output_wins_and_a_different_repeat_is_counted() {
    let mut s = Script::start("pay | ship");
    s.answer("pay", unknown(Doubt::NoAnswer));
    s.wait();
    s.succeed(&["pay#1"]);
    let output = s.op("pay").output;
    assert_eq!(s.answer("pay#2", ok()), Some(Ignored::Duplicate));
    assert_eq!(s.answer("pay#2", Outcome::Succeeded(Payload::json("{\"id\":2}"))), None);
    assert_eq!(s.op("pay").output, output);
    assert_eq!(s.saga.state.nondeterministic, 1);
    assert!(s.says(&Change::Nondeterministic));
}

#[test]
fn an_answer_to_an_attempt_that_was_never_made_is_an_error() {
    let mut s = Script::start("pay");
    for attempt in [0, 2] {
        let event = Event::Answered {
            step: StepIndex(0),
            operation: Operation::Action,
            attempt,
            outcome: ok(),
            retry_after: std::time::Duration::ZERO,
            call: amends_engine::outcome::CallFacts::default(),
        };
        assert_eq!(s.illegal(event), IllegalEvent::NeverMade(attempt));
    }
}

#[test]
fn a_key_that_belongs_to_another_request_is_stuck_and_nothing_of_ours_is_undone() {
    let mut s = Script::start("pay");
    s.answer("pay", unknown(Doubt::NoAnswer));
    s.wait();
    s.answer("pay", unknown(Doubt::KeyReused));
    s.expect("running: pay stuck(key_reused)");
    assert_eq!(s.saga.stuck().map(|stuck| stuck.reason), Some(StuckReason::KeyReused));
    s.event(Event::Cancel(crate::script::somebody()));
    s.expect("compensated: pay gave_up");
}

#[test]
fn misconfigured_counts_as_unknown_once_its_retries_are_used_up() {
    let mut s = Script::start("stock tries=2 query");
    s.answer("stock", unknown(Doubt::Misconfigured));
    s.expect("running: stock retry#1@100?");
    s.wait();
    s.answer("stock", unknown(Doubt::Misconfigured));
    s.wait();
    s.expect("compensating: stock gave_up?, stock.compensate calling#1");
    for _ in 0..3 {
        s.answer("stock.compensate", unknown(Doubt::Misconfigured));
        s.at(s.now.0 + 100);
    }
    s.expect("compensating: stock gave_up?, stock.compensate stuck(misconfigured)");
}

#[test]
fn a_stale_epoch_is_our_fault_and_uses_up_no_attempt() {
    let mut s = Script::start("stock tries=1");
    for attempt in 1..=3 {
        s.answer("stock", unknown(Doubt::StaleEpoch));
        s.expect(&format!("running: stock retry#{attempt}@{}?", attempt * 100));
        s.wait();
    }
}

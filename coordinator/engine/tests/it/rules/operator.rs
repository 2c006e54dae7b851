//! What people may do: cancel, retry, skip, resolve, and what each leaves behind. Force-stop has a file of its own.

use amends_engine::event::{Event, Finding};
use amends_engine::facts::StepEffect;
use amends_engine::ids::Operation;
use amends_engine::outcome::Doubt;
use amends_engine::payload::Payload;
use amends_engine::saga::Cause;
use amends_engine::{Ignored, IllegalEvent};

use crate::script::{Script, not_found, ok, rejected, somebody, unknown};

fn happened() -> Finding {
    Finding::Happened(Payload::json("{}"))
}

fn effects(s: &Script) -> Vec<(String, StepEffect)> {
    let name = |step| s.saga.definition.step(step).name.to_string();
    s.saga.residue().into_iter().map(|residue| (name(residue.step), residue.effect)).collect()
}

#[test]
fn cancel_compensates_and_is_idempotent() {
    let mut s = Script::start("stock | pay");
    s.succeed(&["stock"]);
    s.event(Event::Cancel(somebody()));
    s.expect("compensating: stock ok, pay calling#1");
    assert_eq!(s.event(Event::Cancel(somebody())), Some(Ignored::AlreadySo));
    s.answer("pay", rejected());
    s.succeed(&["stock.compensate"]);
    assert_eq!(s.illegal(Event::Cancel(somebody())), IllegalEvent::Ended);
}

#[test]
fn a_retry_gives_one_fresh_budget_of_attempts() {
    let mut s = Script::start("stock finish=2 | pay");
    s.succeed(&["stock"]);
    s.answer("pay", rejected());
    for _ in 0..2 {
        s.answer("stock.compensate", rejected());
        s.at(s.now.0 + 100);
    }
    s.expect("compensating: stock ok, stock.compensate stuck(compensation_refused), pay rejected");
    s.retry();
    assert_eq!(s.op("stock.compensate").failures, 0);
    s.expect("compensating: stock ok, stock.compensate calling#3, pay rejected");
    s.answer("stock.compensate", rejected());
    s.wait();
    s.answer("stock.compensate", rejected());
    s.expect("compensating: stock ok, stock.compensate stuck(compensation_refused), pay rejected");
}

#[test]
fn a_retry_lets_what_waits_go_now_and_is_refused_where_nothing_waits() {
    let mut s = Script::start("stock");
    assert_eq!(s.illegal(Event::Retry { step: None, by: somebody() }), IllegalEvent::NothingToRetry);
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.retry();
    s.expect("running: stock calling#2?");
    assert_eq!(s.op("stock").failures, 1, "a fresh budget is for what is stuck");
}

#[test]
fn a_retry_of_one_step_leaves_the_others_stuck() {
    let mut s = Script::start("hold tcc after=- finish=1 | seat tcc after=- finish=1");
    s.succeed(&["hold", "seat"]);
    s.answer("hold.confirm", rejected());
    s.answer("seat.confirm", rejected());
    let step = Some(s.step("seat"));
    s.event(Event::Retry { step, by: somebody() });
    s.expect("confirming: hold ok, hold.confirm stuck(confirm_refused), seat ok, seat.confirm calling#2");
}

#[test]
fn a_retry_after_the_steps_time_is_over_gives_it_that_time_anew() {
    let mut s = Script::start("pay pivot within=500 tries=9");
    s.answer("pay", unknown(Doubt::NoAnswer));
    s.at(450);
    s.answer("pay", unknown(Doubt::NoAnswer));
    s.expect("running: pay stuck(pivot_unknown)?");
    s.at(9_000);
    s.retry();
    s.answer("pay", unknown(Doubt::NoAnswer));
    s.expect("running: pay retry#3@9100?");
}

#[test]
fn what_cannot_be_skipped_says_what_to_do_instead() {
    let mut s = Script::start("stock | pay pivot query tries=1 | ship");
    for place in ["pay", "ship"] {
        let event = s.skip(place);
        assert!(matches!(s.illegal(event), IllegalEvent::CannotSkip { .. }), "{place} wasn't begun");
    }
    let event = s.skip("stock");
    assert_eq!(s.illegal(event), IllegalEvent::Outstanding(Operation::Action));
    s.succeed(&["stock"]);
    s.answer("pay", unknown(Doubt::NoAnswer));
    let event = s.skip("pay");
    assert!(matches!(s.illegal(event), IllegalEvent::CannotSkip { .. }), "it is the pivot");
    s.wait();
    let event = s.skip("pay.query");
    assert_eq!(s.illegal(event), IllegalEvent::Outstanding(Operation::Query));
}

#[test]
fn skipping_an_action_that_cannot_have_happened_goes_straight_on() {
    let mut s = Script::start("pay pivot | ship | mail");
    s.succeed(&["pay"]);
    s.answer("ship", rejected());
    let event = s.skip("ship");
    s.event(event);
    s.expect("running: pay ok, ship skipped, mail calling#1");
    s.succeed(&["mail"]);
    assert_eq!(effects(&s), Vec::new());
}

#[test]
fn a_seal_that_is_stuck_can_be_skipped_and_leaves_the_effect_possible() {
    let mut s = Script::start("stock finish=1 | mail");
    s.answer("stock", unknown(Doubt::NoAnswer));
    let event = s.skip("stock");
    s.event(event);
    s.wait();
    s.expect("running: stock skipped?!, stock.compensate calling#1");
    s.answer("stock.compensate", rejected());
    s.expect("running: stock skipped?!, stock.compensate stuck(compensation_refused)");
    let event = s.skip("stock.compensate");
    s.event(event);
    s.succeed(&["mail"]);
    s.expect("completed: stock skipped?!, stock.compensate skipped, mail ok");
    assert_eq!(effects(&s), vec![("stock".to_owned(), StepEffect::Possible)]);
}

#[test]
fn a_seal_goes_on_when_the_saga_turns_back() {
    let mut s = Script::start("hold | stock");
    s.succeed(&["hold"]);
    s.answer("stock", unknown(Doubt::NoAnswer));
    let event = s.skip("stock");
    s.event(event);
    s.event(Event::Cancel(somebody()));
    s.wait();
    s.expect("compensating: hold ok, stock skipped?!, stock.compensate calling#1");
    s.succeed(&["stock.compensate", "hold.compensate"]);
    assert_eq!(effects(&s), Vec::new());
}

#[test]
fn a_late_success_of_a_skipped_action_whose_seal_found_nothing_is_sealed_again() {
    let mut s = Script::start("stock | pay | ship");
    s.answer("stock", unknown(Doubt::NoAnswer));
    let event = s.skip("stock");
    s.event(event);
    s.wait();
    s.answer("stock.compensate", not_found());
    s.expect("running: stock skipped?!, stock.compensate ok, pay calling#1");
    s.answer("stock#1", ok());
    s.expect("running: stock skipped?!, stock.compensate calling#2, pay calling#1");
    s.succeed(&["pay"]);
    s.expect("running: stock skipped?!, stock.compensate calling#2, pay ok, ship calling#1");
    s.succeed(&["stock.compensate", "ship"]);
    s.expect("completed: stock skipped?!, stock.compensate ok, pay ok, ship ok");
}

#[test]
fn a_skipped_compensation_ends_compensated_with_residue() {
    let mut s = Script::start("stock finish=1 | pay");
    s.succeed(&["stock"]);
    s.answer("pay", rejected());
    s.answer("stock.compensate", rejected());
    let event = s.skip("stock.compensate");
    s.event(event);
    s.expect("compensated: stock ok, stock.compensate skipped, pay rejected");
    assert_eq!(effects(&s), vec![("stock".to_owned(), StepEffect::Stands)]);
}

#[test]
fn resolving_a_pivot_as_happened_goes_forward() {
    let mut s = Script::start("pay pivot tries=1 | ship");
    s.answer("pay", unknown(Doubt::NoAnswer));
    let event = s.resolve("pay", happened());
    s.event(event);
    s.expect("running: pay ok?, ship calling#1");
}

#[test]
fn resolving_a_step_as_not_happened_turns_back_and_compensates_it_all_the_same() {
    let mut s = Script::start("stock | hold tries=2");
    s.succeed(&["stock"]);
    s.answer("hold", unknown(Doubt::NoAnswer));
    let event = s.resolve("hold", Finding::DidNotHappen);
    s.event(event);
    s.wait();
    s.expect("compensating: stock ok, hold gave_up?, hold.compensate calling#1");
    let cause = s.saga.state.decision.as_ref().map(|decision| decision.cause.clone());
    assert_eq!(cause, Some(Cause::ResolvedAsNotHappened(s.step("hold"))));
}

#[test]
fn a_compensation_is_resolved_only_as_happened() {
    let mut s = Script::start("stock finish=1 | pay");
    s.succeed(&["stock"]);
    s.answer("pay", rejected());
    s.answer("stock.compensate", unknown(Doubt::NoAnswer));
    let event = s.resolve("stock.compensate", Finding::DidNotHappen);
    assert!(matches!(s.illegal(event), IllegalEvent::CannotResolve { .. }));
    let event = s.resolve("stock.compensate", happened());
    s.event(event);
    s.expect("compensated: stock ok, stock.compensate ok, pay rejected");
    assert_eq!(effects(&s), Vec::new());
}

#[test]
fn behind_the_pivot_nothing_is_resolved_as_not_happened() {
    let mut s = Script::start("pay pivot | ship tries=1");
    s.succeed(&["pay"]);
    s.answer("ship", unknown(Doubt::NoAnswer));
    let event = s.resolve("ship", Finding::DidNotHappen);
    assert!(matches!(s.illegal(event), IllegalEvent::CannotResolve { .. }));
    let event = s.resolve("ship", happened());
    s.event(event);
    s.expect("completed: pay ok, ship ok?");
}

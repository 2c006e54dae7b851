//! The interleavings that lose money (references/semantics.md), as far as the state machine can show them: one test for each,
//! named after its entry. Those of the barrier and the store are proved there.

use amends_engine::IllegalEvent;
use amends_engine::event::{Event, Finding, Verdict};
use amends_engine::facts::StepEffect;
use amends_engine::history::Change;
use amends_engine::ids::Operation;
use amends_engine::outcome::{Doubt, Outcome};
use amends_engine::payload::Payload;

use crate::script::{Script, not_found, ok, refused_for_good, rejected, somebody, unknown};

fn done() -> Verdict {
    Verdict::Succeeded(Payload::json("{}"))
}

#[test]
fn a1_a_refusal_after_a_take_over_does_not_clear_the_attempt_that_may_be_out() {
    let mut s = Script::start("stock");
    s.event(Event::Loaded);
    s.expect("running: stock calling#2?");
    s.answer("stock", rejected());
    s.wait();
    s.expect("compensating: stock rejected?, stock.compensate calling#1");
}

#[test]
fn a1_h12_a_late_refusal_of_the_first_attempt_says_nothing_about_the_second() {
    let mut s = Script::start("stock");
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.wait();
    assert_eq!(s.answer("stock#1", rejected()), None);
    s.expect("running: stock calling#2?");
    s.event(Event::Cancel(somebody()));
    s.answer("stock#2", unknown(Doubt::NoAnswer));
    s.wait();
    s.expect("compensating: stock gave_up?, stock.compensate calling#1");
}

#[test]
fn a2_only_a_refusal_that_is_final_is_a_fact_about_all_attempts() {
    let run = |refusal: Outcome| {
        let mut s = Script::start("stock");
        s.event(Event::Loaded);
        s.answer("stock", refusal);
        s.saga.effect(s.step("stock"))
    };
    assert_eq!(run(rejected()), StepEffect::Possible);
    assert_eq!(run(refused_for_good()), StepEffect::None);
}

#[test]
fn a3a_neither_cancel_nor_deadline_turns_back_while_the_pivot_is_in_doubt() {
    let mut s = Script::start("stock | hold after=- | charge pivot after=stock,hold within=90000 | ship");
    s.succeed(&["stock", "hold"]);
    s.event(Event::Cancel(somebody()));
    s.answer("charge", Outcome::Pending);
    s.at(60_000);
    s.expect("running: stock ok, hold ok, charge pending [late] [cancel]");
    s.call_back("charge", done());
    s.expect("running: stock ok, hold ok, charge ok, ship calling#1 [late]");
    assert!(s.says(&Change::CancelRecorded) && s.says(&Change::Late));
}

#[test]
fn a3b_a_refusal_after_an_unknown_attempt_of_the_pivot_is_stuck_unless_it_is_final() {
    let run = |refusal: Outcome| {
        let mut s = Script::start("stock | charge pivot");
        s.succeed(&["stock"]);
        s.answer("charge", unknown(Doubt::Broken));
        s.wait();
        s.answer("charge", refusal);
        s
    };
    run(rejected()).expect("running: stock ok, charge stuck(pivot_unknown)?");
    run(refused_for_good()).expect("compensating: stock ok, stock.compensate calling#1, charge rejected");
}

#[test]
fn a4_compensate_and_confirm_of_a_known_success_say_so_and_a_missing_row_is_stuck() {
    use amends_engine::effect::Effect;
    let expects = |s: &Script| {
        amends_engine::outstanding(&s.saga)
            .iter()
            .any(|effect| matches!(effect, Effect::Call { expects_succeeded: true, .. }))
    };
    let mut s = Script::start("hold tcc tries=1");
    s.succeed(&["hold"]);
    assert!(expects(&s), "confirm");
    let mut s = Script::start("stock tries=1");
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.wait();
    assert!(!expects(&s), "the action is in doubt");
    s.answer("stock#1", ok());
    assert!(expects(&s), "now it is known");
    s.answer("stock.compensate", unknown(Doubt::RowMissing));
    s.expect("compensating: stock ok?, stock.compensate stuck(barrier_row_missing)");
}

#[test]
fn a6_confirming_is_a_point_of_no_return() {
    let mut s = Script::start("debit tcc after=- | credit tcc after=-");
    s.succeed(&["debit", "credit", "debit.confirm"]);
    assert_eq!(s.illegal(Event::Cancel(somebody())), IllegalEvent::PastPivot);
    s.answer("credit.confirm", Outcome::Pending);
    s.at(60_000);
    s.expect("confirming: debit ok, debit.confirm ok, credit ok, credit.confirm pending [late]");
}

#[test]
fn a8_an_answer_that_may_mean_a_repeat_is_unknown_and_the_query_settles_it() {
    let mut s = Script::start("stock | charge pivot query | ship");
    s.succeed(&["stock"]);
    s.answer("charge", unknown(Doubt::Broken));
    s.wait();
    s.answer("charge.query", not_found());
    s.answer("charge", unknown(Doubt::Code)); // ALREADY_EXISTS
    s.wait();
    s.succeed(&["charge.query"]);
    s.expect("running: stock ok, charge ok?, ship calling#1");
}

#[test]
fn a9_a_key_that_was_reused_is_stuck_and_never_taken_for_an_answer() {
    let mut s = Script::start("stock");
    s.answer("stock", unknown(Doubt::KeyReused));
    s.expect("running: stock stuck(key_reused)");
    let mut s = Script::start("stock | pay");
    s.succeed(&["stock"]);
    s.answer("pay", rejected());
    s.answer("stock.compensate", unknown(Doubt::KeyReused));
    s.expect("compensating: stock ok, stock.compensate stuck(key_reused), pay rejected");
}

#[test]
fn a11_a_pivot_resolved_as_not_happened_keeps_its_effect_possible_where_it_cannot_be_sealed() {
    let mut s = Script::start("stock | charge pivot tries=1");
    s.succeed(&["stock"]);
    s.answer("charge", unknown(Doubt::NoAnswer));
    let event = s.resolve("charge", Finding::DidNotHappen);
    s.event(event);
    s.succeed(&["stock.compensate"]);
    s.expect("compensated: stock ok, stock.compensate ok, charge gave_up?");
    let residue = s.saga.residue();
    assert_eq!((residue.len(), residue[0].step, residue[0].effect), (1, s.step("charge"), StepEffect::Possible));
}

#[test]
fn a11_a_pivot_that_can_be_sealed_is_sealed_before_anything_before_it_is_undone() {
    let mut s = Script::start("stock | charge pivot tries=1 revert");
    s.succeed(&["stock"]);
    s.answer("charge", unknown(Doubt::NoAnswer));
    let event = s.resolve("charge", Finding::DidNotHappen);
    s.event(event);
    s.wait();
    s.expect("compensating: stock ok, charge gave_up?, charge.compensate calling#1");
    s.succeed(&["charge.compensate"]);
    s.expect("compensating: stock ok, stock.compensate calling#1, charge gave_up?, charge.compensate ok");
}

#[test]
fn a11_skipping_an_action_in_doubt_seals_its_key_before_anything_follows() {
    let mut s = Script::start("stock | pay");
    s.answer("stock", unknown(Doubt::NoAnswer));
    let event = s.skip("stock");
    s.event(event);
    s.expect("running: stock skipped?!");
    s.wait();
    s.expect("running: stock skipped?!, stock.compensate calling#1");
    s.succeed(&["stock.compensate"]);
    s.expect("running: stock skipped?!, stock.compensate ok, pay calling#1");
    s.succeed(&["pay"]);
    assert_eq!(s.saga.residue(), Vec::new());
}

#[test]
fn a11_skipping_what_cannot_be_sealed_leaves_its_effect_possible_for_ever() {
    let mut s = Script::start("pay pivot | ship tries=1");
    s.succeed(&["pay"]);
    s.answer("ship", unknown(Doubt::NoAnswer));
    let event = s.skip("ship");
    s.event(event);
    s.expect("completed: pay ok, ship skipped?");
    assert_eq!(s.saga.residue().iter().map(|residue| residue.effect).collect::<Vec<_>>(), [StepEffect::Possible]);
}

#[test]
fn a12_bytes_once_prepared_are_what_every_attempt_sends() {
    let mut s = Script::start_unprepared("stock", &["stock"]);
    let (step, operation) = (s.step("stock"), Operation::Action);
    let prepared =
        |text: &'static str| Event::Prepared { step, operation, requests: vec![(operation, Payload::json(text))] };
    s.event(prepared("1"));
    let request = s.op("stock").request;
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.wait();
    s.event(prepared("2"));
    assert_eq!(s.op("stock").request, request);
}

#[test]
fn a13_after_the_pivot_a_deadline_is_an_alarm_and_work_goes_on() {
    let mut s = Script::start("stock | pay pivot | ship within=900000 tries=99");
    s.succeed(&["stock", "pay"]);
    s.at(60_000);
    s.answer("ship", unknown(Doubt::NoAnswer));
    s.wait();
    assert!(s.says(&Change::Late));
    let attempt = s.op("ship").attempt;
    s.expect(&format!("running: stock ok, pay ok, ship calling#{attempt}? [late]"));
    s.succeed(&["ship"]);
    s.expect("completed: stock ok, pay ok, ship ok? [late]");
}

#[test]
fn a14a_a_callback_may_beat_the_reply_that_says_pending() {
    let mut s = Script::start("charge pivot | ship");
    s.call_back("charge", done());
    s.expect("running: charge ok, ship calling#1");
    assert!(s.answer("charge#1", Outcome::Pending).is_some(), "ignored");
    s.expect("running: charge ok, ship calling#1");
}

#[test]
fn a14b_what_is_paid_after_the_decision_is_a_late_answer_and_gets_undone() {
    let mut s = Script::start("charge | ship");
    s.answer("charge", Outcome::Pending);
    s.event(Event::Cancel(somebody()));
    s.expect("compensating: charge pending, charge.compensate calling#1");
    s.call_back("charge", done());
    s.expect("compensating: charge ok, charge.compensate calling#1");
    s.answer("charge.compensate", not_found());
    s.expect("compensating: charge ok, charge.compensate retry#1@100");
    s.wait();
    s.succeed(&["charge.compensate"]);
    s.expect("compensated: charge ok, charge.compensate ok");
}

#[test]
fn a14c_a_pending_step_is_not_in_flight_and_is_compensated_at_once() {
    let mut s = Script::start("charge");
    s.answer("charge", Outcome::Pending);
    s.event(Event::Cancel(somebody()));
    s.expect("compensating: charge pending, charge.compensate calling#1");
    s.succeed(&["charge.compensate"]);
    s.expect("compensated: charge pending, charge.compensate ok");
}

#[test]
fn a17_predecessors_of_a_stuck_compensation_wait_and_the_others_are_undone() {
    let mut s = Script::start("reserve | ship finish=1 | hold after=- | pay after=ship,hold");
    s.succeed(&["reserve", "hold", "ship"]);
    s.answer("pay", rejected());
    s.answer("ship.compensate", rejected());
    s.succeed(&["hold.compensate"]);
    s.expect(
        "compensating: reserve ok, ship ok, ship.compensate stuck(compensation_refused), hold ok, hold.compensate ok, \
         pay rejected",
    );
    s.retry();
    s.succeed(&["ship.compensate"]);
    assert!(s.op("reserve.compensate").is_in_flight());
}

#[test]
fn a18_compensations_are_prepared_with_the_actions_intent_and_cannot_fail_later() {
    let mut s = Script::start("stock | pay");
    assert!(s.op("stock.compensate").request.is_some());
    s.stop_preparing("stock");
    s.succeed(&["stock"]);
    s.answer("pay", rejected());
    s.expect("compensating: stock ok, stock.compensate calling#1, pay rejected");
}

#[test]
fn a18_an_answer_that_removes_the_reason_frees_a_stuck_saga_and_a_paused_one_only_records_it() {
    let mut s = Script::start("charge pivot tries=1 | ship");
    s.answer("charge", unknown(Doubt::NoAnswer));
    s.event(Event::Pause(somebody()));
    s.answer("charge#1", ok());
    s.expect("running: charge ok? [paused]");
    s.event(Event::Resume(somebody()));
    s.expect("running: charge ok?, ship calling#1");
}

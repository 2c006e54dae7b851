//! Going back: order, waiting for the wire, refusals, and when there is nothing to undo.

use amends_engine::event::{Event, Verdict};
use amends_engine::ids::Operation;
use amends_engine::outcome::{Doubt, Outcome, Why};
use amends_engine::payload::Payload;
use amends_engine::saga::{Cause, OperationStatus};
use amends_engine::{Ignored, next_due};

use crate::script::{Script, not_found, not_sent, ok, refused_for_good, rejected, somebody, unknown};

#[test]
fn a_refusal_undoes_what_was_done_in_reverse_and_not_itself() {
    let mut s = Script::start("stock | hold | pay");
    s.succeed(&["stock", "hold"]);
    s.answer("pay", rejected());
    s.expect("compensating: stock ok, hold ok, hold.compensate calling#1, pay rejected");
    let cause = s.saga.state.decision.as_ref().map(|decision| decision.cause.clone());
    assert_eq!(cause, Some(Cause::Rejected(s.step("pay"))));
    s.succeed(&["hold.compensate"]);
    s.expect("compensating: stock ok, stock.compensate calling#1, hold ok, hold.compensate ok, pay rejected");
    s.succeed(&["stock.compensate"]);
    s.expect("compensated: stock ok, stock.compensate ok, hold ok, hold.compensate ok, pay rejected");
}

#[test]
fn independent_steps_are_undone_in_parallel() {
    let mut s = Script::start("stock after=- | hold after=- | pay after=stock,hold");
    s.succeed(&["stock", "hold"]);
    s.answer("pay", rejected());
    s.expect("compensating: stock ok, stock.compensate calling#1, hold ok, hold.compensate calling#1, pay rejected");
}

#[test]
fn a_saga_that_did_nothing_is_compensated_at_once() {
    let mut s = Script::start("stock");
    s.answer("stock", rejected());
    s.expect("compensated: stock rejected");
}

#[test]
fn a_compensation_waits_until_the_call_in_flight_has_answered() {
    let mut s = Script::start("stock after=- | hold after=-");
    s.answer("stock", rejected());
    s.expect("compensating: stock rejected, hold calling#1");
    s.answer("hold", ok());
    s.expect("compensating: stock rejected, hold ok, hold.compensate calling#1");
}

#[test]
fn a_compensation_waits_until_the_deadline_of_a_call_that_broke() {
    let mut s = Script::start("stock");
    s.at(400);
    s.answer("stock", unknown(Doubt::Broken));
    s.event(Event::Cancel(somebody()));
    s.expect("compensating: stock gave_up?");
    assert_eq!(next_due(&s.saga).map(|due| due.0), Some(1000), "the attempt's own deadline");
    s.wait();
    s.expect("compensating: stock gave_up?, stock.compensate calling#1");
}

#[test]
fn a_call_in_flight_that_says_nothing_is_taken_for_unknown_after_its_deadline() {
    let mut s = Script::start("stock after=- | hold after=-");
    s.answer("stock", rejected());
    s.wait();
    assert_eq!(s.now.0, 3000, "its deadline and a margin for the answer");
    s.expect("compensating: stock rejected, hold gave_up?, hold.compensate calling#1");
}

#[test]
fn an_attempt_overtaken_by_a_late_success_is_waited_for_before_its_step_is_undone() {
    let mut s = Script::start("stock | pay");
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.wait();
    s.succeed(&["stock#1"]);
    s.answer("pay", rejected());
    s.expect("compensating: stock ok?, pay rejected");
    assert_eq!(next_due(&s.saga).map(|due| due.0), Some(1100), "the deadline of attempt 2, which is still out");
    s.wait();
    s.expect("compensating: stock ok?, stock.compensate calling#1, pay rejected");
}

#[test]
fn a_late_success_after_the_decision_is_a_fact_and_not_progress() {
    let mut s = Script::start("stock | pay");
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.event(Event::Cancel(somebody()));
    s.expect("compensating: stock gave_up?");
    s.answer("stock#1", ok());
    s.expect("compensating: stock ok?");
    s.wait();
    s.expect("compensating: stock ok?, stock.compensate calling#1");
}

#[test]
fn a_refused_compensation_is_retried_then_stuck_and_never_given_up() {
    let mut s = Script::start("stock finish=2 | pay");
    s.succeed(&["stock"]);
    s.answer("pay", rejected());
    s.answer("stock.compensate", rejected());
    s.expect("compensating: stock ok, stock.compensate retry#1@100, pay rejected");
    s.wait();
    s.answer("stock.compensate", rejected());
    s.expect("compensating: stock ok, stock.compensate stuck(compensation_refused), pay rejected");
}

#[test]
fn a_compensation_whose_answers_are_unknown_is_stuck_when_its_attempts_are_used_up() {
    let mut s = Script::start("stock finish=1 | pay");
    s.succeed(&["stock"]);
    s.answer("pay", rejected());
    s.answer("stock.compensate", not_sent());
    s.wait();
    s.answer("stock.compensate", unknown(Doubt::NoAnswer));
    s.expect("compensating: stock ok, stock.compensate stuck(retries_exhausted), pay rejected");
}

#[test]
fn nothing_to_undo_is_accepted_of_an_action_in_doubt_and_of_nothing_else() {
    let mut s = Script::start("stock tries=1");
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.wait();
    s.answer("stock.compensate", not_found());
    s.expect("compensated: stock gave_up?, stock.compensate ok");

    let mut s = Script::start("stock | pay");
    s.succeed(&["stock"]);
    s.answer("pay", rejected());
    s.answer("stock.compensate", not_found());
    s.expect("compensating: stock ok, stock.compensate retry#1@100, pay rejected");
}

#[test]
fn nothing_to_undo_is_not_accepted_while_the_action_is_pending() {
    let mut s = Script::start("stock finish=1");
    s.answer("stock", Outcome::Pending);
    s.event(Event::Cancel(somebody()));
    s.answer("stock.compensate", not_found());
    s.expect("compensating: stock pending, stock.compensate stuck(compensation_refused)");
}

#[test]
fn what_had_nothing_to_undo_is_undone_again_when_the_action_turns_out_to_have_happened() {
    let mut s = Script::start("stock after=- tries=1 | hold after=-");
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.wait();
    s.answer("stock.compensate", not_found());
    s.expect("compensating: stock gave_up?, stock.compensate ok, hold calling#1");
    s.answer("stock#1", ok());
    s.expect("compensating: stock ok?, stock.compensate calling#2, hold calling#1");
    s.succeed(&["stock.compensate"]);
    s.answer("hold", rejected());
    s.expect("compensated: stock ok?, stock.compensate ok, hold rejected");
}

#[test]
fn a_final_refusal_before_the_compensation_is_called_makes_it_needless() {
    let mut s = Script::start("stock");
    s.answer("stock", unknown(Doubt::Broken));
    s.event(Event::Cancel(somebody()));
    s.expect("compensating: stock gave_up?");
    s.answer("stock#1", refused_for_good());
    s.expect("compensated: stock rejected");

    // Also where it only lacked its request.
    let mut s = Script::start_unprepared("stock", &["stock"]);
    let prepared = vec![(Operation::Action, Payload::json("1"))];
    let step = s.step("stock");
    s.event(Event::Prepared { step, operation: Operation::Action, requests: prepared });
    s.answer("stock", unknown(Doubt::Broken));
    s.event(Event::Cancel(somebody()));
    s.wait();
    s.expect("compensating: stock gave_up?, stock.compensate ready");
    s.answer("stock#1", refused_for_good());
    s.expect("compensated: stock rejected");
}

#[test]
fn a_final_refusal_after_that_may_speak_of_the_compensation_which_is_finished_all_the_same() {
    let mut s = Script::start("stock");
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.wait();
    s.event(Event::Cancel(somebody()));
    s.wait();
    s.expect("compensating: stock gave_up?, stock.compensate calling#1");
    s.answer("stock.compensate", Outcome::Pending);
    s.answer("stock#1", refused_for_good());
    s.expect("compensating: stock gave_up?, stock.compensate pending");
    s.call_back("stock.compensate", Verdict::Rejected { why: Why::default(), last_word: false });
    s.expect("compensating: stock gave_up?, stock.compensate retry#1@3200");
    s.wait();
    s.succeed(&["stock.compensate"]);
    s.expect("compensated: stock gave_up?, stock.compensate ok");
}

#[test]
fn a_pending_action_that_is_refused_while_it_is_undone_leaves_its_compensation_to_finish() {
    let mut s = Script::start("stock");
    s.answer("stock", Outcome::Pending);
    s.event(Event::Cancel(somebody()));
    s.expect("compensating: stock pending, stock.compensate calling#1");
    s.call_back("stock", Verdict::Rejected { why: Why::default(), last_word: true });
    s.answer("stock.compensate", unknown(Doubt::NoAnswer));
    s.expect("compensating: stock rejected?, stock.compensate retry#1@100");
    s.wait();
    s.answer("stock.compensate", not_found());
    s.expect("compensated: stock rejected?, stock.compensate ok");
}

#[test]
fn a_missing_row_is_stuck_at_once_and_never_an_empty_success() {
    let mut s = Script::start("stock | pay");
    s.succeed(&["stock"]);
    s.answer("pay", rejected());
    s.answer("stock.compensate", unknown(Doubt::RowMissing));
    s.expect("compensating: stock ok, stock.compensate stuck(barrier_row_missing), pay rejected");
}

#[test]
fn a_step_that_needs_no_compensation_is_never_called_for_it() {
    let mut s = Script::start("note none | pay");
    s.succeed(&["note"]);
    s.answer("pay", rejected());
    s.expect("compensated: note ok, pay rejected");
    assert_eq!(s.saga.residue(), Vec::new(), "the team says that nothing needs undoing");
}

#[test]
fn a_late_answer_to_a_query_that_was_given_up_is_a_fact_too() {
    let mut s = Script::start("stock query");
    s.answer("stock", unknown(Doubt::Code));
    s.wait();
    s.expect("running: stock asking?, stock.query calling#1");
    s.event(Event::Cancel(somebody()));
    s.expect("compensating: stock gave_up?");
    assert_eq!(s.answer("stock.query#1", ok()), None);
    assert_eq!(s.op("stock").status, OperationStatus::Succeeded);
    assert_eq!(s.answer("stock.query#1", ok()), Some(Ignored::Duplicate));
}

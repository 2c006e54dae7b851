//! The words for where a saga stands, and why it isn't moving.

use amends_engine::event::Event;
use amends_engine::outcome::{Doubt, Outcome};
use amends_engine::standing::{StatusWord, WaitingReason, status, waiting, waits};
use amends_engine::time::Timestamp;

use crate::script::{Script, rejected, somebody, unknown};

fn waits_for(s: &Script) -> Option<(WaitingReason, Option<u64>)> {
    waiting(&s.saga).map(|waiting| (waiting.reason, waiting.until.map(|until| until.0)))
}

#[test]
fn every_status_has_a_word_of_its_own() {
    let mut words: Vec<&str> = StatusWord::ALL.iter().map(|status| status.as_str()).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), StatusWord::ALL.len());
    assert!(words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
}

#[test]
fn stuck_wins_over_paused_and_paused_over_the_phase() {
    let mut s = Script::start("pay pivot tries=1");
    assert_eq!(status(&s.saga), StatusWord::Running);
    s.event(Event::Pause(somebody()));
    assert_eq!(status(&s.saga), StatusWord::Paused);
    s.answer("pay", unknown(Doubt::NoAnswer));
    assert_eq!(status(&s.saga), StatusWord::Stuck);
    s.event(Event::ForceStop(somebody()));
    assert_eq!(status(&s.saga), StatusWord::ForceStopped);
}

#[test]
fn the_phases_have_their_words() {
    let mut s = Script::start("hold tcc");
    s.succeed(&["hold"]);
    assert_eq!(status(&s.saga), StatusWord::Confirming);
    s.succeed(&["hold.confirm"]);
    assert_eq!(status(&s.saga), StatusWord::Completed);
    let mut s = Script::start("hold | pay");
    s.succeed(&["hold"]);
    s.answer("pay", rejected());
    assert_eq!(status(&s.saga), StatusWord::Compensating);
    s.succeed(&["hold.compensate"]);
    assert_eq!(status(&s.saga), StatusWord::Compensated);
}

#[test]
fn while_an_attempt_is_in_flight_it_waits_for_nothing() {
    let mut s = Script::start("stock after=- | hold after=-");
    s.answer("stock", unknown(Doubt::NoAnswer));
    assert_eq!(waits_for(&s), None);
    s.answer("hold", unknown(Doubt::NoAnswer));
    assert_eq!(waits_for(&s), Some((WaitingReason::RetryDue, Some(100))));
}

#[test]
fn a_retry_says_since_when_and_until_when() {
    let mut s = Script::start("stock");
    s.at(50);
    s.answer("stock", unknown(Doubt::NoAnswer));
    let waiting = waiting(&s.saga).expect("waiting");
    assert_eq!(
        (waiting.step, waiting.since, waiting.until),
        (Some(s.step("stock")), Timestamp(50), Some(Timestamp(150)))
    );
}

#[test]
fn of_several_waits_the_one_that_ends_first_comes_first() {
    let mut s = Script::start("stock after=- | hold after=- within=5000 | seat after=-");
    s.answer("stock", Outcome::Pending);
    s.answer("hold", Outcome::Pending);
    s.answer("seat", unknown(Doubt::NoAnswer));
    let ends: Vec<_> = waits(&s.saga).iter().map(|waiting| waiting.until.map(|until| until.0)).collect();
    assert_eq!(ends, [Some(100), Some(5000), None]);
    s.wait();
    s.succeed(&["seat"]);
    assert_eq!(waits_for(&s), Some((WaitingReason::Pending, Some(5000))));
}

#[test]
fn waiting_for_the_wire_to_fall_silent_has_its_own_word() {
    let mut s = Script::start("stock");
    s.answer("stock", unknown(Doubt::Broken));
    s.event(Event::Cancel(somebody()));
    assert_eq!(waits_for(&s), Some((WaitingReason::Quiet, Some(1000))));
}

#[test]
fn a_paused_saga_waits_for_its_resume_also_while_an_answer_is_outstanding() {
    let mut s = Script::start("stock");
    s.event(Event::Pause(somebody()));
    assert_eq!(waits_for(&s), Some((WaitingReason::Paused, None)));
}

#[test]
fn beside_a_stuck_step_the_others_are_waited_for_unless_the_saga_is_parked() {
    let mut s = Script::start("hold tcc after=- finish=1 | seat tcc after=-");
    s.succeed(&["hold", "seat"]);
    s.answer("hold.confirm", rejected());
    s.answer("seat.confirm", unknown(Doubt::NoAnswer));
    assert_eq!(status(&s.saga), StatusWord::Stuck);
    assert_eq!(waits_for(&s), Some((WaitingReason::RetryDue, Some(100))));
    s.event(Event::Pause(somebody()));
    assert_eq!(waits_for(&s), Some((WaitingReason::Paused, None)));
    s.park();
    assert_eq!(waits_for(&s), None);
}

#[test]
fn what_is_stuck_does_not_wait_and_says_all_that_is() {
    let mut s = Script::start("hold tcc after=- finish=1 | seat tcc after=- finish=1");
    s.succeed(&["hold", "seat"]);
    s.answer("hold.confirm", rejected());
    s.answer("seat.confirm", rejected());
    assert_eq!(waits_for(&s), None);
    assert_eq!(s.saga.all_stuck().len(), 2);
    s.park();
    assert_eq!(s.saga.all_stuck().len(), 3);
    assert_eq!(s.saga.stuck().and_then(|stuck| stuck.step), None, "the saga as a whole comes first");
}

//! Paused and parked sagas: every answer is recorded, nothing is started.

use amends_engine::event::Event;
use amends_engine::outcome::Doubt;
use amends_engine::saga::StuckReason;
use amends_engine::{Ignored, next_due, outstanding};

use crate::script::{Script, ok, rejected, somebody, unknown};

#[test]
fn a_paused_saga_records_answers_and_goes_on_when_it_resumes() {
    let mut s = Script::start("stock | pay");
    s.event(Event::Pause(somebody()));
    assert_eq!(s.event(Event::Pause(somebody())), Some(Ignored::AlreadySo));
    assert_eq!(outstanding(&s.saga).len(), 1, "what is out stays out");
    s.succeed(&["stock"]);
    s.expect("running: stock ok [paused]");
    s.event(Event::Resume(somebody()));
    s.expect("running: stock ok, pay calling#1");
    assert_eq!(s.event(Event::Resume(somebody())), Some(Ignored::AlreadySo));
}

#[test]
fn a_paused_saga_that_is_refused_turns_back_and_calls_nobody() {
    let mut s = Script::start("stock | pay");
    s.succeed(&["stock"]);
    s.event(Event::Pause(somebody()));
    s.answer("pay", rejected());
    s.expect("compensating: stock ok, pay rejected [paused]");
    s.event(Event::Resume(somebody()));
    s.expect("compensating: stock ok, stock.compensate calling#1, pay rejected");
}

#[test]
fn a_retry_that_is_due_waits_for_the_resume() {
    let mut s = Script::start("stock");
    s.event(Event::Pause(somebody()));
    s.answer("stock", unknown(Doubt::NoAnswer));
    assert_eq!(next_due(&s.saga), None);
    s.now = amends_engine::time::Timestamp(500);
    assert_eq!(s.event(Event::Due), Some(Ignored::NothingDue));
    s.expect("running: stock retry#1@100? [paused]");
    s.event(Event::Resume(somebody()));
    s.expect("running: stock calling#2?");
}

#[test]
fn silence_is_noticed_also_while_paused() {
    let mut s = Script::start("stock");
    s.event(Event::Pause(somebody()));
    s.wait();
    s.expect("running: stock retry#1@3200? [paused]");
}

#[test]
fn a_request_that_is_ready_after_the_pause_is_not_called_before_the_resume() {
    let mut s = Script::start_unprepared("stock", &["stock"]);
    s.event(Event::Pause(somebody()));
    let (step, operation) = (s.step("stock"), amends_engine::ids::Operation::Action);
    let requests = vec![(operation, amends_engine::payload::Payload::json("1"))];
    s.event(Event::Prepared { step, operation, requests });
    s.expect("running: stock retry#0@0 [paused]");
    s.event(Event::Cancel(somebody()));
    s.event(Event::Resume(somebody()));
    s.expect("compensated: ");
}

#[test]
fn a_parked_saga_says_why_and_a_retry_sets_it_free() {
    let mut s = Script::start("stock | pay");
    s.park();
    s.succeed(&["stock"]);
    s.expect("running: stock ok [parked(definition_or_participant_missing)]");
    let stuck = s.saga.stuck().expect("stuck");
    assert_eq!((stuck.reason, stuck.step), (StuckReason::DefinitionOrParticipantMissing, None));
    s.retry();
    s.expect("running: stock ok, pay calling#1");
}

#[test]
fn parking_twice_keeps_the_first_reason() {
    let mut s = Script::start("stock");
    s.park();
    let again = Event::Park { reason: StuckReason::Poison, message: "panic".to_owned() };
    assert_eq!(s.event(again), Some(Ignored::AlreadySo));
    s.expect("running: stock calling#1 [parked(definition_or_participant_missing)]");
}

#[test]
fn a_loaded_saga_that_is_paused_stays_so_and_its_attempts_are_in_doubt() {
    let mut s = Script::start("stock");
    s.event(Event::Pause(somebody()));
    s.event(Event::Loaded);
    s.expect("running: stock retry#1@0? [paused]");
    s.answer("stock#1", ok());
    s.expect("running: stock ok? [paused]");
    s.event(Event::Resume(somebody()));
    s.expect("completed: stock ok?");
}

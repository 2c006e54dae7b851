//! Where a saga is held up, what its last error was, and since when it needs somebody.

use amends_engine::event::{Event, Verdict};
use amends_engine::outcome::{Doubt, Outcome, Why};
use amends_engine::payload::Payload;
use amends_engine::standing::{held_up_at, last_error, waiting_since};
use amends_engine::time::Timestamp;

use crate::script::{Script, not_found, not_sent, rejected, somebody, unknown};

fn at(s: &Script) -> Option<&str> {
    held_up_at(&s.saga).map(|participant| participant.as_str())
}

fn error(s: &Script) -> Option<(&str, u64)> {
    last_error(&s.saga.state).map(|error| (error.message, error.at.0))
}

#[test]
fn a_clean_run_is_held_up_nowhere_at_any_of_its_changes() {
    let mut s = Script::start("stock | hold tcc | pay pivot");
    for place in ["stock", "hold", "pay", "hold.confirm"] {
        assert_eq!((at(&s), error(&s)), (None, None), "before {place}");
        s.succeed(&[place]);
    }
    assert!(s.saga.state.phase.is_terminal());
    assert_eq!(at(&s), None);
}

#[test]
fn from_the_first_failure_to_the_success_it_stays_at_one_place() {
    let mut s = Script::start("stock | pay");
    s.succeed(&["stock"]);
    for outcome in [unknown(Doubt::NoAnswer), not_sent()] {
        s.answer("pay", outcome);
        assert_eq!(at(&s), Some("pay"), "while it waits");
        s.wait();
        assert_eq!(at(&s), Some("pay"), "while the next attempt is out");
    }
    s.event(Event::Pause(somebody()));
    assert_eq!(at(&s), Some("pay"), "while it is paused");
    s.event(Event::Resume(somebody()));
    s.succeed(&["pay"]);
    assert_eq!((at(&s), error(&s)), (None, None));
}

#[test]
fn pending_and_asking_hold_up() {
    let mut s = Script::start("pay query within=5000");
    s.answer("pay", Outcome::Pending);
    assert_eq!((at(&s), error(&s)), (Some("pay"), None));
    s.at(5_000);
    assert_eq!(at(&s), Some("pay"), "while it is being asked about");
    let mut s = Script::start("pay | ship");
    s.answer("pay", Outcome::Pending);
    s.call_back("pay", Verdict::Succeeded(Payload::json("{}")));
    assert_eq!(at(&s), None);
}

#[test]
fn where_it_is_stuck_comes_before_where_it_retries() {
    let mut s = Script::start("hold tcc after=- | seat tcc after=- finish=1");
    s.succeed(&["hold", "seat"]);
    s.answer("hold.confirm", unknown(Doubt::NoAnswer));
    assert_eq!(at(&s), Some("hold"));
    s.answer("seat.confirm", rejected());
    assert_eq!(at(&s), Some("seat"));
    s.park();
    assert_eq!(at(&s), Some("seat"), "parked as a whole, and stuck there");
}

#[test]
fn what_is_parked_as_a_whole_or_was_never_called_is_held_up_nowhere() {
    let mut s = Script::start("pay");
    s.answer("pay", unknown(Doubt::NoAnswer));
    s.park();
    assert_eq!(at(&s), None);
    let mut s = Script::start("stock | pay");
    s.held = true;
    s.succeed(&["stock"]);
    assert_eq!(at(&s), None, "its first attempt is held back by a breaker");
    s.event(Event::ForceStop(somebody()));
    assert_eq!(at(&s), None);
}

#[test]
fn an_action_that_is_no_longer_live_holds_nothing_up() {
    let mut s = Script::start("stock | pay");
    s.succeed(&["stock"]);
    s.answer("pay", unknown(Doubt::NoAnswer));
    s.event(Event::Cancel(somebody()));
    assert_eq!(at(&s), None, "it compensates, and nothing of that has failed");
}

#[test]
fn the_last_error_is_the_latest_that_nothing_has_made_good() {
    let told = |message: &str| Outcome::Unknown { doubt: Doubt::Code, why: Why::new("INTERNAL", message) };
    let mut s = Script::start("stock after=- | pay after=-");
    s.at(10);
    s.answer("pay", told("first"));
    s.at(20);
    s.answer("stock", told("second"));
    assert_eq!(error(&s), Some(("second", 20)));
    s.at(130);
    s.succeed(&["stock"]);
    assert_eq!(error(&s), Some(("first", 10)), "a success makes its own operation's error good");
    s.answer("pay", told("third"));
    let skip = s.skip("pay");
    s.event(skip);
    assert_eq!(error(&s), None, "and so does an operator who skips it");
}

#[test]
fn of_two_errors_at_one_time_the_one_that_is_still_to_be_mended_is_last() {
    let mut s = Script::start("stock finish=1 | pay");
    s.succeed(&["stock"]);
    s.answer("pay", rejected());
    assert_eq!(error(&s), Some(("no", 0)));
    s.answer("stock.compensate", unknown(Doubt::NoAnswer));
    assert_eq!((error(&s), at(&s)), (Some(("no answer", 0)), Some("stock")));
}

#[test]
fn a_question_that_found_nothing_is_no_error_and_what_parked_it_is_one() {
    let mut s = Script::start("pay query tries=9");
    s.answer("pay", unknown(Doubt::Broken));
    s.wait();
    s.answer("pay.query", not_found());
    assert_eq!(error(&s), Some(("no answer", 0)));
    s.at(7_000);
    s.park();
    assert_eq!(
        last_error(&s.saga.state).map(|error| (error.code, error.at)),
        Some(("definition_or_participant_missing", Timestamp(7_000)))
    );
}

#[test]
fn age_is_since_it_got_stuck_first_and_else_since_its_start() {
    let mut s = Script::start("hold tcc after=- finish=1 | seat tcc after=- finish=1");
    s.succeed(&["hold", "seat"]);
    s.at(40);
    s.answer("seat.confirm", rejected());
    assert_eq!(waiting_since(&s.saga.state), Timestamp(40));
    s.at(90);
    s.answer("hold.confirm", rejected());
    assert_eq!(waiting_since(&s.saga.state), Timestamp(40));
    assert_eq!(waiting_since(&Script::start("pay").saga.state), Timestamp(0));
}

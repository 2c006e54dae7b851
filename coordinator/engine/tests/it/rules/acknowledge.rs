//! Saying that somebody looks after what is stuck: it changes nothing else, and is gone once it is about something else.

use amends_engine::event::{Event, Verdict};
use amends_engine::history::Change;
use amends_engine::payload::Payload;
use amends_engine::saga::By;
use amends_engine::{Ignored, IllegalEvent};

use crate::script::{Script, ok, rejected, somebody};

/// Two confirms, of which the first is stuck.
fn stuck() -> Script {
    let mut s = Script::start("hold tcc after=- finish=1 | seat tcc after=- finish=2");
    s.succeed(&["hold", "seat"]);
    s.answer("hold.confirm", rejected());
    s
}

#[test]
fn it_says_who_when_and_why_and_changes_nothing_else() {
    let mut s = stuck();
    let before = s.saga.clone();
    s.at(40);
    assert_eq!(s.event(Event::Acknowledge(somebody())), None);
    let mut expected = before;
    expected.state.acknowledgement = s.saga.state.acknowledgement.clone();
    expected.state.history_length += 1;
    expected.state.updated_at = s.now;
    assert_eq!(s.saga, expected);
    let acknowledgement = s.saga.state.acknowledgement.as_ref().expect("acknowledged");
    assert_eq!((acknowledgement.at, &acknowledgement.by), (s.now, &somebody()));
    assert!(s.says(&Change::Acknowledged));
}

#[test]
fn it_starts_not_even_what_is_due() {
    let mut s = stuck();
    s.answer("seat.confirm", rejected());
    s.now = amends_engine::time::Timestamp(5_000);
    s.event(Event::Acknowledge(somebody()));
    s.expect("confirming: hold ok, hold.confirm stuck(confirm_refused), seat ok, seat.confirm retry#1@100");
}

#[test]
fn a_second_note_replaces_the_first_and_the_same_one_is_a_repeat() {
    let mut s = stuck();
    s.event(Event::Acknowledge(somebody()));
    assert_eq!(s.event(Event::Acknowledge(somebody())), Some(Ignored::AlreadySo));
    let note = By { reason: "asked the bank".to_owned(), ..somebody() };
    assert_eq!(s.event(Event::Acknowledge(note.clone())), None);
    assert_eq!(s.saga.state.acknowledgement.as_ref().map(|it| &it.by), Some(&note));
}

#[test]
fn it_is_gone_once_something_else_is_stuck() {
    let mut s = stuck();
    s.event(Event::Acknowledge(somebody()));
    s.answer("seat.confirm", rejected());
    assert!(s.saga.state.acknowledgement.is_some(), "a retry is nothing new");
    s.at(100);
    s.answer("seat.confirm", rejected());
    assert_eq!(s.saga.state.acknowledgement, None, "the second one was seen by nobody");
}

#[test]
fn it_is_gone_once_nothing_is_stuck_and_once_it_gets_stuck_anew() {
    let mut s = stuck();
    s.event(Event::Acknowledge(somebody()));
    s.retry();
    assert_eq!(s.saga.state.acknowledgement, None);
    s.answer("hold.confirm", rejected());
    assert_eq!(s.saga.state.acknowledgement, None);
    s.event(Event::Acknowledge(somebody()));
    s.call_back("hold.confirm", Verdict::Succeeded(Payload::json("{}")));
    assert_eq!(s.saga.state.acknowledgement, None, "an answer has freed it");
    let mut s = stuck();
    s.event(Event::Acknowledge(somebody()));
    s.event(Event::ForceStop(somebody()));
    assert_eq!(s.saga.state.acknowledgement, None);
}

#[test]
fn what_is_not_stuck_needs_nobody() {
    let mut s = Script::start("stock");
    assert_eq!(s.illegal(Event::Acknowledge(somebody())), IllegalEvent::NotStuck);
    s.answer("stock", ok());
    assert_eq!(s.illegal(Event::Acknowledge(somebody())), IllegalEvent::Ended);
}

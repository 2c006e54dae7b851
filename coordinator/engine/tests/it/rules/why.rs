//! Why a saga isn't moving, in words: what an operator reads first, the same everywhere.

use amends_engine::event::Event;
use amends_engine::ids::{Operation, ParticipantName};
use amends_engine::outcome::{Doubt, Outcome, Why};
use amends_engine::saga::{By, Paused};
use amends_engine::standing::{Waiting, WaitingReason, waits};
use amends_engine::time::Timestamp;
use amends_engine::why::{Around, why};

use crate::script::{Script, refused_for_good, rejected, somebody, unknown};

/// 2026-11-29 02:10:05 UTC.
const NIGHT: Timestamp = Timestamp(1_795_918_205_000);

fn around(s: &Script) -> Around {
    Around { waits: waits(&s.saga), ..Around::default() }
}

fn text(s: &Script) -> String {
    why(&s.saga, &around(s))
}

fn at_night(text: &str) -> Script {
    let mut s = Script::start(text);
    s.saga.state.deadline = Timestamp(u64::MAX);
    s.now = NIGHT;
    s
}

fn settled() -> Outcome {
    Outcome::Rejected { why: Why::new("FAILED_PRECONDITION", "already settled"), last_word: false }
}

#[test]
fn what_is_stuck_says_where_why_since_when_what_stands_and_who_must_do_what() {
    let mut s = at_night("charge finish=1 | ship");
    s.succeed(&["charge"]);
    s.answer("ship", rejected());
    s.answer("charge.compensate", settled());
    assert_eq!(
        text(&s),
        "Stuck since 2026-11-29 02:10:05 UTC: charge refused to undo `charge` with FAILED_PRECONDITION \"already settled\". \
         Nothing more happens until somebody retries, skips or resolves it; still standing: `charge` at charge."
    );
}

#[test]
fn what_goes_on_beside_it_and_what_else_is_stuck_is_said() {
    let mut s = at_night("hold tcc after=- finish=1 | seat tcc after=- finish=2");
    s.succeed(&["hold", "seat"]);
    s.answer("hold.confirm", rejected());
    assert!(text(&s).contains("What doesn't depend on it goes on, and the rest waits until somebody"), "{}", text(&s));
    s.answer("seat.confirm", rejected());
    s.wait();
    s.answer("seat.confirm", rejected());
    assert!(text(&s).contains("hold refused to confirm `hold`") && text(&s).contains("(and 1 more)"), "{}", text(&s));
}

#[test]
fn a_pivot_in_doubt_can_only_be_resolved_or_retried() {
    let mut s = at_night("pay pivot tries=1");
    s.answer("pay", unknown(Doubt::NoAnswer));
    assert_eq!(
        text(&s),
        "Stuck since 2026-11-29 02:10:05 UTC: nobody can tell whether pay has done `pay`, the pivot; it answered last with \
         UNAVAILABLE \"no answer\". Nothing more happens until somebody resolves it as happened or not, or retries it; still \
         standing: perhaps `pay` at pay."
    );
}

#[test]
fn an_expression_that_fails_names_the_way_out() {
    let mut s = Script::start_unprepared("pay pivot | ship", &["ship"]);
    s.succeed(&["pay"]);
    let step = s.step("ship");
    s.event(Event::PrepareFailed { step, operation: Operation::Action, message: "null".to_owned() });
    assert!(text(&s).contains("until somebody repins it to a mended version"), "{}", text(&s));
}

#[test]
fn what_waits_says_for_what_and_until_when() {
    let mut s = at_night("pay");
    s.answer("pay", unknown(Doubt::NoAnswer));
    assert_eq!(
        text(&s),
        "Waiting since 2026-11-29 02:10:05 UTC: attempt 1 to do `pay` at pay ended with UNAVAILABLE \"no answer\". The next one is \
         made at 2026-11-29 02:10:05 UTC."
    );
    let mut s = at_night("pay within=60000");
    s.answer("pay", Outcome::Pending);
    assert!(
        text(&s).starts_with("Waiting since 2026-11-29 02:10:05 UTC for pay, which is to do `pay` and will tell us")
    );
    let mut s = Script::start("pay tries=1");
    s.answer("pay", unknown(Doubt::Broken));
    assert!(text(&s).contains("may still be on its way"), "{}", text(&s));
}

#[test]
fn a_saga_that_moves_or_has_ended_needs_no_words() {
    let mut s = Script::start("pay");
    assert_eq!(text(&s), "");
    s.answer("pay", refused_for_good());
    assert_eq!((text(&s), s.saga.state.phase.is_terminal()), (String::new(), true));
}

#[test]
fn every_wait_of_the_runtime_has_its_words() {
    let mut s = at_night("pay");
    s.answer("pay", unknown(Doubt::NoAnswer));
    let waiting = |reason| Waiting { reason, ..waits(&s.saga)[0] };
    let told = |reason| why(&s.saga, &Around { waits: vec![waiting(reason)], ..Around::default() });
    assert!(told(WaitingReason::Limit).contains("other calls of pay come first"));
    assert!(
        told(WaitingReason::BreakerOpen).contains("pay doesn't answer and isn't called for now. No attempt is used up")
    );
    let paused = Paused { since: NIGHT, by: By { principal: "ana".to_owned(), reason: "it is moved".to_owned() } };
    let held = Around {
        waits: vec![waiting(WaitingReason::BreakerOpen)],
        participants: vec![(ParticipantName::parse("pay").expect("name"), paused.clone())],
        ..Around::default()
    };
    assert!(
        why(&s.saga, &held).contains("participant pay is paused since 2026-11-29 02:10:05 UTC by ana (it is moved)")
    );
    let held = Around { definition: Some(paused), ..around(&s) };
    assert!(
        why(&s.saga, &held)
            .starts_with("Definition shape is paused since 2026-11-29 02:10:05 UTC by ana (it is moved).")
    );
    let frozen = Around { frozen: Some("the store lost commits".to_owned()), ..held };
    assert!(
        why(&s.saga, &frozen).starts_with("Its shard is frozen: the store lost commits."),
        "it comes before all else"
    );
}

#[test]
fn a_pause_says_by_whom_and_a_stuck_saga_stays_stuck_though_it_is_paused() {
    let mut s = at_night("charge finish=1 | ship");
    s.event(Event::Pause(somebody()));
    assert_eq!(
        text(&s),
        "Paused since 2026-11-29 02:10:05 UTC by ada (because). Nothing starts until somebody resumes it."
    );
    s.event(Event::Resume(somebody()));
    s.succeed(&["charge"]);
    s.answer("ship", rejected());
    s.answer("charge.compensate", settled());
    s.event(Event::Pause(somebody()));
    assert!(text(&s).starts_with("Stuck since"), "{}", text(&s));
}

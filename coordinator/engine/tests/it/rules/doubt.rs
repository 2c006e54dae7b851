//! What counts as "may have happened", and what ends it: loads, silence, late answers.

use amends_engine::Ignored;
use amends_engine::event::Event;
use amends_engine::facts::StepEffect;
use amends_engine::outcome::Doubt;
use amends_engine::{next_due, outstanding};

use crate::script::{Script, not_sent, ok, refused_for_good, rejected, somebody, unknown};

#[test]
fn a_loaded_saga_counts_its_outstanding_attempts_as_sent_and_unknown() {
    let mut s = Script::start("stock after=- | hold after=-");
    s.succeed(&["hold"]);
    s.event(Event::Loaded);
    s.expect("running: stock calling#2?, hold ok");
    assert_eq!(s.op("stock").failures, 0, "a lost owner is nobody's fault and uses up no attempt");
}

#[test]
fn loading_a_saga_without_outstanding_attempts_changes_nothing() {
    let mut s = Script::start("stock");
    s.answer("stock", unknown(Doubt::Code));
    let before = outstanding(&s.saga);
    assert_eq!(s.event(Event::Loaded), Some(Ignored::NothingDue));
    assert_eq!(outstanding(&s.saga), before);
}

#[test]
fn what_a_lost_owner_may_still_send_is_waited_for() {
    let mut s = Script::start("stock");
    s.now = amends_engine::time::Timestamp(900);
    s.event(Event::Loaded);
    s.answer("stock", rejected());
    s.expect("compensating: stock rejected?");
    assert_eq!(next_due(&s.saga).map(|due| due.0), Some(3900), "an attempt's time and a margin from the load on");
    s.wait();
    s.expect("compensating: stock rejected?, stock.compensate calling#1");
}

#[test]
fn an_attempt_that_is_never_answered_is_unknown_after_its_deadline_and_a_margin() {
    let mut s = Script::start("stock");
    assert_eq!(next_due(&s.saga).map(|due| due.0), Some(3000));
    s.wait();
    s.expect("running: stock retry#1@3200?");
}

#[test]
fn one_refusal_says_nothing_about_an_earlier_attempt() {
    let mut s = Script::start("stock");
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.wait();
    s.answer("stock", rejected());
    assert_eq!(s.saga.effect(s.step("stock")), StepEffect::Possible);
    s.wait();
    s.expect("compensating: stock rejected?, stock.compensate calling#1");
}

#[test]
fn a_final_refusal_ends_all_doubt() {
    let mut s = Script::start("stock");
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.wait();
    s.answer("stock", refused_for_good());
    s.expect("compensated: stock rejected");
}

#[test]
fn an_attempt_that_never_left_says_nothing_about_an_earlier_one() {
    let mut s = Script::start("stock tries=2");
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.wait();
    s.answer("stock", not_sent());
    s.expect("running: stock retry#2@200?");
    s.event(Event::Cancel(somebody()));
    s.wait();
    s.expect("compensating: stock gave_up?, stock.compensate calling#1");
}

#[test]
fn a_late_success_is_progress_while_the_saga_runs_forward() {
    let mut s = Script::start("stock | pay");
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.wait();
    assert_eq!(s.answer("stock#1", ok()), None);
    s.expect("running: stock ok?, pay calling#1");
}

#[test]
fn a_late_answer_that_says_nothing_new_is_ignored() {
    let mut s = Script::start("stock");
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.wait();
    assert_eq!(s.answer("stock#1", unknown(Doubt::Broken)), Some(Ignored::Stale));
    assert_eq!(s.answer("stock#1", not_sent()), Some(Ignored::Stale));
    s.expect("running: stock calling#2?");
}

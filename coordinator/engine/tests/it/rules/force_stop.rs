//! Force-stop: nothing more happens, what stands is listed, and late answers correct the list.

use amends_engine::event::Event;
use amends_engine::facts::StepEffect;
use amends_engine::outcome::{Doubt, Outcome};
use amends_engine::{Ignored, IllegalEvent};

use crate::script::{Script, ok, refused_for_good, rejected, somebody, unknown};

fn effects(s: &Script) -> Vec<(String, StepEffect)> {
    let name = |step| s.saga.definition.step(step).name.to_string();
    s.saga.residue().into_iter().map(|residue| (name(residue.step), residue.effect)).collect()
}

#[test]
fn a_force_stop_leaves_what_stands_and_late_answers_correct_it() {
    let mut s = Script::start("stock | hold after=- | seat after=- | pay");
    s.succeed(&["stock"]);
    s.event(Event::ForceStop(somebody()));
    let possible = |name: &str| (name.to_owned(), StepEffect::Possible);
    assert_eq!(effects(&s), vec![("stock".to_owned(), StepEffect::Stands), possible("hold"), possible("seat")]);
    assert_eq!(s.answer("hold", ok()), None);
    assert_eq!(s.answer("seat", rejected()), None);
    assert_eq!(effects(&s), vec![("stock".to_owned(), StepEffect::Stands), ("hold".to_owned(), StepEffect::Stands)]);
    assert_eq!(s.answer("hold", ok()), Some(Ignored::Stale));
    assert_eq!(s.event(Event::ForceStop(somebody())), Some(Ignored::AlreadySo));
    assert_eq!(s.illegal(Event::Cancel(somebody())), IllegalEvent::Ended);
}

#[test]
fn after_a_force_stop_a_final_refusal_of_an_old_attempt_ends_its_doubt() {
    let mut s = Script::start("stock");
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.event(Event::ForceStop(somebody()));
    assert_eq!(s.answer("stock#1", rejected()), Some(Ignored::Stale));
    assert_eq!(effects(&s).len(), 1);
    assert_eq!(s.answer("stock#1", refused_for_good()), None);
    assert_eq!(effects(&s), Vec::new());
}

#[test]
fn after_a_force_stop_an_answer_without_one_leaves_the_effect_possible() {
    let mut s = Script::start("stock after=- | hold after=- | seat after=-");
    s.event(Event::ForceStop(somebody()));
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.answer("hold", Outcome::Pending);
    s.answer("seat", unknown(Doubt::KeyReused));
    assert_eq!(effects(&s).len(), 2, "the key of the third was never ours");
}

#[test]
fn after_a_force_stop_a_compensation_that_worked_is_no_residue() {
    let mut s = Script::start("stock | pay");
    s.succeed(&["stock"]);
    s.answer("pay", rejected());
    s.event(Event::ForceStop(somebody()));
    assert_eq!(effects(&s).len(), 1);
    s.answer("stock.compensate", ok());
    assert_eq!(effects(&s), Vec::new());
}

#[test]
fn after_a_force_stop_a_query_that_finds_the_effect_says_so_and_one_that_does_not_says_nothing() {
    let mut s = Script::start("pay pivot query");
    s.answer("pay", unknown(Doubt::NoAnswer));
    s.wait();
    s.event(Event::ForceStop(somebody()));
    let mut found = Script::start("pay pivot query");
    found.answer("pay", unknown(Doubt::NoAnswer));
    found.wait();
    found.event(Event::ForceStop(somebody()));
    s.answer("pay.query", crate::script::not_found());
    assert_eq!(effects(&s), vec![("pay".to_owned(), StepEffect::Possible)]);
    found.answer("pay.query", ok());
    assert_eq!(effects(&found), vec![("pay".to_owned(), StepEffect::Stands)]);
}

#[test]
fn after_a_force_stop_a_skipped_action_that_did_happen_is_residue() {
    let mut s = Script::start("stock | mail");
    s.answer("stock", unknown(Doubt::NoAnswer));
    let event = s.skip("stock");
    s.event(event);
    s.event(Event::ForceStop(somebody()));
    s.answer("stock#1", refused_for_good());
    s.expect("forcestopped: stock skipped!");
    assert_eq!(effects(&s), Vec::new());
    s.answer("stock#1", ok());
    assert_eq!(effects(&s), vec![("stock".to_owned(), StepEffect::Stands)]);
}

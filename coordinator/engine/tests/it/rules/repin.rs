//! Moving a saga to another version of its definition: what is allowed, what becomes of what is under way, and what is refused by
//! name (design §8, semantics A12).

use std::sync::Arc;

use amends_engine::event::{Event, Repin};
use amends_engine::history::Change;
use amends_engine::ids::{DefinitionName, Operation, StepIndex, Version};
use amends_engine::outcome::Doubt;
use amends_engine::repin::{Incompatible, Side};
use amends_engine::saga::StuckReason;
use amends_engine::{Ignored, IllegalEvent};

use crate::script::{Script, ok, rejected, somebody, unknown};
use crate::shape::version;

fn to(text: &str) -> Event {
    moved(text, &[])
}

fn moved(text: &str, elsewhere: &[(u16, Operation)]) -> Event {
    let definition = Arc::new(version(text, 2).expect("valid"));
    let elsewhere = elsewhere.iter().map(|(step, operation)| (StepIndex(*step), *operation)).collect();
    Event::Repin(Repin { from: Version(1), definition, elsewhere, by: somebody() })
}

fn refused(s: &mut Script, event: Event) -> Incompatible {
    let before = s.saga.clone();
    let found = s.illegal(event);
    assert_eq!(s.saga, before, "a refusal changed something");
    let IllegalEvent::CannotRepin(why) = found else { panic!("{found}") };
    why
}

fn fails_to_prepare(s: &mut Script, place: &str, operation: Operation) {
    let step = s.step(place);
    assert_eq!(s.event(Event::PrepareFailed { step, operation, message: "line 3: null".to_owned() }), None);
}

#[test]
fn what_is_stuck_on_an_expression_is_prepared_anew_with_the_mended_version() {
    let mut s = Script::start_unprepared("stock | pay pivot | ship", &["ship"]);
    s.succeed(&["stock", "pay"]);
    fails_to_prepare(&mut s, "ship", Operation::Action);
    s.expect("running: stock ok, pay ok, ship stuck(expression_failed)");
    s.prepare_again();
    s.event(to("stock | pay pivot | ship tries=9 | tell"));
    s.expect("running: stock ok, pay ok, ship calling#1");
    assert_eq!(s.saga.state.head.version, Version(2));
    assert!(s.says(&Change::Repinned(Version(2))));
    s.succeed(&["ship", "tell"]);
    s.expect("completed: stock ok, pay ok, ship ok, tell ok");
}

#[test]
fn a_compensation_that_could_not_be_made_is_made_by_the_mended_version() {
    let mut s = Script::start("stock | pay");
    let step = s.step("stock");
    // Prepared without its compensation, as one that reads its own step's output is.
    let mut saga = s.saga.clone();
    saga.state.steps[step.get()].compensate.request = None;
    s.saga = saga;
    s.succeed(&["stock"]);
    s.stop_preparing("stock");
    s.answer("pay", rejected());
    fails_to_prepare(&mut s, "stock", Operation::Compensate);
    s.expect("compensating: stock ok, stock.compensate stuck(expression_failed), pay rejected");
    s.prepare_again();
    s.event(moved("stock | pay", &[(0, Operation::Compensate)]));
    s.expect("compensating: stock ok, stock.compensate calling#1, pay rejected");
}

#[test]
fn what_else_is_stuck_stays_stuck_until_somebody_retries() {
    let mut s = Script::start("stock finish=1 | pay");
    s.succeed(&["stock"]);
    s.answer("pay", rejected());
    s.answer("stock.compensate", rejected());
    s.event(to("stock finish=5 | pay"));
    s.expect("compensating: stock ok, stock.compensate stuck(compensation_refused), pay rejected");
    s.retry();
    s.succeed(&["stock.compensate"]);
    s.expect("compensated: stock ok, stock.compensate ok, pay rejected");
}

#[test]
fn a_saga_that_was_parked_for_want_of_its_definition_goes_on_and_any_other_stays_parked() {
    let mut s = Script::start("stock | pay");
    s.park();
    s.succeed(&["stock"]);
    s.event(to("stock | pay"));
    s.expect("running: stock ok, pay calling#1");
    let mut s = Script::start("stock | pay");
    s.event(Event::Park { reason: StuckReason::Poison, message: "panic".to_owned() });
    s.event(to("stock | pay"));
    assert!(s.saga.state.parked.is_some(), "nobody has looked at it");
}

#[test]
fn an_answer_that_comes_after_the_move_counts_and_its_bytes_were_the_old_ones() {
    let mut s = Script::start("stock | pay");
    let request = s.op("stock").request;
    s.event(to("stock query tries=1 | pay | tell"));
    s.expect("running: stock calling#1");
    assert_eq!(s.op("stock").request, request, "bytes once prepared are kept");
    s.answer("stock", ok());
    s.expect("running: stock ok, pay calling#1");
    // The answer is heard a second time.
    assert_eq!(s.answer("stock#1", ok()), Some(Ignored::Duplicate));
}

#[test]
fn an_attempt_that_is_out_at_the_move_is_in_doubt_after_a_take_over() {
    let mut s = Script::start("stock | pay");
    s.event(to("stock tries=1 | pay"));
    s.event(Event::Loaded);
    s.expect("running: stock calling#2?");
    s.answer("stock", unknown(Doubt::NoAnswer));
    s.expect("compensating: stock gave_up?");
    s.wait();
    s.expect("compensating: stock gave_up?, stock.compensate calling#1");
}

#[test]
fn of_parallel_steps_each_keeps_what_it_has_come_to() {
    let mut s = Script::start("a after=- | b after=- | c after=- | join after=a,b,c");
    s.succeed(&["a"]);
    s.answer("b", unknown(Doubt::Broken));
    s.event(to("a after=- | b after=- query | c after=- | join after=a,b,c | more"));
    s.expect("running: a ok, b retry#1@100?, c calling#1");
    s.answer("c", rejected());
    s.expect("compensating: a ok, a.compensate calling#1, b gave_up?, c rejected");
}

#[test]
fn a_paused_saga_moves_and_stays_paused() {
    let mut s = Script::start("stock | pay");
    s.event(Event::Pause(somebody()));
    s.succeed(&["stock"]);
    s.event(to("stock | pay2 | ship"));
    s.expect("running: stock ok [paused]");
    s.event(Event::Resume(somebody()));
    s.expect("running: stock ok, pay2 calling#1");
}

#[test]
fn the_deadline_stays_and_a_repeat_is_no_second_move() {
    let mut s = Script::start("stock | pay");
    let deadline = s.saga.state.deadline;
    s.event(to("stock | pay"));
    assert_eq!(s.saga.state.deadline, deadline);
    assert_eq!(s.event(to("stock | pay")), Some(Ignored::AlreadySo));
}

#[test]
fn a_version_that_was_compared_with_another_one_is_refused() {
    let mut s = Script::start("stock | pay");
    s.event(to("stock | pay"));
    let definition = Arc::new(version("stock | pay", 3).expect("valid"));
    let event = Event::Repin(Repin { from: Version(1), definition, elsewhere: Vec::new(), by: somebody() });
    assert_eq!(refused(&mut s, event), Incompatible::MovedMeanwhile(Version(2)));
}

#[test]
fn every_difference_that_would_change_what_was_done_is_refused_by_name() {
    let text = "stock tcc | pay pivot query | ship";
    let begun = || {
        let mut s = Script::start(text);
        s.succeed(&["stock"]);
        s
    };
    let step = |name: &str| amends_engine::ids::StepName::parse(name).expect("name");
    let cases: Vec<(&str, Incompatible)> = vec![
        ("bin tcc | pay pivot query | ship", Incompatible::StepMoved { step: step("stock"), position: 0, found: None }),
        (
            "note none | stock tcc | pay pivot query",
            Incompatible::StepMoved { step: step("stock"), position: 0, found: Some(step("note")) },
        ),
        (
            "stock | pay pivot query",
            Incompatible::Operations { step: step("stock"), operation: Operation::Confirm, there: false },
        ),
        (
            "stock tcc none | pay pivot query",
            Incompatible::Operations { step: step("stock"), operation: Operation::Compensate, there: false },
        ),
        (
            "stock tcc | pay pivot tcc query",
            Incompatible::Operations { step: step("pay"), operation: Operation::Confirm, there: true },
        ),
        (
            "stock tcc | pay pivot",
            Incompatible::Operations { step: step("pay"), operation: Operation::Query, there: false },
        ),
        (
            "stock tcc | pay query | ship",
            Incompatible::Side { step: step("pay"), here: Side::Pivot, there: Side::Before },
        ),
        (
            "stock tcc pivot revert | pay query revert",
            Incompatible::Side { step: step("stock"), here: Side::Before, there: Side::Pivot },
        ),
    ];
    for (there, expected) in cases {
        let found = refused(&mut begun(), to(there));
        assert_eq!(found, expected, "{there}: {found}");
    }
    let elsewhere = refused(&mut begun(), moved(text, &[(1, Operation::Action)]));
    assert_eq!(elsewhere, Incompatible::Call { step: step("pay"), operation: Operation::Action });
    // What has not been prepared yet may call something else.
    assert_eq!(begun().event(moved(text, &[(2, Operation::Action)])), None);
}

#[test]
fn what_has_begun_keeps_the_steps_that_came_before_it() {
    let step = |name: &str| amends_engine::ids::StepName::parse(name).expect("name");
    let mut s = Script::start("a after=- | b after=- | c after=-");
    let order = |of: &str, other: &str, there| Incompatible::Order { step: step(of), other: step(other), there };
    assert_eq!(refused(&mut s, to("a after=- | b after=a | c after=-")), order("b", "a", true));
    let mut s = Script::start("a | b");
    s.succeed(&["a"]);
    assert_eq!(refused(&mut s, to("a after=- | b after=-")), order("b", "a", false));
}

#[test]
fn a_step_that_its_condition_left_out_needs_a_condition_there_too() {
    let mut s = Script::start_unprepared("stock | gift if | pay", &["gift"]);
    s.succeed(&["stock"]);
    let gift = s.step("gift");
    s.event(Event::ConditionFalse { step: gift });
    assert!(matches!(refused(&mut s, to("stock | gift | pay")), Incompatible::Condition(_)));
    assert_eq!(s.event(to("stock | gift if tries=1 | pay")), None);
}

#[test]
fn nothing_new_comes_in_once_all_actions_are_done() {
    let mut s = Script::start("hold tcc | seat");
    s.succeed(&["hold", "seat"]);
    assert!(matches!(refused(&mut s, to("hold tcc | seat | more")), Incompatible::TooLate(_)));
    assert_eq!(s.event(to("hold tcc finish=9 | seat")), None);
}

#[test]
fn a_definition_of_another_name_is_another_definition() {
    let mut s = Script::start("stock | pay");
    let shape = version("stock | pay", 2).expect("valid");
    let other = DefinitionName::parse("other").expect("name");
    let definition =
        amends_engine::definition::Definition::new(other.clone(), Version(2), shape.timeout(), shape.steps().to_vec());
    let event = Event::Repin(Repin {
        from: Version(1),
        definition: Arc::new(definition.expect("valid")),
        elsewhere: Vec::new(),
        by: somebody(),
    });
    assert_eq!(refused(&mut s, event), Incompatible::OtherDefinition(other));
}

#[test]
fn a_step_that_somebody_says_happened_counts_as_called() {
    let mut s = Script::start_unprepared("stock | pay pivot | ship revert | tell", &["ship", "tell"]);
    s.succeed(&["stock", "pay"]);
    fails_to_prepare(&mut s, "ship", Operation::Action);
    let happened = amends_engine::event::Finding::Happened(amends_engine::payload::Payload::json("{}"));
    let resolve = s.resolve("ship", happened);
    s.event(resolve);
    let found = refused(&mut s, to("stock | pay pivot | ship | tell"));
    assert!(matches!(found, Incompatible::Operations { operation: Operation::Compensate, .. }), "{found}");
}

//! What a definition must be for the machine to run it, one refusal after the other.

use amends_engine::definition::InvalidDefinition as Invalid;
use amends_engine::definition::{Definition, STEPS_MAX, Step};
use amends_engine::ids::{DefinitionName, StepIndex, StepName, Version};

use crate::shape::{checked, shape};

fn name(text: &str) -> StepName {
    StepName::parse(text).expect("name")
}

fn of(steps: Vec<Step>) -> Result<Definition, Invalid> {
    let minute = std::time::Duration::from_secs(60);
    Definition::new(DefinitionName::parse("shape").expect("name"), Version(1), minute, steps)
}

#[test]
fn what_cannot_run_is_refused_by_name() {
    assert_eq!(of(Vec::new()), Err(Invalid::NoSteps));
    assert_eq!(checked("a | b | a"), Err(Invalid::DuplicateName(name("a"))));
    assert_eq!(checked("a pivot | b pivot"), Err(Invalid::SecondPivot(name("b"))));
    assert_eq!(checked("a pivot if"), Err(Invalid::ConditionalPivot(name("a"))));
    assert_eq!(checked("a | b pivot | c after=a"), Err(Invalid::BesideThePivot(name("c"))));
    assert_eq!(checked("a tries=0"), Err(Invalid::NoAttempts(name("a"))));
    assert_eq!(checked("a finish=0"), Err(Invalid::NoAttempts(name("a"))));
}

#[test]
fn too_many_steps_are_refused() {
    let many = |count: usize| (0..count).map(|n| format!("s{n}")).collect::<Vec<_>>().join("|");
    assert!(checked(&many(STEPS_MAX)).is_ok());
    assert_eq!(checked(&many(STEPS_MAX + 1)), Err(Invalid::TooManySteps(STEPS_MAX + 1)));
}

#[test]
fn circles_and_unknown_steps_are_refused() {
    let mut steps = shape("a | b").steps().to_vec();
    steps[0].after = vec![StepIndex(1)];
    assert_eq!(of(steps.clone()), Err(Invalid::Cycle(name("a"))));
    steps[0].after = vec![StepIndex(7)];
    assert_eq!(of(steps), Err(Invalid::UnknownDependency(name("a"))));
}

#[test]
fn what_comes_before_the_pivot_must_be_undone_or_say_why_not() {
    let mut steps = shape("a | b pivot").steps().to_vec();
    steps[0].compensate = amends_engine::definition::Compensation::Absent;
    assert_eq!(of(steps), Err(Invalid::NoCompensation(name("a"))));
    assert!(checked("a none | b pivot").is_ok());
}

#[test]
fn order_is_followed_through_a_chain() {
    let definition = shape("a | b | c after=- | d after=b,c");
    let index = |text| definition.find(&name(text)).expect("a step");
    assert!(definition.is_before(index("a"), index("d")));
    assert!(!definition.is_before(index("d"), index("a")));
    assert!(!definition.is_before(index("a"), index("c")));
    assert_eq!(definition.dependents(index("a")), [index("b")]);
}

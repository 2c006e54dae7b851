//! Books that can't be: each is noticed, and good ones pass.

use amends_engine::ids::Operation::{Action, Compensate, Confirm, Query};
use amends_engine::ids::{Operation, SagaKey, StepName};

use super::{EffectSeen, Ended, EndedStep, Expected, check_accounted, check_conserved, check_effects, check_ended};
use crate::Rule;
use crate::samples::{begun, compensated, completed, key, with_pivot};

fn seen(operations: &[Operation]) -> Vec<EffectSeen> {
    let of = |operation: &Operation| EffectSeen { saga: key("order-1"), step: name("hold"), operation: *operation };
    operations.iter().map(of).collect()
}

fn name(text: &str) -> StepName {
    StepName::parse(text).expect("name")
}

fn rules(operations: &[Operation]) -> Vec<Rule> {
    check_effects(&seen(operations)).into_iter().map(|violation| violation.rule).collect()
}

#[test]
fn effects_come_once_and_in_order() {
    assert_eq!(rules(&[Action, Compensate]), []);
    assert_eq!(rules(&[Action, Confirm]), []);
    assert_eq!(rules(&[Action, Action]), [Rule::EffectTwice]);
    assert_eq!(rules(&[Compensate]), [Rule::EffectOrder]);
    assert_eq!(rules(&[Confirm]), [Rule::EffectOrder]);
    assert_eq!(rules(&[Query]), [Rule::EffectOrder]);
    assert_eq!(rules(&[Action, Compensate, Action]), [Rule::EffectOrder, Rule::EffectTwice]);
    assert_eq!(rules(&[Action, Confirm, Compensate]), [Rule::EffectOrder]);
    assert_eq!(rules(&[Action, Compensate, Confirm]), [Rule::EffectOrder]);
}

#[test]
fn the_same_step_of_another_saga_is_another_effect() {
    let mut effects = seen(&[Action]);
    effects.push(EffectSeen { saga: key("order-2"), ..effects[0].clone() });
    assert_eq!(check_effects(&effects), []);
}

fn against(effect: Expected, confirm: Expected, operations: &[Operation]) -> usize {
    let ended = Ended { saga: key("order-1"), steps: vec![EndedStep { step: name("hold"), effect, confirm }] };
    check_ended(&seen(operations), &[ended]).len()
}

#[test]
fn an_end_is_held_against_the_books() {
    use Expected::{Either, Nothing, Stands};
    assert_eq!(against(Stands, Stands, &[Action, Confirm]), 0);
    assert_eq!(against(Stands, Stands, &[Action]), 1, "not confirmed");
    assert_eq!(against(Stands, Nothing, &[]), 1, "never done");
    assert_eq!(against(Stands, Nothing, &[Action, Compensate]), 1, "undone");
    assert_eq!(against(Nothing, Nothing, &[]), 0);
    assert_eq!(against(Nothing, Nothing, &[Action, Compensate]), 0);
    assert_eq!(against(Nothing, Nothing, &[Action]), 1, "it stands");
    assert_eq!(against(Either, Either, &[Action]), 0);
}

#[test]
fn a_saga_says_what_its_end_promises() {
    assert_eq!(Ended::of(&begun(with_pivot())), None, "it is open");
    let expectations = |saga| {
        let ended = Ended::of(&saga).expect("it has ended");
        ended.steps.into_iter().map(|step| (step.effect, step.confirm)).collect::<Vec<_>>()
    };
    let forward = [Expected::Stands, Expected::Nothing];
    assert_eq!(
        expectations(completed()),
        [(forward[0], Expected::Stands), (forward[0], forward[1]), (forward[0], forward[1])]
    );
    assert_eq!(expectations(compensated()), [(Expected::Nothing, Expected::Nothing); 3]);
}

fn sums(rows: &[(&str, i64)]) -> Vec<(String, i64)> {
    rows.iter().map(|(kind, amount)| ((*kind).to_owned(), *amount)).collect()
}

#[test]
fn money_moves_and_is_neither_made_nor_lost() {
    let before = sums(&[("money", 70), ("money", 30), ("stock", 5)]);
    assert_eq!(check_conserved(&before, &sums(&[("money", 40), ("money", 60), ("stock", 5)])), []);
    let found = check_conserved(&before, &sums(&[("money", 101)]));
    assert_eq!(found.iter().map(|violation| violation.rule).collect::<Vec<_>>(), [Rule::Conservation; 2]);
    assert_eq!(found[0].to_string(), "Conservation: money was 100 and is 101");
}

#[test]
fn nobody_who_was_acknowledged_is_forgotten() {
    let acknowledged: Vec<SagaKey> = vec![key("order-1")];
    assert_eq!(check_accounted(&acknowledged, &[completed()]), []);
    assert_eq!(check_accounted(&acknowledged, &[]).len(), 1, "it is gone");
    assert_eq!(check_accounted(&acknowledged, &[begun(with_pivot())]).len(), 1, "it is open and nobody was told");
}

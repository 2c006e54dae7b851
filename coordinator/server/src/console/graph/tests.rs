//! Drawn graphs against files, and any graph against the rules of a legible one.

use std::path::PathBuf;

use amends_definition::{Format, GraphStep, parse};
use amends_proto::v1::{Effect, Operation, OperationState, OperationStatus, Step};
use proptest::prelude::*;

use super::layout::{Layout, MARGIN, Placed, layout};
use super::{Look, svg};

/// Compares a picture with `golden/<name>.svg`, or writes it there if `UPDATE_GOLDEN` is set.
fn compare(name: &str, drawn: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/console/graph/golden").join(name);
    let path = path.with_extension("svg");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, drawn).expect("golden file is written");
        return;
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(drawn == golden, "{} differs; it should be\n{golden}\nbut is\n{drawn}", path.display());
}

fn step(name: &str, participant: &str, after: &[usize]) -> GraphStep {
    let (name, participant, after) = (name.to_owned(), participant.to_owned(), after.to_vec());
    GraphStep { name, participant, pivot: false, confirmed: false, compensated: true, conditional: false, after }
}

#[test]
fn the_checkout_is_drawn() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/checkout/checkout.saga.yaml");
    let source = std::fs::read_to_string(path).unwrap();
    let steps = parse(&source, Format::Yaml, "checkout").unwrap().graph().unwrap();
    compare("checkout", &svg("checkout", &steps, None));
    compare("checkout-stuck", &svg("checkout", &steps, Some(&[Look::Stuck, Look::Undone, Look::Refused])));
}

#[test]
fn arrows_pass_beside_the_boxes_of_layers_between() {
    let mut steps =
        [step("a", "one", &[]), step("b", "one", &[0]), step("c", "two", &[1]), step("d", "two", &[0, 2, 4])].to_vec();
    steps.push(step("a-step-with-a-name-that-is-far-too-long-to-fit", "somebody", &[]));
    compare("passing", &svg("passing", &steps, None));
}

#[test]
fn markup_in_a_name_is_text() {
    let drawn = svg("<script>alert(1)</script>", &[step("<img onerror=x>", "a&b\"'", &[])], None);
    assert!(!drawn.contains("<script") && !drawn.contains("<img"), "{drawn}");
    assert!(drawn.contains("&lt;script&gt;") && drawn.contains("a&amp;b&quot;&#39;"), "{drawn}");
}

#[test]
fn a_step_looks_as_it_stands() {
    let state = |operation: Operation, status: OperationStatus| OperationState {
        operation: operation.into(),
        status: status.into(),
        ..OperationState::default()
    };
    let look = |effect: Effect, operations: &[(Operation, OperationStatus)]| {
        let operations = operations.iter().map(|(operation, status)| state(*operation, *status)).collect();
        Look::of(&Step { effect: effect.into(), operations, ..Step::default() })
    };
    use OperationStatus::{Calling, GaveUp, NotStarted, Rejected, Retrying, Stuck, Succeeded};
    assert_eq!(look(Effect::None, &[(Operation::Action, NotStarted)]), Look::NotBegun);
    assert_eq!(look(Effect::Possible, &[(Operation::Action, Calling)]), Look::Calling);
    assert_eq!(look(Effect::Possible, &[(Operation::Action, Retrying)]), Look::Retrying);
    assert_eq!(look(Effect::None, &[(Operation::Action, Rejected)]), Look::Refused);
    assert_eq!(look(Effect::Possible, &[(Operation::Action, GaveUp)]), Look::InDoubt);
    assert_eq!(look(Effect::Stands, &[(Operation::Action, Succeeded)]), Look::Done);
    let undoing = [(Operation::Action, Succeeded), (Operation::Compensate, Retrying)];
    assert_eq!(look(Effect::Stands, &undoing), Look::Undoing);
    let undone = [(Operation::Action, Succeeded), (Operation::Compensate, Succeeded)];
    assert_eq!(look(Effect::Undone, &undone), Look::Undone);
    let stuck = [(Operation::Action, Succeeded), (Operation::Compensate, Stuck)];
    assert_eq!(look(Effect::Stands, &stuck), Look::Stuck);
    let confirming = [(Operation::Action, Succeeded), (Operation::Confirm, Calling)];
    assert_eq!(look(Effect::Stands, &confirming), Look::Confirming);
}

/// Sizes of up to 16 steps, and for each which of those before it it waits for.
fn graphs() -> impl Strategy<Value = Vec<((u32, u32), Vec<bool>)>> {
    let size = (112_u32..300, 40_u32..80);
    prop::collection::vec((size, prop::collection::vec(prop::bool::weighted(0.25), 16)), 1..16)
}

fn overlap(one: Placed, other: Placed) -> bool {
    let apart = one.x + one.width <= other.x || other.x + other.width <= one.x;
    !apart && one.y < other.y + other.height && other.y < one.y + one.height
}

fn check(drawn: &Layout, after: &[Vec<usize>]) {
    for (index, one) in drawn.boxes.iter().enumerate() {
        assert!(one.x >= MARGIN && one.x + one.width + MARGIN <= drawn.width, "{drawn:#?}");
        assert!(one.y >= MARGIN && one.y + one.height + MARGIN <= drawn.height, "{drawn:#?}");
        for other in &drawn.boxes[index + 1..] {
            assert!(!overlap(*one, *other), "{one:?} and {other:?} of {drawn:#?}");
        }
    }
    assert_eq!(drawn.arrows.len(), after.iter().map(Vec::len).sum::<usize>());
    for arrow in &drawn.arrows {
        assert!(after[arrow.to].contains(&arrow.from));
        for pair in arrow.points.windows(2) {
            let [(x, y), (to_x, to_y)] = [pair[0], pair[1]];
            assert!(x < to_x, "an arrow goes back: {arrow:?}");
            // A bend stays inside the rectangle of its ends.
            let line = Placed { x, y: y.min(to_y), width: to_x - x, height: y.abs_diff(to_y) + 1 };
            assert!(drawn.boxes.iter().all(|one| !overlap(*one, line)), "{arrow:?} goes through a box");
        }
    }
}

proptest! {
    #[test]
    fn every_graph_is_legible(graph in graphs()) {
        let sizes: Vec<(u32, u32)> = graph.iter().map(|(size, _)| *size).collect();
        let after: Vec<Vec<usize>> = graph.iter().enumerate()
            .map(|(index, (_, waits))| (0..index).filter(|early| waits[*early]).collect()).collect();
        let drawn = layout(&sizes, &after);
        check(&drawn, &after);
        prop_assert_eq!(drawn, layout(&sizes, &after));
    }
}

//! What overrides the machine: reasons, revisions, and the question before.

use crate::harness::check;

const WHY: [&str; 2] = ["--reason", "ticket 7"];

#[track_caller]
fn repair(golden: &str, arguments: &[&str]) {
    check(golden, &[&["saga"], arguments, &WHY].concat());
}

#[test]
fn what_only_moves_a_saga_along_is_done_without_asking() {
    repair("retry", &["retry", "order-1001", "--step", "reserve-stock", "--expected-revision", "7"]);
    repair("pause", &["pause", "order-1001"]);
    repair("resume", &["resume", "order-1001", "-o", "json"]);
}

#[test]
fn what_changes_facts_needs_a_yes() {
    repair("skip-unasked", &["skip", "order-1001", "--step", "reserve-stock"]);
    repair("force-stop-unasked", &["force-stop", "order-1001"]);
    repair("skip", &["skip", "order-1001", "--step", "reserve-stock", "--operation", "compensate", "--yes"]);
    repair("force-stop", &["force-stop", "order-1001", "-y"]);
}

#[test]
fn looking_after_what_is_stuck_asks_nobody() {
    repair("acknowledge", &["acknowledge", "order-1001", "--expected-revision", "7"]);
    repair("repin", &["repin", "order-1001", "--version", "4"]);
    repair("repin-refused", &["repin", "order-1002"]);
}

#[test]
fn reconcile_shows_what_participants_say() {
    check("reconcile", &["saga", "reconcile", "order-1001"]);
    check("reconcile-json", &["saga", "reconcile", "order-1001", "-o", "json"]);
    check("reconcile-unknown", &["saga", "reconcile", "order-9999"]);
}

#[test]
fn what_many_sagas_need_is_paused_and_resumed_with_a_reason() {
    check("definition-pause", &["definition", "pause", "checkout", "--reason", "it orders twice"]);
    check("definition-resume", &["definition", "resume", "checkout", "--reason", "mended"]);
    check(
        "participant-pause",
        &["participant", "pause", "payment", "--reason", "it moves", "--expected-revision", "2"],
    );
    check("participant-resume", &["participant", "resume", "payment", "--reason", "moved"]);
    check("definition-pause-unreasoned", &["definition", "pause", "checkout"]);
}

#[test]
fn resolve_sends_what_was_found_out() {
    repair(
        "resolve-happened",
        &["resolve", "order-1001", "--step", "charge", "--happened", "--reply", "{\"id\":\"c-1\"}", "-y"],
    );
    repair("resolve-did-not-happen", &["resolve", "order-1001", "--step", "charge", "--did-not-happen", "-y"]);
}

#[test]
fn a_saga_that_has_moved_on_is_left_alone() {
    repair("force-stop-moved-on", &["force-stop", "order-1001", "--expected-revision", "6", "--yes"]);
}

//! Many sagas by a plan: what is asked for, what is shown before a yes, and how it ends where some were left alone.

use crate::fake_batches::{CLEAN, DONE, PLANNED};
use crate::harness::check;

const WHY: [&str; 2] = ["--reason", "payment is back"];

#[track_caller]
fn batch(golden: &str, arguments: &[&str]) {
    check(golden, &[&["batch"], arguments].concat());
}

#[test]
fn a_plan_shows_what_would_happen() {
    let filter = ["--status", "stuck", "--participant", "payment", "--stuck-reason", "retries_exhausted"];
    batch("batch-plan", &[&["plan"], &filter[..], &["--older-than", "1h", "--do", "retry"], &WHY].concat());
    let resolve = ["plan", "--id", "order-1", "--id", "order-2", "--do", "resolve", "--step", "charge"];
    batch("batch-plan-resolve", &[&resolve[..], &["--happened", "--reply", "{\"id\":\"c-1\"}"], &WHY].concat());
    batch("batch-plan-undecided", &[&resolve[..], &WHY].concat());
}

#[test]
fn a_plan_is_applied_after_a_yes_to_its_count() {
    batch("batch-apply-unasked", &[&["apply", PLANNED, "--rps", "50"], &WHY[..]].concat());
    batch("batch-apply", &[&["apply", PLANNED, "--yes"], &WHY[..]].concat());
    batch("batch-apply-watch", &[&["apply", CLEAN, "--yes", "--watch"], &WHY[..]].concat());
    batch("batch-apply-done", &[&["apply", DONE, "--yes"], &WHY[..]].concat());
}

#[test]
fn what_was_left_alone_is_a_table_and_a_failure() {
    batch("batch-watch", &["watch", DONE]);
    batch("batch-items", &["items", DONE]);
    batch("batch-items-refused", &["items", DONE, "--status", "refused,moved"]);
}

#[test]
fn a_batch_is_slowed_stopped_and_looked_at() {
    batch("batch-rate", &[&["rate", PLANNED, "--rps", "5"], &WHY[..]].concat());
    batch("batch-stop", &[&["stop", PLANNED], &WHY[..]].concat());
    batch("batch-list", &["list"]);
    batch("batch-describe", &["describe", DONE]);
    batch("batch-describe-json", &["describe", DONE, "-o", "json"]);
    batch("batch-unknown", &["describe", "x"]);
}

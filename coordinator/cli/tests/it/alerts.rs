//! The webhooks, and testing one.

use crate::harness::check;

#[test]
fn webhooks_and_how_they_do() {
    check("alert-list", &["alert", "list"]);
    check("alert-list-json", &["alert", "list", "-o", "json"]);
}

#[test]
fn a_test_says_what_came_of_it_and_fails_where_nothing_did() {
    check("alert-test", &["alert", "test", "pager"]);
    check("alert-test-failed", &["alert", "test", "chat"]);
}

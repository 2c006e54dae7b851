//! The rules of design §7 and the interleavings of semantics A2, A4, A7, A9, through the database.

use amends_participant::rejected;
use amends_participant::status::{DOMAIN, HIGHEST_SEEN};
use tonic::{Code, Request, Response};
use tonic_types::StatusExt;

use crate::fixture::{Fixture, on_both_databases, step, told};

on_both_databases! {
    a_repeat_gets_the_stored_reply_and_runs_nothing,
    a_refusal_takes_the_change_back_and_answers_every_late_copy,
    a_refusal_says_who_refused_and_why,
    a_refusal_is_stored_and_sent_whatever_its_words_are,
    a_compensate_that_comes_first_does_nothing_and_shuts_the_action_out,
    an_action_and_its_compensation_each_happen_once,
    confirm_and_compensate_shut_each_other_out,
    a_refused_compensation_can_be_tried_again_with_the_same_key,
    an_expected_success_that_is_not_here_is_never_an_empty_success,
    another_request_under_the_same_key_is_not_answered_from_the_row,
    a_replaced_owner_is_turned_away_even_after_a_refusal_and_told_the_highest_epoch,
    another_step_of_the_saga_is_fenced_too,
    each_element_of_a_step_has_its_own_row,
    a_failure_keeps_nothing_reads_as_unknown_and_can_be_tried_again,
    a_call_without_our_metadata_is_an_internal_error_and_not_a_refusal,
}

fn text(what: &str) -> String {
    what.to_owned()
}

async fn a_repeat_gets_the_stored_reply_and_runs_nothing(f: Fixture) {
    let first = f.does(step("s").action(text("a"))).await.unwrap();
    assert_eq!(first, "a #1");
    assert_eq!(f.does(step("s").action(text("a"))).await.unwrap(), first);
    assert_eq!(f.refuses(step("s").action(text("a"))).await.unwrap(), first, "whatever the handler would say now");
    assert_eq!(f.made().await, ["a"]);
}

async fn a_refusal_takes_the_change_back_and_answers_every_late_copy(f: Fixture) {
    let refused = (Code::FailedPrecondition, text("NO_ROOM"));
    assert_eq!(told(f.refuses(step("s").action(text("a"))).await), refused);
    assert_eq!(told(f.does(step("s").action(text("a"))).await), refused, "a late copy, though there is room now");
    assert!(f.made().await.is_empty());
    assert_eq!(f.does(step("s").compensate(text("c"))).await.unwrap(), "", "nothing to undo, and no handler run");
    assert!(f.made().await.is_empty());
}

async fn a_refusal_says_who_refused_and_why(f: Fixture) {
    let status = f.refuses(step("s").action(text("a"))).await.expect_err("refused");
    let info = status.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("NO_ROOM", "test.v1.Test"));
    assert_eq!(status.message(), "there is no room");
}

async fn a_refusal_is_stored_and_sent_whatever_its_words_are(f: Fixture) {
    let words = format!("a\0b{}", "\u{fc}".repeat(1_000_000));
    for _ in 0..2 {
        let words = words.clone();
        let request = step("s").action(text("a"));
        let answer: Result<Response<String>, _> =
            f.barrier.handle(request, |_, _, _: String| Box::pin(async { Err(rejected("NO_ROOM", words)) })).await;
        let status = answer.expect_err("refused");
        assert_eq!(status.code(), Code::FailedPrecondition, "never unknown: {status}");
        assert!(status.message().starts_with("a\u{fffd}b\u{fc}") && status.message().len() < 1100, "{status}");
    }
}

async fn a_compensate_that_comes_first_does_nothing_and_shuts_the_action_out(f: Fixture) {
    for _ in 0..2 {
        assert_eq!(f.does(step("s").compensate(text("c"))).await.unwrap(), "");
    }
    for _ in 0..2 {
        let told = told(f.does(step("s").action(text("a"))).await);
        assert_eq!(told, (Code::FailedPrecondition, text("AMENDS_COMPENSATED")));
    }
    assert!(f.made().await.is_empty());
}

async fn an_action_and_its_compensation_each_happen_once(f: Fixture) {
    for _ in 0..2 {
        assert_eq!(f.does(step("s").action(text("a"))).await.unwrap(), "a #1");
    }
    for _ in 0..2 {
        assert_eq!(f.does(step("s").expects_succeeded().compensate(text("c"))).await.unwrap(), "c #2");
    }
    let told = told(f.does(step("s").action(text("a"))).await);
    assert_eq!(told, (Code::FailedPrecondition, text("AMENDS_COMPENSATED")), "a late copy of the action");
    assert_eq!(f.made().await, ["a", "c"]);
}

async fn confirm_and_compensate_shut_each_other_out(f: Fixture) {
    let precondition = |reason: &str| (Code::FailedPrecondition, text(reason));
    for saga in ["confirmed", "cancelled"] {
        assert_eq!(told(f.does(step(saga).confirm(text("f"))).await), precondition("AMENDS_NOT_TRIED"));
        f.does(step(saga).action(text("a"))).await.unwrap();
    }
    f.does(step("confirmed").confirm(text("f"))).await.unwrap();
    assert_eq!(told(f.does(step("confirmed").compensate(text("c"))).await), precondition("AMENDS_CONFIRMED"));
    f.does(step("cancelled").compensate(text("c"))).await.unwrap();
    assert_eq!(told(f.does(step("cancelled").confirm(text("f"))).await), precondition("AMENDS_COMPENSATED"));
    assert_eq!(f.made().await, ["a", "a", "f", "c"]);
}

async fn a_refused_compensation_can_be_tried_again_with_the_same_key(f: Fixture) {
    f.does(step("s").action(text("a"))).await.unwrap();
    assert_eq!(told(f.refuses(step("s").compensate(text("c"))).await).1, "NO_ROOM");
    assert_eq!(f.does(step("s").compensate(text("c"))).await.unwrap(), "c #2");
    assert_eq!(f.made().await, ["a", "c"]);
}

async fn an_expected_success_that_is_not_here_is_never_an_empty_success(f: Fixture) {
    let missing = (Code::DataLoss, text("AMENDS_ROW_MISSING"));
    assert_eq!(told(f.does(step("s").expects_succeeded().compensate(text("c"))).await), missing);
    assert_eq!(told(f.does(step("s").expects_succeeded().confirm(text("f"))).await), missing);
    assert!(f.does(step("s").action(text("a"))).await.is_ok(), "nothing was recorded that would shut it out");
}

async fn another_request_under_the_same_key_is_not_answered_from_the_row(f: Fixture) {
    f.does(step("s").action(text("100"))).await.unwrap();
    assert_eq!(told(f.does(step("s").action(text("900"))).await), (Code::Aborted, text("AMENDS_KEY_REUSED")));
    assert_eq!(f.made().await, ["100"]);
}

async fn a_replaced_owner_is_turned_away_even_after_a_refusal_and_told_the_highest_epoch(f: Fixture) {
    f.refuses(step("s").epoch(u64::MAX).action(text("a"))).await.expect_err("refused");
    let status = f.does(step("s").epoch(u64::MAX - 1).compensate(text("c"))).await.expect_err("stale");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(
        (status.code(), info.reason.as_str(), info.domain.as_str()),
        (Code::Aborted, "AMENDS_STALE_EPOCH", DOMAIN)
    );
    assert_eq!(info.metadata[HIGHEST_SEEN], u64::MAX.to_string());
    assert!(f.does(step("other").epoch(1).action(text("b"))).await.is_ok(), "another saga has another owner");
}

async fn another_step_of_the_saga_is_fenced_too(f: Fixture) {
    f.does(step("s").epoch(9).action(text("a"))).await.unwrap();
    let other = amends_participant::testing::StepCall::new("s", "ship").epoch(8).action(text("b"));
    assert_eq!(told(f.does(other).await).1, "AMENDS_STALE_EPOCH");
}

async fn each_element_of_a_step_has_its_own_row(f: Fixture) {
    for element in ["line-1", "line-2"] {
        f.does(step("s").element(element).action(text(element))).await.unwrap();
    }
    f.does(step("s").element("line-1").compensate(text("c"))).await.unwrap();
    assert_eq!(f.does(step("s").element("line-2").action(text("line-2"))).await.unwrap(), "line-2 #2");
}

async fn a_failure_keeps_nothing_reads_as_unknown_and_can_be_tried_again(f: Fixture) {
    let status = f.fails(step("s").action(text("a"))).await.expect_err("failed");
    assert_eq!(status.code(), Code::Internal);
    assert!(!status.message().contains("broken"), "what broke is the participant's own business: {status}");
    assert!(f.made().await.is_empty());
    assert_eq!(f.does(step("s").action(text("a"))).await.unwrap(), "a #1");
}

async fn a_call_without_our_metadata_is_an_internal_error_and_not_a_refusal(f: Fixture) {
    let status = f.does(Request::new(text("a"))).await.expect_err("no metadata");
    assert_eq!(status.code(), Code::Internal);
    assert!(status.message().contains("amends-saga-id"), "{status}");
}

//! What differs between two versions, and what that means for open sagas.

use amends_definition::{Difference, Format, Repin, diff};

use crate::descriptors::root;

const OLD: &str = "
saga: order
timeout: 1h
labels: { order: '${input.id}' }
input: { type: object, required: [id], properties: { id: { type: string } } }
steps:
  - step: book
    participant: hotel
    action: { call: hotel.v1.Hotel/Book, timeout: 5s, request: { id: '${input.id}', guest: { name: x } } }
    compensate: { call: hotel.v1.Hotel/Cancel, request: { id: '${input.id}' } }
  - step: log
    participant: mail
    after: []
    action: { call: mail.v1.Mail/Log }
    compensate: { none: a log line }
  - step: pay
    participant: bank
    after: [book, log]
    pivot: true
    action: { call: bank.v1.Bank/Pay, codes: { ABORTED: rejected } }
    query: { call: bank.v1.Bank/Find }
  - step: tell
    participant: mail
    action: { call: mail.v1.Mail/Send }
";

fn changed(replacements: &[(&str, &str)]) -> Vec<(String, String, String)> {
    let new = replacements.iter().fold(OLD.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    });
    let found = diff((OLD, Format::Yaml), (&new, Format::Yaml)).expect("both can be read");
    let shown = |it: Difference| (it.step.unwrap_or_default(), it.change, it.repin.to_string());
    found.into_iter().map(shown).collect()
}

fn line(step: &str, change: &str, repin: &str) -> (String, String, String) {
    (step.to_owned(), change.to_owned(), repin.to_owned())
}

#[test]
fn what_means_the_same_is_no_difference() {
    let checkout = std::fs::read_to_string(root().join("examples/checkout/checkout.saga.yaml")).expect("example");
    assert_eq!(diff((&checkout, Format::Yaml), (&checkout, Format::Yaml)), Ok(vec![]));
    // A comment, a default written out, fields in another order.
    let same = [
        ("saga: order", "# new\nsaga: order"),
        ("timeout: 5s, ", "retry: { max_attempts: 8, multiplier: 2 }, "),
        ("{ id: '${input.id}', guest: { name: x } }", "{ guest: { name: x }, id: '${input.id}' }"),
        ("    after: []\n", "    after: [ ]\n"),
    ];
    assert_eq!(changed(&same), []);
}

#[test]
fn limits_templates_and_schemas_keep_nobody() {
    let found = changed(&[
        ("timeout: 1h", "timeout: 30m"),
        ("labels: { order: '${input.id}' }", "labels: { id: '${input.id}' }"),
        ("required: [id]", "required: [id, nights]"),
        ("timeout: 5s", "timeout: 3s, retry: { max_attempts: 4, initial: 1s, max: 5s, multiplier: 3 }"),
        ("guest: { name: x } }", "guest: { name: y, title: z } }"),
        ("none: a log line", "none: only a log line"),
        ("pivot: true", "pivot: true\n    within: 2m"),
        ("codes: { ABORTED: rejected }", "codes: { ABORTED: pending }, pending_when: '${reply.open}'"),
    ]);
    let any = |step, change| line(step, change, "any saga");
    let expected = [
        any("", "timeout: 1h → 30m"),
        any("", "labels.order: removed (was \"${input.id}\")"),
        any("", "labels.id: added \"${input.id}\""),
        any("", "input.required: [\"id\"] → [\"id\",\"nights\"]"),
        any("book", "action.request.guest.name: \"x\" → \"y\""),
        any("book", "action.request.guest.title: added \"z\""),
        any("book", "action.timeout: 5s → 3s"),
        any("book", "action.retry.initial: 200ms → 1s"),
        any("book", "action.retry.max: 10s → 5s"),
        any("book", "action.retry.max_attempts: 8 → 4"),
        any("book", "action.retry.multiplier: 2 → 3"),
        any("log", "compensate.none: \"a log line\" → \"only a log line\""),
        any("pay", "within: none → 2m"),
        any("pay", "action.codes.ABORTED: \"rejected\" → \"pending\""),
        any("pay", "action.pending_when: added \"${reply.open}\""),
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_changes_an_attempted_step_keeps_its_sagas() {
    let found = changed(&[
        ("participant: hotel", "participant: inn"),
        ("hotel.v1.Hotel/Cancel", "hotel.v1.Hotel/Undo"),
        ("compensate: { none: a log line }", "compensate: { call: mail.v1.Mail/Unlog }"),
        ("after: []", "after: [book]"),
        ("    query: { call: bank.v1.Bank/Find }\n", ""),
        (
            "participant: mail\n    action: { call: mail.v1.Mail/Send }",
            "participant: mail\n    when: '${input.tell}'\n    action: { call: mail.v1.Mail/Send }",
        ),
    ]);
    let expected = [
        line("book", "participant: hotel → inn", "not once book was attempted"),
        line(
            "book",
            "compensate.call: \"hotel.v1.Hotel/Cancel\" → \"hotel.v1.Hotel/Undo\"",
            "not once book was attempted",
        ),
        line("log", "runs after book (was: from the start)", "not once log was attempted"),
        line("log", "compensate.call: added \"mail.v1.Mail/Unlog\"", "not once log was attempted"),
        line("log", "compensate.none: removed (was \"a log line\")", "not once log was attempted"),
        line("pay", "query: removed", "not once pay was attempted"),
        line("tell", "when: added \"${input.tell}\"", "any saga"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn steps_come_and_go_and_the_pivot_moves() {
    let screen = "  - step: screen\n    participant: account\n    after: []\n    action: { call: a.v1.A/Screen }\n    compensate: { none: reads }\n  - step: log\n";
    let found = changed(&[
        ("  - step: log\n", screen),
        ("after: [book, log]", "after: [book, log, screen]"),
        ("    pivot: true\n", ""),
        (
            "    query: { call: bank.v1.Bank/Find }\n  - step: tell\n",
            "    compensate: { call: bank.v1.Bank/Refund }\n    query: { call: bank.v1.Bank/Find }\n  - step: post\n    pivot: true\n",
        ),
    ]);
    let expected = [
        line("", "pivot: pay → post", "not once pay was attempted"),
        line("screen", "the step was added, at account, from the start", "any saga"),
        line("pay", "runs after book, log, screen (was: after book, log)", "not once pay was attempted"),
        line("pay", "compensate: added", "not once pay was attempted"),
        line("post", "the step was added, at mail, after pay", "any saga"),
        line("tell", "the step was removed", "not once tell was attempted"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_text_that_cannot_be_read_says_which_and_why() {
    let findings = diff((OLD, Format::Yaml), ("saga: x\n", Format::Yaml)).expect_err("no steps");
    assert!(findings[0].to_string().starts_with("the new version:1:1: error[AM-L003]"), "{findings:?}");
    assert_eq!(Repin::NotAttempted(vec!["a".into(), "b".into()]).to_string(), "not once a or b was attempted");
}

//! The whole table, row by row; then every order of calls, exhaustively, against what must never happen.

use std::collections::BTreeSet;

use super::*;
use crate::barrier::row::Ran;

const ACTION: Digest = [1; 32];
const CONFIRM: Digest = [2; 32];
const COMPENSATE: Digest = [3; 32];
const OTHER: Digest = [9; 32];

fn own_digest(operation: Operation) -> Digest {
    match operation {
        Operation::Action => ACTION,
        Operation::Confirm => CONFIRM,
        Operation::Compensate => COMPENSATE,
    }
}

fn refusal() -> Refusal {
    Refusal { reason: "OUT_OF_STOCK".into(), message: String::new() }
}

fn done(digest: Digest, reply: &str) -> Leg {
    Leg::Done { digest, reply: reply.into() }
}

fn succeeded(ending: Option<Ending>) -> Row {
    Row::Succeeded { action: ACTION, reply: "acted".into(), ending }
}

/// Every state that a row can be in, by name.
fn rows() -> Vec<(&'static str, Row)> {
    let pending = |compensate| Row::Pending { action: ACTION, compensate };
    let confirming = Leg::Pending { digest: CONFIRM };
    let compensating = Leg::Pending { digest: COMPENSATE };
    let undone = || done(COMPENSATE, "undone");
    vec![
        ("absent", Row::Absent),
        ("sealed", Row::Sealed { compensate: COMPENSATE }),
        ("refused", Row::Refused { action: ACTION, refusal: refusal() }),
        ("pending", pending(None)),
        ("pending, compensating", pending(Some(compensating.clone()))),
        ("pending, compensated", pending(Some(undone()))),
        ("succeeded", succeeded(None)),
        ("confirming", succeeded(Some(Ending::Confirm(confirming)))),
        ("confirmed", succeeded(Some(Ending::Confirm(done(CONFIRM, "confirmed"))))),
        ("compensating", succeeded(Some(Ending::Compensate(compensating)))),
        ("compensated", succeeded(Some(Ending::Compensate(undone())))),
    ]
}

/// A decision in a word, so that the table fits the screen.
fn word(decision: &Decision) -> String {
    match decision {
        Decision::Run => "run".into(),
        Decision::Replay(reply) => String::from_utf8(reply.clone()).unwrap(),
        Decision::ReplayPending => "pending".into(),
        Decision::ReplayRefusal(refusal) => refusal.reason.clone(),
        Decision::EmptyCompensation { seal: true } => "seal".into(),
        Decision::EmptyCompensation { seal: false } => "empty".into(),
        Decision::Barred(bar) => bar.reason().trim_start_matches("AMENDS_").into(),
    }
}

/// The columns: operation, and whether `amends-expects: succeeded` came with it.
const COLUMNS: [(Operation, bool); 6] = [
    (Operation::Action, false),
    (Operation::Action, true),
    (Operation::Confirm, false),
    (Operation::Confirm, true),
    (Operation::Compensate, false),
    (Operation::Compensate, true),
];

#[rustfmt::skip]
const TABLE: [(&str, [&str; 6]); 11] = [
    //                         action                        action+expects          confirm        confirm+expects  compensate     compensate+expects
    ("absent",                ["run",                  "run",                  "NOT_TRIED",   "ROW_MISSING",   "seal",        "ROW_MISSING"]),
    ("sealed",                ["COMPENSATED",          "COMPENSATED",          "COMPENSATED", "ROW_MISSING",   "empty",       "ROW_MISSING"]),
    ("refused",               ["OUT_OF_STOCK",         "OUT_OF_STOCK",         "NOT_TRIED",   "ROW_MISSING",   "empty",       "ROW_MISSING"]),
    ("pending",               ["pending",              "pending",              "NOT_TRIED",   "NOT_TRIED",     "run",         "run"]),
    ("pending, compensating", ["COMPENSATION_PENDING", "COMPENSATION_PENDING", "COMPENSATED", "COMPENSATED",   "pending",     "pending"]),
    ("pending, compensated",  ["COMPENSATED",          "COMPENSATED",          "COMPENSATED", "COMPENSATED",   "undone",      "undone"]),
    ("succeeded",             ["acted",                "acted",                "run",         "run",           "run",         "run"]),
    ("confirming",            ["acted",                "acted",                "pending",     "pending",       "CONFIRMED",   "CONFIRMED"]),
    ("confirmed",             ["acted",                "acted",                "confirmed",   "confirmed",     "CONFIRMED",   "CONFIRMED"]),
    ("compensating",          ["COMPENSATION_PENDING", "COMPENSATION_PENDING", "COMPENSATED", "COMPENSATED",   "pending",     "pending"]),
    ("compensated",           ["COMPENSATED",          "COMPENSATED",          "COMPENSATED", "COMPENSATED",   "undone",      "undone"]),
];

/// Calls `check` with every (row, operation, expects) and the word that the table has for it.
fn for_each_cell(mut check: impl FnMut(&Row, Operation, bool, &str, &str)) {
    for ((name, row), (table_name, words)) in rows().iter().zip(TABLE) {
        assert_eq!(*name, table_name, "rows() and TABLE have the same order");
        for ((operation, expects), expected) in COLUMNS.into_iter().zip(words) {
            let cell = format!("{name} × {operation}, expects {expects}");
            check(row, operation, expects, expected, &cell);
        }
    }
}

fn call(operation: Operation, expects_succeeded: bool, epoch: u64, digest: Digest) -> Call {
    Call { operation, epoch, expects_succeeded, digest }
}

#[test]
fn every_row_and_operation_is_decided_as_the_table_says() {
    for_each_cell(|row, operation, expects, expected, cell| {
        for epoch in [7, 8] {
            let decision = decide(row, 7, &call(operation, expects, epoch, own_digest(operation)));
            assert_eq!(word(&decision), expected, "{cell}, epoch {epoch} after 7");
        }
    });
}

#[test]
fn a_lower_epoch_is_refused_whatever_the_row_and_the_digest() {
    for_each_cell(|row, operation, expects, _, cell| {
        for digest in [own_digest(operation), OTHER] {
            let decision = decide(row, 7, &call(operation, expects, 6, digest));
            assert_eq!(decision, Decision::Barred(Bar::StaleEpoch { highest_seen: 7 }), "{cell}");
        }
    });
}

#[test]
fn another_digest_is_refused_wherever_one_is_kept_and_else_changes_nothing() {
    for_each_cell(|row, operation, expects, expected, cell| {
        let decision = decide(row, 7, &call(operation, expects, 7, OTHER));
        let expected = if row.digest_of(operation).is_some() { "KEY_REUSED" } else { expected };
        assert_eq!(word(&decision), expected, "{cell}");
    });
}

#[test]
fn completion_runs_only_what_is_pending_and_not_overtaken() {
    #[rustfmt::skip]
    let table = [
        //                         action              confirm        compensate
        ("absent",                ["not pending",     "not pending", "not pending"]),
        ("sealed",                ["after compensate","not pending", "not pending"]),
        ("refused",               ["OUT_OF_STOCK",    "not pending", "not pending"]),
        ("pending",               ["run 1",           "not pending", "not pending"]),
        ("pending, compensating", ["after compensate","not pending", "run 3"]),
        ("pending, compensated",  ["after compensate","not pending", "undone"]),
        ("succeeded",             ["acted",           "not pending", "not pending"]),
        ("confirming",            ["acted",           "run 2",       "not pending"]),
        ("confirmed",             ["acted",           "confirmed",   "not pending"]),
        ("compensating",          ["after compensate","not pending", "run 3"]),
        ("compensated",           ["after compensate","not pending", "undone"]),
    ];
    for ((name, row), (table_name, words)) in rows().iter().zip(table) {
        assert_eq!(*name, table_name);
        for (operation, expected) in
            [Operation::Action, Operation::Confirm, Operation::Compensate].into_iter().zip(words)
        {
            let word = match decide_completion(row, operation) {
                Completion::Run(digest) => format!("run {}", digest[0]),
                Completion::Replay(reply) => String::from_utf8(reply).unwrap(),
                Completion::ReplayRefusal(refusal) => refusal.reason,
                Completion::AfterCompensate => "after compensate".into(),
                Completion::NotPending => "not pending".into(),
            };
            assert_eq!(word, expected, "{name} × completing {operation}");
        }
    }
}

/// What took effect at a participant so far, and what was said of the action.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Effects {
    acted: u8,
    confirmed: u8,
    compensated: u8,
    compensate_begun: bool,
    refused: bool,
}

impl Effects {
    /// Counts an effect and holds it against the promises.
    fn add(&mut self, operation: Operation, ran: &Ran) {
        if operation == Operation::Compensate {
            // A compensation that was pending and is refused in the end leaves the step as it was.
            self.compensate_begun = !matches!(ran, Ran::Refused(_));
        }
        match (operation, ran) {
            (Operation::Action, Ran::Done(_)) => {
                assert!(!self.compensate_begun, "acted after compensate: {self:?}");
                assert!(!self.refused, "acted after a refusal: {self:?}");
                self.acted += 1;
            }
            (Operation::Action, Ran::Refused(_)) => self.refused = true,
            (Operation::Confirm, Ran::Done(_)) => self.confirmed += 1,
            (Operation::Compensate, Ran::Done(_)) => self.compensated += 1,
            (_, Ran::Pending | Ran::Refused(_)) => {}
        }
        assert!(self.acted <= 1 && self.confirmed <= 1 && self.compensated <= 1, "twice: {self:?}");
        assert!(self.confirmed == 0 || self.compensated == 0, "both ends: {self:?}");
        assert!(self.confirmed <= self.acted, "confirmed what was not tried: {self:?}");
    }
}

#[test]
fn no_order_of_calls_and_completions_breaks_a_promise() {
    let answers = [Ran::Done(Vec::new()), Ran::Pending, Ran::Refused(refusal())];
    let mut seen = BTreeSet::new();
    let mut open = vec![(Row::Absent, Effects::default())];
    while let Some((row, effects)) = open.pop() {
        if !seen.insert((format!("{row:?}"), effects.clone())) {
            continue;
        }
        for (operation, expects) in COLUMNS {
            let digest = own_digest(operation);
            let runs = [
                matches!(decide(&row, 0, &call(operation, expects, 1, digest)), Decision::Run),
                matches!(decide_completion(&row, operation), Completion::Run(_)),
            ];
            if runs.contains(&true) {
                for ran in &answers {
                    let mut effects = effects.clone();
                    effects.add(operation, ran);
                    open.push((row.clone().after(operation, digest, ran.clone()), effects));
                }
            } else if word(&decide(&row, 0, &call(operation, expects, 1, digest))) == "seal" {
                open.push((Row::Sealed { compensate: digest }, Effects { compensate_begun: true, ..effects.clone() }));
            }
        }
    }
    assert!(seen.len() >= rows().len(), "{} states were reached", seen.len());
}

//! The whole table of outcomes, printed and pinned: every code, operation and mapping.

use amends_engine::outcome::OutcomeKind;

use super::*;
use crate::participant::{Code, ErrorInfo};

const OPERATIONS: [Operation; 4] = [Operation::Action, Operation::Compensate, Operation::Confirm, Operation::Query];
const MEANINGS: [Meaning; 4] = [Meaning::Succeeded, Meaning::Rejected, Meaning::Pending, Meaning::Unknown];

/// An operation's answers as a definition reads them, set by hand.
struct Fixed {
    judgement: Result<Judgement, &'static str>,
    meaning: Option<(Code, Meaning)>,
}

impl Reading for Fixed {
    fn read(&self, reply: &Bytes) -> Result<(Payload, Judgement), String> {
        let judgement = self.judgement.clone().map_err(str::to_owned)?;
        Ok((Payload::protobuf(reply.clone()), judgement))
    }

    fn meaning(&self, code: &str) -> Option<Meaning> {
        self.meaning.filter(|(mapped, _)| mapped.name() == code).map(|(_, meaning)| meaning)
    }
}

const PLAIN: Fixed = Fixed { judgement: Ok(Judgement::Succeeded), meaning: None };

fn status(code: Code) -> Reply {
    Reply::Status(Status { code, message: "no".to_owned(), info: None, retry_after: None })
}

fn of_ours(code: Code, reason: &str, domain: &str) -> Reply {
    let info = ErrorInfo { reason: reason.to_owned(), domain: domain.to_owned() };
    Reply::Status(Status { code, message: "no".to_owned(), info: Some(info), retry_after: None })
}

fn ok(pending: bool) -> Reply {
    Reply::Ok { bytes: Bytes::from_static(b"\x08\x01"), pending }
}

fn word(outcome: &Outcome) -> String {
    match outcome.kind() {
        OutcomeKind::Unknown(Doubt::Code) => "unknown".to_owned(),
        OutcomeKind::Unknown(doubt) => format!("{doubt:?}").to_lowercase(),
        kind => format!("{kind:?}").to_lowercase(),
    }
}

/// One line per reply, one word per operation.
fn table(replies: impl IntoIterator<Item = (String, Reply)>, reading: &Fixed, codes: &Codes) -> String {
    let line = |(name, reply): (String, Reply)| {
        let words = OPERATIONS.map(|operation| word(&classify(operation, &reply, reading, codes, false)));
        format!("{name:<20}{:<15}{:<15}{:<15}{}", words[0], words[1], words[2], words[3])
    };
    replies.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

fn all_17() -> impl Iterator<Item = (String, Reply)> {
    let statuses = Code::ALL.into_iter().map(|code| (code.to_string(), status(code)));
    [("OK".to_owned(), ok(false))].into_iter().chain(statuses)
}

#[test]
fn the_usual_meaning_of_every_code_for_every_operation() {
    let printed = table(all_17(), &PLAIN, &Codes::new());
    println!("                    action         compensate     confirm        query\n{printed}");
    let expected = "\
OK                  succeeded      succeeded      succeeded      succeeded
CANCELLED           unknown        unknown        unknown        unknown
UNKNOWN             unknown        unknown        unknown        unknown
INVALID_ARGUMENT    rejected       rejected       rejected       unknown
DEADLINE_EXCEEDED   unknown        unknown        unknown        unknown
NOT_FOUND           rejected       notfound       notfound       notfound
ALREADY_EXISTS      unknown        unknown        unknown        unknown
PERMISSION_DENIED   misconfigured  misconfigured  misconfigured  misconfigured
RESOURCE_EXHAUSTED  unknown        unknown        unknown        unknown
FAILED_PRECONDITION rejected       rejected       rejected       unknown
ABORTED             unknown        unknown        unknown        unknown
OUT_OF_RANGE        unknown        unknown        unknown        unknown
UNIMPLEMENTED       misconfigured  misconfigured  misconfigured  misconfigured
INTERNAL            unknown        unknown        unknown        unknown
UNAVAILABLE         unknown        unknown        unknown        unknown
DATA_LOSS           unknown        unknown        unknown        unknown
UNAUTHENTICATED     misconfigured  misconfigured  misconfigured  misconfigured";
    assert_eq!(printed, expected);
}

#[test]
fn what_isnt_a_status_means_the_same_for_every_operation() {
    let replies = [
        ("pending", ok(true)),
        ("no answer", Reply::NoAnswer),
        ("broken", Reply::Broken("reset".to_owned())),
        ("too large", Reply::TooLarge { limit: 9 }),
        ("unreadable", Reply::Unreadable("html".to_owned())),
        ("not sent", Reply::NotSent("refused".to_owned())),
    ];
    let printed = table(replies.map(|(name, reply)| (name.to_owned(), reply)), &PLAIN, &Codes::new());
    println!("{printed}");
    let expected = "\
pending             pending        pending        pending        pending
no answer           noanswer       noanswer       noanswer       noanswer
broken              broken         broken         broken         broken
too large           unreadable     unreadable     unreadable     unreadable
unreadable          unreadable     unreadable     unreadable     unreadable
not sent            notsent        notsent        notsent        notsent";
    assert_eq!(printed, expected);
}

#[test]
fn every_code_can_be_mapped_for_every_operation_by_operation_and_by_participant() {
    for code in Code::ALL {
        for meaning in MEANINGS {
            let by_operation = Fixed { meaning: Some((code, meaning)), ..PLAIN };
            let by_participant = Codes::from([(code.into(), meaning)]);
            for operation in OPERATIONS {
                let expected = match (meaning, operation) {
                    (Meaning::Succeeded, _) => OutcomeKind::Succeeded,
                    (Meaning::Pending, _) => OutcomeKind::Pending,
                    (Meaning::Rejected, Operation::Query) | (Meaning::Unknown, _) => OutcomeKind::Unknown(Doubt::Code),
                    (Meaning::Rejected, _) => OutcomeKind::Rejected,
                };
                let reply = status(code);
                let one = classify(operation, &reply, &by_operation, &Codes::new(), false);
                let other = classify(operation, &reply, &PLAIN, &by_participant, false);
                assert_eq!(one.kind(), expected, "{code} as {meaning:?}, {operation}");
                assert_eq!(one, other, "{code} as {meaning:?}, {operation}");
            }
        }
    }
}

#[test]
fn a_mapping_touches_no_other_code() {
    let mapped = Fixed { meaning: Some((Code::Aborted, Meaning::Rejected)), ..PLAIN };
    let without = |(name, _): &(String, Reply)| name != "ABORTED";
    let plain = table(all_17().filter(without), &PLAIN, &Codes::new());
    assert_eq!(table(all_17().filter(without), &mapped, &Codes::new()), plain);
}

#[test]
fn the_operations_word_goes_before_the_participants() {
    let operation = Fixed { meaning: Some((Code::Aborted, Meaning::Unknown)), ..PLAIN };
    let participant = Codes::from([(Code::Aborted.into(), Meaning::Rejected)]);
    let outcome = classify(Operation::Action, &status(Code::Aborted), &operation, &participant, true);
    assert_eq!(outcome.kind(), OutcomeKind::Unknown(Doubt::Code));
}

#[test]
fn our_own_reasons_go_before_any_code_and_mapping() {
    let reasons = [
        ("AMENDS_KEY_REUSED", Doubt::KeyReused),
        ("AMENDS_ROW_MISSING", Doubt::RowMissing),
        ("AMENDS_STALE_EPOCH", Doubt::StaleEpoch),
    ];
    for (reason, doubt) in reasons {
        for code in Code::ALL {
            for operation in OPERATIONS {
                let mapped = Fixed { meaning: Some((code, Meaning::Rejected)), ..PLAIN };
                let outcome = classify(operation, &of_ours(code, reason, "amends"), &mapped, &Codes::new(), true);
                assert_eq!(outcome.kind(), OutcomeKind::Unknown(doubt), "{reason} with {code}, {operation}");
                assert_eq!(outcome.why().code, reason);
            }
        }
    }
}

#[test]
fn reasons_of_others_say_why_and_decide_nothing() {
    for (reason, domain) in [("AMENDS_STALE_EPOCH", "example.com"), ("OUT_OF_STOCK", "amends"), ("OUT_OF_STOCK", "")] {
        let reply = of_ours(Code::FailedPrecondition, reason, domain);
        let outcome = classify(Operation::Action, &reply, &PLAIN, &Codes::new(), false);
        let why = Why::new(reason, "no");
        assert_eq!(outcome, Outcome::Rejected { why, last_word: false }, "{reason} of {domain}");
    }
    let plain = classify(Operation::Action, &status(Code::Aborted), &PLAIN, &Codes::new(), false);
    assert_eq!(plain.why(), Why::new("ABORTED", "no"));
}

#[test]
fn a_refusal_is_the_last_word_only_where_that_is_promised() {
    for refusals_final in [false, true] {
        let by_code =
            classify(Operation::Action, &status(Code::FailedPrecondition), &PLAIN, &Codes::new(), refusals_final);
        let by_reply =
            Fixed { judgement: Ok(Judgement::Rejected(Why::new("REJECTED_WHEN", "the reply says so"))), ..PLAIN };
        let by_reply = classify(Operation::Action, &ok(false), &by_reply, &Codes::new(), refusals_final);
        for outcome in [by_code, by_reply] {
            assert!(
                matches!(outcome, Outcome::Rejected { last_word, .. } if last_word == refusals_final),
                "{outcome:?}"
            );
        }
    }
}

#[test]
fn a_reply_is_judged_by_the_definition() {
    let judge =
        |operation, judgement| classify(operation, &ok(false), &Fixed { judgement, ..PLAIN }, &Codes::new(), false);
    for operation in OPERATIONS {
        let output = Payload::protobuf(&b"\x08\x01"[..]);
        assert_eq!(judge(operation, Ok(Judgement::Succeeded)), Outcome::Succeeded(output));
        assert_eq!(judge(operation, Ok(Judgement::Pending)), Outcome::Pending);
        let unreadable = judge(operation, Err("field 3 is no number"));
        assert_eq!(unreadable.kind(), OutcomeKind::Unknown(Doubt::Unreadable));
        assert_eq!(unreadable.why().message, "field 3 is no number");
        let (rejected, not_yet) = match operation {
            Operation::Query => (OutcomeKind::Unknown(Doubt::Code), OutcomeKind::NotFound),
            _ => (OutcomeKind::Rejected, OutcomeKind::Unknown(Doubt::Code)),
        };
        assert_eq!(
            judge(operation, Ok(Judgement::Rejected(Why::new("REJECTED_WHEN", "the reply says so")))).kind(),
            rejected
        );
        assert_eq!(judge(operation, Ok(Judgement::NotYet)).kind(), not_yet);
    }
}

#[test]
fn pending_metadata_needs_no_readable_message() {
    let unreadable = Fixed { judgement: Err("empty"), ..PLAIN };
    assert_eq!(classify(Operation::Action, &ok(true), &unreadable, &Codes::new(), false), Outcome::Pending);
}

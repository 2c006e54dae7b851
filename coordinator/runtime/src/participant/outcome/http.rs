//! What the reply of an HTTP participant means for a saga. Pure, and in one place.
//!
//! 2xx is a success; what other statuses mean by themselves stands beside gRPC's codes ([`amends_definition::usual_meaning`]).
//! Invariants: as in `outcome.rs`; a status is never more certain than its protocol makes it.

use amends_engine::ids::Operation;
use amends_engine::outcome::{Doubt, Outcome, Why};
use amends_engine::payload::Payload;
use bytes::Bytes;

use super::{Meaning, Reading, doubt_of, of_message, rejected, unknown, usual};
use crate::participant::HttpReply;
use crate::participant::code::AnyCode;
use crate::participant::registration::Codes;
use crate::planted;

/// What stands for the output of a success without a JSON body.
const NO_BODY: Bytes = Bytes::from_static(b"{}");

pub(super) fn of_reply(
    operation: Operation,
    reply: &HttpReply,
    reading: &dyn Reading,
    codes: &Codes,
    refusals_final: bool,
) -> Outcome {
    let is_success = (200..300).contains(&reply.status);
    let why = Why::new(reply.reason.clone().unwrap_or_else(|| reply.status.to_string()), reply.message.as_str());
    if let Some(doubt) = reply.reason.as_deref().filter(|_| !is_success).and_then(doubt_of) {
        return unknown(doubt, why);
    }
    if is_success && reply.pending {
        return Outcome::Pending;
    }
    let status = reply.status.to_string();
    let mapped = reading.meaning(&status).or_else(|| codes.get(&AnyCode::Http(reply.status)).copied());
    match mapped {
        None | Some(Meaning::Succeeded) if is_success => {
            of_message(operation, reply.body.as_ref().unwrap_or(&NO_BODY), reading, refusals_final)
        }
        Some(Meaning::Succeeded) => Outcome::Succeeded(Payload::json(NO_BODY)),
        Some(Meaning::Rejected) => rejected(operation, why, refusals_final),
        Some(Meaning::Pending) => Outcome::Pending,
        Some(Meaning::Unknown) => unknown(Doubt::Code, why),
        None if reply.status >= 500 && operation == Operation::Action && planted::is("http_5xx_read_as_rejected") => {
            Outcome::Rejected { why, last_word: false }
        }
        None => usual(operation, &status, why, refusals_final),
    }
}

#[cfg(test)]
mod tests {
    use amends_definition::Judgement;
    use amends_engine::outcome::OutcomeKind;

    use super::*;
    use crate::participant::Reply;
    use crate::participant::outcome::classify;

    const OPERATIONS: [Operation; 4] = [Operation::Action, Operation::Compensate, Operation::Confirm, Operation::Query];

    struct Fixed {
        judgement: Result<Judgement, &'static str>,
        meaning: Option<(&'static str, Meaning)>,
    }

    impl Reading for Fixed {
        fn read(&self, reply: &Bytes) -> Result<(Payload, Judgement), String> {
            let judgement = self.judgement.clone().map_err(str::to_owned)?;
            Ok((Payload::json(reply.clone()), judgement))
        }

        fn meaning(&self, code: &str) -> Option<Meaning> {
            self.meaning.filter(|(mapped, _)| *mapped == code).map(|(_, meaning)| meaning)
        }
    }

    const PLAIN: Fixed = Fixed { judgement: Ok(Judgement::Succeeded), meaning: None };

    fn reply(status: u16) -> HttpReply {
        HttpReply { status, body: None, pending: false, message: "no".to_owned(), reason: None, retry_after: None }
    }

    fn of(operation: Operation, reply: HttpReply, reading: &Fixed, codes: &Codes) -> Outcome {
        classify(operation, &Reply::Http(reply), reading, codes, false)
    }

    fn word(outcome: &Outcome) -> String {
        match outcome.kind() {
            OutcomeKind::Unknown(Doubt::Code) => "unknown".to_owned(),
            OutcomeKind::Unknown(doubt) => format!("{doubt:?}").to_lowercase(),
            kind => format!("{kind:?}").to_lowercase(),
        }
    }

    /// Every status that can come, grouped by what it means to each operation.
    #[test]
    fn every_status_for_every_operation() {
        let row = |status| OPERATIONS.map(|operation| word(&of(operation, reply(status), &PLAIN, &Codes::new())));
        let mut groups: Vec<([String; 4], u16, u16)> = Vec::new();
        for status in 100..1000 {
            let words = row(status);
            match groups.last_mut() {
                Some((known, _, last)) if *known == words => *last = status,
                _ => groups.push((words, status, status)),
            }
        }
        let lines = groups.iter().map(|(words, first, last)| format!("{first}-{last} {}", words.join(" ")));
        let printed = lines.collect::<Vec<_>>().join("\n");
        println!("{printed}");
        let expected = "\
100-199 unknown unknown unknown unknown
200-299 succeeded succeeded succeeded succeeded
300-399 unknown unknown unknown unknown
400-400 rejected rejected rejected unknown
401-401 misconfigured misconfigured misconfigured misconfigured
402-402 unknown unknown unknown unknown
403-403 misconfigured misconfigured misconfigured misconfigured
404-404 rejected notfound notfound notfound
405-405 misconfigured misconfigured misconfigured misconfigured
406-409 unknown unknown unknown unknown
410-410 rejected rejected rejected unknown
411-411 unknown unknown unknown unknown
412-412 rejected rejected rejected unknown
413-421 unknown unknown unknown unknown
422-422 rejected rejected rejected unknown
423-500 unknown unknown unknown unknown
501-501 misconfigured misconfigured misconfigured misconfigured
502-999 unknown unknown unknown unknown";
        assert_eq!(printed, expected);
    }

    #[test]
    fn a_status_can_be_mapped_by_operation_and_by_participant_and_the_operation_wins() {
        for (name, status) in [("200", 200), ("302", 302), ("404", 404), ("409", 409), ("503", 503)] {
            for meaning in [Meaning::Succeeded, Meaning::Rejected, Meaning::Pending, Meaning::Unknown] {
                let by_operation = Fixed { meaning: Some((name, meaning)), ..PLAIN };
                let by_participant = Codes::from([(AnyCode::Http(status), meaning)]);
                for operation in OPERATIONS {
                    let expected = match (meaning, operation) {
                        (Meaning::Succeeded, _) => "succeeded",
                        (Meaning::Pending, _) => "pending",
                        (Meaning::Rejected, Operation::Query) | (Meaning::Unknown, _) => "unknown",
                        (Meaning::Rejected, _) => "rejected",
                    };
                    let one = of(operation, reply(status), &by_operation, &Codes::new());
                    assert_eq!(word(&one), expected, "{status} as {meaning:?}, {operation}");
                    assert_eq!(one, of(operation, reply(status), &PLAIN, &by_participant));
                }
            }
        }
        let participant = Codes::from([(AnyCode::Http(409), Meaning::Rejected)]);
        let operation = Fixed { meaning: Some(("409", Meaning::Unknown)), ..PLAIN };
        assert_eq!(word(&of(Operation::Action, reply(409), &operation, &participant)), "unknown");
        assert_eq!(word(&of(Operation::Action, reply(408), &PLAIN, &participant)), "unknown", "no other status");
    }

    #[test]
    fn pending_stands_in_a_header_of_a_success_only() {
        let pending = |status| HttpReply { pending: true, ..reply(status) };
        let rejected = Fixed { meaning: Some(("200", Meaning::Rejected)), ..PLAIN };
        assert_eq!(of(Operation::Action, pending(202), &PLAIN, &Codes::new()), Outcome::Pending);
        assert_eq!(of(Operation::Action, pending(200), &rejected, &Codes::new()), Outcome::Pending);
        assert_eq!(word(&of(Operation::Action, pending(500), &PLAIN, &Codes::new())), "unknown");
    }

    #[test]
    fn a_body_is_the_output_and_judged() {
        let with = |body: Option<&'static [u8]>, reading: &Fixed| {
            of(
                Operation::Action,
                HttpReply { body: body.map(Bytes::from_static), ..reply(201) },
                reading,
                &Codes::new(),
            )
        };
        assert_eq!(with(Some(b"{\"id\":1}"), &PLAIN), Outcome::Succeeded(Payload::json("{\"id\":1}")));
        assert_eq!(with(None, &PLAIN), Outcome::Succeeded(Payload::json("{}")));
        let unreadable = Fixed { judgement: Err("the reply's body is not JSON"), ..PLAIN };
        assert_eq!(word(&with(Some(b"{"), &unreadable)), "unreadable");
        let refused = Fixed { judgement: Ok(Judgement::Rejected(Why::new("", "no"))), ..PLAIN };
        assert_eq!(word(&with(Some(b"{}"), &refused)), "rejected");
        let not_yet = Fixed { judgement: Ok(Judgement::NotYet), ..PLAIN };
        let asked = of(Operation::Query, HttpReply { body: Some(NO_BODY), ..reply(200) }, &not_yet, &Codes::new());
        assert_eq!(word(&asked), "notfound");
    }

    #[test]
    fn our_own_reasons_come_before_any_status_and_mapping() {
        let ours = [
            ("AMENDS_KEY_REUSED", Doubt::KeyReused),
            ("AMENDS_ROW_MISSING", Doubt::RowMissing),
            ("AMENDS_STALE_EPOCH", Doubt::StaleEpoch),
        ];
        let mapped = Fixed { meaning: Some(("422", Meaning::Rejected)), ..PLAIN };
        for (reason, doubt) in ours {
            let answer = HttpReply { reason: Some(reason.to_owned()), ..reply(422) };
            let outcome = of(Operation::Action, answer, &mapped, &Codes::new());
            assert_eq!(outcome, Outcome::Unknown { doubt, why: Why::new(reason, "no") });
        }
        let theirs = HttpReply { reason: Some("OUT_OF_STOCK".to_owned()), ..reply(422) };
        let outcome = of(Operation::Action, theirs, &PLAIN, &Codes::new());
        assert_eq!(outcome, Outcome::Rejected { why: Why::new("OUT_OF_STOCK", "no"), last_word: false });
    }
}

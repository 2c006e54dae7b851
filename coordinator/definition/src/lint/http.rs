//! The rules about HTTP operations: one protocol for each participant, and no effect by reading.
//!
//! Invariant: with no finding here, all operations of a participant speak the same protocol, so that its registration can say
//! which.

use std::collections::BTreeMap;

use amends_engine::ids::{Operation, ParticipantName};

use crate::document::{CallText, Document, Protocol, StepText};
use crate::finding::{Finding, Findings};
use crate::rules;

pub(super) fn check(document: &Document, findings: &mut Findings) {
    let protocols = document.protocols();
    for step in &document.steps {
        findings.about(Some(step.name.as_str()));
        if let Some(protocol) = protocols.get(&step.participant.value) {
            check_protocol(step, *protocol, findings);
        }
        check_methods(step, findings);
    }
    findings.about(None);
}

fn check_protocol(step: &StepText, protocol: Protocol, findings: &mut Findings) {
    for (_, text) in step.operations().filter(|(_, text)| text.call.protocol() != protocol) {
        let other = text.call.protocol();
        let message = format!(
            "`{}` is called by {protocol} before and by {other} here: a participant is one or the other",
            step.participant.value
        );
        let mend = "register the service under a second name for its other protocol, or use one of them";
        findings.error(rules::MIXED_PROTOCOLS, text.call.place(), message, mend);
    }
}

fn check_methods(step: &StepText, findings: &mut Findings) {
    for (operation, text) in step.operations().filter(|(operation, _)| *operation != Operation::Query) {
        let CallText::Http(http) = &text.call else { continue };
        if http.route.method == "GET" {
            let message = format!(
                "`{}` is called by GET, which only reads: caches and proxies may answer or repeat it",
                text.word
            );
            let mend = match operation {
                Operation::Action => "use POST for an effect; a step that only reads is fine, and this is a warning",
                _ => "use POST, PUT or DELETE",
            };
            findings.warning(rules::EFFECT_BY_GET, http.route.place, message, mend);
        }
    }
}

/// Compares a definition with how its participants are registered: an HTTP participant must be, and as one.
///
/// A gRPC participant that isn't registered is found by [`crate::Compiled::compile`], which needs its descriptors.
pub fn check_protocols(document: &Document, registered: &BTreeMap<ParticipantName, Protocol>) -> Vec<Finding> {
    let mut findings = Findings::new(&document.file);
    for (participant, protocol) in document.protocols() {
        let Some(step) = document.steps.iter().find(|step| step.participant.value == participant) else { continue };
        findings.about(Some(step.name.as_str()));
        let place = step.participant.place;
        match registered.get(&participant) {
            None if protocol == Protocol::Http => {
                let message = format!("nothing is known about the participant `{participant}`");
                let mend = format!(
                    "register it: `amends participant register {participant} --http https://…`; or correct the name"
                );
                findings.error(rules::UNKNOWN_PARTICIPANT, place, message, mend);
            }
            Some(found) if *found != protocol => {
                let message = format!("`{participant}` is called by {protocol}, and is registered for {found}");
                let mend = match protocol {
                    Protocol::Http => "write `call: package.Service/Method`, or register it with `--http`",
                    Protocol::Grpc => "write `http: \"POST /path\"`, or register it with `--endpoint`",
                };
                findings.error(rules::WRONG_PROTOCOL, place, message, mend);
            }
            None | Some(_) => {}
        }
    }
    findings.into_sorted()
}

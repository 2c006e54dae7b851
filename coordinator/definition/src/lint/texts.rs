//! The rule about texts that were meant to be expressions: `{{ input.id }}`, `$.input.id`, `input.id`.
//!
//! They are well-formed, so that nothing else would say a word: the participant would get the template instead of the value.
//! Invariant: only constant texts are judged; what stands in `${…}` is an expression, a quoted text in it too.

use super::Document;
use crate::document::CallText;
use crate::expression::meant_by;
use crate::finding::{Findings, shown};
use crate::rules;
use crate::template::Template;

pub(super) fn check(document: &Document, findings: &mut Findings) {
    for (_, label) in &document.labels {
        judge(label, findings);
    }
    for step in &document.steps {
        findings.about(Some(step.name.as_str()));
        for (_, text) in step.operations() {
            judge(&text.request, findings);
            if let CallText::Http(http) = &text.call {
                http.texts().for_each(|text| judge(text, findings));
            }
        }
    }
    findings.about(None);
}

fn judge(template: &Template, findings: &mut Findings) {
    for (place, text) in template.texts() {
        let Some(meant) = meant_by(text) else { continue };
        let message = format!("{:?} is a text here, and is sent as it stands", shown(text));
        let mend = format!("write `${{{}}}`; if the text itself is meant, quote it: `${{'…'}}`", shown(&meant));
        findings.warning(rules::TEXT_LIKE_EXPRESSION, place, message, mend);
    }
}

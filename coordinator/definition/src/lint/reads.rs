//! The rules about what expressions read: only outputs that are there when they are read.
//!
//! Requests of compensate, confirm and query are prepared together with the action (design §4), so they see what the action
//! sees; only a confirm may wait for its own step's output. Invariant: with no finding here, every step that an expression
//! reads has succeeded before, or the expression asks first whether it has.

use amends_engine::ids::Operation;

use super::{Order, find, names};
use crate::document::{Document, StepText};
use crate::expression::Expression;
use crate::expression::path::{Root, Segment};
use crate::finding::{Findings, did_you_mean};
use crate::rules;

pub(super) fn check(document: &Document, order: Option<&Order>, findings: &mut Findings) {
    for (index, step) in document.steps.iter().enumerate() {
        findings.about(Some(step.name.as_str()));
        let reader = Reader { document, order, index, step };
        if let Some(when) = &step.when {
            reader.check(when, None, findings);
        }
        for (operation, text) in step.operations() {
            for expression in text.expressions() {
                reader.check(expression, Some((operation, text.word)), findings);
            }
        }
    }
    findings.about(None);
}

struct Reader<'d> {
    document: &'d Document,
    order: Option<&'d Order>,
    index: usize,
    step: &'d StepText,
}

impl Reader<'_> {
    fn check(&self, expression: &Expression, operation: Option<(Operation, &str)>, findings: &mut Findings) {
        let read = expression.reads().iter().chain(expression.tests()).filter_map(|path| path.step());
        for name in read {
            let Some(other) = find(self.document, name) else {
                let message = format!("it reads `steps['{name}']`, and there is no such step");
                let mend = did_you_mean(name, names(self.document));
                findings.error(rules::UNKNOWN_STEP, expression.place(), message, mend);
                continue;
            };
            if other == self.index {
                self.check_own(expression, operation, findings);
            } else if let Some(order) = self.order {
                self.check_other(expression, other, order, findings);
            }
        }
    }

    fn check_own(&self, expression: &Expression, operation: Option<(Operation, &str)>, findings: &mut Findings) {
        let name = &self.step.name;
        match operation {
            Some((Operation::Confirm, _)) => {}
            Some((Operation::Compensate | Operation::Query, word)) => {
                let message = format!(
                    "`{word}` reads the output of its own step, which isn't there when nobody knows if `{name}` happened"
                );
                let mend = "use an id that is known before: `${saga.id}`, or one from `input`";
                findings.error(rules::READS_OWN_OUTPUT, expression.place(), message, mend);
            }
            Some((Operation::Action, _)) | None => {
                let message = format!("it reads the output of `{name}` before `{name}` has run");
                findings.error(
                    rules::READS_UNFINISHED_STEP,
                    expression.place(),
                    message,
                    "read an earlier step's output",
                );
            }
        }
    }

    fn check_other(&self, expression: &Expression, other: usize, order: &Order, findings: &mut Findings) {
        let name = &self.document.steps[other].name;
        if !order.is_before(other, self.index) {
            let message = format!("it reads the output of `{name}`, which need not have run by then");
            let mend = format!("add `{name}` to the `after` of `{}`", self.step.name);
            findings.error(rules::READS_UNFINISHED_STEP, expression.place(), message, mend);
        } else if self.document.steps[other].when.is_some() && !asks_first(expression, name.as_str()) {
            let message = format!("it reads the output of `{name}`, which is skipped when its `when` is false");
            let mend = format!("ask first: `'{name}' in steps ? steps['{name}'].field : …`");
            findings.error(rules::READS_UNFINISHED_STEP, expression.place(), message, mend);
        }
    }
}

/// Whether an expression asks if a step has an output.
fn asks_first(expression: &Expression, name: &str) -> bool {
    expression
        .tests()
        .iter()
        .any(|path| path.root == Root::Steps && matches!(path.segments.as_slice(), [Segment::Key(key)] if key == name))
}

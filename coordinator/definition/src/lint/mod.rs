//! Judges a definition as a whole: could it wait for ever, lose an effect, or fail when it is too late?
//!
//! The rules need only the definition; what needs the participants' descriptors is found by [`crate::Compiled::compile`].
//! `order.rs` has the rules about `after`, `pivot.rs` those about turning back, `reads.rs` those about what expressions
//! read, `texts.rs` the one about texts that look like expressions, `http.rs` those about HTTP operations. Invariant: a definition without error findings is accepted by [`amends_engine::definition::Definition::new`].

mod http;
mod order;
mod pivot;
mod reads;
mod texts;

use crate::document::{Document, Located, StepText};
use crate::finding::{Finding, Findings, shown_duration};
use crate::{rules, types};
pub use http::check_protocols;
pub(crate) use order::Order;

/// Every finding of the rules, in the order of the text. Warnings are among them.
pub fn lint(document: &Document) -> Vec<Finding> {
    let mut findings = Findings::new(&document.file);
    structure(document, &mut findings);
    types::check(document, &[], &mut findings);
    findings.into_sorted()
}

/// The rules that need no types.
pub(crate) fn structure(document: &Document, findings: &mut Findings) {
    let order = Order::of(document, findings);
    check_timeouts(document, order.as_ref(), findings);
    pivot::check(document, order.as_ref(), findings);
    reads::check(document, order.as_ref(), findings);
    texts::check(document, findings);
    http::check(document, findings);
}

fn check_timeouts(document: &Document, order: Option<&Order>, findings: &mut Findings) {
    let saga = document.timeout;
    for (index, step) in document.steps.iter().enumerate() {
        findings.about(Some(step.name.as_str()));
        let attempt =
            step.action.timeout_place.map(|place| Located { value: step.action.policy.attempt_timeout, place });
        for (limit, what) in [(attempt.as_ref(), "one attempt"), (step.within.as_ref(), "the step")] {
            let Some(limit) = limit.filter(|limit| limit.value > saga) else { continue };
            let (limit_shown, saga_shown) = (shown_duration(limit.value), shown_duration(saga));
            let message = format!("{what} may take {limit_shown}, the whole saga only {saga_shown}");
            let mend = "shorten it, or make the saga's `timeout` longer";
            // After the pivot the saga's time only raises an alarm, so that a longer step is odd and no more.
            match order {
                Some(order) if order.is_after_pivot(document, index) => {
                    findings.warning(rules::TIMEOUT_TOO_LONG, limit.place, message, mend);
                }
                _ => findings.error(rules::TIMEOUT_TOO_LONG, limit.place, message, mend),
            }
        }
    }
    findings.about(None);
}

/// The index of the step with this name; the first where a name is used twice.
fn find(document: &Document, name: &str) -> Option<usize> {
    document.steps.iter().position(|step: &StepText| step.name.as_str() == name)
}

fn names(document: &Document) -> impl Iterator<Item = &str> + Clone {
    document.steps.iter().map(|step| step.name.as_str())
}

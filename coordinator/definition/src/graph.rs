//! A definition as a picture has it: its steps, and which of them wait for which.
//!
//! It draws nothing. Invariants: a step waits only for steps that are in the graph, there is no cycle, and what follows from other
//! arrows isn't said again: where `c` waits for `b` and `b` for `a`, `c` isn't shown as waiting for `a`.

use crate::document::{CompensateText, Document};
use crate::finding::Findings;
use crate::lint::Order;

/// One step of a [`Document::graph`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphStep {
    /// Its name.
    pub name: String,
    /// Who carries it out.
    pub participant: String,
    /// After its success the saga can only go forward.
    pub pivot: bool,
    /// It has a confirm: it is a TCC step.
    pub confirmed: bool,
    /// It can be undone by a call.
    pub compensated: bool,
    /// It has a `when`: not every saga carries it out.
    pub conditional: bool,
    /// The steps that it waits for, by their position here, ascending.
    pub after: Vec<usize>,
}

impl Document {
    /// Its steps in the order of the text; `None` where they wait for each other or for one that isn't there.
    pub fn graph(&self) -> Option<Vec<GraphStep>> {
        let order = Order::of(self, &mut Findings::new(&self.file))?;
        let steps = self.steps.iter().enumerate().map(|(index, step)| {
            let after = order.after(index);
            let implied = |early: &usize| after.iter().any(|later| order.is_before(*early, *later));
            let mut after: Vec<usize> = after.iter().copied().filter(|early| !implied(early)).collect();
            after.sort_unstable();
            GraphStep {
                name: step.name.to_string(),
                participant: step.participant.value.to_string(),
                pivot: step.pivot.is_some(),
                confirmed: step.confirm.is_some(),
                compensated: matches!(step.compensate, Some(CompensateText::Call(_))),
                conditional: step.when.is_some(),
                after,
            }
        });
        Some(steps.collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Format, parse};

    const STEPS: &str = "
saga: s
steps:
  - { step: a, participant: one, action: { call: o.v1.O/A }, compensate: { call: o.v1.O/B } }
  - { step: b, participant: two, when: '${input.x}', action: { call: o.v1.O/A }, compensate: { none: nothing } }
  - { step: c, participant: one, after: [a, b], pivot: true, action: { call: o.v1.O/A } }
";

    #[test]
    fn an_arrow_that_follows_from_others_is_left_out() {
        let graph = parse(STEPS, Format::Yaml, "s").unwrap().graph().unwrap();
        let after: Vec<_> = graph.iter().map(|step| step.after.as_slice()).collect();
        assert_eq!(after, [&[][..], &[0], &[1]]);
        assert!(graph[2].pivot && graph[1].conditional && graph[0].compensated && !graph[1].compensated);
    }

    #[test]
    fn a_cycle_is_no_graph() {
        let text = STEPS.replace("step: a,", "step: a, after: [c],");
        assert!(parse(&text, Format::Yaml, "s").unwrap().graph().is_none());
    }
}

//! What one saga of a measurement has to do, and how many calls and writes that is.
//!
//! Plain data and texts. Invariant: a floor makes the calls and writes that its saga makes, no more and no fewer.

use std::fmt;

use serde_json::{Value, json};

/// How the sagas of a measurement end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Ends {
    /// All complete.
    Completed,
    /// The last step is refused, and all before it are compensated.
    Compensated,
    /// One after the other so and so.
    Mixed,
}

/// How the steps follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Shape {
    /// Each after the one before.
    Sequence,
    /// All at once but the last, which comes after all others.
    Parallel,
}

/// One kind of saga.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    pub(super) steps: usize,
    pub(super) shape: Shape,
    pub(super) ends: Ends,
}

impl Work {
    /// Whether the saga with this number is refused.
    pub(super) fn is_refused(&self, number: u64) -> bool {
        match self.ends {
            Ends::Completed => false,
            Ends::Compensated => true,
            Ends::Mixed => number % 2 == 1,
        }
    }

    /// How many calls the saga with this number makes: a refused step isn't undone.
    pub(super) fn calls(&self, number: u64) -> usize {
        if self.is_refused(number) { 2 * self.steps - 1 } else { self.steps }
    }

    /// How many calls a saga makes on average.
    pub(super) fn calls_each(&self) -> f64 {
        (self.calls(0) + self.calls(1)) as f64 / 2.0
    }

    /// The definition's name.
    pub(super) fn name(&self) -> String {
        match self.shape {
            Shape::Sequence => format!("bench-{}", self.steps),
            Shape::Parallel => format!("bench-{}-parallel", self.steps),
        }
    }

    /// No conditions, 128-byte payloads; the last step's request says whether it is to be refused.
    pub(super) fn definition(&self) -> String {
        let last = self.steps - 1;
        let step = |number: usize| {
            let after = match self.shape {
                Shape::Parallel if number == last && last > 0 => {
                    let others: Vec<String> = (0..last).map(|number| format!("s{number}")).collect();
                    format!("    after: [{}]\n", others.join(", "))
                }
                Shape::Parallel => "    after: []\n".to_owned(),
                Shape::Sequence => String::new(),
            };
            let text = if number == last { "last" } else { "text" };
            format!(
                "  - step: s{number}\n    participant: noop\n{after}    \
                 action: {{ call: amends.bench.v1.Noop/Call, request: {{ text: \"${{input.{text}}}\" }} }}\n    \
                 compensate: {{ call: amends.bench.v1.Noop/Call, request: {{ text: undo }} }}\n"
            )
        };
        let steps: String = (0..self.steps).map(step).collect();
        format!("saga: {}\ninput: {{ type: object, required: [text, last] }}\nsteps:\n{steps}", self.name())
    }

    /// What the saga with this number is started with.
    pub(super) fn input(&self, number: u64) -> Value {
        json!({ "text": text(), "last": if self.is_refused(number) { REFUSE.to_owned() } else { text() } })
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = if self.shape == Shape::Parallel { " in parallel" } else { "" };
        let ends = match self.ends {
            Ends::Completed => "completed",
            Ends::Compensated => "compensated",
            Ends::Mixed => "mixed",
        };
        write!(f, "{ends}, {} steps{shape}", self.steps)
    }
}

/// What the participant refuses.
pub(super) const REFUSE: &str = "refuse";

/// What calls carry.
pub(super) fn text() -> String {
    "x".repeat(128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_saga_undoes_all_but_its_last_step() {
        let work = |ends| Work { steps: 3, shape: Shape::Sequence, ends };
        assert_eq!(work(Ends::Completed).calls(1), 3);
        assert_eq!(work(Ends::Compensated).calls(0), 5);
        assert_eq!([0, 1].map(|number| work(Ends::Mixed).calls(number)), [3, 5]);
        assert!((work(Ends::Mixed).calls_each() - 4.0).abs() < f64::EPSILON);
    }

    #[test]
    fn every_definition_can_be_read() {
        for (steps, shape) in [(3, Shape::Sequence), (30, Shape::Parallel), (1, Shape::Parallel)] {
            let source = Work { steps, shape, ends: Ends::Mixed }.definition();
            let read: Value = serde_saphyr::from_str(&source).expect("YAML");
            assert_eq!(read["steps"].as_array().map(Vec::len), Some(steps), "{source}");
        }
    }
}

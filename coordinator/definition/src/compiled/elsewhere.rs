//! Which operations of a definition call something else in another version of it: what a saga that moves there must know.
//!
//! Only protocol and method: what a request holds is made once for each saga and kept. A prepared HTTP request holds its method and
//! path, so that it goes where it would have gone. Invariant: an operation that only one of the two has isn't named; that is for
//! the engine to see.

use amends_engine::ids::{Operation, StepIndex};

use super::{Compiled, Target};

const OPERATIONS: [Operation; 4] = [Operation::Action, Operation::Compensate, Operation::Confirm, Operation::Query];

impl Compiled {
    /// The operations, by step and in order, whose prepared requests `there` would send to another method.
    pub fn calls_elsewhere(&self, there: &Compiled) -> Vec<(StepIndex, Operation)> {
        let steps = self.engine.indices();
        let all = steps.flat_map(|step| OPERATIONS.map(|operation| (step, operation)));
        let differs = |(step, operation): &(StepIndex, Operation)| {
            let targets = self.operation(*step, *operation).zip(there.operation(*step, *operation));
            targets.is_some_and(|(here, there)| !is_same(&here.target, &there.target))
        };
        all.filter(differs).collect()
    }
}

fn is_same(here: &Target, there: &Target) -> bool {
    match (here, there) {
        (Target::Grpc { method: here, .. }, Target::Grpc { method: there, .. }) => here.path() == there.path(),
        (Target::Http { .. }, Target::Http { .. }) => true,
        (Target::Grpc { .. }, Target::Http { .. }) | (Target::Http { .. }, Target::Grpc { .. }) => false,
    }
}

//! A node with a clock of a test's own, and the machine's randomness.

use std::sync::Arc;

use amends_runtime::seam::{Clock, Entropy, Seams};

/// The machine's.
#[derive(Debug)]
struct Chance(Seams);

impl Entropy for Chance {
    fn bits(&self) -> u128 {
        self.0.bits()
    }

    fn unit(&self) -> f64 {
        self.0.unit()
    }
}

pub(crate) fn seams(clock: Arc<dyn Clock>) -> Seams {
    Seams::new(clock, Arc::new(Chance(Seams::system())))
}

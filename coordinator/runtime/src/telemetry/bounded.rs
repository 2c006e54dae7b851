//! Keeps the number of different label values small, whatever is registered.
//!
//! Invariant: a value that was given its name keeps it for the life of the process, so that no series changes its meaning.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// What a value is called that came after the last free place. No name of ours begins with an underscore.
pub const OTHER: &str = "_other";

/// The values that are seen by their name: the first so many.
#[derive(Debug)]
pub struct Bounded {
    most: usize,
    seen: Mutex<BTreeSet<String>>,
}

impl Bounded {
    /// At most so many values.
    pub const fn new(most: usize) -> Self {
        Self { most, seen: Mutex::new(BTreeSet::new()) }
    }

    /// The value itself, or [`OTHER`].
    pub fn name<'a>(&self, value: &'a str) -> &'a str {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains(value) {
            return value;
        }
        if seen.len() >= self.most {
            return OTHER;
        }
        seen.insert(value.to_owned());
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_late_is_one_of_the_others() {
        let bounded = Bounded::new(2);
        let names = ["a", "b", "c", "a", "d", "b"].map(|value| bounded.name(value));
        assert_eq!(names, ["a", "b", OTHER, "a", OTHER, "b"]);
    }
}

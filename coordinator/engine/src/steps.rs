//! The states of a saga's steps, shared until one changes.
//!
//! A turn works on a copy of the saga and changes one step of it or two: copying the others would make every step dearer with
//! each step that the saga has. Only a list; it knows no rule. Invariant: no change of one copy is seen in another.

use std::fmt;
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use crate::step::StepState;

/// The states of a saga's steps, in the definition's order. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Steps(Vec<Arc<StepState>>);

impl Steps {
    /// So many that nothing has happened to.
    pub fn idle(length: usize) -> Self {
        // One state for all: each gets its own when it first changes.
        Self(std::iter::repeat_n(Arc::new(StepState::IDLE), length).collect())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One of them, where there is one at this position.
    pub fn get(&self, index: usize) -> Option<&StepState> {
        self.0.get(index).map(Arc::as_ref)
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = &StepState> {
        self.0.iter().map(Arc::as_ref)
    }

    /// All, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut StepState> {
        self.0.iter_mut().map(Arc::make_mut)
    }

    /// As many as another version of the definition has; those that are new are idle.
    pub fn resize(&mut self, length: usize) {
        self.0.resize_with(length, || Arc::new(StepState::IDLE));
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Index<usize> for Steps {
    type Output = StepState;

    fn index(&self, index: usize) -> &StepState {
        &self.0[index]
    }
}

impl IndexMut<usize> for Steps {
    fn index_mut(&mut self, index: usize) -> &mut StepState {
        Arc::make_mut(&mut self.0[index])
    }
}

impl FromIterator<StepState> for Steps {
    fn from_iter<I: IntoIterator<Item = StepState>>(states: I) -> Self {
        Self(states.into_iter().map(Arc::new).collect())
    }
}

impl From<Vec<StepState>> for Steps {
    fn from(states: Vec<StepState>) -> Self {
        states.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_in_one_copy_stays_as_it_was_in_the_other() {
        let before = Steps::idle(3);
        let mut after = before.clone();
        after[1].sealing = true;
        assert!(!before[1].sealing && !before[0].sealing, "not even in those that began as one");
        assert!(after[1].sealing && !after[0].sealing && !after[2].sealing);
        assert_ne!(before, after);
        after[1].sealing = false;
        assert_eq!(before, after, "equal is what says the same");
    }
}

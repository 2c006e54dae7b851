//! Where a case's decisions come from: a list of numbers.
//!
//! Invariant: past the end of the list every choice is the first one, and the first choice is always the harmless one, so that
//! a shorter list is a simpler case.

/// A source of decisions.
#[derive(Debug)]
pub(crate) struct Choices {
    list: Vec<u16>,
    next: usize,
}

impl Choices {
    pub(crate) fn new(list: Vec<u16>) -> Self {
        Self { list, next: 0 }
    }

    /// One of `count` possibilities.
    pub(crate) fn pick(&mut self, count: usize) -> usize {
        let number = self.list.get(self.next).copied().unwrap_or(0);
        self.next += 1;
        usize::from(number) % count.max(1)
    }

    /// Whether something with this chance, in percent, happens.
    pub(crate) fn percent(&mut self, chance: usize) -> bool {
        self.pick(100) >= 100 - chance
    }

    /// Whether there is nothing left but zeros.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.next >= self.list.len()
    }
}

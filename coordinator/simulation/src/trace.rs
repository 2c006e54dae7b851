//! What happened in a run, line by line, and which invariants it broke.
//!
//! It decides nothing. Invariant: a line holds only what follows from the seed (virtual time, ids, counts), so that two runs
//! with one seed give the same bytes.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::seams::VirtualClock;

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its name: I1 to I13 of the test plan, or the rule's own.
    pub invariant: String,
    /// What was found.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// The record of a run in the making.
#[derive(Debug)]
pub(crate) struct Trace {
    clock: Arc<VirtualClock>,
    lines: Mutex<Vec<String>>,
    violations: Mutex<Vec<Violation>>,
}

impl Trace {
    /// An empty one.
    pub(crate) fn new(clock: Arc<VirtualClock>) -> Self {
        Self { clock, lines: Mutex::default(), violations: Mutex::default() }
    }

    /// Adds a line.
    pub(crate) fn note(&self, line: impl fmt::Display) {
        let millis = self.clock.elapsed().as_millis();
        lock(&self.lines).push(format!("{millis:>7} {line}"));
    }

    /// Adds a broken invariant, and a line that says so.
    pub(crate) fn violated(&self, invariant: impl Into<String>, what: impl Into<String>) {
        let violation = Violation { invariant: invariant.into(), what: what.into() };
        self.note(format_args!("VIOLATED {violation}"));
        lock(&self.violations).push(violation);
    }

    /// Adds a rule of the checker that was broken.
    pub(crate) fn broke(&self, violation: &amends_checker::Violation) {
        let text = violation.to_string();
        let invariant = format!("{:?}", violation.rule);
        let what = text.strip_prefix(&invariant).unwrap_or(&text).trim_start_matches(": ");
        self.violated(invariant.as_str(), what);
    }

    /// Everything so far.
    pub(crate) fn take(&self) -> (Vec<String>, Vec<Violation>) {
        (std::mem::take(&mut lock(&self.lines)), std::mem::take(&mut lock(&self.violations)))
    }
}

/// One thread runs everything, so a poisoned lock only means that a check panicked before; the record is still good.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

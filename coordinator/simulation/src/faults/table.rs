//! How often each fault happened at each boundary: a run's table, and the sum of many.
//!
//! Invariant: a fault is counted once, where it was given out.

use std::fmt::Write as _;

use super::kinds::{Boundary, Fault};

const ROWS: usize = Fault::ALL.len();
const COLUMNS: usize = Boundary::ALL.len();

/// Faults by boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    cells: Vec<u64>,
    /// How often each boundary was passed, with or without a fault.
    passed: Vec<u64>,
}

impl Default for Table {
    fn default() -> Self {
        Self { cells: vec![0; ROWS * COLUMNS], passed: vec![0; COLUMNS] }
    }
}

impl Table {
    pub(crate) fn pass(&mut self, at: Boundary) {
        self.passed[at as usize] += 1;
    }

    pub(crate) fn count(&mut self, fault: Fault, at: Boundary) {
        self.cells[fault as usize * COLUMNS + at as usize] += 1;
    }

    /// How often a fault happened there.
    pub fn get(&self, fault: Fault, at: Boundary) -> u64 {
        self.cells[fault as usize * COLUMNS + at as usize]
    }

    /// All faults.
    pub fn total(&self) -> u64 {
        self.cells.iter().sum()
    }

    /// All boundaries passed.
    pub fn passed(&self) -> u64 {
        self.passed.iter().sum()
    }

    /// Adds another table.
    pub fn add(&mut self, other: &Self) {
        self.cells.iter_mut().zip(&other.cells).for_each(|(sum, more)| *sum += more);
        self.passed.iter_mut().zip(&other.passed).for_each(|(sum, more)| *sum += more);
    }

    /// Cells where a fault can happen and never did.
    pub fn empty(&self) -> Vec<(Fault, Boundary)> {
        let cells = Fault::ALL.iter().flat_map(|fault| Boundary::ALL.iter().map(move |at| (*fault, *at)));
        cells.filter(|(fault, at)| fault.excluded(*at).is_none() && self.get(*fault, *at) == 0).collect()
    }

    /// As numbers, for a file: faults by row, then the boundaries passed.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        [self.cells.as_slice(), &self.passed].concat()
    }

    /// From such numbers; `None` where they are of another table.
    pub(crate) fn of_numbers(numbers: &[u64]) -> Option<Self> {
        let (cells, passed) = numbers.split_at_checked(ROWS * COLUMNS).filter(|(_, passed)| passed.len() == COLUMNS)?;
        Some(Self { cells: cells.to_vec(), passed: passed.to_vec() })
    }

    /// In Markdown, boundaries down and faults across; `–` where a fault can't happen.
    pub fn markdown(&self) -> String {
        let mut text = String::from("| boundary | passed |");
        for fault in Fault::ALL {
            let _ = write!(text, " {fault} |");
        }
        text += "\n|---|--:|";
        text += &"--:|".repeat(ROWS);
        text.push('\n');
        for at in Boundary::ALL {
            let _ = write!(text, "| {at} | {} |", self.passed[*at as usize]);
            for fault in Fault::ALL {
                match fault.excluded(*at) {
                    Some(_) => text += " – |",
                    None => _ = write!(text, " {} |", self.get(*fault, *at)),
                }
            }
            text.push('\n');
        }
        text
    }

    /// Why cells are left out, one line for each reason.
    pub fn exclusions() -> String {
        let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
        for fault in Fault::ALL {
            for at in Boundary::ALL {
                let Some(why) = fault.excluded(*at) else { continue };
                let cell = format!("{fault} × {at}");
                match reasons.iter_mut().find(|(reason, _)| *reason == why) {
                    Some((_, cells)) => cells.push(cell),
                    None => reasons.push((why, vec![cell])),
                }
            }
        }
        reasons.into_iter().map(|(why, cells)| format!("- {}: {why}.\n", cells.join(", "))).collect()
    }
}

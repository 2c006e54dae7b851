//! A participant as the design asks for it, and two that promise less.
//!
//! Its row is the truth of a case: what it says happened did. Invariant: an effect goes into the ledger in the same breath as
//! into the row.

use amends_engine::event::Verdict;
use amends_engine::ids::Operation;
use amends_engine::outcome::{Doubt, Outcome, Why};
use amends_engine::payload::Payload;

use super::choices::Choices;

/// What a participant remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// The barrier of the SDK: one row for each step, refusals are stored and final.
    Final,
    /// A barrier that forgets its refusals: they bind only the call that they answer.
    Forgetful,
    /// No barrier: it knows what stands and what it undid; a call that was under way may take effect whenever it lands.
    Plain,
}

/// The row of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    /// Nothing is known of it.
    Nothing,
    /// Accepted, to be done later.
    Pending,
    /// Done.
    Stands,
    /// Refused, for good.
    Refused,
    /// Being undone; that takes its time.
    Undoing,
    /// Undone, or refused in advance.
    Undone,
    /// Made final.
    Confirmed,
    /// The key belongs to somebody else's request.
    Foreign,
}

/// A participant of one step.
#[derive(Debug)]
pub(crate) struct Participant {
    pub(crate) manner: Manner,
    pub(crate) row: Row,
}

fn ok() -> Outcome {
    Outcome::Succeeded(Payload::json("{}"))
}

fn not_found() -> Outcome {
    Outcome::NotFound(Why::new("NOT_FOUND", ""))
}

fn unknown(doubt: Doubt) -> Outcome {
    Outcome::Unknown { doubt, why: Why::default() }
}

impl Participant {
    pub(crate) fn new(choices: &mut Choices) -> Self {
        let manner = [Manner::Final, Manner::Forgetful, Manner::Plain][choices.pick(3)];
        let row = if choices.percent(3) { Row::Foreign } else { Row::Nothing };
        Self { manner, row }
    }

    fn refusal(&mut self) -> Outcome {
        let last_word = self.manner == Manner::Final;
        if last_word {
            self.row = Row::Refused;
        }
        Outcome::Rejected { why: Why::new("FAILED_PRECONDITION", ""), last_word }
    }

    /// Carries out a call. Says whether it took effect, and what it answers.
    pub(crate) fn call(&mut self, operation: Operation, expects: bool, choices: &mut Choices) -> (bool, Outcome) {
        if self.row == Row::Foreign {
            return (false, unknown(Doubt::KeyReused));
        }
        match operation {
            Operation::Action => self.act(choices),
            Operation::Compensate => self.undo(expects, choices),
            Operation::Confirm => self.confirm(),
            Operation::Query => (false, self.query()),
        }
    }

    fn act(&mut self, choices: &mut Choices) -> (bool, Outcome) {
        match self.row {
            Row::Stands | Row::Confirmed => (false, self.repeat(choices)),
            Row::Pending => (false, Outcome::Pending),
            Row::Refused => (false, self.refusal()),
            Row::Undoing | Row::Undone if self.manner != Manner::Plain => {
                (false, Outcome::Rejected { why: Why::new("ABORTED", "undone"), last_word: true })
            }
            Row::Nothing | Row::Undoing | Row::Undone | Row::Foreign => self.decide(choices),
        }
    }

    fn decide(&mut self, choices: &mut Choices) -> (bool, Outcome) {
        match choices.pick(10) {
            8 if self.manner != Manner::Plain => {
                self.row = Row::Pending;
                (false, Outcome::Pending)
            }
            6 | 7 => (false, self.refusal()),
            _ => {
                self.row = Row::Stands;
                (true, ok())
            }
        }
    }

    /// A good participant repeats its reply; another says that the thing exists already.
    fn repeat(&self, choices: &mut Choices) -> Outcome {
        if self.manner == Manner::Plain && choices.percent(40) { unknown(Doubt::Code) } else { ok() }
    }

    fn undo(&mut self, expects: bool, choices: &mut Choices) -> (bool, Outcome) {
        match self.row {
            Row::Stands if self.manner != Manner::Plain && choices.percent(20) => {
                self.row = Row::Undoing;
                (false, Outcome::Pending)
            }
            Row::Undoing => (false, Outcome::Pending),
            Row::Stands => {
                self.row = Row::Undone;
                (true, ok())
            }
            Row::Undone => (false, ok()),
            Row::Confirmed => (false, Outcome::Rejected { why: Why::new("CONFIRMED", ""), last_word: true }),
            Row::Nothing | Row::Pending if self.manner == Manner::Plain => (false, not_found()),
            Row::Nothing | Row::Foreign if expects => (false, unknown(Doubt::RowMissing)),
            Row::Nothing | Row::Pending | Row::Refused | Row::Foreign => {
                self.row = Row::Undone;
                (false, ok())
            }
        }
    }

    fn confirm(&mut self) -> (bool, Outcome) {
        match self.row {
            Row::Stands => {
                self.row = Row::Confirmed;
                (true, ok())
            }
            Row::Confirmed => (false, ok()),
            Row::Nothing | Row::Pending | Row::Refused | Row::Undoing | Row::Undone | Row::Foreign => {
                (false, not_found())
            }
        }
    }

    fn query(&self) -> Outcome {
        match self.row {
            Row::Stands | Row::Confirmed => ok(),
            Row::Pending => Outcome::Pending,
            Row::Nothing | Row::Refused | Row::Undoing | Row::Undone | Row::Foreign => not_found(),
        }
    }

    /// Whether something is to be completed later.
    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.row, Row::Pending | Row::Undoing)
    }

    /// Completes what is pending, through the same row: done, or refused. `None` where nothing is pending.
    pub(crate) fn complete(&mut self, choices: &mut Choices) -> Option<(Operation, Verdict)> {
        let done = Verdict::Succeeded(Payload::json("{}"));
        match self.row {
            Row::Pending if choices.percent(30) => {
                self.row = if self.manner == Manner::Final { Row::Refused } else { Row::Nothing };
                let last_word = self.manner == Manner::Final;
                Some((Operation::Action, Verdict::Rejected { why: Why::new("DECLINED", ""), last_word }))
            }
            Row::Pending => {
                self.row = Row::Stands;
                Some((Operation::Action, done))
            }
            // It couldn't be done now: it stands as before, and is to be asked for again.
            Row::Undoing if choices.percent(20) => {
                self.row = Row::Stands;
                Some((Operation::Compensate, Verdict::Rejected { why: Why::new("LATER", ""), last_word: false }))
            }
            Row::Undoing => {
                self.row = Row::Undone;
                Some((Operation::Compensate, done))
            }
            Row::Nothing | Row::Stands | Row::Refused | Row::Undone | Row::Confirmed | Row::Foreign => None,
        }
    }

    /// Whether an operation is known to have been carried out.
    pub(crate) fn did(&self, operation: Operation) -> bool {
        match operation {
            Operation::Action => matches!(self.row, Row::Stands | Row::Undoing | Row::Confirmed),
            Operation::Compensate => self.row == Row::Undone,
            Operation::Confirm => self.row == Row::Confirmed,
            Operation::Query => false,
        }
    }
}

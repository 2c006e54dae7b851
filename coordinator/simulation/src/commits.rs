//! Which boundary a group of commits passes: what brought it about.
//!
//! A group is named after its first commit; most hold one. Invariant: every commit has exactly one name, read from its own
//! history, so that it can't depend on who made it.

use amends_engine::history::Change;
use amends_engine::saga::Cause;
use amends_store::{Commit, record};

use crate::faults::Boundary;

/// Where this group goes.
pub(crate) fn boundary_of(commits: &[Commit]) -> Boundary {
    commits.first().map_or(Boundary::IntentCommit, boundary_of_one)
}

fn boundary_of_one(commit: &Commit) -> Boundary {
    if commit.expected_revision == 0 {
        return Boundary::BeginCommit;
    }
    let history = commit.history.iter().filter_map(|(_, entry)| record::decode_history(entry).ok());
    let named = history.map(|it| of_change(&it.entry.change)).max_by_key(|(weight, _)| *weight);
    named.map_or(Boundary::IntentCommit, |(_, at)| at)
}

/// The name that a change gives to its commit, and how strongly: a decision is told apart from the answer that led to it.
fn of_change(change: &Change) -> (u8, Boundary) {
    match change {
        Change::Completed | Change::Compensated | Change::ForceStopped => (6, Boundary::EndCommit),
        Change::Paused
        | Change::Resumed
        | Change::Retried
        | Change::Skipped
        | Change::ResolvedAsHappened
        | Change::ResolvedAsNotHappened
        | Change::CancelRecorded
        | Change::Acknowledged
        | Change::Repinned(_) => (5, Boundary::VerbCommit),
        Change::DecidedToCompensate(Cause::Cancelled(_)) => (5, Boundary::VerbCommit),
        Change::PendingExpired | Change::Late | Change::DecidedToCompensate(Cause::Deadline) => {
            (4, Boundary::TimerCommit)
        }
        Change::DecidedToCompensate(_) | Change::DecidedToConfirm => (3, Boundary::DecisionCommit),
        Change::CalledBack(_) => (2, Boundary::FinishCommit),
        Change::AttemptEnded(_) | Change::LateAnswer(_) | Change::Nondeterministic => (1, Boundary::ResultCommit),
        Change::Started | Change::ConditionFalse | Change::PrepareFailed | Change::Stuck(_) | Change::Parked(_) => {
            (0, Boundary::IntentCommit)
        }
    }
}

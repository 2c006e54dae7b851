//! Failures are counted on across owners and restarts, or attempts never run out and delays never grow.
//!
//! The checker sees this of single events; here it is seen of what became durable. Invariant: only a retry that somebody asked for,
//! or a move to another version, gives fresh attempts, and the commit's own history says so.

use amends_engine::history::Change;
use amends_engine::ids::Operation;
use amends_engine::saga::SagaState;
use amends_store::{Commit, record};

/// What was forgotten between a durable state and this commit's, if anything. A query's failures count for one question each.
pub(super) fn fewer_failures(before: &SagaState, commit: &Commit, after: &SagaState) -> Option<String> {
    let steps = || before.steps.iter().zip(after.steps.iter()).enumerate();
    let operations = [Operation::Action, Operation::Compensate, Operation::Confirm];
    let forgotten = steps().find_map(|(index, (was, is))| {
        let fewer = |it: &&Operation| is.operation(**it).failures < was.operation(**it).failures;
        operations.iter().find(fewer).map(|operation| format!("failures of step {index}'s {operation} were forgotten"))
    })?;
    (!gives_fresh_attempts(commit)).then_some(forgotten)
}

fn gives_fresh_attempts(commit: &Commit) -> bool {
    let entries = commit.history.iter().filter_map(|(_, bytes)| record::decode_history(bytes).ok());
    entries.map(|it| it.entry.change).any(|change| matches!(change, Change::Retried | Change::Repinned(_)))
}

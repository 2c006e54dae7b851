//! When a change to the simulated store is durable, and what a fail-over loses.
//!
//! ```text
//!   change ──► made: readers see it ──► durable: every replica that may be promoted has it ──► answered
//!                  └──────── a fail-over here loses it, and nobody was told that it was made ────┘
//! ```
//!
//! As a store that confirms what it answers (design §5, durability `strict`): readers may see what isn't durable yet, epochs and
//! leases are lost like anything else, and the answer to a repeat waits like the first one. Invariants: changes become durable in
//! the order in which they were made; what was answered is never lost; the judge sees a commit when it is durable, not before.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;

use amends_store::memory::{Image, MemoryStore};
use amends_store::{Commit, CommitError, Committed, Store};
use tokio::time::sleep;

use crate::trace::lock;
use crate::world::World;

/// How far a store has got, and what of that is durable.
#[derive(Debug, Default)]
pub(crate) struct Durability(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What a fail-over would leave; `None` where none can happen, so that everything is durable at once.
    image: Option<Image>,
    /// Made, and not durable yet.
    tail: VecDeque<Change>,
    /// Made, and gone: the numbers of changes that a fail-over lost.
    lost: BTreeSet<u64>,
    made: u64,
}

#[derive(Debug)]
struct Change {
    number: u64,
    after: Image,
    commits: Vec<Commit>,
}

impl Durability {
    /// From now on the store may fail over.
    pub(crate) fn begin(&self, store: &MemoryStore) {
        lock(&self.0).image = Some(store.image());
    }
}

impl World {
    /// Makes a change with the commits that it brings; `None` where it was lost before it was durable: nobody knows.
    pub(crate) async fn write<T>(&self, change: impl Future<Output = (T, Vec<Commit>)>) -> Option<T> {
        let (answer, commits) = change.await;
        let Some(number) = self.made(commits) else { return Some(answer) };
        sleep(self.wire.millis(1, 8)).await;
        self.becomes_durable(number).then_some(answer)
    }

    /// Notes a change and numbers it; `None` where it is durable already.
    fn made(&self, commits: Vec<Commit>) -> Option<u64> {
        let mut state = lock(&self.durability.0);
        if state.image.is_none() {
            drop(state);
            commits.iter().for_each(|commit| self.judge.committed(commit, &self.trace));
            return None;
        }
        state.made += 1;
        let number = state.made;
        state.tail.push_back(Change { number, after: self.store.image(), commits });
        Some(number)
    }

    /// Everything up to this change is durable, unless a fail-over came first; whether it is.
    fn becomes_durable(&self, number: u64) -> bool {
        let mut state = lock(&self.durability.0);
        let mut commits = Vec::new();
        while state.tail.front().is_some_and(|change| change.number <= number) {
            let Some(change) = state.tail.pop_front() else { break };
            state.image = Some(change.after);
            commits.extend(change.commits);
        }
        // What came after a fail-over says nothing of what came before.
        let durable = !state.lost.contains(&number);
        drop(state);
        commits.iter().for_each(|commit| self.judge.committed(commit, &self.trace));
        durable
    }

    /// The store fails over to a replica that has what is durable, and nothing else.
    pub(crate) fn fail_over(&self) {
        let mut state = lock(&self.durability.0);
        let Some(image) = state.image.clone() else { return };
        let lost: usize = state.tail.iter().map(|change| change.commits.len()).sum();
        self.trace.note(format_args!("store fails over: {} changes lost, {lost} commits in them", state.tail.len()));
        let gone = std::mem::take(&mut state.tail);
        state.lost.extend(gone.iter().map(|change| change.number));
        self.store.fall_back(&image);
    }

    /// Commits that have arrived at the store.
    pub(crate) async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<Committed, CommitError>> {
        let count = commits.len();
        let answers = self.write(async {
            let answers = self.store.commit(commits.clone()).await;
            let answered = commits.into_iter().zip(&answers);
            let new = answered.filter_map(|(commit, answer)| self.is_new(&commit, answer).then_some(commit)).collect();
            (answers, new)
        });
        answers.await.unwrap_or_else(|| {
            (0..count).map(|_| Err(CommitError::Ambiguous("the store failed over".into()))).collect()
        })
    }

    /// Notes what the store says to a commit, and whether it is one that it hadn't.
    fn is_new(&self, commit: &Commit, answer: &Result<Committed, CommitError>) -> bool {
        let word = match answer {
            Ok(Committed::Now { .. }) => commit.index.status.to_owned(),
            Ok(Committed::Duplicate { .. }) => "duplicate".to_owned(),
            Err(error) => error.to_string(),
        };
        let (revision, epoch) = (commit.expected_revision + 1, commit.lease.epoch.0);
        let digest = commit.digest();
        self.trace.note(format_args!("commit {} revision {revision} epoch {epoch} {digest:?}: {word}", commit.key));
        matches!(answer, Ok(Committed::Now { .. }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::faults::{Fault, FaultPlan};
    use crate::library::Library;
    use crate::participants::Conduct;

    fn world() -> World {
        let plan = FaultPlan::Once { at: usize::MAX, fault: Fault::LostTail };
        let library = Library::of(Vec::new()).unwrap();
        let world = World::new(1, plan, Conduct::Barrier, &library);
        world.knows(&[]);
        world
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_fail_over_lost_is_never_answered_whatever_becomes_durable_after_it() {
        let world = Arc::new(world());
        let (first, kept) = (world.made(Vec::new()).unwrap(), world.made(Vec::new()).unwrap());
        assert!(world.becomes_durable(kept) && world.becomes_durable(first));
        let lost = world.made(Vec::new()).unwrap();
        world.fail_over();
        let next = world.made(Vec::new()).unwrap();
        assert!(world.becomes_durable(next));
        assert!(!world.becomes_durable(lost));
        assert!(world.becomes_durable(first), "durable before, durable after");
    }
}

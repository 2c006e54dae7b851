//! A store that commits, a census that comes whenever it likes, and the two must agree.

use amends_store::{Epoch, Nonce};

use super::*;

const LEASE: Lease = Lease { shard: ShardId(3), epoch: Epoch(7), nonce: Nonce(1) };

fn kind(status: StatusWord) -> Option<Kind> {
    let stuck = (status == StatusWord::Stuck).then_some(StuckReason::Poison);
    let definition = DefinitionName::parse("checkout").unwrap();
    Some(Kind { namespace: Namespace::default_namespace(), definition, status, stuck })
}

fn census(commits: u64, open: &[(StatusWord, u64)]) -> Census {
    let count = |(status, count): &(StatusWord, u64)| OpenCount {
        namespace: Namespace::default_namespace(),
        definition: DefinitionName::parse("checkout").unwrap(),
        status: status.to_string(),
        stuck: (*status == StatusWord::Stuck).then(|| "poison".to_owned()),
        count: *count,
    };
    Census { commits, open: open.iter().map(count).collect() }
}

fn counted(tally: &Tally) -> Vec<(StatusWord, u64)> {
    tally.counts().into_iter().filter(|(_, count)| *count > 0).map(|(kind, count)| (kind.status, count)).collect()
}

fn now(number: u64) -> Committed {
    Committed::Now { number }
}

use StatusWord::{Running, Stuck};

#[test]
fn commits_before_during_and_after_a_census_are_counted_once() {
    // Whatever the census knows of the six commits, the sum is the same.
    for known in 10..=16 {
        let tally = Tally::default();
        tally.began(LEASE);
        assert_eq!(tally.wanted(), [LEASE]);
        let moves = [
            (None, kind(Running)),
            (None, kind(Running)),
            (kind(Running), kind(Stuck)),
            (kind(Running), None),
            (kind(Stuck), kind(Running)),
            (kind(Running), None),
        ];
        // What the store had before, 5 running and 1 stuck, and what it has at each commit.
        let (mut running, mut stuck) = (5, 1);
        for (number, (from, to)) in (11..).zip(moves) {
            tally.committed(LEASE, now(number), from.clone(), to.clone());
            if number <= known {
                let by = |status| i64::from(to == kind(status)) - i64::from(from == kind(status));
                running = (running as i64 + by(Running)) as u64;
                stuck = (stuck as i64 + by(Stuck)) as u64;
            }
        }
        assert!(tally.take_in(LEASE, &census(known, &[(Running, running), (Stuck, stuck)])));
        assert_eq!(counted(&tally), [(Running, 5), (Stuck, 1)], "the census knew up to {known}");
        tally.committed(LEASE, now(17), kind(Running), kind(Stuck));
        assert_eq!(counted(&tally), [(Running, 4), (Stuck, 2)]);
        assert!(tally.wanted().is_empty());
    }
}

#[test]
fn a_shard_that_was_lost_counts_nothing() {
    let tally = Tally::default();
    tally.began(LEASE);
    assert!(tally.take_in(LEASE, &census(1, &[(Running, 9)])));
    tally.ended(LEASE.shard);
    assert_eq!(counted(&tally), []);
    // An answer that comes too late, and a commit of the tenure before, change nothing.
    let next = Lease { epoch: Epoch(8), ..LEASE };
    tally.began(next);
    assert!(!tally.take_in(LEASE, &census(1, &[(Running, 9)])));
    tally.committed(LEASE, now(2), None, kind(Running));
    assert!(tally.take_in(next, &census(1, &[])));
    assert_eq!(counted(&tally), []);
}

#[test]
fn what_the_store_did_unseen_is_counted_anew() {
    let tally = Tally::default();
    tally.began(LEASE);
    assert!(tally.take_in(LEASE, &census(1, &[(Running, 2)])));
    tally.committed(LEASE, Committed::Duplicate { number: 5 }, None, kind(Running));
    assert_eq!(tally.wanted(), [LEASE]);
    assert_eq!(counted(&tally), [(Running, 2)], "the old numbers are shown until the new ones are there");
    assert!(!tally.take_in(LEASE, &census(4, &[(Running, 2)])), "it may not have the commit yet");
    assert!(tally.take_in(LEASE, &census(5, &[(Running, 3)])));
    tally.recount(LEASE);
    tally.committed(LEASE, now(6), kind(Running), None);
    assert!(tally.take_in(LEASE, &census(6, &[(Running, 2)])));
    assert_eq!(counted(&tally), [(Running, 2)]);
}

#[test]
fn a_census_that_never_comes_costs_no_memory() {
    let tally = Tally::default();
    tally.began(LEASE);
    let most = KEPT_MAX as u64;
    for number in 1..=most + 1 {
        tally.committed(LEASE, now(number), None, kind(Running));
    }
    assert!(!tally.take_in(LEASE, &census(most, &[(Running, most)])), "commits that it doesn't know were dropped");
    assert!(tally.take_in(LEASE, &census(most + 1, &[(Running, most + 1)])));
    assert_eq!(counted(&tally), [(Running, most + 1)]);
}

#[test]
fn what_came_and_went_before_the_census_is_there_with_nothing() {
    let tally = Tally::default();
    tally.began(LEASE);
    tally.committed(LEASE, now(1), None, kind(Running));
    tally.committed(LEASE, now(2), kind(Running), None);
    assert!(tally.take_in(LEASE, &census(2, &[])));
    assert_eq!(tally.counts().into_values().collect::<Vec<_>>(), [0]);
}

//! Logs of a shard: written with a saga or alone, all or nothing, numbered without gaps, never given a number twice.

use bytes::Bytes;

use super::support::{LONG, Owner, fresh_op, key};
use crate::contract::*;
use crate::error::{CommitError, StoreError};

const AUDIT: Log = Log::Audit;

fn append(log: Log, number: u64, body: &str) -> Append {
    Append { log, number, body: Bytes::copy_from_slice(body.as_bytes()) }
}

async fn bodies(store: &dyn Store, shard: ShardId, log: Log) -> Vec<(u64, String)> {
    let entries = store.read_log(shard, log, 0, 1_000).await.expect("readable");
    entries.into_iter().map(|(number, body)| (number, String::from_utf8_lossy(&body).into_owned())).collect()
}

async fn span(store: &dyn Store, shard: ShardId, log: Log) -> (u64, u64) {
    let Span { first, next } = store.log_span(shard, log).await.expect("readable");
    (first, next)
}

fn numbered(numbers: impl IntoIterator<Item = u64>) -> Vec<(u64, String)> {
    numbers.into_iter().map(|number| (number, format!("entry {number}"))).collect()
}

/// Appends entries `numbers` to the audit log of a shard, one by one.
async fn fill(store: &dyn Store, lease: Lease, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        let entry = append(AUDIT, number, &format!("entry {number}"));
        let answer = store.append(lease, fresh_op(), vec![entry]).await;
        assert!(matches!(answer, Ok(Committed::Now { .. })), "{answer:?}");
    }
}

/// The saga and its entries are there together, in each log under its own numbers.
pub async fn entries_are_written_with_their_saga(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let (key, empty) = (key("order-1"), (1, 1));
    let shard = owner.lease(&key).shard;
    assert_eq!((span(store, shard, AUDIT).await, span(store, shard, Log::Outbox).await), (empty, empty));
    owner.write(Commit { logs: vec![append(AUDIT, 1, "started")], ..owner.draft(&key, 0) }).await;
    let two = vec![append(Log::Outbox, 1, "stuck"), append(AUDIT, 2, "retried"), append(AUDIT, 3, "skipped")];
    owner.write(Commit { logs: two, ..owner.draft(&key, 1) }).await;
    owner.write(owner.draft(&key, 2)).await;
    let audit = [(1, "started"), (2, "retried"), (3, "skipped")].map(|(number, body)| (number, body.to_owned()));
    assert_eq!(bodies(store, shard, AUDIT).await, audit);
    assert_eq!(bodies(store, shard, Log::Outbox).await, [(1, "stuck".to_owned())]);
    assert_eq!((span(store, shard, AUDIT).await, span(store, shard, Log::Outbox).await), ((1, 4), (1, 2)));
    assert_eq!(owner.revision(&key).await, 3);
}

/// Whatever the reason was: no entry of a refused commit is there, and nobody's number is gone.
pub async fn a_refused_commit_leaves_no_entry(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let one = key("order-1");
    let (lease, shard) = (owner.lease(&one), owner.lease(&one).shard);
    owner.write(Commit { history: vec![(0, "first".into())], ..owner.draft(&one, 0) }).await;
    let with_entry = |commit| Commit { logs: vec![append(AUDIT, 1, "evidence")], op: fresh_op(), ..commit };
    let forged = with_entry(Commit { lease: Lease { nonce: Nonce(0), ..lease }, ..owner.draft(&one, 1) });
    let overwrites = with_entry(Commit { history: vec![(0, "other".into())], ..owner.draft(&one, 1) });
    for commit in [with_entry(owner.draft(&one, 7)), forged, overwrites] {
        let answer = owner.commit(commit).await;
        assert!(answer.is_err(), "{answer:?}");
        assert_eq!(
            (bodies(store, shard, AUDIT).await, span(store, shard, AUDIT).await),
            (vec![], (1, 1)),
            "{answer:?}"
        );
    }
    owner.write(with_entry(owner.draft(&one, 1))).await;
    assert_eq!(span(store, shard, AUDIT).await, (1, 2));
}

/// Neither a gap nor a number that was given: then nothing of the commit is written, its saga neither.
pub async fn an_entry_that_does_not_come_next_refuses_its_commit(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let (one, new) = (key("order-1"), key("order-2"));
    let shard = owner.lease(&one).shard;
    owner.write(Commit { logs: vec![append(AUDIT, 1, "first")], ..owner.draft(&one, 0) }).await;
    for (entries, wrong) in [
        (vec![append(AUDIT, 1, "again")], 1),
        (vec![append(AUDIT, 3, "gap")], 3),
        (vec![append(Log::Outbox, 1, "fits"), append(AUDIT, 2, "fits"), append(AUDIT, 2, "twice")], 2),
        (vec![append(AUDIT, 0, "never")], 0),
    ] {
        let answer = owner.commit(Commit { logs: entries.clone(), ..owner.draft(&one, 1) }).await;
        let next = if wrong == 2 { 3 } else { 2 };
        match &answer {
            Err(CommitError::StaleLog { log: AUDIT, expected, next: found }) => {
                assert_eq!((*expected, *found), (wrong, next), "{entries:?}");
            }
            other => panic!("{entries:?} should be stale: {other:?}"),
        }
        assert_eq!(owner.revision(&one).await, 1, "{answer:?}");
        assert_eq!((span(store, shard, AUDIT).await, span(store, shard, Log::Outbox).await), ((1, 2), (1, 1)));
    }
    let next = span(store, owner.lease(&new).shard, AUDIT).await.1;
    let answer = owner.commit(Commit { logs: vec![append(AUDIT, next + 1, "gap")], ..owner.draft(&new, 0) }).await;
    assert!(matches!(answer, Err(CommitError::StaleLog { .. })), "{answer:?}");
    assert_eq!(store.get(&new).await.expect("readable"), None, "a new saga isn't made either");
    // A wrong revision is what is told: whoever decides again does so on another saga.
    let answer = owner.commit(Commit { logs: vec![append(AUDIT, 9, "gap")], ..owner.draft(&one, 5) }).await;
    assert!(matches!(answer, Err(CommitError::Stale { expected: 5, found: 1 })), "{answer:?}");
}

/// Entries of a batch follow each other; one that is refused takes no number, so what counted on it is refused too.
pub async fn a_batch_numbers_its_entries_in_order(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let shards = store.info().shards;
    let mut keys =
        (0..).map(|number| key(&format!("order-{number}"))).filter(|key| shard_of(key, shards) == ShardId(0));
    let [one, two, three] = [(); 3].map(|()| keys.next().expect("endless"));
    let logged = |key, number| Commit { logs: vec![append(AUDIT, number, "entry")], ..owner.draft(key, 0) };
    let refused = Commit { expected_revision: 4, ..logged(&two, 2) };
    let answers = store.commit(vec![logged(&one, 1), refused, logged(&three, 3), logged(&two, 2)]).await;
    assert!(matches!(answers[0], Ok(Committed::Now { .. })), "{answers:?}");
    assert!(matches!(answers[1], Err(CommitError::Stale { .. })), "{answers:?}");
    assert!(matches!(answers[2], Err(CommitError::StaleLog { expected: 3, next: 2, .. })), "{answers:?}");
    assert!(matches!(answers[3], Ok(Committed::Now { .. })), "{answers:?}");
    assert_eq!(span(store, ShardId(0), AUDIT).await, (1, 3));
}

/// Also where a saga is twice in it, and another one of its shard comes behind.
pub async fn a_batch_with_one_saga_twice_keeps_its_order(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let shards = store.info().shards;
    let mut keys =
        (0..).map(|number| key(&format!("order-{number}"))).filter(|key| shard_of(key, shards) == ShardId(0));
    let [one, two] = [(); 2].map(|()| keys.next().expect("endless"));
    let logged = |key, revision, number| Commit {
        logs: vec![append(AUDIT, number, &format!("entry {number}"))],
        ..owner.draft(key, revision)
    };
    let answers = store.commit(vec![logged(&one, 0, 1), logged(&one, 1, 2), logged(&two, 0, 3)]).await;
    let given: Vec<u64> = answers.into_iter().map(|answer| answer.expect("accepted").number()).collect();
    assert_eq!((given, bodies(store, ShardId(0), AUDIT).await), (vec![1, 2, 3], numbered(1..=3)));
}

/// A repeat of a commit with entries is recognised by its op id, and writes neither again.
pub async fn a_repeated_commit_writes_no_entry_again(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let key = key("order-1");
    let shard = owner.lease(&key).shard;
    let commit = Commit { logs: vec![append(AUDIT, 1, "once")], ..owner.draft(&key, 0) };
    owner.write(commit.clone()).await;
    owner.write(Commit { logs: vec![append(AUDIT, 2, "next")], ..owner.draft(&key, 1) }).await;
    let again = owner.commit(commit).await;
    assert!(matches!(again, Ok(Committed::Duplicate { number: 2 })), "{again:?}");
    assert_eq!(bodies(store, shard, AUDIT).await, [(1, "once".to_owned()), (2, "next".to_owned())]);
}

/// A refused attempt has no saga, and is written all the same; it counts as a commit of the shard.
pub async fn entries_are_written_without_a_saga(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let lease = owner.leases[1];
    let both = vec![append(AUDIT, 1, "refused"), append(Log::Outbox, 1, "told")];
    let answer = store.append(lease, fresh_op(), both).await.expect("accepted");
    assert_eq!(answer, Committed::Now { number: 1 });
    for wrong in [1, 3] {
        let entries = vec![append(Log::Outbox, 2, "fits"), append(AUDIT, wrong, "doesn't")];
        let answer = store.append(lease, fresh_op(), entries).await;
        assert!(matches!(answer, Err(CommitError::StaleLog { log: AUDIT, next: 2, .. })), "{answer:?}");
    }
    assert_eq!((span(store, ShardId(1), AUDIT).await, span(store, ShardId(1), Log::Outbox).await), ((1, 2), (1, 2)));
    assert_eq!(span(store, ShardId(0), AUDIT).await, (1, 1), "each shard has its own");
    let tenures = store.tenures().await.expect("readable");
    assert_eq!(tenures[1].commits, 1, "{tenures:?}");
}

/// Whoever lost the answer may ask again, also behind later entries.
pub async fn a_repeated_append_is_a_duplicate(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let (lease, op) = (owner.leases[0], fresh_op());
    let entries = vec![append(AUDIT, 1, "one"), append(AUDIT, 2, "two")];
    store.append(lease, op, entries.clone()).await.expect("accepted");
    fill(store, lease, 3..=9).await;
    let again = store.append(lease, op, entries.clone()).await.expect("a success");
    assert_eq!(again, Committed::Duplicate { number: 8 });
    let other = store.append(lease, fresh_op(), entries).await;
    assert!(matches!(other, Err(CommitError::StaleLog { .. })), "another attempt with the same words: {other:?}");
    let words = store.append(lease, op, vec![append(AUDIT, 1, "other")]).await;
    assert!(matches!(words, Err(CommitError::StaleLog { .. })), "the same attempt with other words: {words:?}");
    let nothing = store.append(lease, fresh_op(), Vec::new()).await.expect("a success");
    assert_eq!(nothing, Committed::Duplicate { number: 8 });
    assert_eq!(span(store, ShardId(0), AUDIT).await, (1, 10));
}

/// Logs are behind the same fence as sagas, trimming too.
pub async fn logs_are_fenced(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let old = owner.leases[0];
    fill(store, old, 1..=3).await;
    let new = store.acquire(ShardId(0), "node-a", Nonce(fresh_op().0), LONG).await.expect("its own").lease;
    let nobodys = [
        old,
        Lease { nonce: Nonce(7), ..new },
        Lease { epoch: Epoch(new.epoch.0 + 1), ..new },
        Lease { shard: ShardId(store.info().shards), ..new },
    ];
    for lease in nobodys {
        let answer = store.append(lease, fresh_op(), vec![append(AUDIT, 4, "entry 4")]).await;
        assert!(matches!(answer, Err(CommitError::Fenced)), "{lease:?}: {answer:?}");
        let trimmed = store.trim_log(lease, AUDIT, 3).await;
        assert!(
            matches!(trimmed, Err(StoreError::LeaseLost | StoreError::NoSuchShard { .. })),
            "{lease:?}: {trimmed:?}"
        );
    }
    assert_eq!(
        (bodies(store, ShardId(0), AUDIT).await, span(store, ShardId(0), AUDIT).await),
        (numbered(1..=3), (1, 4))
    );
    fill(store, new, 4..=4).await;
    store.release(new).await.expect("its own");
    let answer = store.append(new, fresh_op(), vec![append(AUDIT, 5, "entry 5")]).await;
    assert!(matches!(answer, Err(CommitError::Fenced)), "{answer:?}");
}

/// From any number on, in pages, whatever stands elsewhere.
pub async fn logs_are_read_in_pages(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    fill(store, owner.leases[2], 1..=25).await;
    fill(store, owner.leases[1], 1..=2).await;
    let (mut found, mut from) = (Vec::new(), 1);
    loop {
        let page = store.read_log(ShardId(2), AUDIT, from, 10).await.expect("readable");
        assert!(page.len() <= 10, "{page:?}");
        let Some((last, _)) = page.last() else { break };
        from = last + 1;
        found.extend(page.into_iter().map(|(number, body)| (number, String::from_utf8_lossy(&body).into_owned())));
    }
    assert_eq!(found, numbered(1..=25));
    for (from, limit, expected) in [(0, 2, 1..3), (24, 10, 24..26), (26, 10, 0..0), (u64::MAX, 10, 0..0), (5, 0, 0..0)]
    {
        let page = store.read_log(ShardId(2), AUDIT, from, limit).await.expect("readable");
        let numbers: Vec<u64> = page.into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, expected.collect::<Vec<_>>(), "from {from}, at most {limit}");
    }
    assert_eq!(store.read_log(ShardId(2), Log::Outbox, 0, 10).await.expect("readable"), []);
    let beyond = store.read_log(ShardId(store.info().shards), AUDIT, 0, 1).await;
    assert!(matches!(beyond, Err(StoreError::NoSuchShard { .. })), "{beyond:?}");
    let beyond = store.log_span(ShardId(store.info().shards), AUDIT).await;
    assert!(matches!(beyond, Err(StoreError::NoSuchShard { .. })), "{beyond:?}");
}

/// What is below is gone, what isn't stays, and no number comes back.
pub async fn a_trimmed_log_goes_on_where_it_was(store: &dyn Store) {
    let owner = Owner::of(store, "node-a").await;
    let (lease, shard) = (owner.leases[0], ShardId(0));
    fill(store, lease, 1..=5).await;
    store.append(lease, fresh_op(), vec![append(Log::Outbox, 1, "kept")]).await.expect("accepted");
    for (below, left) in [(0, 1..6), (3, 3..6), (2, 3..6), (u64::MAX, 6..6)] {
        store.trim_log(lease, AUDIT, below).await.expect("its own");
        assert_eq!(span(store, shard, AUDIT).await, (left.start, 6), "trimmed below {below}");
        assert_eq!(bodies(store, shard, AUDIT).await, numbered(left));
    }
    assert_eq!(bodies(store, shard, Log::Outbox).await, [(1, "kept".to_owned())]);
    let again = store.append(lease, fresh_op(), vec![append(AUDIT, 1, "entry 1")]).await;
    assert!(matches!(again, Err(CommitError::StaleLog { next: 6, .. })), "{again:?}");
    let new = store.acquire(shard, "node-a", Nonce(fresh_op().0), LONG).await.expect("its own").lease;
    fill(store, new, 6..=7).await;
    assert_eq!((bodies(store, shard, AUDIT).await, span(store, shard, AUDIT).await), (numbered(6..=7), (6, 8)));
}

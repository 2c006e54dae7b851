//! Pages that neither repeat nor skip, whatever comes in between.

use std::sync::Arc;
use std::time::Duration;

use amends_runtime::audit::{Call, NONE, Note, chained};
use amends_store::{Append, Lease, MemoryStore, Nonce, OpId};

use super::*;

struct Logs {
    store: MemoryStore,
    leases: Vec<Lease>,
    ends: Vec<(u64, Digest)>,
    now: u64,
}

impl Logs {
    async fn of(shards: u16) -> Self {
        let store = MemoryStore::new(shards, Arc::new(|| Timestamp(1)));
        let mut leases = Vec::new();
        for shard in 0..shards {
            let acquired = store.acquire(ShardId(shard), "node-1", Nonce(1), Duration::from_secs(9)).await.unwrap();
            leases.push(acquired.lease);
        }
        Self { store, leases, ends: vec![(1, NONE); usize::from(shards)], now: 1_000 }
    }

    async fn add(&mut self, shard: u16, principal: &str) {
        let (number, digest) = self.ends[usize::from(shard)];
        self.now += 1;
        let call = Call { principal: principal.to_owned(), namespace: "default".to_owned(), ..Call::default() };
        let (at, result) = (Timestamp(self.now), AuditResult::Done);
        let note = Note { call, at, result, message: String::new(), revision: 0, node: String::new() };
        let body = chained(digest, &Entry { shard: ShardId(shard), number, note, left_out: 0 }.encode());
        self.ends[usize::from(shard)] = (number + 1, Digest::of(&body));
        let entries = vec![Append { log: Log::Audit, number, body }];
        self.store.append(self.leases[usize::from(shard)], OpId(self.now.into()), entries).await.unwrap();
    }

    /// Times of all that match, page by page; `between` is done after every page.
    async fn all(&mut self, filter: &Filter, size: usize, between: impl AsyncFn(&mut Self)) -> Vec<u64> {
        let (mut times, mut positions) = (Vec::new(), None::<Vec<u64>>);
        loop {
            let (page, next) = list_all(&self.store, filter, positions.as_deref(), size).await.unwrap();
            assert!(page.len() <= size);
            times.extend(page.iter().map(|(_, it)| it.entry.as_ref().unwrap().note.at.0));
            positions = match next {
                Some(next) => Some(next),
                None => return times,
            };
            between(self).await;
        }
    }
}

#[tokio::test]
async fn all_shards_come_merged_the_newest_first_while_more_is_written() {
    let mut logs = Logs::of(5).await;
    for number in 0..400_u16 {
        logs.add((number % 7) * (number % 11) % 5, if number % 10 == 0 { "ops" } else { "team" }).await;
    }
    let newest_first: Vec<u64> = (1_001..=1_400).rev().collect();
    for size in [1, 7, 399, 400, 1000] {
        let all = logs.all(&Filter::default(), size, async |_| {}).await;
        assert_eq!(all, newest_first, "pages of {size}");
    }
    let meanwhile = async |logs: &mut Logs| logs.add(3, "team").await;
    assert_eq!(logs.all(&Filter::default(), 7, meanwhile).await, newest_first);
    let ops = Filter { principal: "ops".to_owned(), namespace: "default".to_owned(), ..Filter::default() };
    assert_eq!(logs.all(&ops, 3, async |_| {}).await.len(), 40);
    let window = Filter { from: Some(Timestamp(1_100)), until: Some(Timestamp(1_110)), ..Filter::default() };
    assert_eq!(logs.all(&window, 4, async |_| {}).await, (1_100..1_110).rev().collect::<Vec<_>>());
    let other = Filter { namespace: "shop".to_owned(), ..Filter::default() };
    assert!(logs.all(&other, 4, async |_| {}).await.is_empty());
}

#[tokio::test]
async fn one_shard_comes_as_its_chain_has_it_also_when_its_beginning_is_gone() {
    let mut logs = Logs::of(2).await;
    for _ in 0..30 {
        logs.add(1, "ops").await;
    }
    let trim = 11;
    logs.store.trim_log(logs.leases[1], Log::Audit, trim).await.unwrap();
    let (mut from, mut chain) = (1, Vec::new());
    loop {
        let (page, next) = list_shard(&logs.store, ShardId(1), &Filter::default(), from, 7).await.unwrap();
        chain.extend(page.into_iter().map(|(_, it)| it));
        match next {
            Some(next) => from = next,
            None => break,
        }
    }
    assert_eq!(chain.iter().map(|it| it.number).collect::<Vec<_>>(), (trim..=30).collect::<Vec<_>>());
    assert!(chain.windows(2).all(|pair| pair[1].previous == pair[0].digest));
    assert_eq!(logs.all(&Filter::default(), 7, async |_| {}).await.len(), 20);
}

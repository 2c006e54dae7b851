//! The examination for `doctor`: every server's findings, good ones too, and whether the records can be read.
//!
//! Reads only. Invariant: a finding says what is wrong and what to do about it.

use super::RedisStore;
use super::failure::Failure;
use super::guard::Guard;
use super::keys::slot_of;
use super::listing;
use super::router::Router;
use super::values;
use crate::contract::{Filter, Finding, Log, Severity, ShardId};
use crate::logs::damaged_log;
use crate::record;

/// How many sagas are read together.
const PAGE: usize = 256;

/// How many keys of unreadable sagas a finding names.
const NAMED: usize = 5;

/// See [`crate::Store::check`].
pub(super) async fn check(store: &RedisStore) -> Result<Vec<Finding>, Failure> {
    let mut findings = servers(&store.router, &store.guard).await?;
    if store.guard.pass().is_ok() {
        findings.extend(unreadable(store).await?);
        findings.extend(logs(store).await?);
    }
    Ok(findings)
}

/// Logs that have gaps, or are gone: each hash must hold exactly the numbers that it says.
pub(super) async fn logs(store: &RedisStore) -> Result<Vec<Finding>, Failure> {
    let logs: Vec<(ShardId, Log)> = store.all_shards().flat_map(|shard| Log::ALL.map(|log| (shard, log))).collect();
    let ask = |(shard, log): &(ShardId, Log)| {
        let key = store.keys.log(*shard, *log);
        let (mut span, mut count) = (redis::cmd("HMGET"), redis::cmd("HLEN"));
        span.arg(&key).arg(&["first", "next"]);
        count.arg(&key);
        [(slot_of(&key), span), (slot_of(&key), count)]
    };
    let mut answers = store.router.read(logs.iter().flat_map(ask).collect()).await?.into_iter();
    let mut findings = Vec::new();
    for (shard, log) in logs {
        let (first, next): (Option<u64>, Option<u64>) = values::read(values::next(&mut answers)?)?;
        let fields = values::number(values::next(&mut answers)?)?;
        let Some((first, next)) = first.zip(next) else {
            let message = format!("the {} log of shard {} is gone: restore a backup that has it", log.name(), shard.0);
            findings.push(Finding { severity: Severity::Error, message });
            continue;
        };
        findings.extend(damaged_log(shard, log, next.saturating_sub(first), fields.saturating_sub(2)));
    }
    Ok(findings)
}

/// The findings about every server that is written to, and what can be lost.
pub(super) async fn servers(router: &Router, guard: &Guard) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    for link in router.primaries().await? {
        findings.extend(link.examine().await?.1);
    }
    findings.extend(router.sentinels().await);
    // Of a server that is refused nothing is promised.
    if findings.iter().all(|finding| finding.severity < Severity::Error) {
        findings.push(Finding { severity: Severity::Info, message: guard.loss_window().to_owned() });
    }
    Ok(findings)
}

/// Walks all sagas, and tells of those whose state can't be read.
pub(super) async fn unreadable(store: &RedisStore) -> Result<Option<Finding>, Failure> {
    let (mut count, mut named, mut after) = (0_u64, Vec::new(), None);
    loop {
        let page = listing::list(store, &Filter::default(), after.as_ref(), PAGE).await?;
        for saga in page.items.iter().filter(|saga| record::decode_state(&saga.state).is_err()) {
            count += 1;
            if named.len() < NAMED {
                named.push(saga.key.to_string());
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let message = format!(
        "{count} saga states can't be read; those sagas are parked: restore them from a backup (among them {})",
        named.join(", ")
    );
    Ok((count > 0).then_some(Finding { severity: Severity::Error, message }))
}

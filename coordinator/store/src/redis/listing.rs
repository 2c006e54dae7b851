//! Lists and counts: the same index in every shard, merged by whoever asks.
//!
//! A list walks sources, each a part of a shard's index in the order of the list: all sagas of a tenant, those of a cell, or
//! those with a label. What the source can't tell (other labels) is checked on the saga. Invariants: a page costs a page and not
//! the store; a saga that moves between cells while a list is read may be missed by it, and is never given twice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use amends_engine::ids::{DefinitionName, Namespace, SagaKey, Version};
use amends_engine::time::Timestamp;
use redis::{Cmd, Value};

use super::RedisStore;
use super::failure::Failure;
use super::fields::{Cell, from_time, label, to_key, to_time};
use super::keys::slot_of;
use super::values;
use crate::contract::{Cursor, Filter, ListedSaga, Page, ShardId};

/// How many members of a source are read ahead at least.
const AHEAD: usize = 16;

/// Where a saga stands in a list.
type Place = (Timestamp, SagaKey);

/// A part of a shard's index, with what was read of it and not used yet.
struct Source {
    shard: ShardId,
    namespace: Namespace,
    /// What all its members begin with, with the comma at the end.
    prefix: String,
    /// Up to which member, as the next read asks.
    max: String,
    ahead: VecDeque<Place>,
    ended: bool,
}

impl Source {
    fn new(shard: ShardId, namespace: &Namespace, what: &str, after: Option<&Cursor>) -> Self {
        let prefix = format!("{what},");
        let max = match after {
            // The hyphen follows the comma: all that begins so is below it.
            None => format!("({what}-"),
            Some(Cursor { started_at, key }) => {
                let at = from_time(*started_at);
                match namespace.cmp(&key.namespace) {
                    std::cmp::Ordering::Less => format!("({prefix}{at}-"),
                    std::cmp::Ordering::Equal => format!("({prefix}{at},{}", key.id),
                    std::cmp::Ordering::Greater => format!("({prefix}{at},"),
                }
            }
        };
        Self { shard, namespace: namespace.clone(), prefix, max, ahead: VecDeque::new(), ended: false }
    }

    fn is_dry(&self) -> bool {
        self.ahead.is_empty() && !self.ended
    }

    fn ask(&self, store: &RedisStore, count: usize) -> (u16, Cmd) {
        let key = store.keys.index(self.shard);
        let mut range = redis::cmd("ZRANGE");
        range.arg(&key).arg(&self.max).arg(format!("[{}", self.prefix)).arg("BYLEX").arg("REV");
        range.arg("LIMIT").arg(0).arg(count);
        (slot_of(&key), range)
    }

    fn take(&mut self, answer: Value, asked: usize) -> Result<(), Failure> {
        let members: Vec<String> = values::read(answer)?;
        self.ended = members.len() < asked;
        if let Some(last) = members.last() {
            self.max = format!("({last}");
        }
        let places: Vec<Place> = members.iter().filter_map(|member| self.place(member)).collect();
        self.ahead.extend(places);
        Ok(())
    }

    /// A member that can't be read is damage of the index, which `check` tells of.
    fn place(&self, member: &str) -> Option<Place> {
        let (at, id) = member.strip_prefix(&self.prefix)?.split_once(',')?;
        Some((to_time(at)?, to_key(self.namespace.as_str(), id)?))
    }
}

/// The sources of a list in one order, the newest first.
struct Merge<'a> {
    store: &'a RedisStore,
    sources: Vec<Source>,
    last: Option<Place>,
}

impl Merge<'_> {
    /// At most so many more places, in order; fewer when there are no more.
    async fn next(&mut self, wanted: usize) -> Result<Vec<Place>, Failure> {
        let mut places = Vec::new();
        while places.len() < wanted {
            self.fill(wanted).await?;
            let newest = self.sources.iter_mut().max_by(|one, other| one.ahead.front().cmp(&other.ahead.front()));
            let Some(place) = newest.and_then(|source| source.ahead.pop_front()) else { break };
            // One that moved between two cells may be in both.
            if self.last.as_ref() != Some(&place) {
                self.last = Some(place.clone());
                places.push(place);
            }
        }
        Ok(places)
    }

    /// Reads on wherever nothing is left, so that the newest of all is among what was read.
    async fn fill(&mut self, wanted: usize) -> Result<(), Failure> {
        loop {
            let count = (wanted / self.sources.len().max(1) * 2).max(AHEAD);
            let dry: Vec<&mut Source> = self.sources.iter_mut().filter(|source| source.is_dry()).collect();
            if dry.is_empty() {
                return Ok(());
            }
            let asks = dry.iter().map(|source| source.ask(self.store, count)).collect();
            for (source, answer) in dry.into_iter().zip(self.store.router.read(asks).await?) {
                source.take(answer, count)?;
            }
        }
    }
}

/// The cells of every shard with how many sagas are in each.
async fn cells(store: &RedisStore) -> Result<Vec<(ShardId, Cell, String, u64)>, Failure> {
    let ask = |shard| {
        let key = store.keys.counts(shard);
        let mut all = redis::cmd("HGETALL");
        all.arg(&key);
        (slot_of(&key), all)
    };
    let answers = store.router.read(store.all_shards().map(ask).collect()).await?;
    let mut cells = Vec::new();
    for (shard, answer) in store.all_shards().zip(answers) {
        let counts: BTreeMap<String, i64> = values::read(answer)?;
        for (text, count) in counts {
            let (Some(cell), Ok(count)) = (Cell::read(&text), u64::try_from(count)) else { continue };
            cells.push((shard, cell, text, count));
        }
    }
    Ok(cells)
}

/// The sources that have all sagas that pass the filter, and few others.
async fn merge<'a>(store: &'a RedisStore, filter: &Filter, after: Option<&Cursor>) -> Result<Merge<'a>, Failure> {
    let narrows = !filter.statuses.is_empty()
        || filter.definition.is_some()
        || filter.version.is_some()
        || filter.stuck.is_some();
    let mut whats: BTreeSet<(ShardId, Namespace, String)> = BTreeSet::new();
    for (shard, cell, text, _) in cells(store).await?.into_iter().filter(|(_, cell, ..)| cell.matches(filter)) {
        let namespace = cell.namespace;
        let what = match filter.labels.first() {
            Some(pair) => format!("l,{namespace},{}", label(pair)),
            None if narrows => format!("c,{text}"),
            None => format!("s,{namespace}"),
        };
        whats.insert((shard, namespace, what));
    }
    let source = |(shard, namespace, what): (ShardId, Namespace, String)| Source::new(shard, &namespace, &what, after);
    Ok(Merge { store, sources: whats.into_iter().map(source).collect(), last: None })
}

/// The sagas at these places that pass the filter, with their places; the others have moved, or lack a label.
async fn matching(
    store: &RedisStore,
    filter: &Filter,
    places: Vec<Place>,
) -> Result<Vec<(Place, ListedSaga)>, Failure> {
    let ask = |(_, key): &Place| {
        let name = store.keys.saga(crate::contract::shard_of(key, store.shards), key);
        let mut fields = redis::cmd("HMGET");
        fields.arg(&name).arg(&["rev", "state", "cell", "labels"]);
        (slot_of(&name), fields)
    };
    let answers = store.router.read(places.iter().map(ask).collect()).await?;
    let wanted: Vec<String> = filter.labels.iter().map(label).collect();
    let mut found = Vec::new();
    for (place, answer) in places.into_iter().zip(answers) {
        type Fields = (Option<u64>, Option<Vec<u8>>, Option<String>, Option<String>);
        let (revision, state, cell, labels): Fields = values::read(answer)?;
        let (Some(revision), Some(state), Some(labels)) = (revision, state, labels) else { continue };
        let Some(cell) = cell.as_deref().and_then(Cell::read).filter(|cell| cell.matches(filter)) else { continue };
        if wanted.iter().all(|label| labels.split(',').any(|there| there == label)) {
            let saga = ListedSaga { key: place.1.clone(), revision, state: state.into(), status: cell.status };
            found.push((place, saga));
        }
    }
    Ok(found)
}

/// See [`crate::Store::list`].
pub(super) async fn list(
    store: &RedisStore,
    filter: &Filter,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<ListedSaga>, Failure> {
    // One more than asked for tells whether there is another page.
    let wanted = limit.saturating_add(1);
    let mut merge = merge(store, filter, after).await?;
    let mut found = Vec::new();
    while found.len() < wanted {
        let places = merge.next(wanted - found.len()).await?;
        if places.is_empty() {
            break;
        }
        found.extend(matching(store, filter, places).await?);
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().map(|((started_at, key), _)| Cursor { started_at: *started_at, key: key.clone() });
    Ok(Page { items: found.into_iter().map(|(_, saga)| saga).collect(), next: last.filter(|_| more) })
}

/// See [`crate::Store::count`]. Without labels it is what the cells say; with some it walks all that have the first.
pub(super) async fn count(store: &RedisStore, filter: &Filter) -> Result<Vec<(String, u64)>, Failure> {
    const PAGE: usize = 512;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    if filter.labels.is_empty() {
        for (_, cell, _, count) in cells(store).await?.into_iter().filter(|(_, cell, ..)| cell.matches(filter)) {
            *counts.entry(cell.status).or_default() += count;
        }
        return Ok(counts.into_iter().collect());
    }
    let mut merge = merge(store, filter, None).await?;
    loop {
        let places = merge.next(PAGE).await?;
        if places.is_empty() {
            return Ok(counts.into_iter().collect());
        }
        for (_, saga) in matching(store, filter, places).await? {
            *counts.entry(saga.status).or_default() += 1;
        }
    }
}

/// See [`crate::Store::count_open`].
pub(super) async fn count_open(
    store: &RedisStore,
    namespace: &Namespace,
    definition: &DefinitionName,
) -> Result<Vec<(Version, String, u64)>, Failure> {
    let mut counts: BTreeMap<(Version, String), u64> = BTreeMap::new();
    for (_, cell, _, count) in cells(store).await? {
        if cell.open && cell.namespace == *namespace && cell.definition == *definition {
            *counts.entry((cell.version, cell.status)).or_default() += count;
        }
    }
    Ok(counts.into_iter().map(|((version, status), count)| (version, status, count)).collect())
}

/// See [`crate::Store::open_sagas`].
pub(super) async fn open_sagas(store: &RedisStore, shard: ShardId) -> Result<u64, Failure> {
    let key = store.keys.counts(shard);
    let mut all = redis::cmd("HGETALL");
    all.arg(&key);
    let answers = store.router.read(vec![(slot_of(&key), all)]).await?;
    let counts: BTreeMap<String, i64> = answers.into_iter().next().map_or(Ok(BTreeMap::new()), values::read)?;
    let open = counts.iter().filter(|(text, _)| Cell::read(text).is_some_and(|cell| cell.open));
    Ok(open.filter_map(|(_, count)| u64::try_from(*count).ok()).sum())
}

/// See [`crate::Store::oldest_start`].
pub(super) async fn oldest_start(store: &RedisStore) -> Result<Option<Timestamp>, Failure> {
    let tenants: BTreeSet<(ShardId, Namespace)> =
        cells(store).await?.into_iter().map(|(shard, cell, ..)| (shard, cell.namespace)).collect();
    let ask = |(shard, namespace): &(ShardId, Namespace)| {
        let key = store.keys.index(*shard);
        let mut first = redis::cmd("ZRANGE");
        first.arg(&key).arg(format!("[s,{namespace},")).arg(format!("(s,{namespace}-")).arg("BYLEX");
        first.arg("LIMIT").arg(0).arg(1);
        (slot_of(&key), first)
    };
    let mut oldest = None;
    for ((_, namespace), answer) in tenants.iter().zip(store.router.read(tenants.iter().map(ask).collect()).await?) {
        let members: Vec<String> = values::read(answer)?;
        let at = |member: &String| {
            let (at, _) = member.strip_prefix(&format!("s,{namespace},"))?.split_once(',')?;
            to_time(at)
        };
        oldest = members.first().and_then(at).into_iter().chain(oldest).min();
    }
    Ok(oldest)
}

//! Lists and counts: the same index in every shard, merged by whoever asks.
//!
//! A list asks every shard for its part of the index, in the order of the list: all sagas of a tenant, those of the cells that
//! pass the filter, or those with a label. What the index can't tell (other labels, errors, ages) is checked on the saga.
//! Invariants: a page costs a page and not the store; a shard's part is read at one moment (`lua/list.lua`) and a saga never leaves
//! its shard, so that one that moves between cells is given once if it passed the filter all the time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use amends_engine::ids::{DefinitionName, Namespace, SagaKey, Version};
use amends_engine::time::Timestamp;
use redis::{Cmd, Value};

use super::RedisStore;
use super::failure::Failure;
use super::fields::{from_time, label, to_key, to_time};
use super::keys::slot_of;
use super::values;
use crate::cell::Cell;
use crate::contract::{Cursor, Filter, ListedSaga, Page, SagaKind, ShardId};
use crate::narrow::{Counts, Known, Narrow, VISITS};
use crate::planted;

/// A shard's part, read by `EVAL_RO`: it can't write, and works on a full server.
const SCRIPT: &str = include_str!("lua/list.lua");

/// How many members of a shard are read ahead at least, and at most.
const AHEAD: std::ops::RangeInclusive<usize> = 8..=1_024;

/// Below how many sagas in its cells a shard is walked by cells though there is a label.
const FEW: usize = 8;

/// How many sagas a count looks at together.
const TOGETHER: usize = 512;

/// Where a saga stands in a list.
type Place = (Timestamp, SagaKey);

/// The place above all that is still wanted, as the script takes it; empty: from the top.
#[derive(Debug, Clone, Default)]
struct Below {
    at: String,
    namespace: String,
    id: String,
}

impl Below {
    fn place((at, key): &Place) -> Self {
        Self { at: from_time(*at), namespace: key.namespace.to_string(), id: key.id.to_string() }
    }

    /// Where a list begins. A saga that waits since some time was started by then.
    fn first(filter: &Filter, after: Option<&Cursor>) -> Self {
        let cursor = after.map(|cursor| (cursor.started_at, cursor.key.clone()));
        match (&cursor, filter.waiting_since) {
            (Some(place), since) if since.is_none_or(|since| place.0 <= since) => Self::place(place),
            (_, Some(Timestamp(since))) if since < u64::MAX => {
                Self { at: from_time(Timestamp(since + 1)), ..Self::default() }
            }
            (Some(place), _) => Self::place(place),
            (None, _) => Self::default(),
        }
    }
}

/// Which places are walked where many sagas pass: each is looked at in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Walk {
    /// All, where at least a quarter pass: much cheaper than the newest of many cells.
    OverAll,
    /// Those alone that are in the cells that pass.
    ByCell,
}

/// A shard's part, with what was read of it and not used yet.
struct Source {
    shard: ShardId,
    below: Below,
    ahead: VecDeque<Place>,
    ended: bool,
    /// How many are asked for, the next time.
    asks: usize,
}

impl Source {
    fn is_dry(&self) -> bool {
        self.ahead.is_empty() && !self.ended
    }

    /// Whether it will soon be dry: when one is, such are read on with it, rather than each in a round trip of its own.
    fn is_low(&self) -> bool {
        self.ahead.len() <= self.asks / 8 && !self.ended
    }

    /// Of every source that was cut off, only what is above the highest cut is known to be all there is.
    fn take(&mut self, answer: Value) -> Result<(), Failure> {
        // Whoever reads on, reads a lot.
        self.asks = (self.asks * 2).min(*AHEAD.end());
        let (asked, sources): (usize, Vec<Vec<String>>) = values::read(answer)?;
        let (mut places, mut horizon) = (Vec::new(), None);
        for source in sources {
            let mut members = source.into_iter();
            let prefix = members.next().ok_or(Failure::Nonsense("a source without a name"))?;
            let namespace = prefix.split(',').nth(1).unwrap_or_default();
            let count = members.len();
            // A member that can't be read is damage of the index, which `check` tells of.
            let read = |member: String| place(namespace, member.strip_prefix(&prefix)?);
            let found: Vec<Place> = members.filter_map(read).collect();
            if count == asked {
                horizon = horizon.max(found.last().cloned());
            }
            places.extend(found);
        }
        self.ended = horizon.is_none();
        if let Some(horizon) = &horizon {
            places.retain(|place| place >= horizon);
            self.below = Below::place(horizon);
        }
        places.sort_by(|one, other| other.cmp(one));
        self.ahead.extend(places);
        Ok(())
    }
}

fn place(namespace: &str, rest: &str) -> Option<Place> {
    let (at, id) = rest.split_once(',')?;
    Some((to_time(at)?, to_key(namespace, id)?))
}

/// The parts of all shards in one order, the newest first.
struct Merge<'a> {
    store: &'a RedisStore,
    /// The filter, as the script takes it.
    asked: Vec<String>,
    sources: Vec<Source>,
}

impl<'a> Merge<'a> {
    /// Of all shards together, so many places are expected to be wanted.
    fn new(store: &'a RedisStore, filter: &Filter, after: Option<&Cursor>, expected: usize, walk: Walk) -> Self {
        let below = Below::first(filter, after);
        // Twice a shard's share, as the newest aren't spread evenly.
        let asks = (expected * 2 / store.all_shards().count().max(1)).clamp(*AHEAD.start(), *AHEAD.end());
        let source = |shard| Source { shard, below: below.clone(), ahead: VecDeque::new(), ended: false, asks };
        Self { store, asked: asked(filter, walk), sources: store.all_shards().map(source).collect() }
    }

    /// At most so many more places, in order; fewer when there are no more.
    async fn next(&mut self, wanted: usize) -> Result<Vec<Place>, Failure> {
        let mut places = Vec::new();
        while places.len() < wanted {
            self.fill().await?;
            let newest = self.sources.iter_mut().max_by(|one, other| one.ahead.front().cmp(&other.ahead.front()));
            let Some(place) = newest.and_then(|source| source.ahead.pop_front()) else { break };
            places.push(place);
        }
        Ok(places)
    }

    /// Reads on wherever nothing is left, so that the newest of all is among what was read.
    async fn fill(&mut self) -> Result<(), Failure> {
        let Self { store, asked, sources } = self;
        while sources.iter().any(Source::is_dry) {
            let low: Vec<&mut Source> = sources.iter_mut().filter(|source| source.is_low()).collect();
            let asks = low.iter().map(|source| ask(store, asked, source)).collect();
            for (source, answer) in low.into_iter().zip(store.router.read(asks).await?) {
                source.take(answer)?;
            }
        }
        Ok(())
    }
}

fn ask(store: &RedisStore, asked: &[String], source: &Source) -> (u16, Cmd) {
    let key = store.keys.index(source.shard);
    let mut ask = redis::cmd("EVAL_RO");
    ask.arg(SCRIPT).arg(2).arg(&key).arg(store.keys.counts(source.shard)).arg(source.asks).arg(asked);
    let Below { at, namespace, id } = &source.below;
    ask.arg(at).arg(namespace).arg(id);
    (slot_of(&key), ask)
}

/// A filter as the script takes it.
fn asked(filter: &Filter, walk: Walk) -> Vec<String> {
    let flag = |set: bool| if set { "1".to_owned() } else { String::new() };
    let statuses = filter.statuses.iter().map(|status| format!("{status},")).collect::<String>();
    vec![
        filter.namespace.as_ref().map(ToString::to_string).unwrap_or_default(),
        filter.definition.as_ref().map(ToString::to_string).unwrap_or_default(),
        filter.version.map(|version| version.to_string()).unwrap_or_default(),
        if statuses.is_empty() { statuses } else { format!(",{statuses}") },
        filter.stuck.clone().unwrap_or_default(),
        filter.held_up_at.as_ref().map(ToString::to_string).unwrap_or_default(),
        flag(filter.unacknowledged),
        flag(Narrow::of(filter).is_some()),
        filter.labels.first().map(label).unwrap_or_default(),
        FEW.to_string(),
        flag(walk == Walk::OverAll),
    ]
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

/// A saga that passes a filter.
struct Found {
    place: Place,
    cell: Cell,
    revision: u64,
    state: Vec<u8>,
}

/// The sagas at these places that pass the filter; the others have moved, or lack something that no index tells.
async fn matching(store: &RedisStore, filter: &Filter, places: Vec<Place>) -> Result<Vec<Found>, Failure> {
    let ask = |(_, key): &Place| {
        let name = store.keys.saga(crate::contract::shard_of(key, store.shards), key);
        let mut fields = redis::cmd("HMGET");
        fields.arg(&name).arg(&["rev", "state", "cell", "labels"]);
        (slot_of(&name), fields)
    };
    let answers = store.router.read(places.iter().map(ask).collect()).await?;
    let wanted: Vec<String> = filter.labels.iter().map(label).collect();
    let narrow = Narrow::of(filter);
    let mut found = Vec::new();
    for (place, answer) in places.into_iter().zip(answers) {
        type Fields = (Option<u64>, Option<Vec<u8>>, Option<String>, Option<String>);
        let (revision, state, cell, labels): Fields = values::read(answer)?;
        let (Some(revision), Some(state), Some(labels)) = (revision, state, labels) else { continue };
        let Some(cell) = cell.as_deref().and_then(Cell::read).filter(|cell| cell.matches(filter)) else { continue };
        if wanted.iter().all(|label| labels.split(',').any(|there| there == label))
            && narrow.as_ref().is_none_or(|narrow| narrow.passes(known(&cell, place.0), &state))
        {
            found.push(Found { place, cell, revision, state });
        }
    }
    Ok(found)
}

fn known(cell: &Cell, started_at: Timestamp) -> Known {
    Known { open: cell.open, stuck: cell.stuck.is_some(), started_at }
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
    // What the index can't tell may leave few of many.
    let is_loose = Narrow::of(filter).is_some() || !filter.labels.is_empty();
    let (at_once, expected) = if is_loose { (TOGETHER, VISITS.max(wanted)) } else { (wanted, wanted) };
    let mut walk = if is_loose { Walk::ByCell } else { Walk::OverAll };
    let mut merge = Merge::new(store, filter, after, expected, walk);
    let (mut found, mut seen, mut next) = (Vec::new(), 0, None);
    while found.len() < wanted {
        let places = merge.next(at_once).await?;
        let Some(last) = places.last().cloned() else { break };
        seen += places.len();
        found.extend(matching(store, filter, places).await?);
        let is_short = seen >= VISITS.max(wanted) && found.len() < wanted;
        if is_short && is_loose {
            next = Some(last);
            break;
        }
        if is_short && walk == Walk::OverAll {
            // Those that pass are older than most.
            walk = Walk::ByCell;
            merge = Merge::new(store, filter, Some(&cursor(last)), expected, walk);
        }
    }
    if found.len() > limit {
        let skipped = found.last().map(|last| last.place.clone()).filter(|_| planted::is("redis_page_skips"));
        found.truncate(limit);
        next = skipped.or_else(|| found.last().map(|last| last.place.clone()));
    }
    let listed = |Found { place: (_, key), cell, revision, state }| ListedSaga {
        key,
        revision,
        state: state.into(),
        status: cell.status,
    };
    Ok(Page { items: found.into_iter().map(listed).collect(), next: next.map(cursor) })
}

fn cursor((started_at, key): Place) -> Cursor {
    Cursor { started_at, key }
}

/// See [`crate::Store::count`]. What the cells can't tell is walked.
pub(super) async fn count(store: &RedisStore, filter: &Filter) -> Result<Vec<(SagaKind, u64)>, Failure> {
    let mut counts = Counts::new();
    let walked = if filter.labels.is_empty() && filter.error.is_none() {
        let cells: Vec<_> = cells(store).await?.into_iter().filter(|(_, cell, ..)| cell.matches(filter)).collect();
        match filter.waiting_since {
            None => {
                cells.into_iter().for_each(|(_, cell, _, count)| *counts.entry(cell.kind()).or_default() += count);
                return Ok(counts.into_iter().collect());
            }
            Some(since) => count_started_by(store, cells, since, &mut counts).await?,
        }
        // Only of those that are stuck is the age another one than that of their start.
        Filter { stuck: filter.stuck.clone().or_else(|| Some("*".to_owned())), ..filter.clone() }
    } else {
        filter.clone()
    };
    let mut merge = Merge::new(store, &walked, None, usize::from(u16::MAX), Walk::ByCell);
    loop {
        let places = merge.next(TOGETHER).await?;
        if places.is_empty() {
            return Ok(counts.into_iter().collect());
        }
        let stuck_only = walked.stuck.as_deref() == Some("*");
        for found in matching(store, filter, places).await? {
            if !stuck_only || found.cell.stuck.is_some() {
                *counts.entry(found.cell.kind()).or_default() += 1;
            }
        }
    }
}

/// Counts those of cells that aren't stuck and were started by then.
async fn count_started_by(
    store: &RedisStore,
    cells: Vec<(ShardId, Cell, String, u64)>,
    since: Timestamp,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let cells: Vec<_> = cells.into_iter().filter(|(_, cell, ..)| cell.stuck.is_none()).collect();
    let ask = |(shard, _, text, _): &(ShardId, Cell, String, u64)| {
        let key = store.keys.index(*shard);
        let mut count = redis::cmd("ZLEXCOUNT");
        count.arg(&key).arg(format!("[c,{text},")).arg(format!("(c,{text},{}-", from_time(since)));
        (slot_of(&key), count)
    };
    let answers = store.router.read(cells.iter().map(ask).collect()).await?;
    for ((_, cell, ..), answer) in cells.into_iter().zip(answers) {
        let count = values::number(answer)?;
        if count > 0 {
            *counts.entry(cell.kind()).or_default() += count;
        }
    }
    Ok(())
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

//! Lists and counts: a filter becomes a merge of cells, each read from the top down by one index.
//!
//! Which way is decided here and not by the planner, which has no figures to decide by: every saga by its start where the filter
//! leaves out no cell; those with the first label where that is likely to be less; else cell by cell, so that a page costs a page,
//! however many sagas there are beside. Invariant: the order (start, namespace, id, all downwards) never changes for a saga, so a
//! cursor stays right; one page is read from one state of the database.

use std::collections::{BTreeMap, BinaryHeap};

use amends_engine::ids::{DefinitionName, Namespace, SagaKey, Version};
use amends_engine::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, Rows, Statement, params_from_iter};

use super::cells::{Counted, matching};
use super::columns::{from_time, to_time, to_u64};
use super::read::{read_bytes, read_key};
use crate::contract::{Cursor, Filter, ListedSaga, Page, SagaKind};
use crate::narrow::{Counts, Known, Narrow, VISITS};
use crate::planted;

/// Below how many sagas in its cells a list is merged of cells though there is a label.
const FEW: u64 = 4_096;

/// Where the rows of a walk come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Everything,
    Cell,
    Label,
}

impl Way {
    fn from(self) -> &'static str {
        match self {
            Self::Everything => "saga INDEXED BY saga_started",
            Self::Cell => "saga INDEXED BY saga_cell",
            Self::Label => "label INDEXED BY label_value CROSS JOIN saga ON saga.saga = label.saga",
        }
    }

    /// By what its index is sorted.
    fn started_at(self) -> &'static str {
        if self == Self::Label { "label.started_at" } else { "saga.started_at" }
    }
}

/// One query, run once per cell or just once.
struct Plan {
    way: Way,
    /// What every run is asked with, behind what it is asked with alone.
    values: Vec<Value>,
    /// What each run is asked with alone.
    runs: Vec<Vec<Value>>,
    conditions: String,
    cells: BTreeMap<i64, SagaKind>,
}

impl Plan {
    fn new(filter: &Filter, cells: Vec<Counted>, every: bool) -> Self {
        let sagas: u64 = cells.iter().map(|cell| cell.count).sum();
        let text = |text: &String| Value::from(text.clone());
        let way = match filter.labels.first() {
            Some(_) if sagas >= FEW => Way::Label,
            _ if every => Way::Everything,
            _ => Way::Cell,
        };
        let (mut conditions, runs) = match (way, filter.labels.first()) {
            (Way::Label, Some((name, value))) => {
                ("label.name = ? AND label.value = ?".to_owned(), vec![vec![text(name), text(value)]])
            }
            (Way::Cell, _) => ("saga.cell = ?".to_owned(), cells.iter().map(|cell| vec![cell.number.into()]).collect()),
            (Way::Everything | Way::Label, _) => ("1".to_owned(), vec![Vec::new()]),
        };
        let mut values = Vec::new();
        for (name, value) in filter.labels.iter().skip(usize::from(way == Way::Label)) {
            conditions +=
                " AND EXISTS (SELECT 1 FROM label AS l WHERE l.saga = saga.saga AND l.name = ? AND l.value = ?)";
            values.extend([text(name), text(value)]);
        }
        let cells = cells.into_iter().map(|counted| (counted.number, counted.cell.kind())).collect();
        Self { way, values, runs, conditions, cells }
    }

    /// Not started later than this.
    fn until(&mut self, at: Timestamp) {
        self.conditions += &format!(" AND {} <= ?", self.way.started_at());
        self.values.push(from_time(at).into());
    }

    fn after(&mut self, cursor: &Cursor) {
        // The first half lets the index jump there; the second is exact.
        self.until(cursor.started_at);
        self.conditions += &format!(" AND ({}, saga.namespace, saga.id) < (?, ?, ?)", self.way.started_at());
        let key = [cursor.key.namespace.as_str(), cursor.key.id.as_str()].map(|name| Value::from(name.to_owned()));
        self.values.extend(std::iter::once(from_time(cursor.started_at).into()).chain(key));
    }

    fn query(&self) -> String {
        let (from, started_at, conditions) = (self.way.from(), self.way.started_at(), &self.conditions);
        format!(
            "SELECT saga.namespace, saga.id, saga.started_at, saga.cell, saga.revision, saga.open, saga.status, saga.state \
             FROM {from} WHERE {conditions} ORDER BY {started_at} DESC, saga.namespace DESC, saga.id DESC"
        )
    }

    fn values(&self, run: usize) -> impl Iterator<Item = Value> + '_ {
        self.runs[run].iter().chain(&self.values).cloned()
    }
}

/// A saga with its place in the order.
struct Placed {
    place: (Timestamp, SagaKey),
    cell: i64,
    open: bool,
    saga: ListedSaga,
}

impl Placed {
    /// `None` where the names can't be read.
    fn read(row: &Row<'_>) -> rusqlite::Result<Option<Self>> {
        let Some(key) = read_key(row, 0)? else {
            tracing::error!("a saga's row is damaged and left out of a list: its names can't be read");
            return Ok(None);
        };
        let saga = ListedSaga {
            key: key.clone(),
            revision: to_u64(row.get(4)?),
            state: read_bytes(row, 7)?,
            status: String::from_utf8_lossy(row.get_ref(6)?.as_bytes()?).into_owned(),
        };
        Ok(Some(Self { place: (to_time(row.get(2)?), key), cell: row.get(3)?, open: row.get(5)?, saga }))
    }

    fn next(rows: &mut Rows<'_>) -> rusqlite::Result<Option<Self>> {
        while let Some(row) = rows.next()? {
            if let Some(placed) = Self::read(row)? {
                return Ok(Some(placed));
            }
        }
        Ok(None)
    }
}

/// The first of one run, by its place.
struct Head {
    placed: Placed,
    run: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.placed.place.cmp(&other.placed.place)
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.placed.place == other.placed.place
    }
}

impl Eq for Head {}

/// Gives the sagas of all runs in order, the newest first, until `see` says that it is enough.
fn walk(conn: &Connection, plan: &Plan, mut see: impl FnMut(Placed) -> bool) -> rusqlite::Result<()> {
    let query = plan.query();
    let prepared: rusqlite::Result<Vec<Statement<'_>>> = plan.runs.iter().map(|_| conn.prepare(&query)).collect();
    let mut statements = prepared?;
    let mut runs: Vec<Rows<'_>> = Vec::with_capacity(statements.len());
    for (run, statement) in statements.iter_mut().enumerate() {
        runs.push(statement.query(params_from_iter(plan.values(run)))?);
    }
    let mut heads = BinaryHeap::new();
    for (run, rows) in runs.iter_mut().enumerate() {
        heads.extend(Placed::next(rows)?.map(|placed| Head { placed, run }));
    }
    while let Some(Head { placed, run }) = heads.pop() {
        if !see(placed) {
            break;
        }
        heads.extend(Placed::next(&mut runs[run])?.map(|placed| Head { placed, run }));
    }
    Ok(())
}

/// See [`crate::Store::list`].
pub(super) fn list(
    conn: &Connection,
    filter: &Filter,
    after: Option<&Cursor>,
    limit: usize,
) -> rusqlite::Result<Page<ListedSaga>> {
    let (cells, every) = matching(conn, filter)?;
    let mut plan = Plan::new(filter, cells, every);
    let narrow = Narrow::of(filter);
    if let Some(since) = filter.waiting_since {
        plan.until(since);
    }
    if let Some(cursor) = after {
        plan.after(cursor);
    }
    // One more than asked for tells whether there is another page.
    let wanted = limit.saturating_add(1);
    let (mut found, mut seen, mut next) = (Vec::new(), 0, None);
    walk(conn, &plan, |placed| {
        seen += 1;
        let place = placed.place.clone();
        let passes = |kind: &SagaKind| {
            let known = Known { open: placed.open, stuck: kind.stuck.is_some(), started_at: place.0 };
            narrow.as_ref().is_none_or(|narrow| narrow.passes(known, &placed.saga.state))
        };
        if plan.cells.get(&placed.cell).is_some_and(passes) {
            found.push(placed);
        }
        if found.len() < wanted && seen >= VISITS.max(wanted) {
            next = Some(place);
        }
        found.len() < wanted && next.is_none()
    })?;
    if found.len() > limit {
        let skipped = found.last().map(|last| last.place.clone()).filter(|_| planted::is("page_skips"));
        found.truncate(limit);
        next = skipped.or_else(|| found.last().map(|last| last.place.clone()));
    }
    let next = next.map(|(started_at, key)| Cursor { started_at, key });
    Ok(Page { items: found.into_iter().map(|placed| placed.saga).collect(), next })
}

/// See [`crate::Store::count`].
pub(super) fn count(conn: &Connection, filter: &Filter) -> rusqlite::Result<Vec<(SagaKind, u64)>> {
    let mut counts = Counts::new();
    let mut add = |kind: &SagaKind, count: u64| {
        if count > 0 {
            *counts.entry(kind.clone()).or_default() += count;
        }
    };
    let (mut cells, every) = matching(conn, filter)?;
    let narrow = Narrow::of(filter);
    if filter.labels.is_empty() && filter.error.is_none() {
        // Only of those that are stuck is the age another one than that of their start.
        let (walked, told): (Vec<_>, Vec<_>) =
            cells.into_iter().partition(|counted| narrow.is_some() && counted.cell.stuck.is_some());
        for Counted { number, cell, count } in told {
            let since = filter.waiting_since.map(|since| started_by(conn, number, since)).transpose()?;
            add(&cell.kind(), since.unwrap_or(count));
        }
        if walked.is_empty() {
            return Ok(counts.into_iter().collect());
        }
        cells = walked;
    }
    let plan = Plan::new(filter, cells, every && narrow.is_none());
    let (from, conditions) = (plan.way.from(), &plan.conditions);
    let state = if narrow.is_some() { "saga.state" } else { "x''" };
    let query = format!("SELECT saga.cell, saga.open, saga.started_at, {state} FROM {from} WHERE {conditions}");
    let mut statement = conn.prepare_cached(&query)?;
    for run in 0..plan.runs.len() {
        let mut rows = statement.query(params_from_iter(plan.values(run)))?;
        while let Some(row) = rows.next()? {
            let Some(kind) = plan.cells.get(&row.get(0)?) else { continue };
            let state = row.get_ref(3)?.as_blob().unwrap_or_default();
            let known = Known { open: row.get(1)?, stuck: kind.stuck.is_some(), started_at: to_time(row.get(2)?) };
            add(kind, narrow.as_ref().is_none_or(|narrow| narrow.passes(known, state)).into());
        }
    }
    Ok(counts.into_iter().collect())
}

/// How many of a cell were started by then.
fn started_by(conn: &Connection, cell: i64, at: Timestamp) -> rusqlite::Result<u64> {
    let mut statement =
        conn.prepare_cached("SELECT count(*) FROM saga INDEXED BY saga_cell WHERE cell = ?1 AND started_at <= ?2")?;
    statement.query_row([cell, from_time(at)], |row| row.get(0).map(to_u64))
}

/// See [`crate::Store::count_open`].
pub(super) fn count_open(
    conn: &Connection,
    namespace: &Namespace,
    definition: &DefinitionName,
) -> rusqlite::Result<Vec<(Version, String, u64)>> {
    let filter =
        Filter { namespace: Some(namespace.clone()), definition: Some(definition.clone()), ..Filter::default() };
    let mut counts: BTreeMap<(Version, String), u64> = BTreeMap::new();
    for Counted { cell, count, .. } in matching(conn, &filter)?.0.into_iter().filter(|counted| counted.cell.open) {
        *counts.entry((cell.version, cell.status)).or_default() += count;
    }
    Ok(counts.into_iter().map(|((version, status), count)| (version, status, count)).collect())
}

#[cfg(test)]
mod tests {
    use amends_engine::ids::SagaId;

    use super::super::schema::OBJECTS;
    use super::*;
    use crate::cell::Cell;

    fn counted(count: u64) -> Vec<Counted> {
        let cell = Cell::read("default,checkout,1,running,,1").unwrap();
        vec![Counted { number: 1, cell, count }]
    }

    /// A page costs a page: no walk over the whole table, and no more sorting than of what started together.
    #[test]
    fn every_list_walks_an_index_in_its_order() {
        let conn = Connection::open_in_memory().unwrap();
        for (_, statement) in OBJECTS {
            conn.execute_batch(statement).unwrap();
        }
        let key = SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("order").unwrap() };
        let cursor = Cursor { started_at: Timestamp(1), key };
        let labels = vec![("order".to_owned(), "1".to_owned()), ("customer".to_owned(), "2".to_owned())];
        let labelled = Filter { labels, ..Filter::default() };
        for (filter, count, every, index) in [
            (Filter::default(), 9, true, "saga_started"),
            (Filter::default(), 9, false, "saga_cell"),
            (labelled.clone(), FEW, true, "label_value"),
            (labelled.clone(), FEW - 1, false, "saga_cell"),
        ] {
            for after in [None, Some(&cursor)] {
                let mut plan = Plan::new(&filter, counted(count), every);
                after.into_iter().for_each(|cursor| plan.after(cursor));
                let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {}", plan.query())).unwrap();
                let lines =
                    statement.query_map(params_from_iter(plan.values(0)), |row| row.get::<_, String>(3)).unwrap();
                let lines: Vec<String> = lines.map(Result::unwrap).collect();
                assert!(lines[0].contains(&format!("INDEX {index}")), "{filter:?}: {lines:?}");
                assert!(!lines.iter().any(|line| line == "USE TEMP B-TREE FOR ORDER BY"), "{filter:?}: {lines:?}");
                let jumps = lines.iter().any(|line| line.contains("started_at<?"));
                assert_eq!(jumps, after.is_some(), "{filter:?}: {lines:?}");
            }
        }
    }
}

//! Lists and counts: a filter becomes one query that walks one index.
//!
//! Which index is decided here and not by the planner, which has no figures to decide by. Several statuses are asked for one
//! by one and merged, so that a page costs a page, however many sagas have each status.
//! Invariant: the order (start, namespace, id, all downwards) never changes for a saga, so a cursor stays right.

use amends_engine::ids::{DefinitionName, Namespace, SagaKey, Version};
use amends_engine::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::columns::{from_limit, from_time, to_time, to_u64};
use super::read::{read_bytes, read_key};
use crate::contract::{Cursor, Filter, ListedSaga, Page};

/// The part of a query after `SELECT …`.
struct Source {
    from: &'static str,
    /// The column by which the index is sorted.
    started_at: &'static str,
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Source {
    fn new(filter: &Filter, statuses: &[String]) -> Self {
        let by_label = "label INDEXED BY label_value CROSS JOIN saga ON saga.saga = label.saga";
        let (from, started_at) = if filter.stuck.is_some() {
            ("saga INDEXED BY saga_stuck", "saga.started_at")
        } else if !filter.labels.is_empty() {
            (by_label, "label.started_at")
        } else if !statuses.is_empty() {
            ("saga INDEXED BY saga_status", "saga.started_at")
        } else if filter.definition.is_some() {
            ("saga INDEXED BY saga_definition", "saga.started_at")
        } else {
            ("saga INDEXED BY saga_started", "saga.started_at")
        };
        let mut source = Self { from, started_at, conditions: vec!["1".into()], values: Vec::new() };
        source.narrow(filter, statuses);
        source
    }

    fn narrow(&mut self, filter: &Filter, statuses: &[String]) {
        if let Some(stuck) = &filter.stuck {
            self.add("saga.stuck = ?", [stuck.clone()]);
        }
        for (index, (name, value)) in filter.labels.iter().enumerate() {
            let walked = index == 0 && filter.stuck.is_none();
            let condition = if walked {
                "label.name = ? AND label.value = ?"
            } else {
                "EXISTS (SELECT 1 FROM label AS l WHERE l.saga = saga.saga AND l.name = ? AND l.value = ?)"
            };
            self.add(condition, [name.clone(), value.clone()]);
        }
        if !statuses.is_empty() {
            let marks = vec!["?"; statuses.len()].join(", ");
            self.add(&format!("saga.status IN ({marks})"), statuses.iter().cloned());
        }
        if let Some(definition) = &filter.definition {
            self.add("saga.definition = ?", [definition.to_string()]);
        }
        if let Some(namespace) = &filter.namespace {
            self.add("saga.namespace = ?", [namespace.to_string()]);
        }
        if let Some(version) = filter.version {
            self.add("saga.version = ?", [i64::from(version.0)]);
        }
    }

    fn add<V: Into<Value>>(&mut self, condition: &str, values: impl IntoIterator<Item = V>) {
        self.conditions.push(condition.to_owned());
        self.values.extend(values.into_iter().map(Into::into));
    }

    fn after(&mut self, cursor: &Cursor) {
        let Self { started_at, .. } = self;
        // The first half lets the index jump there; the second is exact.
        let condition = format!("{started_at} <= ? AND ({started_at}, saga.namespace, saga.id) < (?, ?, ?)");
        let at = || Value::from(from_time(cursor.started_at));
        let key = [cursor.key.namespace.as_str(), cursor.key.id.as_str()].map(|name| Value::from(name.to_owned()));
        self.conditions.push(condition);
        self.values.extend([at(), at()].into_iter().chain(key));
    }

    fn conditions(&self) -> String {
        self.conditions.join(" AND ")
    }
}

/// A saga with its place in the order.
struct Placed {
    cursor: Cursor,
    saga: ListedSaga,
}

impl Placed {
    fn place(&self) -> (Timestamp, &SagaKey) {
        (self.cursor.started_at, &self.cursor.key)
    }

    /// `None` where the names can't be read.
    fn read(row: &Row<'_>) -> rusqlite::Result<Option<Self>> {
        let Some(key) = read_key(row, 0)? else {
            tracing::error!("a saga's row is damaged and left out of a list: its names can't be read");
            return Ok(None);
        };
        let saga = ListedSaga {
            key: key.clone(),
            revision: to_u64(row.get(2)?),
            state: read_bytes(row, 3)?,
            status: String::from_utf8_lossy(row.get_ref(4)?.as_bytes()?).into_owned(),
        };
        Ok(Some(Self { cursor: Cursor { started_at: to_time(row.get(5)?), key }, saga }))
    }
}

/// See [`crate::Store::list`].
pub(super) fn list(
    conn: &Connection,
    filter: &Filter,
    after: Option<&Cursor>,
    limit: usize,
) -> rusqlite::Result<Page<ListedSaga>> {
    let statuses = distinct_statuses(filter);
    // One more than asked for tells whether there is another page.
    let wanted = limit.saturating_add(1);
    let mut found = Vec::new();
    if statuses.is_empty() {
        found = walk(conn, Source::new(filter, &[]), after, wanted)?;
    }
    for status in statuses.chunks(1) {
        found.extend(walk(conn, Source::new(filter, status), after, wanted)?);
    }
    found.sort_by(|a, b| b.place().cmp(&a.place()));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().map(|last| last.cursor.clone()).filter(|_| more);
    Ok(Page { items: found.into_iter().map(|placed| placed.saga).collect(), next })
}

fn walk(conn: &Connection, source: Source, after: Option<&Cursor>, limit: usize) -> rusqlite::Result<Vec<Placed>> {
    let (query, values) = walk_query(source, after, limit);
    let mut statement = conn.prepare_cached(&query)?;
    let rows = statement.query_map(params_from_iter(values), Placed::read)?;
    rows.filter_map(Result::transpose).collect()
}

fn walk_query(mut source: Source, after: Option<&Cursor>, limit: usize) -> (String, Vec<Value>) {
    if let Some(cursor) = after {
        source.after(cursor);
    }
    let (from, started_at, conditions) = (source.from, source.started_at, source.conditions());
    source.values.push(from_limit(limit).into());
    let query = format!(
        "SELECT saga.namespace, saga.id, saga.revision, saga.state, saga.status, saga.started_at FROM {from} \
         WHERE {conditions} ORDER BY {started_at} DESC, saga.namespace DESC, saga.id DESC LIMIT ?"
    );
    (query, source.values)
}

/// See [`crate::Store::count`].
pub(super) fn count(conn: &Connection, filter: &Filter) -> rusqlite::Result<Vec<(String, u64)>> {
    let source = Source::new(filter, &distinct_statuses(filter));
    let (from, conditions) = (source.from, source.conditions());
    // Without a filter the index on the status alone has all that is counted.
    let from = if filter == &Filter::default() { "saga INDEXED BY saga_status" } else { from };
    let mut statement = conn.prepare_cached(&format!(
        "SELECT saga.status, count(*) FROM {from} WHERE {conditions} GROUP BY saga.status ORDER BY saga.status"
    ))?;
    let rows = statement.query_map(params_from_iter(source.values), |row| {
        let status = String::from_utf8_lossy(row.get_ref(0)?.as_bytes()?).into_owned();
        Ok((status, to_u64(row.get(1)?)))
    })?;
    rows.collect()
}

/// See [`crate::Store::count_open`]. Walks all sagas of the definition that are kept.
pub(super) fn count_open(
    conn: &Connection,
    namespace: &Namespace,
    definition: &DefinitionName,
) -> rusqlite::Result<Vec<(Version, String, u64)>> {
    let mut statement = conn.prepare_cached(
        "SELECT version, status, count(*) FROM saga INDEXED BY saga_definition WHERE definition = ?1 AND namespace = ?2 \
         AND open = 1 GROUP BY version, status ORDER BY version, status",
    )?;
    let rows = statement.query_map([definition.as_str(), namespace.as_str()], |row| {
        let status = String::from_utf8_lossy(row.get_ref(1)?.as_bytes()?).into_owned();
        Ok((Version(row.get(0)?), status, to_u64(row.get(2)?)))
    })?;
    rows.collect()
}

fn distinct_statuses(filter: &Filter) -> Vec<String> {
    let mut statuses = filter.statuses.clone();
    statuses.sort();
    statuses.dedup();
    statuses
}

#[cfg(test)]
mod tests {
    use amends_engine::ids::SagaId;

    use super::super::schema::OBJECTS;
    use super::*;

    fn filters() -> Vec<Filter> {
        let definition = Some(DefinitionName::parse("checkout").unwrap());
        let labels = vec![("order".to_owned(), "1".to_owned())];
        let statuses = vec!["running".to_owned()];
        let all = Filter::default;
        vec![
            all(),
            Filter { namespace: Some(Namespace::default_namespace()), version: Some(Version(1)), ..all() },
            Filter { statuses: statuses.clone(), ..all() },
            Filter { definition: definition.clone(), ..all() },
            Filter { definition, statuses, ..all() },
            Filter { labels: labels.clone(), ..all() },
            Filter { stuck: Some("poison".into()), labels, ..all() },
        ]
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
        for (filter, after) in filters().iter().flat_map(|filter| [(filter, None), (filter, Some(&cursor))]) {
            let (query, values) = walk_query(Source::new(filter, &filter.statuses), after, 10);
            let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
            let plan = statement.query_map(params_from_iter(values), |row| row.get::<_, String>(3)).unwrap();
            let plan: Vec<String> = plan.map(Result::unwrap).collect();
            assert!(plan.iter().any(|line| line.contains("INDEX")), "{filter:?}: {plan:?}");
            assert!(!plan.iter().any(|line| line == "USE TEMP B-TREE FOR ORDER BY"), "{filter:?}: {plan:?}");
            let jumps = plan.iter().any(|line| line.contains("started_at<?"));
            assert_eq!(jumps, after.is_some(), "{filter:?}: {plan:?}");
        }
    }
}

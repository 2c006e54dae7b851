//! Are two stores equal? Everything of the source is looked up in the target, counted and digested on both sides.
//!
//! Reads only, and reads both stores whole. Invariant: a report agrees exactly when the target holds all that the source holds,
//! as it holds it, and nothing else.

use amends_engine::payload::Digest;

use super::copy::{Pages, Progress, RESERVED_PAGE};
use super::saga::{PARTS, SagaRecord};
use super::{CopyError, Export, logs};
use crate::contract::{DefinitionRecord, Filter, ParticipantRecord, Store};
use crate::error::StoreError;
use crate::record;

/// How many there are, and one digest over all of them in the source's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// Of all their bytes.
    pub digest: Digest,
}

impl Sum {
    pub(super) const NOTHING: Self = Self { count: 0, digest: Digest([0; 32]) };

    pub(super) fn add(&mut self, count: u64, bytes: &[u8]) {
        self.count += count;
        self.digest = Digest::of(&[self.digest.0.as_slice(), bytes].concat());
    }

    fn of<T>(items: &[T], bytes: impl Fn(&T) -> Vec<u8>) -> Self {
        let mut sum = Self::NOTHING;
        items.iter().for_each(|item| sum.add(1, &bytes(item)));
        sum
    }
}

/// One kind of content on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What is compared.
    pub what: &'static str,
    /// In the source.
    pub source: Sum,
    /// In the target.
    pub target: Sum,
}

impl Line {
    /// Whether both sides are equal.
    pub fn agrees(&self) -> bool {
        self.source == self.target
    }
}

/// The comparison of two stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Every kind of content, in a fixed order.
    pub lines: Vec<Line>,
    /// The first saga that isn't in the target as it is in the source.
    pub first_difference: Option<String>,
}

impl Report {
    /// Whether both stores are equal.
    pub fn agrees(&self) -> bool {
        self.lines.iter().all(Line::agrees)
    }
}

/// How many sagas a store has, whatever can be read of them.
pub(super) async fn total(store: &dyn Store) -> Result<u64, StoreError> {
    Ok(store.count(&Filter::default()).await?.iter().map(|(_, count)| count).sum())
}

/// Compares everything.
pub(super) async fn verify(
    source: &dyn Export,
    target: &dyn Export,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, CopyError> {
    let (mut lines, first_difference) = sagas(source, target, tell).await?;
    lines.push(reserved(source, target).await?);
    let definitions = [source.every_definition().await.map_err(CopyError::Source)?, target.every_definition().await?];
    lines.push(line("definitions", &definitions, definition_bytes));
    let deprecated = definitions.map(|records| records.into_iter().filter(|it| it.deprecated.is_some()).collect());
    lines.push(line("deprecations", &deprecated, deprecation_bytes));
    let participants = [source.all_participants().await.map_err(CopyError::Source)?, target.all_participants().await?];
    lines.push(line("participants", &participants, participant_bytes));
    lines.push(logs::verify_logs(source, target).await?);
    lines.push(logs::verify_documents(source, target).await?);
    Ok(Report { lines, first_difference })
}

fn line<T>(what: &'static str, [source, target]: &[Vec<T>; 2], bytes: impl Fn(&T) -> Vec<u8>) -> Line {
    Line { what, source: Sum::of(source, &bytes), target: Sum::of(target, &bytes) }
}

fn definition_bytes(record: &DefinitionRecord) -> Vec<u8> {
    [&record.version.0.to_be_bytes(), &record::encode_definition(record)[..]].concat()
}

fn deprecation_bytes(record: &DefinitionRecord) -> Vec<u8> {
    let name = format!("{}/{}/{}/", record.namespace, record.name, record.version.0);
    let mark = record.deprecated.as_ref().map(record::encode_deprecation).unwrap_or_default();
    [name.as_bytes(), &mark].concat()
}

fn participant_bytes(record: &ParticipantRecord) -> Vec<u8> {
    [&record.revision.to_be_bytes(), &record::encode_participant(record)[..]].concat()
}

async fn sagas(
    source: &dyn Export,
    target: &dyn Export,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<(Vec<Line>, Option<String>), CopyError> {
    let (mut sums, mut first) = ([[Sum::NOTHING; 2]; PARTS.len()], None);
    let mut pages = Pages::of(source).await?;
    while let Some(records) = pages.next().await? {
        let keys: Vec<_> = records.iter().map(|record| record.key.clone()).collect();
        for (record, found) in records.iter().zip(target.records(&keys).await?) {
            if found.as_ref() != Some(record) && first.is_none() {
                first = Some(record.key.to_string());
            }
            add(&mut sums, 0, Some(record));
            add(&mut sums, 1, found.as_ref());
        }
        tell(Progress { what: "sagas compared", done: pages.done(), of: pages.total() });
    }
    // What the source doesn't have wasn't looked up.
    sums[0][1].count += total(target).await?.saturating_sub(sums[0][1].count);
    let line = |(what, [source, target]): (&'static str, [Sum; 2])| Line { what, source, target };
    Ok((PARTS.into_iter().zip(sums).map(line).collect(), first))
}

fn add(sums: &mut [[Sum; 2]; PARTS.len()], side: usize, record: Option<&SagaRecord>) {
    let Some(record) = record else { return };
    for (sum, (count, bytes)) in sums.iter_mut().zip(record.parts()) {
        sum[side].add(count, &bytes);
    }
}

async fn reserved(source: &dyn Export, target: &dyn Export) -> Result<Line, CopyError> {
    let (mut sums, mut from) = ([Sum::NOTHING; 2], None);
    loop {
        let page = source.reserved(from, RESERVED_PAGE).await.map_err(CopyError::Source)?;
        for (id, is_there) in page.ids.iter().zip(target.are_reserved(&page.ids).await?) {
            sums[0].add(1, &id.0);
            if is_there {
                sums[1].add(1, &id.0);
            }
        }
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    sums[1].count += target.count_reserved().await?.saturating_sub(sums[1].count);
    let [source, target] = sums;
    Ok(Line { what: "reserved ids", source, target })
}

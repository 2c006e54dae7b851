//! Copying and comparing what belongs to shards and to none: logs, shard by shard, and documents, kind by kind.
//!
//! A log stays its shard's, whatever the number of shards: its entries are chained to each other. Invariant: a copied log has the
//! same numbers as its source's, the trimmed ones too, so that none is given again.

use super::copy::Progress;
use super::verify::{Line, Sum};
use super::{CopyError, Export, Filling, Import, LogRecord, TransferError};
use crate::contract::{Document, Log, ShardId, Span};
use crate::error::StoreError;
use crate::planted;

/// How many entries or documents are read and put together.
const PAGE: usize = 128;

/// A log of a store: its shard, which log, and which numbers it has.
type Place = (ShardId, Log, Span);

/// Every log that ever had an entry.
async fn places(store: &dyn Export) -> Result<Vec<Place>, StoreError> {
    let mut places = Vec::new();
    for shard in (0..store.info().shards).map(ShardId) {
        for log in Log::ALL {
            let span = store.log_span(shard, log).await?;
            if span != Span::NEW {
                places.push((shard, log, span));
            }
        }
    }
    Ok(places)
}

/// All entries of a log, page by page.
struct Entries<'a> {
    store: &'a dyn Export,
    place: Place,
    from: u64,
}

impl<'a> Entries<'a> {
    fn of(store: &'a dyn Export, place: Place) -> Self {
        Self { store, place, from: 0 }
    }

    async fn next(&mut self) -> Result<Option<Vec<LogRecord>>, StoreError> {
        let (shard, log, _) = self.place;
        let page = self.store.log_records(shard, log, self.from, PAGE).await?;
        let Some(last) = page.last() else { return Ok(None) };
        self.from = last.number.saturating_add(1);
        Ok(Some(page))
    }
}

/// Puts all logs.
pub(super) async fn put_logs(
    source: &dyn Export,
    target: &dyn Import,
    filling: &Filling,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), CopyError> {
    let places = places(source).await.map_err(CopyError::Source)?;
    let shards = target.info().shards;
    if let Some((shard, ..)) = places.iter().rfind(|(shard, ..)| shard.0 >= shards) {
        return Err(TransferError::Unfit(format!(
            "the source has logs of {} shards and the target has only {shards}: give one with at least as many (store.shards)",
            u32::from(shard.0) + 1
        ))
        .into());
    }
    if planted::is("copy_forgets_logs") {
        return Ok(());
    }
    let (mut done, of) = (0, places.iter().map(|(.., span)| span.next - span.first).sum());
    for place in places {
        let (shard, log, span) = place;
        // Also of a log of which everything was trimmed.
        target.put_log(filling, shard, log, span, Vec::new()).await?;
        let mut entries = Entries::of(source, place);
        while let Some(page) = entries.next().await.map_err(CopyError::Source)? {
            done += page.len() as u64;
            target.put_log(filling, shard, log, span, page).await?;
            tell(Progress { what: "log entries", done, of });
        }
    }
    Ok(())
}

/// Compares all logs.
pub(super) async fn verify_logs(source: &dyn Export, target: &dyn Export) -> Result<Line, CopyError> {
    let source = sum_of_logs(source).await.map_err(CopyError::Source)?;
    Ok(Line { what: "log entries", source, target: sum_of_logs(target).await? })
}

async fn sum_of_logs(store: &dyn Export) -> Result<Sum, StoreError> {
    let mut sum = Sum::NOTHING;
    for place in places(store).await? {
        let (shard, log, Span { first, next }) = place;
        let head = format!("{} {} {first} {next}", shard.0, log.name());
        sum.add(0, head.as_bytes());
        let mut entries = Entries::of(store, place);
        while let Some(page) = entries.next().await? {
            for LogRecord { number, op, body } in page {
                sum.add(1, &[&number.to_be_bytes(), op.0.to_be_bytes().as_slice(), &body].concat());
            }
        }
    }
    Ok(sum)
}

/// All documents, page by page.
struct Documents<'a> {
    store: &'a dyn Export,
    /// Those that are left, the next one at the end.
    kinds: Vec<String>,
    after: Option<String>,
}

impl<'a> Documents<'a> {
    async fn of(store: &'a dyn Export) -> Result<Self, StoreError> {
        let mut kinds = store.document_kinds().await?;
        kinds.reverse();
        Ok(Self { store, kinds, after: None })
    }

    async fn next(&mut self) -> Result<Option<Vec<Document>>, StoreError> {
        while let Some(kind) = self.kinds.last() {
            let page = self.store.list_documents(kind, self.after.as_deref(), PAGE).await?;
            self.after = page.last().map(|document| document.id.clone());
            if self.after.is_some() {
                return Ok(Some(page));
            }
            self.kinds.pop();
        }
        Ok(None)
    }
}

/// Puts all documents.
pub(super) async fn put_documents(
    source: &dyn Export,
    target: &dyn Import,
    filling: &Filling,
) -> Result<(), CopyError> {
    let mut documents = Documents::of(source).await.map_err(CopyError::Source)?;
    while let Some(page) = documents.next().await.map_err(CopyError::Source)? {
        target.put_documents(filling, page).await?;
    }
    Ok(())
}

/// Compares all documents.
pub(super) async fn verify_documents(source: &dyn Export, target: &dyn Export) -> Result<Line, CopyError> {
    let source = sum_of_documents(source).await.map_err(CopyError::Source)?;
    Ok(Line { what: "documents", source, target: sum_of_documents(target).await? })
}

async fn sum_of_documents(store: &dyn Export) -> Result<Sum, StoreError> {
    let mut sum = Sum::NOTHING;
    let mut documents = Documents::of(store).await?;
    while let Some(page) = documents.next().await? {
        for Document { kind, id, revision, body } in page {
            // The lengths keep names that run together apart.
            let head = format!("{}:{kind}{}:{id}{revision}:", kind.len(), id.len());
            sum.add(1, &[head.as_bytes(), &body].concat());
        }
    }
    Ok(sum)
}

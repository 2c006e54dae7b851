//! Copying a whole store: put everything, compare everything, mark the source, open the target.
//!
//! Breaking off at any point and running again ends right, because every step may be repeated and the order of the last two
//! is fixed. Invariant: at no moment may both stores be served from: the target opens only after the source is marked as moved.

use std::time::Duration;

use super::verify::{self, Report, total};
use super::{Export, Filling, Import, Moved, SagaRecord, Standing, TransferError, logs};
use crate::contract::{Cursor, Epoch, Filter, Store};
use crate::error::StoreError;
use crate::planted;

/// How many sagas are read and put together.
const PAGE: usize = 128;

/// How many reserved ids.
pub(super) const RESERVED_PAGE: usize = 4_096;

/// A node that was heard so recently may be alive. Many heartbeats: one that is only slow must not be taken for dead.
const ALIVE: Duration = Duration::from_secs(30);

/// How far a copy has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is done of what.
    pub what: &'static str,
    /// How many.
    pub done: u64,
    /// Of how many.
    pub of: u64,
}

/// What came of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copied {
    /// Both stores were compared and are equal; the source is marked, the target is open.
    Now(Report),
    /// An earlier run had come that far; the target may have been served from since.
    Before,
}

/// Why a store wasn't copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The target is the source.
    #[error("source and target are the same store, {0}")]
    Same(String),
    /// The source isn't in use.
    #[error("the source can't be copied: {}", .0.explain())]
    SourceStands(Standing),
    /// The source can't be read.
    #[error("the source can't be read")]
    Source(#[source] StoreError),
    /// Some of the source's sagas can't be read at all.
    #[error(
        "{missing} sagas of the source have a key that can't be read: `amends doctor` says more; restore a backup that has them"
    )]
    Unreadable {
        /// How many.
        missing: u64,
    },
    /// A coordinator has the target.
    #[error("node {node} at {address} uses the target: stop it first")]
    Live {
        /// Its name.
        node: String,
        /// Where it answers.
        address: String,
    },
    /// The source has been in use since an earlier, unfinished copy to this target.
    #[error(
        "the target is an unfinished copy of this store as it was before it was served from again: give an empty target \
         (on Redis another store.redis.name will do)"
    )]
    Outdated,
    /// The target refuses.
    #[error(transparent)]
    Target(#[from] TransferError),
    /// The target can't be used.
    #[error("the target can't be used")]
    TargetStore(#[from] StoreError),
    /// Both were compared and aren't equal; the target stays closed.
    #[error("source and target differ")]
    Differ(Report),
}

/// Copies `source` to `target`, which people know as `address`. `tell` hears how far it has got.
pub async fn copy(
    source: &dyn Export,
    target: &dyn Import,
    address: &str,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<Copied, CopyError> {
    let (from, to) = (source.info().id, target.info().id);
    if from == to {
        return Err(CopyError::Same(from));
    }
    let epochs = source.tenures().await.map_err(CopyError::Source)?;
    let highest = epochs.iter().map(|tenure| tenure.epoch).max().unwrap_or(Epoch(0));
    let epoch = if planted::is("copy_forgets_epochs") { Epoch(0) } else { highest };
    let filling = Filling { source: from, epoch };
    match source.standing().await.map_err(CopyError::Source)? {
        Standing::InUse => {}
        // It was compared before it was marked.
        Standing::Moved(moved) if moved.to == to => {
            target.finish(&filling).await?;
            return Ok(Copied::Before);
        }
        standing => return Err(CopyError::SourceStands(standing)),
    }
    refuse_live(target).await?;
    begin(target, &filling).await?;
    put(source, target, &filling, tell).await?;
    let report = verify::verify(source, target, tell).await?;
    if !report.agrees() && !planted::is("copy_not_compared") {
        return Err(CopyError::Differ(report));
    }
    if planted::is("copy_opens_target_first") {
        target.finish(&filling).await?;
    }
    source.mark_moved(&Moved { to, address: address.to_owned() }).await?;
    target.finish(&filling).await?;
    Ok(Copied::Now(report))
}

async fn refuse_live(target: &dyn Store) -> Result<(), CopyError> {
    let now = target.now().await?;
    let live = target.nodes().await?.into_iter().find(|node| node.heard_at + ALIVE > now);
    live.map_or(Ok(()), |node| Err(CopyError::Live { node: node.name, address: node.address }))
}

async fn begin(target: &dyn Import, filling: &Filling) -> Result<(), CopyError> {
    match target.begin(filling).await {
        Err(TransferError::Stands { standing: Standing::Filling(other) }) if other.source == filling.source => {
            Err(CopyError::Outdated)
        }
        other => Ok(other?),
    }
}

async fn put(
    source: &dyn Export,
    target: &dyn Import,
    filling: &Filling,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), CopyError> {
    target.put_definitions(filling, source.every_definition().await.map_err(CopyError::Source)?).await?;
    target.put_participants(filling, source.all_participants().await.map_err(CopyError::Source)?).await?;
    logs::put_documents(source, target, filling).await?;
    logs::put_logs(source, target, filling, tell).await?;
    let mut pages = Pages::of(source).await?;
    while let Some(records) = pages.next().await? {
        target.put_sagas(filling, records).await?;
        tell(Progress { what: "sagas", done: pages.done(), of: pages.total() });
    }
    let (mut done, of, mut from) = (0, source.count_reserved().await.map_err(CopyError::Source)?, None);
    loop {
        let page = source.reserved(from, RESERVED_PAGE).await.map_err(CopyError::Source)?;
        done += page.ids.len() as u64;
        if !planted::is("copy_frees_swept_ids") {
            target.put_reserved(filling, page.ids).await?;
        }
        tell(Progress { what: "reserved ids", done, of });
        from = page.next;
        if from.is_none() {
            return Ok(());
        }
    }
}

/// All sagas of a store, page by page.
pub(super) struct Pages<'a> {
    store: &'a dyn Export,
    after: Option<Cursor>,
    ended: bool,
    done: u64,
    total: u64,
}

impl<'a> Pages<'a> {
    pub(super) async fn of(store: &'a dyn Export) -> Result<Self, CopyError> {
        let total = total(store).await.map_err(CopyError::Source)?;
        Ok(Self { store, after: None, ended: false, done: 0, total })
    }

    pub(super) fn done(&self) -> u64 {
        self.done
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The next sagas; `None` behind the last. An error when at the end some were missing: they are there and can't be told.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<SagaRecord>>, CopyError> {
        if self.ended {
            let missing = self.total.saturating_sub(self.done);
            return if missing == 0 { Ok(None) } else { Err(CopyError::Unreadable { missing }) };
        }
        let page = self.store.list(&Filter::default(), self.after.as_ref(), PAGE).await.map_err(CopyError::Source)?;
        self.ended = page.next.is_none();
        self.after = page.next;
        let keys: Vec<_> = page.items.into_iter().map(|saga| saga.key).collect();
        let records = self.store.records(&keys).await.map_err(CopyError::Source)?;
        let records: Vec<_> = records.into_iter().flatten().collect();
        self.done += records.len() as u64;
        Ok(Some(records))
    }
}

//! Reading a saga's history, and following a saga as it goes on.
//!
//! Reads come from the store, so that nothing is shown that isn't durable. Invariant: whoever follows a saga gets every
//! history entry once and in order, whatever happens to the shard's owner meanwhile.

use std::sync::Arc;

use amends_engine::ids::SagaKey;
use amends_runtime::{Coordinator, Progress, RequestError, Snapshot};
use amends_store::record::{self, RecordedEntry};
use futures::stream;
use futures::{Stream, StreamExt as _};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::status::Refusal;

/// Most entries of one message to a follower.
const ENTRIES_MAX: usize = 1000;

/// A page of a saga's history, and where the next one begins.
pub(crate) struct HistoryPage {
    pub(crate) entries: Vec<RecordedEntry>,
    pub(crate) next: Option<u64>,
}

/// Entries with their sequence numbers from `from` up, or, with `newest_first`, down from just below it; from the respective
/// end where it is absent.
pub(crate) async fn history_page(
    coordinator: &Coordinator,
    snapshot: &Snapshot,
    from: Option<u64>,
    page_size: usize,
    newest_first: bool,
) -> Result<HistoryPage, Refusal> {
    let state = &snapshot.saga.state;
    let (key, length) = (&state.head.key, state.history_length);
    let size = u64::try_from(page_size).unwrap_or(u64::MAX);
    if newest_first {
        let end = from.unwrap_or(length).min(length);
        let begin = end.saturating_sub(size);
        let mut entries = entries(coordinator, key, begin, end).await?;
        entries.reverse();
        return Ok(HistoryPage { entries, next: (begin > 0).then_some(begin) });
    }
    let begin = from.unwrap_or(0);
    let end = begin.saturating_add(size).min(length);
    let entries = entries(coordinator, key, begin, end).await?;
    Ok(HistoryPage { entries, next: (end < length).then_some(end) })
}

/// Entries with `begin <= sequence < end`.
async fn entries(
    coordinator: &Coordinator,
    key: &SagaKey,
    begin: u64,
    end: u64,
) -> Result<Vec<RecordedEntry>, Refusal> {
    let count = usize::try_from(end.saturating_sub(begin)).unwrap_or(usize::MAX);
    if count == 0 {
        return Ok(Vec::new());
    }
    let stored = coordinator.store().history(key, begin, count).await?;
    let read = |(sequence, bytes): (u64, bytes::Bytes)| {
        record::decode_history(&bytes).map_err(|error| {
            let what = format!("entry {sequence} of the history of saga {key} can't be read: {error}");
            RequestError::Unreadable(what).into()
        })
    };
    stored.into_iter().map(read).collect()
}

/// What a follower gets: the saga as it stands, and what happened since the message before.
pub(crate) struct Seen {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) entries: Vec<RecordedEntry>,
}

/// Where a follower is.
struct Follower {
    coordinator: Coordinator,
    key: SagaKey,
    draining: CancellationToken,
    notices: Option<watch::Receiver<Option<Progress>>>,
    /// The sequence number of the next entry to send.
    next: u64,
    /// The revision that was sent last; 0 before the first message.
    sent: u64,
    over: bool,
}

/// Follows a saga until it has ended; the first message comes at once. `next` is the sequence number of the first entry to
/// send. Fails when there is no such saga; later failures come in the stream.
pub(crate) async fn follow(
    coordinator: Coordinator,
    key: SagaKey,
    next: u64,
    draining: CancellationToken,
) -> Result<impl Stream<Item = Result<Seen, Refusal>> + Send, Refusal> {
    let mut follower = Follower { coordinator, key, draining, notices: None, next, sent: 0, over: false };
    // Nothing needs to be listened for yet: whatever comes after this is found by the next reading.
    let first = follower.read().await?;
    let later = stream::unfold(follower, |mut follower| async move {
        if follower.over {
            return None;
        }
        let seen = follower.look().await;
        follower.over |= seen.is_err();
        Some((seen, follower))
    });
    Ok(stream::iter(first.map(Ok)).chain(later))
}

impl Follower {
    /// Waits until there is something new, and gives it.
    async fn look(&mut self) -> Result<Seen, Refusal> {
        loop {
            if self.draining.is_cancelled() {
                let why = "this node is stopping; watch again from the last sequence seen".to_owned();
                return Err(RequestError::Unavailable(why).into());
            }
            // Listening begins before reading, so that no change between the two is missed.
            let mut notices = match self.notices.take() {
                Some(notices) => notices,
                None => self.coordinator.watch(&self.key).await?,
            };
            notices.mark_unchanged();
            if let Some(seen) = self.read().await? {
                self.notices = Some(notices);
                return Ok(seen);
            }
            let noticed = tokio::select! {
                biased;
                () = self.draining.cancelled() => continue,
                noticed = notices.changed() => noticed,
            };
            // An owner that goes away stops telling; the next one is asked then.
            self.notices = noticed.is_ok().then_some(notices);
        }
    }

    /// What is new since the last message.
    async fn read(&mut self) -> Result<Option<Seen>, Refusal> {
        let snapshot = self.coordinator.get(&self.key).await?;
        let state = &snapshot.saga.state;
        let length = state.history_length;
        if state.revision == self.sent && self.next >= length {
            return Ok(None);
        }
        let most = u64::try_from(ENTRIES_MAX).unwrap_or(u64::MAX);
        let end = length.min(self.next.saturating_add(most));
        let entries = entries(&self.coordinator, &self.key, self.next, end).await?;
        self.next = self.next.max(end);
        self.sent = state.revision;
        self.over = state.phase.is_terminal() && end >= length;
        Ok(Some(Seen { snapshot, entries }))
    }
}

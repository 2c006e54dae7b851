//! Makes a plan: finds the sagas, plays the verb on each, and writes down what would happen.
//!
//! It changes no saga. The head is written first as a draft, which nobody sees, then the parts, then the head for good: what breaks
//! off in between is swept. Invariants: a saga is in a plan once; the counts are exact for what was read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use amends_engine::ids::SagaKey;
use amends_engine::saga::By;
use amends_engine::time::Timestamp;
use amends_store::{Cursor, ShardId, shard_of};
use bytes::Bytes;
use prost::Message as _;

use super::action::Action;
use super::choice::Choice;
use super::documents::{Documents, Name};
use super::error::BatchError;
use super::preview::Preview;
use super::record::{CallCount, Head, Item, ItemCall, Part, Share, Status};
use super::{RATE, SAGAS_MAX, SAMPLE};
use crate::coordinator::{Coordinator, Previewed};
use crate::error::{RequestError, UnreadableSaga};

/// How long a plan can be applied.
const EXPIRES: Duration = Duration::from_secs(3600);
/// Sagas per page.
const PAGE: usize = 500;
/// Most items of a part, and most bytes: a part is written again for every few items.
const PART_ITEMS: usize = 256;
const PART_BYTES: usize = 128 * 1024;

/// What is to be planned.
#[derive(Debug, Clone)]
pub struct Planning {
    /// Which sagas.
    pub choice: Choice,
    /// The same in the words of whoever asks, to be shown again.
    pub filter: Bytes,
    /// What to do to each.
    pub action: Action,
    /// Who asks, and why.
    pub by: By,
}

impl Planning {
    /// Makes the plan.
    pub(crate) async fn make(self, coordinator: &Coordinator) -> Result<Head, BatchError> {
        let now = coordinator.seams().now();
        let mut draft = Draft { planning: &self, now, seen: BTreeSet::new(), items: BTreeMap::new() };
        if self.choice.ids.is_empty() {
            draft.find(coordinator).await?;
        } else {
            draft.look_up(coordinator).await?;
        }
        draft.write(coordinator).await
    }
}

/// What was found so far.
struct Draft<'a> {
    planning: &'a Planning,
    now: Timestamp,
    /// A saga that moves while the pages are read may come twice.
    seen: BTreeSet<SagaKey>,
    items: BTreeMap<ShardId, Vec<Item>>,
}

impl Draft<'_> {
    async fn find(&mut self, coordinator: &Coordinator) -> Result<(), BatchError> {
        let mut after: Option<Cursor> = None;
        loop {
            let page = coordinator.store().list(&self.planning.choice.filter, after.as_ref(), PAGE).await?;
            for listed in page.items {
                let found = coordinator.revived(&listed.key, listed.revision, &listed.state).await;
                self.take(coordinator, listed.key, found).await?;
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn look_up(&mut self, coordinator: &Coordinator) -> Result<(), BatchError> {
        let Some(namespace) = &self.planning.choice.filter.namespace else { return Ok(()) };
        for id in &self.planning.choice.ids {
            let key = SagaKey { namespace: namespace.clone(), id: id.clone() };
            let Some(stored) = coordinator.store().get(&key).await? else { continue };
            let found = coordinator.revived(&key, stored.revision, &stored.state).await;
            self.take(coordinator, key, found).await?;
        }
        Ok(())
    }

    async fn take(
        &mut self,
        coordinator: &Coordinator,
        key: SagaKey,
        found: Result<Previewed, RequestError>,
    ) -> Result<(), BatchError> {
        let planning = self.planning;
        let item = match found {
            Ok(found) if !planning.choice.matches(&found.saga, self.now) => return Ok(()),
            Ok(found) => coordinator.previewed(found, &planning.action, &planning.by, self.now).await,
            Err(error) => Err(error),
        };
        let (revision, preview) = match item {
            Ok((revision, preview)) => (revision, preview),
            Err(RequestError::UnreadableSaga(UnreadableSaga { revision, why, .. })) => {
                (revision, Preview::Refused(format!("it can't be read: {why}")))
            }
            Err(RequestError::NoSuchSaga(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if !self.seen.insert(key.clone()) {
            return Ok(());
        }
        if self.seen.len() > SAGAS_MAX {
            return Err(BatchError::TooMany { max: SAGAS_MAX });
        }
        let (message, calls) = match preview {
            Preview::Calls(calls) => (String::new(), calls),
            Preview::Refused(why) => (why, Vec::new()),
        };
        let item = Item { saga_id: key.id.to_string(), revision, state: 0, message, calls };
        let shard = shard_of(&key, coordinator.store().info().shards);
        self.items.entry(shard).or_default().push(item);
        Ok(())
    }

    async fn write(self, coordinator: &Coordinator) -> Result<Head, BatchError> {
        let documents = Documents::new(coordinator.store().clone());
        let mut head = self.head(coordinator);
        let name = Name { namespace: head.namespace.clone(), id: head.id.clone() };
        documents.add_head(&name, &head).await?;
        for (shard, items) in self.items {
            let shard = u32::from(shard.0);
            let (count, mut parts) = (items.len() as u64, 0);
            for items in in_parts(items) {
                documents.put_part(&name, (shard, parts), &Part { items }, 0).await?;
                parts += 1;
            }
            head.shares.push(Share { shard, parts, items: count });
        }
        head.status = Status::Planned;
        documents
            .change_head(&name, |stored| {
                stored.clone_from(&head);
                Ok(())
            })
            .await
    }

    fn head(&self, coordinator: &Coordinator) -> Head {
        let items = || self.items.values().flatten();
        let Planning { choice, filter, action, by } = self.planning;
        Head {
            namespace: choice.filter.namespace.clone().unwrap_or_else(amends_engine::ids::Namespace::default_namespace),
            id: new_id(self.now, coordinator.seams().bits()),
            status: Status::Draft,
            action: action.clone(),
            filter: filter.clone(),
            principal: by.principal.clone(),
            reason: by.reason.clone(),
            planned_at: self.now,
            expires_at: self.now + EXPIRES,
            applied_by: String::new(),
            apply_reason: String::new(),
            applied_at: None,
            ended_at: None,
            rate: RATE,
            planned: items().count() as u64,
            refusals: items().filter(|item| !item.message.is_empty()).count() as u64,
            calls: counted(items().flat_map(|item| &item.calls)),
            sample: items().take(SAMPLE).cloned().collect(),
            shares: Vec::new(),
        }
    }
}

/// Calls by participant, method and operation.
fn counted<'a>(calls: impl Iterator<Item = &'a ItemCall>) -> Vec<CallCount> {
    let mut counts: BTreeMap<(&str, &str, u32), u64> = BTreeMap::new();
    for call in calls {
        *counts.entry((&call.participant, &call.method, call.operation)).or_default() += 1;
    }
    let count = |((participant, method, operation), count): ((&str, &str, u32), u64)| CallCount {
        call: ItemCall {
            step: String::new(),
            operation,
            participant: participant.to_owned(),
            method: method.to_owned(),
        },
        count,
    };
    counts.into_iter().map(count).collect()
}

/// Items in parts that are small enough, in their order; an item that is too large alone has a part of its own.
fn in_parts(items: Vec<Item>) -> Vec<Vec<Item>> {
    let mut parts: Vec<Vec<Item>> = Vec::new();
    let mut room = 0;
    for item in items {
        let bytes = item.encoded_len();
        match parts.last_mut() {
            Some(part) if part.len() < PART_ITEMS && bytes <= room => {
                room -= bytes;
                part.push(item);
            }
            _ => {
                room = PART_BYTES.saturating_sub(bytes);
                parts.push(vec![item]);
            }
        }
    }
    parts
}

/// Ids sort the newest first: the time counts down.
fn new_id(now: Timestamp, bits: u128) -> String {
    let left = (1_u64 << 48).saturating_sub(1).saturating_sub(now.0);
    format!("{left:012x}{:08x}", bits & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::mark::is_id;

    fn item(id: usize, message: usize) -> Item {
        Item { saga_id: format!("order-{id}"), message: "x".repeat(message), ..Item::default() }
    }

    #[test]
    fn parts_are_bounded_and_keep_the_order() {
        let items: Vec<Item> = (0..1000).map(|id| item(id, 0)).collect();
        let parts = in_parts(items.clone());
        assert!(parts.iter().all(|part| part.len() <= PART_ITEMS) && parts.len() == 4);
        assert_eq!(parts.concat(), items);
        let large: Vec<Item> = (0..10).map(|id| item(id, PART_BYTES / 3)).collect();
        assert_eq!(in_parts(large).iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2, 2, 2]);
        assert_eq!(in_parts(vec![item(1, 2 * PART_BYTES), item(2, 0)]).len(), 2);
    }

    #[test]
    fn ids_sort_the_newest_first() {
        let (old, new) = (new_id(Timestamp(1_767_225_600_000), 1), new_id(Timestamp(1_767_225_600_001), 0));
        assert!(new < old && is_id(&new) && is_id(&old), "{new} {old}");
        assert!(is_id(&new_id(Timestamp(u64::MAX), u128::MAX)));
    }

    #[test]
    fn calls_are_counted_by_what_they_are() {
        let call =
            |method: &str| ItemCall { method: method.to_owned(), step: method.to_owned(), ..ItemCall::default() };
        let counts = counted([call("b"), call("a"), call("b")].iter());
        let shown: Vec<(&str, u64)> = counts.iter().map(|it| (it.call.method.as_str(), it.count)).collect();
        assert_eq!(shown, [("a", 1), ("b", 2)]);
    }
}

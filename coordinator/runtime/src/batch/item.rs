//! One saga of a batch: asked for once its turn has come, and told what became of it.
//!
//! Invariants: a saga is asked for at its planned revision and no other; one that is found a revision further by this batch's own
//! doing is done, not moved. An answer that says nothing about the saga settles nothing.

use std::time::Duration;

use amends_engine::ids::SagaKey;
use amends_engine::saga::By;

use super::documents::Name;
use super::mark;
use super::record::{Head, Item, ItemStatus};
use crate::audit::in_batch;
use crate::coordinator::Coordinator;
use crate::error::RequestError;
use crate::seam::sleep;

/// How often a saga is asked for again at once, where its shard has too much to do.
const TRIES: usize = 20;
/// How long before that, where nobody says so.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// What became of it: how it is settled and why, or `None` where its turn has to come again.
pub(crate) type Settled = Option<(ItemStatus, String)>;

/// Does a batch's action to one saga.
pub(crate) async fn carry_out(coordinator: &Coordinator, name: &Name, head: &Head, item: &Item) -> Settled {
    let Some(key) = item.key(&name.namespace) else {
        return Some((ItemStatus::Refused, "its id can't be read".to_owned()));
    };
    for _ in 0..TRIES {
        match once(coordinator, name, head, item, &key).await {
            Ok(settled) => return settled,
            Err(after) => sleep(after).await,
        }
    }
    None
}

/// One try; an error says after how long to try again.
async fn once(
    coordinator: &Coordinator,
    name: &Name,
    head: &Head,
    item: &Item,
    key: &SagaKey,
) -> Result<Settled, Duration> {
    let by = By { principal: head.applied_by.clone(), reason: mark::reason(&head.id, &head.apply_reason) };
    let careless = crate::planted::is("batch_ignores_revision") || crate::planted::is("batch_starts_again");
    let expected = (!careless).then_some(item.revision);
    match in_batch(&head.id, coordinator.act(key, &head.action, by, expected)).await {
        Ok(Ok(_)) => Ok(Some((ItemStatus::Done, String::new()))),
        Ok(Err(why)) => Ok(Some((ItemStatus::Refused, why))),
        Err(RequestError::RevisionMoved { found, .. }) => moved(coordinator, name, item, key, found).await,
        Err(RequestError::NoSuchSaga(_)) => {
            Ok(Some((ItemStatus::Moved, "it ended meanwhile, and was removed".to_owned())))
        }
        Err(RequestError::Overloaded { retry_after }) => Err(retry_after),
        Err(RequestError::StoreFull) => Err(TRY_AGAIN),
        // Whoever has the shard goes on.
        Err(RequestError::Elsewhere(_) | RequestError::Frozen(_) | RequestError::Unavailable(_)) => Ok(None),
        Err(error) => Ok(Some((ItemStatus::Refused, error.to_string()))),
    }
}

/// The saga isn't at its planned revision: by this batch's own doing, before a crash or a take-over, or by somebody else's.
async fn moved(
    coordinator: &Coordinator,
    name: &Name,
    item: &Item,
    key: &SagaKey,
    found: u64,
) -> Result<Settled, Duration> {
    let ours = !crate::planted::is("batch_forgets_its_work");
    match coordinator.is_work_of(key, item.revision.saturating_add(1), &name.id).await {
        Ok(true) if ours => Ok(Some((ItemStatus::Done, String::new()))),
        Ok(_) => {
            let why = format!("it was at revision {} when it was planned, and is at {found} now", item.revision);
            Ok(Some((ItemStatus::Moved, why)))
        }
        Err(RequestError::Unavailable(_)) => Ok(None),
        // Its record is damaged: that it was this batch can't be said.
        Err(error) => Ok(Some((ItemStatus::Moved, error.to_string()))),
    }
}

//! Tells of the store itself: a shard that is frozen, a store that must not be used.
//!
//! Neither can be written to the store that it is about, so it is told from memory, at once and at best effort: by whichever
//! nodes see it, and again every hour while it lasts. Invariants: all nodes give one trouble's message of one hour the same id, so
//! that a receiver that knows ids rings once; nothing here decides anything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use amends_engine::time::Timestamp;
use amends_store::{Store, StoreError};

use super::message::{StoreData, time};
use super::{Alerts, EventType};
use crate::cluster::Cluster;
use crate::seam::{Seams, sleep};

/// How often it is told again while it lasts.
const REMIND: Duration = Duration::from_secs(3600);
/// How often is looked.
const PERIOD: Duration = Duration::from_secs(5);

/// What is wrong: of a shard, or of the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    Frozen { shard: u16, confirmed: u64 },
    Unsafe,
}

impl Trouble {
    fn event(&self) -> EventType {
        match self {
            Self::Frozen { .. } => EventType::ShardFrozen,
            Self::Unsafe => EventType::StoreUnsafe,
        }
    }

    fn shard(&self) -> Option<u16> {
        match self {
            Self::Frozen { shard, .. } => Some(*shard),
            Self::Unsafe => None,
        }
    }

    /// The same on all nodes, within an hour of the clock.
    fn id(&self, store: &str, now: Timestamp, resolved: bool) -> String {
        let hour = now.0 / 3_600_000;
        let end = if resolved { "-resolved" } else { "" };
        match self {
            Self::Frozen { shard, confirmed } => format!("msg_{store}-frozen-{shard}-{confirmed}-{hour}{end}"),
            Self::Unsafe => format!("msg_{store}-unsafe-{hour}{end}"),
        }
    }
}

/// What is to be told.
#[derive(Debug, PartialEq, Eq)]
struct News {
    trouble: Trouble,
    message: String,
    since: Timestamp,
    resolved: bool,
}

/// What was told last of a trouble.
#[derive(Debug)]
struct Last {
    since: Timestamp,
    at: Timestamp,
    message: String,
}

/// What was told. Pure.
#[derive(Debug, Default)]
struct Told(BTreeMap<Trouble, Last>);

impl Told {
    /// Compares with what is found now.
    fn update(&mut self, found: BTreeMap<Trouble, String>, now: Timestamp) -> Vec<News> {
        let mut news = Vec::new();
        self.0.retain(|trouble, told| {
            let lasts = found.contains_key(trouble);
            if !lasts {
                news.push(News {
                    trouble: trouble.clone(),
                    message: told.message.clone(),
                    since: told.since,
                    resolved: true,
                });
            }
            lasts
        });
        for (trouble, message) in found {
            let known = self.0.get(&trouble);
            if known.is_some_and(|known| now.since(known.at) < REMIND) {
                continue;
            }
            let since = known.map_or(now, |known| known.since);
            self.0.insert(trouble.clone(), Last { since, at: now, message: message.clone() });
            news.push(News { trouble, message, since, resolved: false });
        }
        news
    }
}

/// Runs until it is aborted.
pub(crate) async fn watch_over(alerts: Arc<Alerts>, cluster: Arc<Cluster>, store: Arc<dyn Store>, seams: Seams) {
    let id = store.info().id;
    let mut told = Told::default();
    let mut changes = cluster.table.changes();
    loop {
        let mut found: BTreeMap<Trouble, String> = BTreeMap::new();
        for lost in cluster.table.frozen() {
            found.insert(Trouble::Frozen { shard: lost.shard.0, confirmed: lost.confirmed }, lost.to_string());
        }
        if let Err(error @ (StoreError::Frozen(_) | StoreError::Corrupt { .. } | StoreError::Closed { .. })) =
            store.now().await
        {
            found.insert(Trouble::Unsafe, crate::error::with_sources(&error));
        }
        let now = seams.now();
        for News { trouble, message, since, resolved } in told.update(found, now) {
            let link = alerts.common().settings.console_url.as_ref().map(|url| format!("{url}/console"));
            let data =
                StoreData { store: id.clone(), shard: trouble.shard(), message, since: time(since), resolved, link };
            alerts.notice(trouble.event(), trouble.id(&id, now, resolved), now, data);
        }
        let pause = async {
            // A change of the table may be a frozen shard; many come at once at a start.
            sleep(Duration::from_millis(200)).await;
            tokio::select! {
                biased;
                _ = changes.changed() => {}
                () = sleep(PERIOD) => {}
            }
        };
        pause.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROZEN: Trouble = Trouble::Frozen { shard: 3, confirmed: 9 };

    #[test]
    fn a_trouble_is_told_once_and_again_every_hour_and_at_its_end() {
        let mut told = Told::default();
        let mut look = |troubles: &[Trouble], minutes: u64| {
            let found = troubles.iter().map(|trouble| (trouble.clone(), "why".to_owned())).collect();
            let news = told.update(found, Timestamp(minutes * 60_000));
            news.into_iter().map(|news| (news.trouble, news.since.0 / 60_000, news.resolved)).collect::<Vec<_>>()
        };
        assert_eq!(look(&[FROZEN], 1), [(FROZEN, 1, false)]);
        assert_eq!(look(&[FROZEN], 2), []);
        assert_eq!(look(&[FROZEN, Trouble::Unsafe], 3), [(Trouble::Unsafe, 3, false)]);
        assert_eq!(look(&[FROZEN], 61), [(Trouble::Unsafe, 3, true), (FROZEN, 1, false)]);
        assert_eq!(look(&[FROZEN], 62), []);
        assert_eq!(look(&[], 63), [(FROZEN, 1, true)]);
        assert_eq!(look(&[], 64), []);
    }

    #[test]
    fn all_nodes_give_one_trouble_one_id() {
        let id = |minutes: u64, resolved| FROZEN.id("s", Timestamp(minutes * 60_000), resolved);
        assert_eq!(id(1, false), id(59, false));
        assert_ne!(id(1, false), id(61, false));
        assert_ne!(id(1, false), id(1, true));
    }
}

//! Acquires a shard when it is ordered to, runs a tenure, gives it back, and begins again when it is lost.
//!
//! The lease only decides who tries; safety rests on epoch, nonce and revision, which the store checks at every commit
//! (semantics A7, A15). Invariants: a tenure that ends takes all its memory with it; none begins where the store is behind what
//! it had confirmed; a request that comes while the shard isn't here is refused, never kept.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use amends_engine::ids::SagaKey;
use amends_engine::time::Timestamp;
use amends_store::{Lease, Nonce, ShardId, Store, StoreError};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, oneshot, watch};

use crate::alerts::{Alerts, Outbox};
use crate::cluster::{Cluster, Order, Place, Table};
use crate::committer::Write;
use crate::config::RuntimeConfig;
use crate::definitions::Definitions;
use crate::error::RequestError;
use crate::floor::Floor;
use crate::holds::Holds;
use crate::participant::protection::Protection;
use crate::participant::{Directory, ParticipantCaller};
use crate::seam::{Running, Seams, sleep};
use crate::telemetry::Telemetry;

use super::Request;
use super::auditing::Auditing;
use super::overtaken::Overtaken;
use super::owner::{Ended, Owner};

/// How long to wait before a shard that was lost or couldn't be had, or a store that didn't answer, is tried again.
pub(super) const TRY_AGAIN: Duration = Duration::from_millis(500);

/// How often in a row a store may refuse a shard before requests stop waiting for it: whoever asks is told why then, since it may
/// be a person who has to mend it.
const PATIENCE: u32 = 1;

/// What has kept a shard from being worked on.
#[derive(Debug, Default)]
struct Trouble {
    /// The store is behind what it had confirmed.
    frozen: bool,
    /// How often in a row the store has refused the shard, or not answered.
    refusals: u32,
    /// What it said last.
    why: String,
    /// A participant had seen a newer owner.
    overtaken: Overtaken,
}

impl Trouble {
    /// Said once for as long as the store says the same, since every shard has the same to say.
    fn refused(&mut self, shard: ShardId, error: &StoreError, cluster: &Cluster) {
        let why = crate::error::with_sources(error);
        if matches!(error, StoreError::Held { .. }) {
            // Two nodes that see differently for a moment meet here: as it is meant.
            tracing::debug!(shard = shard.0, error = why, "another node has the shard");
        } else if !error.is_said_by_store() && (self.refusals == 0 || self.why != why) {
            cluster.say(format!("shards can't be acquired; trying again: {why}"));
        }
        self.refusals = self.refusals.saturating_add(1);
        self.why = why;
    }
}

/// What the tasks beside the loop need.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) floor: Arc<Floor>,
    pub(crate) definitions: Definitions,
    pub(crate) directory: Arc<Directory>,
    pub(crate) caller: Arc<dyn ParticipantCaller>,
    pub(crate) protection: Arc<Protection>,
    pub(crate) holds: Arc<Holds>,
    pub(crate) seams: Seams,
    pub(crate) telemetry: Arc<Telemetry>,
    /// Who tells others what happens; `None`: nobody is to be told.
    pub(crate) alerts: Option<Arc<Alerts>>,
}

/// What a shard's owner needs for all its tenures.
#[derive(Debug)]
pub(crate) struct ShardContext {
    pub(crate) shard: ShardId,
    pub(crate) config: Arc<RuntimeConfig>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) seams: Seams,
    pub(crate) commits: mpsc::UnboundedSender<Write>,
    pub(crate) cluster: Arc<Cluster>,
}

/// Runs a shard whenever this node is to have it.
pub(crate) async fn supervise(
    context: ShardContext,
    mut requests: mpsc::Receiver<Request>,
    mut orders: watch::Receiver<Order>,
) {
    let mut trouble = Trouble::default();
    loop {
        while *orders.borrow_and_update() == Order::Leave {
            context.table().set_here(context.shard, false);
            if !context.refuse_until(&mut requests, orders.changed()).await {
                return;
            }
        }
        context.table().set_held(context.shard, true);
        let ended = context.have(&mut requests, &mut orders, &mut trouble).await;
        context.table().set_held(context.shard, false);
        context.cluster.tell();
        if ended != Ended::Left && !context.pause(&mut requests, &mut orders, &trouble).await {
            return;
        }
    }
}

impl ShardContext {
    pub(super) fn table(&self) -> &Table {
        &self.cluster.table
    }

    /// Acquires the shard and runs one tenure, if it can be had and may be worked on.
    async fn have(
        &self,
        requests: &mut mpsc::Receiver<Request>,
        orders: &mut watch::Receiver<Order>,
        trouble: &mut Trouble,
    ) -> Ended {
        if trouble.frozen && !self.is_mended().await {
            return Ended::Lost;
        }
        let asked_at = self.seams.now();
        let nonce = Nonce(self.seams.bits());
        let acquired = match self.shared.store.acquire(self.shard, &self.config.node, nonce, self.config.lease).await {
            Ok(acquired) => acquired,
            Err(error) => {
                if let StoreError::Held { .. } = error {
                    self.table().set_here(self.shard, false);
                }
                trouble.refused(self.shard, &error, &self.cluster);
                return Ended::Lost;
            }
        };
        trouble.refusals = 0;
        let lease = acquired.lease;
        let is_known = matches!(self.table().place(self.shard), Place::Frozen(_));
        let may = self.table().acquired(&acquired);
        let ended = match may {
            Ok(()) => {
                tracing::debug!(shard = self.shard.0, epoch = lease.epoch.0, "acquired");
                self.table().set_here(self.shard, true);
                // Others have requests for it.
                self.cluster.tell();
                self.shared.telemetry.meters.acquired();
                self.shared.telemetry.tally.began(lease);
                tenure(self, (lease, asked_at), trouble.overtaken, requests, orders).await
            }
            Err(lost) => {
                if !is_known {
                    tracing::error!("{lost}");
                    self.shared.telemetry.meters.store_lost();
                }
                Ended::Lost
            }
        };
        trouble.frozen = may.is_err();
        if let Ended::Overtaken(overtaken) = ended {
            trouble.overtaken = overtaken;
        }
        self.table().ended(self.shard);
        self.shared.telemetry.tally.ended(self.shard);
        if ended == Ended::Left {
            // What comes from now on goes to the next owner.
            self.table().set_here(self.shard, false);
        }
        if let Err(error) = self.shared.store.release(lease).await {
            tracing::debug!(shard = self.shard.0, %error, "the lease couldn't be given back; it runs out by itself");
        }
        ended
    }

    /// The shard's outbox; `None`: nobody is to be told of sagas.
    async fn open_outbox(&self, lease: Lease) -> Result<Option<Outbox>, StoreError> {
        match self.shared.alerts.clone().filter(|alerts| alerts.tells_of_sagas()) {
            Some(alerts) => Outbox::open(alerts, self.shared.store.clone(), lease).await.map(Some),
            None => Ok(None),
        }
    }

    /// Whether the store of a frozen shard has again all that was confirmed. Reads only.
    async fn is_mended(&self) -> bool {
        let Ok(tenures) = self.shared.store.tenures().await else { return false };
        let found = tenures.iter().find(|tenure| tenure.shard == self.shard).map_or(0, |tenure| tenure.commits);
        self.table().compare(self.shard, found).is_ok()
    }

    /// Waits before the next try; requests wait too, where the shard is expected to be had at once. False: nobody can ask any
    /// more.
    async fn pause(
        &self,
        requests: &mut mpsc::Receiver<Request>,
        orders: &mut watch::Receiver<Order>,
        trouble: &Trouble,
    ) -> bool {
        let pause = async {
            tokio::select! {
                biased;
                _ = orders.changed() => {}
                () = sleep(TRY_AGAIN) => {}
            }
        };
        if self.table().place(self.shard) != Place::Here {
            return self.refuse_until(requests, pause).await;
        }
        if trouble.refusals > PATIENCE {
            let why = |_: &SagaKey| RequestError::Unavailable(trouble.why.clone());
            return answer_until(requests, pause, |request| request.refuse(why)).await;
        }
        pause.await;
        true
    }

    /// Sends requests elsewhere until something has happened. False: nobody can ask any more.
    async fn refuse_until<T>(&self, requests: &mut mpsc::Receiver<Request>, happened: impl Future<Output = T>) -> bool {
        let why = |key: &SagaKey| match self.table().place(self.shard) {
            Place::Frozen(lost) => RequestError::Frozen(lost),
            Place::Here | Place::At { .. } | Place::Nowhere => RequestError::Elsewhere(key.clone()),
        };
        answer_until(requests, happened, |request| request.refuse(why)).await
    }
}

/// Answers requests until something has happened. False: nobody can ask any more.
async fn answer_until<T>(
    requests: &mut mpsc::Receiver<Request>,
    happened: impl Future<Output = T>,
    answer: impl Fn(Request),
) -> bool {
    let mut happened = pin!(happened);
    loop {
        let request = tokio::select! {
            biased;
            _ = &mut happened => return true,
            request = requests.recv() => request,
        };
        let Some(request) = request else { return false };
        answer(request);
    }
}

async fn tenure(
    context: &ShardContext,
    (lease, asked_at): (Lease, Timestamp),
    overtaken: Overtaken,
    requests: &mut mpsc::Receiver<Request>,
    orders: &mut watch::Receiver<Order>,
) -> Ended {
    let outbox = match context.open_outbox(lease).await {
        Ok(outbox) => outbox,
        Err(error) => {
            let error = crate::error::with_sources(&error);
            tracing::warn!(shard = lease.shard.0, error, "the shard's outbox can't be read; trying again");
            return Ended::Doubtful;
        }
    };
    let (events, own) = mpsc::unbounded_channel();
    let owner = Owner {
        context,
        lease,
        residents: BTreeMap::new(),
        asleep: BTreeMap::new(),
        loading: BTreeMap::new(),
        timers: BTreeSet::new(),
        watchers: BTreeMap::new(),
        events,
        horizon: None,
        page: None,
        commits: 0,
        scanning: None,
        asked_at,
        renew_at: asked_at + context.config.lease / 3,
        valid_until: valid_until(asked_at, context.config.lease),
        renewing: None,
        leaving: None,
        ended: None,
        overtaken,
        auditing: Auditing::new(lease.shard, asked_at),
        outbox,
    };
    owner.run(own, requests, orders).await
}

/// Until when we believe in a lease that was asked for then: counted from before the request and a tenth shorter, so that we
/// never believe in one that the store has given up, though our clocks don't run at one pace.
fn valid_until(asked_at: Timestamp, lease: Duration) -> Timestamp {
    asked_at + (lease - lease / 10)
}

/// A renewal under way. Its answer has a way of its own: in line behind a shard's events it could come when the lease is over.
#[derive(Debug)]
pub(super) struct Renewal {
    asked_at: Timestamp,
    answer: oneshot::Receiver<Result<(), StoreError>>,
    #[expect(dead_code, reason = "kept so that it ends with the tenure")]
    asking: Running,
}

impl Renewal {
    fn ask(shared: &Arc<Shared>, lease: Lease, lasts: Duration, now: Timestamp) -> Self {
        let (sender, answer) = oneshot::channel();
        let shared = shared.clone();
        let asking = Running::spawn(async move {
            // The tenure may be over; then nobody needs the answer.
            let _ = sender.send(shared.store.renew(lease, lasts).await);
        });
        Self { asked_at: now, answer, asking }
    }

    /// Waits for the answer to the one under way: for ever, where none is.
    pub(super) async fn answered(renewing: &mut Option<Self>) -> Result<(), StoreError> {
        match renewing {
            Some(renewal) => {
                (&mut renewal.answer).await.unwrap_or_else(|gone| Err(StoreError::Unavailable(Box::new(gone))))
            }
            None => std::future::pending().await,
        }
    }

    /// The answer, if it has come.
    fn heard(&mut self) -> Option<Result<(), StoreError>> {
        match self.answer.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(gone @ TryRecvError::Closed) => Some(Err(StoreError::Unavailable(Box::new(gone)))),
        }
    }
}

impl Owner<'_> {
    /// Renews the lease in time, and ends the tenure when it has run out by our own clock.
    pub(super) fn keep_lease(&mut self, now: Timestamp) {
        if let Some(answer) = self.renewing.as_mut().and_then(Renewal::heard) {
            self.renewed(answer);
        }
        if now >= self.valid_until {
            self.context.cluster.say("leases ran out before they could be renewed");
            self.ended = Some(Ended::Lost);
        } else if now >= self.renew_at && self.renewing.is_none() {
            let lasts = self.context.config.lease;
            self.renewing = Some(Renewal::ask(&self.context.shared, self.lease, lasts, now));
        }
    }

    pub(super) fn renewed(&mut self, result: Result<(), StoreError>) {
        let Some(Renewal { asked_at, .. }) = self.renewing.take() else { return };
        match result {
            Ok(()) => {
                self.valid_until = valid_until(asked_at, self.context.config.lease);
                self.renew_at = asked_at + self.context.config.lease / 3;
            }
            Err(StoreError::LeaseLost) => {
                self.context.cluster.say("another owner has shards that this node had");
                self.ended = Some(Ended::Lost);
            }
            // Tried again at once by the clock, until the lease runs out by our own reckoning.
            Err(error) => {
                if !error.is_said_by_store() {
                    let why = crate::error::with_sources(&error);
                    self.context.cluster.say(format!("leases couldn't be renewed: {why}"));
                }
                self.renew_at = self.context.seams.now() + TRY_AGAIN;
            }
        }
    }
}

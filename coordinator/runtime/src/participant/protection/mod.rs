//! Protection of participants: who of all the sagas on this node may call which participant now.
//!
//! ```text
//!   shard owner ── would begin an attempt ──► ask ──► permit ──► commit ──► call ──► how it ended
//!                                              └──► ticket (waits; nothing is written) ──► "admitted" to the shard owner
//! ```
//!
//! This file is the shell around `gate.rs`, which decides: it knows the participants, keeps the time, and tells shard owners. It
//! calls nobody. Limits are shared by the nodes that live: each takes its part. Invariants: a permit ends once, whatever becomes of
//! its call; a ticket that is dropped leaves the queue; nobody is told while a lock is held.

mod breaker;
pub mod budget;
mod gate;
mod health;
mod limits;
mod pace;
mod queue;
mod record;
mod usual;
mod window;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use amends_engine::ids::{Namespace, Operation, ParticipantName, StepIndex};
use amends_engine::standing::WaitingReason;
use amends_engine::time::Timestamp;
use tokio::sync::{Notify, mpsc};

use super::Directory;
use crate::cluster::Cluster;
use crate::seam::{Seams, sleep};
use crate::shard::ShardEvent;

pub use breaker::{BreakerState, OPEN_MAX, OPEN_MIN, PROBES};
pub use gate::{RESUME_MIN, RESUME_PERCENT, Standing};
pub(crate) use health::health;
pub use limits::{BreakerMode, CONCURRENCY_MAX, InvalidLimits, Limits, LimitsChange, RATE_MAX, Rate};
pub(crate) use queue::Who;
pub(super) use record::LimitsRecord;
pub use window::{FAILURE_PERCENT, FAILURES_MIN, Health};

use gate::{Block, Gate, Grant};
use queue::Ask;

/// How often it is looked whether limits have changed or nodes have come or gone, while somebody waits.
const LOOK: Duration = Duration::from_secs(1);

/// One participant of one tenant.
pub(crate) type Whom = (Namespace, ParticipantName);

type Events = mpsc::UnboundedSender<ShardEvent>;

/// Whoever waits has a share of the key.
type Gates = BTreeMap<Arc<Whom>, Gate<Events>>;

/// All participants' gates on one node.
pub(crate) struct Protection {
    directory: Arc<Directory>,
    cluster: Arc<Cluster>,
    seams: Seams,
    gates: Mutex<Gates>,
    /// Somebody has begun to wait, or may go on sooner than was thought.
    changed: Notify,
}

impl fmt::Debug for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protection").finish_non_exhaustive()
    }
}

/// What a shard's owner asks for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) whom: Whom,
    pub(crate) who: Who,
    pub(crate) due: Timestamp,
    pub(crate) retry: bool,
}

/// The answer.
#[derive(Debug)]
pub(crate) enum Admission {
    /// Call.
    Now(Permit),
    /// Wait for [`ShardEvent::Admitted`].
    Later(Ticket),
}

/// One call may be made. Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    protection: Arc<Protection>,
    whom: Arc<Whom>,
    who: Arc<Who>,
    grant: Grant,
    health: Health,
}

impl Permit {
    /// Ends, and says how the participant did.
    pub(crate) fn end(mut self, health: Health) {
        self.health = health;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let (grant, health) = (self.grant, self.health);
        self.protection.with(&self.whom, |gate, now| gate.ended(grant, health, &self.who.0, now));
    }
}

/// A place in a participant's queue. Left when it is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    protection: Arc<Protection>,
    whom: Arc<Whom>,
    who: Arc<Who>,
}

impl Ticket {
    /// Which operation waits.
    pub(crate) fn operation(&self) -> (StepIndex, Operation) {
        (self.who.1, self.who.2)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Of one that has been admitted nothing is left there.
        self.protection.with(&self.whom, |gate, _| gate.leave(&self.who));
    }
}

impl Protection {
    pub(crate) fn new(directory: Arc<Directory>, cluster: Arc<Cluster>, seams: Seams) -> Self {
        Self { directory, cluster, seams, gates: Mutex::default(), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Gates> {
        // A gate's change that panicked may have left it odd, never unsafe: at worst a slot is lost.
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limits(&self, (namespace, name): &Whom) -> Limits {
        let registered = self.directory.get(namespace, name);
        let limits = registered.map(|registration| registration.limits.clone()).unwrap_or_default();
        limits.share(self.cluster.table.living())
    }

    /// Asks for a call. Where it can't be made now, `events` is told when it can.
    pub(crate) fn ask(self: &Arc<Self>, wanted: Wanted, events: &Events) -> Admission {
        let Wanted { whom, who, due, retry } = wanted;
        let (now, limits, who) = (self.seams.now(), self.limits(&whom), Arc::new(who));
        let ask = Ask { who: who.clone(), due, retry, with: events.clone() };
        let (whom, mut granted) = {
            let mut gates = self.lock();
            let whom = gates.get_key_value(&whom).map_or_else(|| Arc::new(whom.clone()), |(known, _)| known.clone());
            let gate = gates.entry(whom.clone()).or_insert_with(|| Gate::new(limits.clone(), now));
            gate.configure(limits, now);
            gate.ask(ask, now);
            (whom, gate.pump(now))
        };
        let mine = granted.iter().position(|(ask, _)| Arc::ptr_eq(&ask.who, &who)).map(|at| granted.swap_remove(at));
        self.tell(&whom, granted);
        match mine {
            Some((_, grant)) => Admission::Now(self.permit(&whom, who, grant)),
            None => {
                self.changed.notify_one();
                Admission::Later(Ticket { protection: self.clone(), whom, who })
            }
        }
    }

    fn permit(self: &Arc<Self>, whom: &Arc<Whom>, who: Arc<Who>, grant: Grant) -> Permit {
        Permit { protection: self.clone(), whom: whom.clone(), who, grant, health: Health::Silent }
    }

    /// Changes a gate, and tells those whose turn it is then.
    fn with(self: &Arc<Self>, whom: &Arc<Whom>, change: impl FnOnce(&mut Gate<Events>, Timestamp)) {
        let now = self.seams.now();
        let (granted, waited_for) = {
            let mut gates = self.lock();
            let Some(gate) = gates.get_mut(whom) else { return };
            change(gate, now);
            (gate.pump(now), gate.is_waited_for())
        };
        if waited_for {
            self.changed.notify_one();
        }
        self.tell(whom, granted);
    }

    /// Whoever's tenure is over gives their turn back here: given back by the end of a permit, each would be inside the last one's, as
    /// deep as the queue of a lost shard is long.
    fn tell(self: &Arc<Self>, whom: &Arc<Whom>, granted: Vec<(Ask<Events>, Grant)>) {
        let mut granted = granted;
        while !granted.is_empty() {
            let (gone, here): (Vec<_>, Vec<_>) = granted.into_iter().partition(|(ask, _)| ask.with.is_closed());
            for (Ask { who, with, .. }, grant) in here {
                let permit = self.permit(whom, who.clone(), grant);
                // The tenure may be over by now; then the permit comes back and ends.
                let _ = with.send(ShardEvent::Admitted { who, permit });
            }
            granted = if gone.is_empty() { Vec::new() } else { self.give_back(whom, &gone) };
        }
    }

    /// Ends the turns of those who are gone; whose turn it is then.
    fn give_back(&self, whom: &Whom, gone: &[(Ask<Events>, Grant)]) -> Vec<(Ask<Events>, Grant)> {
        let now = self.seams.now();
        let mut gates = self.lock();
        let Some(gate) = gates.get_mut(whom) else { return Vec::new() };
        for (ask, grant) in gone {
            gate.ended(*grant, Health::Silent, &ask.who.0, now);
        }
        gate.pump(now)
    }

    /// Lets those go on whose time has come. Never ends.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            let next = self.look();
            match next {
                None => self.changed.notified().await,
                Some(next) => {
                    let pause = next.since(self.seams.now()).clamp(Duration::from_millis(1), LOOK);
                    tokio::select! {
                        biased;
                        () = self.changed.notified() => {}
                        () = sleep(pause) => {}
                    }
                }
            }
        }
    }

    /// One round; says when the next is due, if somebody waits.
    fn look(self: &Arc<Self>) -> Option<Timestamp> {
        let now = self.seams.now();
        let waited: Vec<Arc<Whom>> = {
            let gates = self.lock();
            gates.iter().filter(|(_, gate)| gate.is_waited_for()).map(|(whom, _)| whom.clone()).collect()
        };
        let mut next = None;
        for whom in waited {
            let limits = self.limits(&whom);
            let granted = {
                let mut gates = self.lock();
                let Some(gate) = gates.get_mut(&whom) else { continue };
                gate.configure(limits, now);
                let granted = gate.pump(now);
                if gate.is_waited_for() {
                    next = next.into_iter().chain(gate.look_at()).chain([now + LOOK]).min();
                }
                granted
            };
            self.tell(&whom, granted);
        }
        next
    }

    /// Why somebody waits, since when, and until when at the latest.
    pub(crate) fn why(&self, whom: &Whom, who: &Who) -> Option<(WaitingReason, Timestamp, Option<Timestamp>)> {
        let now = self.seams.now();
        let mut gates = self.lock();
        let gate = gates.get_mut(whom)?;
        let (block, since) = gate.why(who, now)?;
        let reason = match block {
            Block::Breaker => WaitingReason::BreakerOpen,
            Block::Limit => WaitingReason::Limit,
        };
        Some((reason, since, gate.drains_by(now)))
    }

    /// How a participant is called on this node now; a participant that hasn't been called yet is called freely.
    pub(crate) fn standing(&self, whom: &Whom) -> Standing {
        let (now, limits) = (self.seams.now(), self.limits(whom));
        let mut gates = self.lock();
        let gate = match gates.get_mut(whom) {
            Some(gate) => gate,
            None => gates.entry(Arc::new(whom.clone())).or_insert_with(|| Gate::new(limits.clone(), now)),
        };
        gate.configure(limits, now);
        gate.standing(now)
    }

    /// How every participant that was called is called now: for metrics.
    pub(crate) fn all(&self) -> Vec<(Whom, Standing)> {
        let now = self.seams.now();
        self.lock().iter().map(|(whom, gate)| (Whom::clone(whom), gate.standing(now))).collect()
    }

    /// How many living nodes share the limits.
    pub(crate) fn nodes(&self) -> usize {
        self.cluster.table.living()
    }
}

#[cfg(test)]
mod tests;

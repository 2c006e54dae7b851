//! The owner's loop: one event at a time, handled by plain functions.
//!
//! It owns its residents; nobody else touches them. What finishes work comes before what starts it, and starting before time.
//! Invariants: one commit of a saga at a time; calls, replies and notices only after it; `Fenced` or an ambiguous commit ends
//! the tenure, and with it all that this memory believes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use amends_engine::event::Event;
use amends_engine::ids::SagaKey;
use amends_engine::saga::Saga;
use amends_engine::time::Timestamp;
use amends_engine::{begin, next_due_beside, standing};
use amends_store::{Lease, OpId, StoreError};
use tokio::sync::{mpsc, oneshot, watch};

use crate::alerts::{self, Outbox};
use crate::cluster::{Order, Place};
use crate::committer::{Pending, Write};
use crate::coordinator::Progress;
use crate::error::RequestError;
use crate::participant::protection::{Permit, Who};
use crate::seam::{Alarm, give_way};

use super::admission::Door;
use super::asleep::Asleep;
use super::auditing::Auditing;
use super::load::{Loading, Scanning};
use super::overtaken::{Overtaken, says_so};
use super::resident::{Resident, Staged, Tried, Values, Work};
use super::supervise::{Renewal, ShardContext};
use super::turn::{Change, CommitAt};
use super::{Request, ShardEvent, StartRequest};

/// How long a saga waits for room when the disk is full.
pub(super) const FULL_RETRY: Duration = Duration::from_secs(1);

/// How long calls under way are waited for when another node is to have the shard: their answers would only spare a repeat.
const HANDOVER: Duration = Duration::from_millis(250);

/// The shortest time between two looks at one saga's timers.
const TICK_MIN: Duration = Duration::from_millis(1);

/// What has come for about so many sagas is taken in before the lease is looked at again and the other shards of the node have
/// their turn: before each of them has had it, leases must have been renewed, also where there is a tenth of a processor left.
const SAGAS_A_TURN: usize = 16;

/// Why a tenure ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The shard was given back in order.
    Left,
    /// Another owner has the shard, the lease ran out, or the shard couldn't be had.
    Lost,
    /// A participant has seen a newer owner: there is one, or this one needs a higher epoch.
    Overtaken(Overtaken),
    /// The store left open what became of a commit, or couldn't be read: start again from what it has.
    Doubtful,
}

/// One tenure of one shard.
#[derive(Debug)]
pub(crate) struct Owner<'a> {
    pub(crate) context: &'a ShardContext,
    pub(crate) lease: Lease,
    /// Boxed, because a map moves what is beside a place that is filled or emptied.
    pub(crate) residents: BTreeMap<SagaKey, Box<Resident>>,
    /// What is kept of sagas that wait and aren't in memory.
    pub(super) asleep: BTreeMap<SagaKey, Asleep>,
    /// Work for sagas that are being read from the store.
    pub(crate) loading: BTreeMap<SagaKey, Loading>,
    pub(crate) timers: BTreeSet<(Timestamp, SagaKey)>,
    pub(crate) watchers: BTreeMap<SagaKey, watch::Sender<Option<Progress>>>,
    pub(crate) events: mpsc::UnboundedSender<ShardEvent>,
    /// Everything due up to here is in memory or has been.
    pub(crate) horizon: Option<Timestamp>,
    /// Dropped when the scan under way may give its next page.
    pub(super) page: Option<oneshot::Sender<()>>,
    /// How many commits of sagas are under way.
    pub(super) commits: usize,
    /// The scan under way.
    pub(crate) scanning: Option<Scanning>,
    /// When the shard was asked for.
    pub(crate) asked_at: Timestamp,
    pub(crate) renew_at: Timestamp,
    pub(crate) valid_until: Timestamp,
    /// The renewal under way.
    pub(super) renewing: Option<Renewal>,
    /// Set while the shard is being given back: until when calls under way are waited for.
    pub(crate) leaving: Option<Timestamp>,
    pub(crate) ended: Option<Ended>,
    /// When the shard was last given up because a participant had seen a newer owner.
    pub(super) overtaken: Overtaken,
    /// The shard's audit log.
    pub(super) auditing: Auditing,
    /// What others are to be told; `None`: nothing.
    pub(super) outbox: Option<Outbox>,
}

/// What the loop's `select!` names.
enum Turn {
    Renewed(Result<(), StoreError>),
    Own(ShardEvent),
    Asked(Request),
    Clock,
    Ordered(Order),
}

impl<'a> Owner<'a> {
    /// Runs until the shard is lost or the node stops.
    pub(crate) async fn run(
        mut self,
        mut own: mpsc::UnboundedReceiver<ShardEvent>,
        requests: &mut mpsc::Receiver<Request>,
        orders: &mut watch::Receiver<Order>,
    ) -> Ended {
        self.scan();
        self.open_log();
        let mut alarm = Alarm::after(self.context.config.lease);
        loop {
            let now = self.context.seams.now();
            // At every turn, so that no flood of answers keeps the clock's turn, and with it the renewal, from coming.
            self.keep_lease(now);
            if let Some(ended) = self.ended {
                return ended;
            }
            self.turn_page();
            if self.leaving.is_some_and(|until| self.has_settled(now >= until)) {
                return Ended::Left;
            }
            alarm.set(self.until_next_wake(now));
            let turn = tokio::select! {
                biased;
                renewed = Renewal::answered(&mut self.renewing) => Turn::Renewed(renewed),
                Some(event) = own.recv() => Turn::Own(event),
                Some(request) = requests.recv(), if self.leaving.is_none() => Turn::Asked(request),
                Ok(()) = orders.changed(), if self.leaving.is_none() => Turn::Ordered(*orders.borrow_and_update()),
                () = alarm.rings() => Turn::Clock,
            };
            match turn {
                Turn::Renewed(result) => self.renewed(result),
                Turn::Own(first) => {
                    if self.own_some(first, &mut own, now) {
                        give_way().await;
                    }
                }
                Turn::Asked(request) => self.asked(request),
                Turn::Clock => {
                    if self.clock() {
                        give_way().await;
                    }
                }
                Turn::Ordered(Order::Leave) => self.leave(now),
                Turn::Ordered(Order::Take) => {}
            }
        }
    }

    /// Starts nothing more. A next owner isn't kept waiting for calls; without one there is nobody to go on with them. Of a frozen
    /// shard nothing may change any more, not even by an answer.
    fn leave(&mut self, now: Timestamp) {
        self.context.table().set_here(self.lease.shard, false);
        if matches!(self.context.table().place(self.lease.shard), Place::Frozen(_)) {
            self.ended = Some(Ended::Lost);
            return;
        }
        let patience = if self.context.table().has_heir() { HANDOVER } else { Duration::MAX };
        self.leaving = Some(now + patience);
    }

    /// Nothing is under way whose answer could still be recorded. What is being made durable is always waited for; calls and
    /// questions to the store are not, once it is `late`.
    fn has_settled(&self, late: bool) -> bool {
        let durable = self.residents.values().all(|resident| resident.staged.is_none()) && !self.auditing.is_writing();
        durable && (late || (self.loading.is_empty() && self.residents.values().all(|it| it.calls.is_empty())))
    }

    fn until_next_wake(&self, now: Timestamp) -> Duration {
        let timer = self.timers.first().map(|(due, _)| *due).filter(|_| !self.reads_enough());
        let lease = if self.renewing.is_some() { self.valid_until } else { self.renew_at };
        let leaving = self.leaving.filter(|until| *until > now);
        let wake = [timer, self.next_scan(), leaving, Some(lease)].into_iter().flatten().min();
        wake.map_or(self.context.config.lease, |wake| wake.since(now))
    }

    /// Takes in what has come, up to a turn's worth. True: there may be more. What comes after the tenure's end is as lost as
    /// what is still in the queue.
    fn own_some(&mut self, first: ShardEvent, own: &mut mpsc::UnboundedReceiver<ShardEvent>, now: Timestamp) -> bool {
        let (mut sagas, mut next) = (0, Some(first));
        while let Some(event) = next {
            sagas += event.sagas();
            self.own(event, now);
            if sagas >= SAGAS_A_TURN || self.ended.is_some() {
                return true;
            }
            next = own.try_recv().ok();
        }
        false
    }

    fn own(&mut self, event: ShardEvent, now: Timestamp) {
        match event {
            ShardEvent::Answered { key, event } if says_so(&event) && self.gives_up(&key, now) => {}
            ShardEvent::Answered { key, event } => self.work(&key, Work::event(event)),
            ShardEvent::Admitted { who, permit } => self.admitted(&who, permit),
            ShardEvent::Released { key } => self.released(&key),
            ShardEvent::Committed(results) => {
                for (key, result) in results {
                    self.committed(&key, result);
                }
            }
            ShardEvent::Loaded { key, loaded } => self.loaded(&key, loaded),
            ShardEvent::Found(found) => self.found(*found),
            ShardEvent::Scanned { read, until, last, taken } => {
                self.scanned(read, until, last);
                self.page = Some(taken);
            }
            ShardEvent::LogOpened(end) => self.log_opened(end),
            ShardEvent::Appended(result) => self.appended(result),
        }
    }

    /// A participant has seen a newer owner of this saga. The attempt stays outstanding: whoever has the shard next, this node or
    /// another, makes it again under its own epoch.
    fn gives_up(&mut self, key: &SagaKey, now: Timestamp) -> bool {
        if self.leaving.is_some() {
            return false;
        }
        let (shard, epoch) = (self.lease.shard.0, self.lease.epoch.0);
        let Some(overtaken) = self.overtaken.told(now, self.context.config.lease) else {
            tracing::warn!(shard, epoch, saga = %key, "a participant still has seen a newer owner; the saga waits");
            return false;
        };
        tracing::warn!(shard, epoch, saga = %key, "a participant has seen a newer owner; asking for the shard anew");
        self.ended = Some(Ended::Overtaken(overtaken));
        true
    }

    /// An attempt that was held back may begin: as if its time had come now.
    fn admitted(&mut self, (key, step, operation): &Who, permit: Permit) {
        if self.leaving.is_some() {
            return;
        }
        if crate::planted::is("sleeper_forgotten") && self.asleep.contains_key(key) {
            return;
        }
        if self.with_admissions(key, |admissions| admissions.may_go(*step, *operation, permit)) == Some(true) {
            self.work(key, Work::event(Event::Due));
        }
    }

    fn asked(&mut self, request: Request) {
        match request {
            Request::Start(start) => self.start(*start),
            Request::Ask { key, event, expected_revision, reply, ticket } => {
                self.work(&key, Work::Apply { event, expected_revision, reply: Some(reply), ticket });
            }
            Request::Note(note) => self.note(*note),
            Request::Watch { key, reply } => {
                let now = self.residents.get(&key).and_then(|resident| resident.progress());
                let sender = self.watchers.entry(key).or_insert_with(|| watch::Sender::new(now));
                // Whoever asked may have gone away.
                let _ = reply.send(sender.subscribe());
            }
            Request::Epoch(reply) => {
                let _ = reply.send(self.lease.epoch);
            }
            Request::Waits(reply) => {
                let _ = reply.send(self.waits());
            }
        }
    }

    /// Takes in what is due, up to a turn's worth. True: there may be more.
    fn clock(&mut self) -> bool {
        let now = self.context.seams.now();
        let mut sagas = 0;
        while let Some((due, key)) = self.timers.first().cloned() {
            if due > now || self.reads_enough() {
                break;
            }
            if sagas >= SAGAS_A_TURN {
                return true;
            }
            sagas += 1;
            self.timers.pop_first();
            if let Some(resident) = self.residents.get_mut(&key) {
                resident.timer = None;
            }
            self.work(&key, Work::event(Event::Due));
        }
        if self.next_scan().is_some_and(|at| at <= now) {
            self.scan();
        }
        false
    }

    pub(crate) fn start(&mut self, mut start: StartRequest) {
        let key = start.head.key.clone();
        if self.has(&key) {
            return self.work(&key, Work::Start(Box::new(start)));
        }
        if self.residents.len() >= self.context.config.residents_max {
            let error = RequestError::Overloaded { retry_after: FULL_RETRY };
            let _ = start.reply.send(Err(error));
            return;
        }
        let now = self.context.seams.now();
        let begun = begin(start.head.clone(), start.compiled.engine().clone(), start.input.clone(), now);
        let mut resident = Resident::new(begun.saga.clone(), start.compiled.clone(), BTreeMap::new());
        resident.values.take_input(std::mem::take(&mut start.value));
        resident.awaited = start.rest.take();
        self.residents.insert(key.clone(), Box::new(resident));
        self.stage(&key, Change::begun(begun), vec![Work::Start(Box::new(start))], now);
    }

    /// Does something to a saga: now, after its commit under way, or once it has been read.
    pub(crate) fn work(&mut self, key: &SagaKey, work: Work) {
        if let Some(resident) = self.residents.get_mut(key) {
            resident.queue.push_back(work);
            return self.turn(key);
        }
        if let Some(loading) = self.loading.get_mut(key) {
            return loading.waiting.push(work);
        }
        let admissions = self.awaken(key).unwrap_or_default();
        self.load(key.clone(), vec![work], admissions);
    }

    /// Whether anything of a saga is in memory.
    pub(super) fn has(&self, key: &SagaKey) -> bool {
        self.residents.contains_key(key) || self.loading.contains_key(key) || self.asleep.contains_key(key)
    }

    /// Applies all that is queued for a saga, in one commit.
    pub(crate) fn turn(&mut self, key: &SagaKey) {
        let now = self.context.seams.now();
        let Some(resident) = self.residents.get(key) else { return };
        if resident.staged.is_some() || resident.queue.is_empty() || self.waits_for_log(key) {
            return;
        }
        let Some(resident) = self.residents.get_mut(key) else { return };
        let mut works: Vec<Work> = resident.queue.drain(..).collect();
        works.sort_by_key(Work::is_timer);
        let mut change = Change::new(resident.saga.clone());
        let mut done = Vec::with_capacity(works.len());
        let door = Door::new(&self.context.shared, &self.events);
        let mut admissions = std::mem::take(&mut resident.admissions);
        for work in works {
            match resident.apply(&mut change, work, now, &mut |attempt| admissions.admit(attempt, &door, now)) {
                Tried::Done(work) => done.push(work),
                // Judged by a change that may never become durable: it is judged again after the commit, and told then.
                Tried::Refused(work, _) if change.changed && !crate::planted::is("told_before_commit") => {
                    resident.queue.push_back(work);
                }
                Tried::Refused(work, error) => {
                    resident.is_heard(&work);
                    work.refuse(|| error);
                }
            }
        }
        resident.admissions = admissions;
        if change.changed {
            return self.stage(key, change, done, now);
        }
        for work in done {
            resident.done(work, false, false);
        }
        self.settle(key);
    }

    /// Prepares a change and sends its commit on its way.
    fn stage(&mut self, key: &SagaKey, mut change: Change, mut works: Vec<Work>, now: Timestamp) {
        let Some(resident) = self.residents.get_mut(key) else { return };
        let door = Door::new(&self.context.shared, &self.events);
        let moved = resident.moved_to(&change, &self.context.shared.definitions);
        let Resident { compiled, values, payloads, admissions, .. } = resident.as_mut();
        let (mut anew, compiled) = (Values::default(), moved.as_ref().unwrap_or(compiled));
        let values = if moved.is_some() { &mut anew } else { values };
        change.prepare(compiled, values, payloads, now, &mut |attempt| admissions.admit(attempt, &door, now));
        let is_start = change.saga.state.revision == 0;
        let was = standing::status(&resident.saga);
        let differing = change.differing();
        let at = CommitAt {
            lease: self.lease,
            op: OpId(self.context.seams.bits()),
            node: &self.context.config.node,
            now,
            retention: self.context.config.retention,
        };
        let (saga, payloads, mut commit) = change.into_commit(&at);
        let before = (!is_start).then_some(&resident.saga);
        let written = self.outbox.as_mut().and_then(|outbox| {
            let (entries, written) = outbox.entries(&alerts::Change { before, after: &saga, now });
            commit.logs.extend(entries);
            written
        });
        let audited = self.entries(was, &saga, &works, now);
        let is_audited = !audited.is_empty();
        commit.logs.extend(audited);
        if let Some(resident) = self.residents.get_mut(key).filter(|_| crate::planted::is("intent_after_call")) {
            resident.saga = saga.clone();
            resident.payloads.extend(payloads.iter().cloned());
            self.start_calls(key);
        }
        let Some(resident) = self.residents.get_mut(key) else { return };
        if crate::planted::is("signal_told_before_commit") {
            resident.saga = saga.clone();
            for work in &mut works {
                if let Work::Apply { reply, .. } = work
                    && let Some(reply) = reply.take()
                {
                    resident.answer(reply, true);
                }
            }
        }
        let staged = Staged { saga, payloads, works, is_start, differing, is_audited, written, moved };
        resident.staged = Some(Box::new(staged));
        let pending = Pending { commit, answer_to: self.events.clone() };
        self.commits += 1;
        if self.context.commits.send(Write::Commit(pending)).is_err() {
            self.ended = Some(Ended::Lost);
        }
    }

    pub(super) fn notify(&mut self, key: &SagaKey) {
        let Some(resident) = self.residents.get_mut(key) else { return };
        resident.tell_at_rest();
        let Some(watcher) = self.watchers.get(key) else { return };
        watcher.send_replace(resident.progress());
        if watcher.receiver_count() == 0 || resident.saga.state.phase.is_terminal() {
            self.watchers.remove(key);
        }
    }

    /// Sets a saga's timer, or lets it leave memory when nothing needs it there.
    pub(crate) fn settle(&mut self, key: &SagaKey) {
        let Some(resident) = self.residents.get_mut(key) else { return };
        if resident.staged.is_some() || !resident.queue.is_empty() {
            return;
        }
        resident.admissions.tidy(&resident.saga);
        let Some(resident) = self.residents.get(key) else { return };
        let due = next_due_beside(&resident.saga, |step, operation| resident.admissions.is_held(step, operation));
        let due = due.filter(|_| !resident.admissions.is_paused());
        if resident.calls.is_empty() && !resident.admissions.holds_any() && self.may_leave(&resident.saga, due) {
            self.set_timer(key, None);
            self.residents.remove(key);
            return;
        }
        // A timer that changes nothing must not spin.
        let soonest = self.context.seams.now() + TICK_MIN;
        self.set_timer(key, due.map(|due| due.max(soonest)));
        self.may_sleep(key);
    }

    /// A saga may leave memory if a scan to come will find it, or nothing but a request can move it.
    fn may_leave(&self, saga: &Saga, due: Option<Timestamp>) -> bool {
        let covered = self.horizon.max(self.scanning.as_ref().map(|scanning| scanning.until));
        saga.state.phase.is_terminal() || due.is_none_or(|due| covered.is_some_and(|covered| due > covered))
    }

    pub(super) fn set_timer(&mut self, key: &SagaKey, due: Option<Timestamp>) {
        let Some(resident) = self.residents.get_mut(key) else { return };
        if let Some(old) = std::mem::replace(&mut resident.timer, due) {
            self.timers.remove(&(old, key.clone()));
        }
        if let Some(due) = due {
            self.timers.insert((due, key.clone()));
        }
    }
}

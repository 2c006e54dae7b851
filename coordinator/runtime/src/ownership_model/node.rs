//! What an owner does, in the order in which `shard::owner` does it: stage, commit, count, and only then call.
//!
//! It decides nothing that `memo.rs` or the product's own functions can decide. Invariant: whatever ends a tenure takes all its
//! memory with it.

use amends_engine::effect::Effect;
use amends_engine::outstanding;
use amends_engine::saga::Phase;
use amends_store::{Acquired, Epoch, Lease, Nonce};

use crate::cluster::Mark;
use crate::cluster::marks::Marks;
use crate::floor::says_nothing;
use crate::shard::overtaken::{Overtaken, says_so};
use crate::shard::rejected::Rejected;

use super::explore::Notes;
use super::memo::{Memo, Moved, SHARD, answered};
use super::packet::{Call, Ended, Packet, Told};
use super::rules::{Rule, Seen};
use super::world::{CallId, Made, Node, Resident, Set, Tenure, World, Write};

impl World {
    fn node(&mut self, node: u8) -> &mut Node {
        &mut self.nodes[usize::from(node)]
    }

    /// Ends a node's tenure and gives the shard back.
    pub(super) fn end_tenure(&mut self, node: u8) {
        let it = self.node(node);
        it.marks.ended(SHARD);
        if let Some(tenure) = it.tenure.take() {
            self.send(Packet::Release { lease: tenure.lease });
        }
    }

    /// A loss was noticed: the tenure ends. There must have been one.
    fn freeze(&mut self, node: u8, how: Seen, notes: &mut Notes) {
        notes.saw(how);
        // Whose own acquisition was lost cannot know that the other's commits came after it, and were not lost before it.
        let lost_its_own = how == Seen::FrozenByWord && self.lost_grant;
        if self.lost == 0 && lost_its_own {
            notes.saw(Seen::FrozenForAnAcquisition);
        }
        notes.must(self.lost != 0 || lost_its_own, Rule::NoFalseAlarm);
        self.end_tenure(node);
    }

    /// A node has the shard, if what it knows lets it work on it.
    pub(super) fn acquired(&mut self, memo: &Memo, node: u8, given: Given, notes: &mut Notes) {
        let Given { lease, commits, grant } = given;
        let has_all = self.has_all(memo, node);
        let it = self.node(node);
        it.asking = None;
        if it.marks.acquired(&Acquired { lease, commits }).is_ok() {
            it.tenure = Some(Tenure { lease, grant, residents: vec![None; usize::from(memo.bounds.sagas)] });
            return;
        }
        self.send(Packet::Release { lease });
        if self.lost == 0 && has_all {
            // The answer came after a word of the next owner. The store is looked at before the shard is asked for again, and
            // has all that was confirmed: this ends by itself.
            return notes.saw(Seen::FrozenForAMoment);
        }
        self.freeze(node, Seen::FrozenAtAcquisition, notes);
    }

    /// What `shard::supervise` asks of a frozen shard: whether the store has all that was confirmed.
    fn has_all(&self, memo: &Memo, node: u8) -> bool {
        let tenures = memo.tenures(self.store.store);
        let found = tenures.iter().find(|tenure| tenure.shard == SHARD).map_or(0, |tenure| tenure.commits);
        self.nodes[usize::from(node)].marks.compare(SHARD, found).is_ok()
    }

    /// A node hears another's marks.
    pub(super) fn say(&mut self, from: u8, to: u8, notes: &mut Notes) {
        let said = self.nodes[usize::from(from)].clone();
        let it = self.node(to);
        it.knows |= said.knows;
        let behind = said.marks.all().into_iter().filter(|mark| it.marks.heard(*mark).is_err()).count() > 0;
        if behind && it.tenure.is_some() {
            self.freeze(to, Seen::FrozenByWord, notes);
        }
    }

    /// A node looks who has what, and whether that is less than it knows of.
    pub(super) fn look(&mut self, memo: &Memo, node: u8, notes: &mut Notes) {
        let tenures = memo.tenures(self.store.store);
        let marks = &self.node(node).marks;
        if marks.has(SHARD) && !Marks::behind(&marks.all(), &tenures).is_empty() {
            self.freeze(node, Seen::FrozenByLook, notes);
        }
    }

    /// What became of the commit under way. The next one is sent; the tenure that waits for this one hears of it.
    pub(super) fn committed(&mut self, memo: &Memo, node: u8, told: Told, notes: &mut Notes) {
        let Some(Write { nonce, saga, .. }) = self.next_write(node) else { return };
        let tenure = self.nodes[usize::from(node)].tenure.as_mut().filter(|tenure| tenure.lease.nonce == nonce);
        let Some(tenure) = tenure else { return };
        let (lease, place) = (tenure.lease, usize::from(saga));
        let Some((_, becomes)) = tenure.residents[place].as_mut().and_then(|resident| resident.staged.take()) else {
            return;
        };
        let (number, is_new) = match told {
            Told::Now { made, .. } => (made.number, true),
            Told::Before { number } => (number, false),
            Told::Not(rejected) => return self.not_committed(node, place, rejected, notes),
        };
        let mark = Mark { shard: SHARD, epoch: lease.epoch, nonce: lease.nonce, commits: number };
        if self.node(node).marks.confirmed(mark, is_new).is_err() {
            return self.freeze(node, Seen::FrozenByNumber, notes);
        }
        if self.node(node).marks.is_followed(SHARD) {
            notes.saw(Seen::Followed);
            return self.end_tenure(node);
        }
        if let Told::Now { made, lost, is_first } = told {
            self.is_noticed(node, made, lost, is_first, notes);
        }
        let Some(tenure) = &mut self.nodes[usize::from(node)].tenure else { return };
        match memo.saga(becomes).state.phase {
            Phase::Completed | Phase::Compensated | Phase::ForceStopped => tenure.residents[place] = None,
            Phase::Running | Phase::Confirming | Phase::Compensating => {
                if let Some(resident) = &mut tenure.residents[place] {
                    resident.saga = Some(becomes);
                }
                self.start_calls(memo, node, saga);
            }
        }
        match memo.saga(becomes).state.phase {
            Phase::Completed => notes.saw(Seen::Completed),
            Phase::Compensated => notes.saw(Seen::Compensated),
            Phase::ForceStopped | Phase::Running | Phase::Confirming | Phase::Compensating => {}
        }
    }

    fn is_noticed(&mut self, node: u8, made: Made, lost: Set, is_first: bool, notes: &mut Notes) {
        let knows_of_a_loss = self.node(node).knows & lost != 0;
        notes.must(!(knows_of_a_loss && is_first), Rule::LossIsNoticed);
        if knows_of_a_loss {
            notes.saw(Seen::Overlooked);
        }
        notes.must((self.store.made | self.lost) & made.bit() != 0, Rule::ConfirmedIsKept);
        self.node(node).knows |= made.bit();
    }

    fn not_committed(&mut self, node: u8, place: usize, rejected: Rejected, notes: &mut Notes) {
        let seen = match rejected {
            Rejected::Behind => Seen::Behind,
            Rejected::Fenced => Seen::Fenced,
            Rejected::Open => Seen::Doubtful,
            // The saga is read again.
            Rejected::Moved => Seen::Moved,
            Rejected::Reserved => Seen::Reserved,
            other => panic!("{other:?} has no place here"),
        };
        notes.saw(seen);
        if !matches!(rejected, Rejected::Moved | Rejected::Reserved) {
            return self.end_tenure(node);
        }
        if let Some(tenure) = &mut self.node(node).tenure {
            tenure.residents[place] = None;
        }
    }

    /// Calls that the durable state asks for and that aren't under way.
    fn start_calls(&mut self, memo: &Memo, node: u8, number: u8) {
        let floor = self.node(node).floor;
        let Some(tenure) = &mut self.nodes[usize::from(node)].tenure else { return };
        let (lease, grant) = (tenure.lease, tenure.grant);
        let Some(Resident { saga: Some(saga), calls, .. }) = &mut tenure.residents[usize::from(number)] else { return };
        let saga = memo.saga(*saga);
        let begun = saga.state.started_at;
        let origin = (!says_nothing(begun, floor)).then_some((begun.0, floor.0));
        let mut packets = Vec::new();
        for effect in outstanding(saga) {
            let Effect::Call { step, operation, attempt, expects_succeeded, .. } = effect else { continue };
            let id = (step, operation, attempt);
            if memo.bounds.calls && !calls.contains(&id) {
                calls.push(id);
                let (nonce, epoch) = (lease.nonce, lease.epoch.0);
                packets.push(Packet::Call(Call {
                    node,
                    nonce,
                    saga: number,
                    id,
                    epoch,
                    expects_succeeded,
                    origin,
                    grant,
                }));
            }
        }
        packets.into_iter().for_each(|packet| self.send(packet));
    }
}

impl Memo {
    /// Something moves a saga: its commit is sent, where anything changes.
    pub(super) fn stage(&mut self, world: &mut World, node: u8, number: u8, from: Option<u32>, moved: Moved) {
        let now = world.now;
        let turned = self.turn(number, from, moved, now);
        let Some(tenure) = &mut world.nodes[usize::from(node)].tenure else { return };
        let Lease { nonce, .. } = tenure.lease;
        let grant = tenure.grant;
        let resident = tenure.residents[usize::from(number)].get_or_insert_default();
        resident.saga = from;
        if let Moved::Answered(id, _) = moved {
            resident.calls.retain(|call| *call != id);
        }
        if let Some((becomes, draft)) = turned {
            let commit = self.commit(draft, tenure.lease);
            resident.staged = Some((commit, becomes));
            world.write(node, Write { nonce, saga: number, commit, grant });
        }
    }

    /// A call's end: known to be that of a replaced owner, or taken in.
    pub(super) fn reply(
        &mut self,
        world: &mut World,
        (node, number): (u8, u8),
        id: CallId,
        ended: Ended,
        notes: &mut Notes,
    ) {
        if says_so(&answered(id, ended)) {
            let now = world.now;
            let it = world.node(node);
            let was_told = it.overtaken != Overtaken::default();
            if let Some(overtaken) = it.overtaken.told(now, super::world::LEASE) {
                it.overtaken = overtaken;
                notes.saw(Seen::Overtaken);
                return world.end_tenure(node);
            }
            notes.must(was_told, Rule::ReplacedOwnerStops);
        }
        let tenure = world.nodes[usize::from(node)].tenure.as_ref();
        let from = tenure.and_then(|tenure| tenure.residents[usize::from(number)].as_ref()?.saga);
        self.stage(world, node, number, from, Moved::Answered(id, ended));
    }
}

/// What an acquisition gave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    pub(super) lease: Lease,
    /// The shard's commit number.
    pub(super) commits: u64,
    /// Noted: which acquisition it is.
    pub(super) grant: u8,
}

/// The lease that an answer speaks of.
pub(super) fn lease(epoch: u64, nonce: Nonce) -> Lease {
    Lease { shard: SHARD, epoch: Epoch(epoch), nonce }
}

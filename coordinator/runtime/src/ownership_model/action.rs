//! What can happen next in a world, and what then is.
//!
//! Invariant: whatever can happen is offered for as long as it can; nothing happens by itself.

use amends_engine::next_due;
use amends_engine::time::Timestamp;
use amends_store::{Committed, Nonce};

use crate::shard::rejected::Rejected;

use super::desk::Desk;
use super::explore::Notes;
use super::memo::{Asked, Memo, Moved, Said};
use super::node::{Given, lease};
use super::packet::{Ended, Packet, Told};
use super::rules::{Rule, Seen};
use super::world::{Bounds, CallId, Clocks, Copy, Made, NODES, Node, TICK, Tenure, World};

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Action {
    Ask(u8),
    /// A packet comes. It may come again, or its handler refuses.
    Come {
        packet: Packet,
        again: bool,
        refused: bool,
    },
    Start(u8, u8),
    Load(u8, u8),
    Due(u8, u8),
    Cancel(u8, u8),
    LapseCommit(u8),
    LapseCall(u8, u8, CallId),
    Leave(u8),
    Crash(u8),
    Say(u8, u8),
    Look(u8),
    Tick,
    Replicate,
    FailOver,
    RefreshFloor(u8),
    SweepStore,
    SweepDesk,
}

impl Action {
    /// Whether it hinders what is under way.
    pub(super) fn disturbs(&self) -> bool {
        match self {
            Self::Come { again, refused, .. } => *again || *refused,
            Self::Start(..) | Self::Load(..) | Self::Due(..) | Self::Replicate | Self::RefreshFloor(_) => false,
            Self::Ask(_) | Self::Tick | Self::Say(..) | Self::Look(_) | Self::SweepStore | Self::SweepDesk => false,
            Self::Cancel(..) | Self::LapseCommit(_) | Self::LapseCall(..) => true,
            Self::Leave(_) | Self::Crash(_) | Self::FailOver => true,
        }
    }
}

impl Memo {
    /// The world in which nothing has happened yet.
    pub(super) fn first(&self) -> World {
        let empty = Copy { store: 0, grant: None, made: 0, first: None };
        World {
            left: self.bounds,
            now: Timestamp(TICK),
            store: empty,
            replica: empty,
            nodes: [Node::default(), Node::default()],
            net: Vec::new(),
            desk: Desk::new(self.bounds.sagas, self.bounds.steps),
            grants: 0,
            era: 0,
            lost: 0,
            lost_grant: false,
        }
    }

    /// All that can happen now.
    pub(super) fn actions(&mut self, world: &World) -> Vec<Action> {
        let left = world.left;
        let mut all = Vec::new();
        for packet in &world.net {
            self.coming(world, packet, &mut all);
        }
        for (number, node) in (0_u8..).zip(&world.nodes) {
            match &node.tenure {
                None if left.asks > 0 => all.push(Action::Ask(number)),
                None => {}
                Some(tenure) => self.owning(world, number, tenure, &mut all),
            }
            if left.lapses > 0 && node.committing.is_some() {
                all.push(Action::LapseCommit(number));
            }
            if left.crashes > 0 && *node != Node::default() {
                all.push(Action::Crash(number));
            }
            if left.floor && self.refresh_floor(world, usize::from(number)) > node.floor {
                all.push(Action::RefreshFloor(number));
            }
            // Without a fail-over there is nothing to notice.
            if self.bounds.fail_overs > 0 {
                all.extend([Action::Say(number, 1 - number), Action::Look(number)]);
            }
        }
        // The floor rests on no commit being held back for as long as it lies behind the clock.
        let is_held_back = world.net.iter().any(|packet| matches!(packet, Packet::Commit { .. }));
        let may_pass = !(left.floor && (is_held_back || world.nodes.iter().any(|node| !node.writes.is_empty())));
        if left.ticks > 0 && may_pass {
            all.push(Action::Tick);
        }
        if left.fail_overs > 0 {
            all.extend((world.replica != world.store).then_some(Action::Replicate));
            all.push(Action::FailOver);
        }
        if left.floor {
            all.push(Action::SweepStore);
            all.extend(world.desk.may_sweep().then_some(Action::SweepDesk));
        }
        all
    }

    fn coming(&self, world: &World, packet: &Packet, all: &mut Vec<Action>) {
        let come = Action::Come { packet: *packet, again: false, refused: false };
        let is_question = match packet {
            Packet::Committed { .. } | Packet::Acquired { .. } | Packet::Held { .. } => false,
            // Taken in after the commit under way.
            Packet::Reply { node, saga, .. } => {
                let tenure = world.nodes[usize::from(*node)].tenure.as_ref();
                let resident = tenure.and_then(|tenure| tenure.residents[usize::from(*saga)].as_ref());
                if resident.is_some_and(|resident| resident.staged.is_some()) {
                    return;
                }
                false
            }
            Packet::Acquire { .. } | Packet::Release { .. } | Packet::Commit { .. } | Packet::Call(_) => true,
        };
        all.push(come);
        if is_question && world.left.copies > 0 {
            all.push(Action::Come { packet: *packet, again: true, refused: false });
        }
        if let Packet::Call(call) = packet
            && call.operation() == amends_engine::ids::Operation::Action
            && world.left.refusals > 0
        {
            all.push(Action::Come { packet: *packet, again: false, refused: true });
        }
    }

    fn owning(&mut self, world: &World, node: u8, tenure: &Tenure, all: &mut Vec<Action>) {
        all.push(Action::Leave(node));
        let left = world.left;
        for (number, resident) in (0_u8..).zip(&tenure.residents) {
            let Some(resident) = resident else {
                let is_there = self.load(world.store.store, number).is_some();
                all.extend(is_there.then_some(Action::Load(node, number)));
                all.extend((left.starts > 0).then_some(Action::Start(node, number)));
                continue;
            };
            let Some(saga) = resident.saga.filter(|_| resident.staged.is_none()) else { continue };
            if left.lapses > 0 {
                all.extend(resident.calls.iter().map(|id| Action::LapseCall(node, number, *id)));
            }
            if next_due(self.saga(saga)).is_some_and(|due| due <= world.now) {
                all.push(Action::Due(node, number));
            }
            all.extend((left.cancels > 0).then_some(Action::Cancel(node, number)));
        }
    }

    /// What then is.
    pub(super) fn step(&mut self, before: &World, action: &Action) -> (World, Notes) {
        let (mut world, mut notes) = (before.clone(), Notes::default());
        let resident = |world: &World, node: u8, saga: u8| {
            let tenure = world.nodes[usize::from(node)].tenure.as_ref()?;
            tenure.residents[usize::from(saga)].as_ref()?.saga
        };
        match *action {
            Action::Ask(node) => {
                let nonce = Nonce(u128::from(self.bounds.asks - world.left.asks) + 1);
                world.left.asks -= 1;
                world.nodes[usize::from(node)].asking = Some(nonce);
                world.send(Packet::Acquire { node, nonce });
            }
            Action::Come { packet, again, refused } => {
                world.left.copies -= u8::from(again);
                world.left.refusals -= u8::from(refused);
                if !again && let Some(index) = world.net.iter().position(|other| *other == packet) {
                    world.net.remove(index);
                }
                self.come(&mut world, packet, refused, &mut notes);
            }
            Action::Start(node, saga) => {
                world.left.starts -= 1;
                self.stage(&mut world, node, saga, None, Moved::Started);
            }
            Action::Load(node, saga) => {
                let loaded = self.load(world.store.store, saga);
                self.stage(&mut world, node, saga, loaded, Moved::Loaded);
            }
            Action::Due(node, saga) => {
                let from = resident(&world, node, saga);
                self.stage(&mut world, node, saga, from, Moved::Due);
            }
            Action::Cancel(node, saga) => {
                world.left.cancels -= 1;
                let from = resident(&world, node, saga);
                self.stage(&mut world, node, saga, from, Moved::Cancelled);
            }
            Action::LapseCommit(node) => {
                world.left.lapses -= 1;
                world.committed(self, node, Told::Not(Rejected::Open), &mut notes);
            }
            Action::LapseCall(node, saga, id) => {
                world.left.lapses -= 1;
                self.reply(&mut world, (node, saga), id, Ended::Unclear, &mut notes);
            }
            Action::Leave(node) => world.end_tenure(node),
            Action::Crash(node) => {
                world.left.crashes -= 1;
                let life = world.nodes[usize::from(node)].life + 1;
                world.nodes[usize::from(node)] = Node { life, ..Node::default() };
            }
            Action::Say(from, to) => world.say(from, to, &mut notes),
            Action::Look(node) => world.look(self, node, &mut notes),
            Action::Tick => {
                world.left.ticks -= 1;
                world.now = Timestamp(world.now.0 + TICK);
            }
            Action::Replicate => world.replica = world.store,
            Action::FailOver => world.fail_over(self.bounds, &mut notes),
            Action::RefreshFloor(node) => {
                world.nodes[usize::from(node)].floor = self.refresh_floor(&world, usize::from(node));
            }
            Action::SweepStore => world.store.store = self.ask(world.store.store, world.now, Asked::Sweep).0,
            Action::SweepDesk => self.sweep_desk(&mut world, &mut notes),
        }
        world.tidy();
        (world, notes)
    }

    fn come(&mut self, world: &mut World, packet: Packet, refused: bool, notes: &mut Notes) {
        let (store, now) = (world.store.store, world.now);
        match packet {
            Packet::Acquire { node, nonce } => {
                let (after, said) = self.ask(store, now, Asked::Acquire(node, nonce));
                world.store.store = after;
                world.is_given(node, nonce, said, notes);
            }
            Packet::Release { lease } => {
                let (after, _) = self.ask(store, now, Asked::Release(lease));
                if after != store {
                    (world.store.store, world.store.grant) = (after, None);
                }
            }
            Packet::Commit { node, nonce, commit, grant, .. } => {
                let (after, said) = self.ask(store, now, Asked::Commit(commit));
                world.store.store = after;
                let told = world.is_committed(said, grant, notes);
                let owns = world.nodes[usize::from(node)].tenure.as_ref().is_some_and(|it| it.lease.nonce == nonce);
                if !owns && matches!(told, Told::Now { .. }) {
                    notes.saw(Seen::LateCommit);
                }
                world.send(Packet::Committed { node, commit, told });
            }
            Packet::Call(call) => {
                let ended = self.receive(world, &call, refused, notes);
                let (node, nonce, saga, id) = (call.node, call.nonce, call.saga, call.id);
                world.send(Packet::Reply { node, nonce, saga, id, ended });
            }
            Packet::Acquired { node, nonce, epoch, commits, grant } => {
                world.acquired(self, node, Given { lease: lease(epoch, nonce), commits, grant }, notes);
            }
            Packet::Held { node, .. } => world.nodes[usize::from(node)].asking = None,
            Packet::Committed { node, told, .. } => world.committed(self, node, told, notes),
            Packet::Reply { node, saga, id, ended, .. } => self.reply(world, (node, saga), id, ended, notes),
        }
    }

    /// A step in words.
    pub(super) fn show(&mut self, world: &World, action: &Action) -> String {
        let name = |node: u8| NODES[usize::from(node)];
        let what = match *action {
            Action::Ask(node) => format!("node {} asks for the shard", name(node)),
            Action::Come { packet, again, refused } => {
                let copy = if again { " (and will come again)" } else { "" };
                let no = if refused { ", which refuses" } else { "" };
                format!("{}{no}{copy}", shown(packet))
            }
            Action::Start(node, saga) => format!("node {} starts saga {saga} and commits it", name(node)),
            Action::Load(node, saga) => format!("node {} reads saga {saga}", name(node)),
            Action::Due(node, saga) => format!("node {}: a time that saga {saga} waits for has come", name(node)),
            Action::Cancel(node, saga) => format!("node {} is asked to cancel saga {saga}", name(node)),
            Action::LapseCommit(node) => format!("node {} waits for its commit no longer", name(node)),
            Action::LapseCall(node, saga, (step, operation, attempt)) => {
                format!("node {} waits no longer for saga {saga}, step {}, {operation} #{attempt}", name(node), step.0)
            }
            Action::Leave(node) => format!("node {} gives the shard back", name(node)),
            Action::Crash(node) => format!("node {} is killed and begins anew", name(node)),
            Action::Say(from, to) => format!("node {} hears what node {} has seen", name(to), name(from)),
            Action::Look(node) => format!("node {} looks at the store", name(node)),
            Action::Tick => "two hours pass".to_owned(),
            Action::Replicate => "the replica gets all that the store has".to_owned(),
            Action::FailOver => "fail-over: the replica is the store now".to_owned(),
            Action::RefreshFloor(node) => format!("node {} works out the floor", name(node)),
            Action::SweepStore => "the store sweeps what has ended".to_owned(),
            Action::SweepDesk => "the participant sweeps rows below the floor".to_owned(),
        };
        let (_, notes) = self.step(world, action);
        let seen: Vec<_> = notes.seen.iter().map(|seen| seen.as_str()).collect();
        if seen.is_empty() { what } else { format!("{what}   [{}]", seen.join("; ")) }
    }
}

fn shown(packet: Packet) -> String {
    let name = |node: u8| NODES[usize::from(node)];
    match packet {
        Packet::Acquire { node, .. } => format!("node {}'s wish for the shard comes to the store", name(node)),
        Packet::Acquired { node, epoch, commits, .. } => {
            format!("node {} has the shard, epoch {epoch}, at commit {commits}", name(node))
        }
        Packet::Held { node, .. } => format!("node {} hears that the shard is held", name(node)),
        Packet::Release { lease } => format!("the return of epoch {} comes to the store", lease.epoch.0),
        Packet::Commit { node, saga, .. } => format!("node {}'s commit of saga {saga} comes to the store", name(node)),
        Packet::Committed { node, told, .. } => {
            let told = match told {
                Told::Now { made, .. } => format!("confirmed as number {}", made.number),
                Told::Before { .. } => "confirmed before".to_owned(),
                Told::Not(rejected) => format!("not made: {rejected:?}"),
            };
            format!("node {} hears of its commit: {told}", name(node))
        }
        Packet::Call(call) => {
            let (step, operation, attempt) = call.id;
            let (step, epoch) = (step.0, call.epoch);
            format!(
                "node {}'s call (saga {}, step {step}, {operation} #{attempt}, epoch {epoch}) comes to the participant",
                name(call.node),
                call.saga,
            )
        }
        Packet::Reply { node, saga, id: (step, operation, attempt), ended, .. } => {
            format!("node {} hears: saga {saga}, step {}, {operation} #{attempt}: {ended:?}", name(node), step.0)
        }
    }
}

impl World {
    /// What the store said to a wish for the shard.
    fn is_given(&mut self, node: u8, nonce: Nonce, said: Said, notes: &mut Notes) {
        let Said::Acquired { epoch, commits } = said else {
            notes.saw(Seen::Held);
            return self.send(Packet::Held { node, nonce });
        };
        let others = self.nodes.iter().filter_map(|it| it.tenure.as_ref());
        for tenure in others.filter(|tenure| tenure.lease.nonce != nonce) {
            notes.saw(if tenure.lease.epoch.0 == epoch { Seen::EpochAgain } else { Seen::TakenOver });
        }
        let grant = self.grants;
        self.grants += 1;
        self.store.grant = Some(grant);
        self.send(Packet::Acquired { node, nonce, epoch, commits, grant });
    }

    /// What the store said to a commit.
    fn is_committed(&mut self, said: Said, grant: u8, notes: &mut Notes) -> Told {
        match said {
            Said::Committed(Ok(Committed::Now { number })) => {
                notes.must(self.store.grant == Some(grant), Rule::OneOwnerCommits);
                let made = Made { number, grant, era: self.era };
                self.store.made |= made.bit();
                let is_first = *self.store.first.get_or_insert(grant) == grant;
                Told::Now { made, lost: self.lost, is_first }
            }
            Said::Committed(Ok(Committed::Duplicate { number })) => {
                notes.saw(Seen::CameTwice);
                Told::Before { number }
            }
            Said::Committed(Err(rejected)) => Told::Not(rejected),
            other => panic!("{other:?} is no answer to a commit"),
        }
    }

    fn fail_over(&mut self, bounds: Bounds, notes: &mut Notes) {
        self.left.fail_overs -= 1;
        let lost = self.store.made & !self.replica.made;
        if self.nodes.iter().any(|node| node.knows & lost != 0) {
            notes.saw(Seen::LostConfirmed);
        }
        if self.store.grant.is_some() && self.store.grant != self.replica.grant {
            notes.saw(Seen::LostAcquisition);
            self.lost_grant = true;
        }
        self.lost |= lost;
        self.store = Copy { first: None, ..self.replica };
        self.replica = self.store;
        self.era += 1;
        if bounds.clocks == Clocks::GoOn {
            self.now = Timestamp(self.now.0 + 1);
        }
    }
}

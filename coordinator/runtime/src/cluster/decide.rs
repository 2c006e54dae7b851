//! What this node should do about each shard now, given who is there, who has what, and the time.
//!
//! Pure: the shell (`membership.rs`) reads the store, asks here, and tells the shards' supervisors. Nothing depends on it for
//! safety: two nodes that decide alike only meet at the store, which gives a shard to one. Invariants: a shard is taken only
//! where nobody's lease on it is valid but this node's own; what is placed elsewhere is left.

use std::time::Duration;

use amends_engine::time::Timestamp;
use amends_store::{NodeRecord, ShardId, Tenure};

use super::placement::place;

/// What a node sees when it decides.
#[derive(Debug, Clone)]
pub(crate) struct View<'a> {
    /// The name of this node.
    pub(crate) me: &'a str,
    /// Whether it gives back all it has.
    pub(crate) leaving: bool,
    /// The store's clock.
    pub(crate) now: Timestamp,
    /// A node that wasn't heard for this long is taken for dead.
    pub(crate) silence: Duration,
    /// How many shards there are.
    pub(crate) shards: u16,
    /// All that were heard.
    pub(crate) nodes: &'a [NodeRecord],
    /// Who has what.
    pub(crate) tenures: &'a [Tenure],
}

/// What to do about one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Acquire it, or keep it.
    Take,
    /// Give it back, or let it be.
    Leave,
}

/// The nodes that shards are placed on: those heard of late that aren't leaving, and this one.
pub(crate) fn living<'a>(view: &'a View<'_>) -> Vec<&'a str> {
    let lives = |node: &&NodeRecord| !node.draining && view.now.since(node.heard_at) < view.silence;
    let others = view.nodes.iter().filter(lives).map(|node| node.name.as_str()).filter(|name| *name != view.me);
    // This node knows of itself; its own record may be late.
    others.chain((!view.leaving).then_some(view.me)).collect()
}

/// One order for each shard.
pub(crate) fn decide(view: &View<'_>) -> Vec<Order> {
    let living = living(view);
    let order = |shard: u16| {
        let shard = ShardId(shard);
        if place(shard, living.iter().copied()) != Some(view.me) {
            return Order::Leave;
        }
        let tenure = view.tenures.iter().find(|tenure| tenure.shard == shard);
        let is_free = tenure.is_none_or(|tenure| tenure.node == view.me || !tenure.is_held(view.now));
        if is_free { Order::Take } else { Order::Leave }
    };
    (0..view.shards).map(order).collect()
}

#[cfg(test)]
mod tests {
    use amends_store::{Epoch, Nonce};
    use proptest::prelude::*;

    use super::*;

    const SHARDS: u16 = 16;
    const NOW: Timestamp = Timestamp(1_000_000);
    const SILENCE: Duration = Duration::from_secs(5);

    fn node(name: &str, heard_ago: u64, draining: bool) -> NodeRecord {
        NodeRecord {
            name: name.into(),
            address: String::new(),
            version: String::new(),
            started_at: Timestamp(0),
            draining,
            heard_at: Timestamp(NOW.0 - heard_ago),
        }
    }

    fn held(shard: u16, node: &str, until: Option<u64>) -> Tenure {
        let held_until = until.map(Timestamp);
        Tenure { shard: ShardId(shard), epoch: Epoch(1), nonce: Nonce(1), node: node.into(), held_until, commits: 0 }
    }

    fn view<'a>(me: &'a str, nodes: &'a [NodeRecord], tenures: &'a [Tenure]) -> View<'a> {
        View { me, leaving: false, now: NOW, silence: SILENCE, shards: SHARDS, nodes, tenures }
    }

    fn taken(view: &View<'_>) -> Vec<u16> {
        (0..).zip(decide(view)).filter(|(_, order)| *order == Order::Take).map(|(shard, _)| shard).collect()
    }

    #[test]
    fn a_node_alone_takes_all_at_once() {
        assert_eq!(taken(&view("a", &[], &[])), (0..SHARDS).collect::<Vec<_>>(), "even before its record is there");
    }

    #[test]
    fn what_is_placed_elsewhere_is_left_and_what_another_holds_is_waited_for() {
        let nodes = [node("a", 0, false), node("b", 0, false)];
        let (mine, theirs) = (taken(&view("a", &nodes, &[])), taken(&view("b", &nodes, &[])));
        assert_eq!([&mine[..], &theirs[..]].concat().len(), usize::from(SHARDS), "each shard with one node");
        assert!(!mine.is_empty() && !theirs.is_empty());
        let held_by_b = [held(mine[0], "b", Some(NOW.0 + 1))];
        assert_eq!(taken(&view("a", &nodes, &held_by_b)), mine[1..]);
        for free in [held(mine[0], "b", Some(NOW.0)), held(mine[0], "", None), held(mine[0], "a", Some(NOW.0 + 1))] {
            assert_eq!(taken(&view("a", &nodes, &[free])), mine, "over, given back, or its own");
        }
    }

    #[test]
    fn the_silent_and_the_leaving_get_nothing() {
        let silent = u64::try_from(SILENCE.as_millis()).unwrap();
        for other in [node("b", silent, false), node("b", 0, true)] {
            assert_eq!(taken(&view("a", &[node("a", 0, false), other], &[])).len(), usize::from(SHARDS));
        }
        let nodes = [node("a", 0, false), node("b", silent - 1, false)];
        assert!(taken(&view("a", &nodes, &[])).len() < usize::from(SHARDS), "it was heard just in time");
        let leaving = View { leaving: true, ..view("a", &nodes, &[]) };
        assert_eq!(taken(&leaving), [] as [u16; 0]);
    }

    fn nodes() -> impl Strategy<Value = Vec<NodeRecord>> {
        prop::collection::vec((0..10_000_u64, any::<bool>()), 1..5).prop_map(|nodes| {
            let names = ["a", "b", "c", "d", "e"];
            names.iter().zip(nodes).map(|(name, (ago, draining))| node(name, ago, draining)).collect()
        })
    }

    fn tenures() -> impl Strategy<Value = Vec<Tenure>> {
        let one = (prop::sample::select(vec!["a", "b", "c", "gone"]), prop::option::of(NOW.0 - 2..NOW.0 + 2));
        prop::collection::vec(one, usize::from(SHARDS))
            .prop_map(|all| (0..).zip(all).map(|(shard, (node, until))| held(shard, node, until)).collect())
    }

    proptest! {
        /// Whatever the nodes see, as long as they see the same, no two want one shard, and no valid lease is contested.
        #[test]
        fn nodes_that_see_the_same_never_take_the_same(nodes in nodes(), tenures in tenures()) {
            let alive: Vec<&NodeRecord> = nodes.iter().filter(|node| !node.draining).collect();
            let mut all = Vec::new();
            for node in &alive {
                // A node whose own record is old still takes part, in its own eyes only.
                if NOW.since(node.heard_at) < SILENCE {
                    all.extend(taken(&view(&node.name, &nodes, &tenures)).into_iter().map(|shard| (shard, &node.name)));
                }
            }
            all.sort();
            for pair in all.windows(2) {
                prop_assert_ne!(pair[0].0, pair[1].0);
            }
            for (shard, node) in all {
                let tenure = &tenures[usize::from(shard)];
                prop_assert!(tenure.node == *node || !tenure.is_held(NOW));
            }
        }
    }
}

//! Which node a shard should be with: rendezvous hashing, so that a node that comes or goes moves only its own share.
//!
//! Pure, and the same on every node: whoever sees the same members places the same way, without asking anybody. It knows
//! nothing of leases. Invariants: adding a node moves shards to it only; removing one moves its shards only.

use amends_engine::payload::Digest;
use amends_store::ShardId;

/// The node that a shard should be with; `None` where there is none.
pub(crate) fn place<'a>(shard: ShardId, nodes: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The name breaks ties, so that the order of the nodes doesn't matter.
    nodes.into_iter().max_by_key(|node| (weight(shard, node), *node))
}

/// How much a node wants a shard: the first bytes of a hash that nobody can steer.
fn weight(shard: ShardId, node: &str) -> u64 {
    let Digest(digest) = Digest::of(format!("{}/{node}", shard.0).as_bytes());
    let [first @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = digest;
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const SHARDS: u16 = 256;

    fn placed(nodes: &[String]) -> Vec<&str> {
        (0..SHARDS).map(|shard| place(ShardId(shard), nodes.iter().map(String::as_str)).unwrap()).collect()
    }

    fn nodes() -> impl Strategy<Value = Vec<String>> {
        prop::collection::btree_set("[a-z0-9-]{1,12}", 1..8).prop_map(|names| names.into_iter().collect())
    }

    proptest! {
        #[test]
        fn whoever_sees_the_same_nodes_places_the_same_way(nodes in nodes(), turn in any::<prop::sample::Index>()) {
            let mut turned = nodes.clone();
            turned.rotate_left(turn.index(nodes.len()));
            prop_assert_eq!(placed(&nodes), placed(&turned));
        }

        #[test]
        fn a_node_that_comes_moves_shards_to_itself_only(nodes in nodes(), new in "[A-Z]{1,12}") {
            let more: Vec<String> = nodes.iter().cloned().chain([new.clone()]).collect();
            for (before, after) in placed(&nodes).into_iter().zip(placed(&more)) {
                prop_assert!(after == before || after == new);
            }
        }

        /// Six standard deviations: what chance gives hardly ever goes beyond.
        #[test]
        fn every_node_gets_its_share(nodes in nodes()) {
            let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
            for node in placed(&nodes) {
                *counts.entry(node).or_default() += 1.0;
            }
            let (shards, share) = (f64::from(SHARDS), 1.0 / nodes.len() as f64);
            let allowed = 6.0 * (shards * share * (1.0 - share)).sqrt() + 1e-9;
            for node in &nodes {
                let count = counts.get(node.as_str()).copied().unwrap_or_default();
                prop_assert!((count - shards * share).abs() <= allowed, "{} has {} of {}", node, count, SHARDS);
            }
        }
    }

    #[test]
    fn nobody_is_nobody() {
        assert_eq!(place(ShardId(0), []), None);
    }
}

//! The nodes, the shards, and draining a node.

use crate::harness::check;

#[test]
fn nodes_and_shards() {
    check("cluster-nodes", &["cluster", "nodes"]);
    check("cluster-nodes-json", &["cluster", "nodes", "-o", "json"]);
    check("cluster-shards", &["cluster", "shards"]);
}

#[test]
fn a_drain_is_asked_about_and_answered_with_the_node() {
    check("cluster-drain", &["cluster", "drain", "node-b", "--yes"]);
    check("cluster-drain-unasked", &["cluster", "drain", "node-b"]);
    check("cluster-drain-last", &["cluster", "drain", "node-a", "--yes"]);
}

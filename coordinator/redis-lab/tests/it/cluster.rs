//! The Cluster: fail-over, and a slot that moves.

use amends_redis_lab::{Cluster, Settings};

#[test]
fn a_replica_takes_over_and_a_slot_moves() {
    let mut cluster = Cluster::start(&Settings::strict());
    assert_eq!(cluster.primaries(), [0, 1, 2]);

    let from = cluster.primary_of("{tag}:a");
    let to = (from + 1) % 3;
    let slot: u16 = cluster.nodes[0].ask(&["CLUSTER", "KEYSLOT", "{tag}"]);
    for key in ["{tag}:a", "{tag}:b"] {
        cluster.nodes[from].ask::<()>(&["SET", key, "1"]);
    }
    cluster.begin_move(slot, from, to).unwrap();
    assert_eq!(cluster.move_keys(slot, from, to, 1).unwrap(), 1);
    let both = cluster.nodes[from].try_ask::<()>(&["MGET", "{tag}:a", "{tag}:b"]);
    assert_eq!(both.unwrap_err().code(), Some("TRYAGAIN"));
    while cluster.move_keys(slot, from, to, 100).unwrap() > 0 {}
    cluster.end_move(slot, from, to).unwrap();
    assert_eq!(cluster.primary_of("{tag}:a"), to);

    let replica = cluster.replica_of(to);
    let mut connection = cluster.nodes[to].connect().unwrap();
    redis::cmd("SET").arg("{tag}:c").arg(1).exec(&mut connection).unwrap();
    assert_eq!(redis::cmd("WAIT").arg(1).arg(5_000).query::<u32>(&mut connection).unwrap(), 1);
    cluster.nodes[to].kill();
    cluster.wait_for_promotion(replica);
    assert_eq!(cluster.primary_of("{tag}:c"), replica);
    cluster.nodes[to].restart();
    cluster.wait_until_ready();
    assert_eq!(cluster.replica_of(replica), to);
}

//! The primary, its replica and the sentinels.

use amends_redis_lab::{SentinelSet, Settings};

#[test]
fn the_replica_takes_over_from_a_killed_primary_which_comes_back_as_its_replica() {
    let mut set = SentinelSet::start(&Settings::strict());
    assert_eq!(set.primary(), 0);
    let mut connection = set.servers[0].connect().unwrap();
    redis::cmd("SET").arg("a").arg(1).exec(&mut connection).unwrap();
    assert_eq!(redis::cmd("WAIT").arg(1).arg(5_000).query::<u32>(&mut connection).unwrap(), 1);
    set.servers[0].kill();
    assert_eq!(set.wait_for_fail_over(0), 1);
    assert_eq!(set.servers[1].ask::<String>(&["GET", "a"]), "1");
    set.servers[0].restart();
    set.wait_until_ready();
    let primary = set.primary();
    assert!(!set.servers[1 - primary].is_primary());
    assert_eq!(set.servers[0].ask::<String>(&["GET", "a"]), "1");
}

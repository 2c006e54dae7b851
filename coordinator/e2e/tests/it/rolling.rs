//! Three coordinators on one Redis are updated one after the other while orders come in: drained, stopped, started again.
//!
//! No order fails that hadn't to, nobody is told anything but to try again, and every book balances. Half of the nodes are drained by
//! `amends cluster drain` before they are stopped, half are only stopped, which drains them too.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Instant;

use crate::orders;
use crate::process::{program, setting};
use crate::redis_takeover::{AGAIN, NODES, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_restart_fails_no_saga() {
    let rounds = setting("AMENDS_ROLLING_ROUNDS", 1);
    let mut world = World::new().await;
    let mut stream = orders::Stream::start(&world.channels, 12);
    for round in 0..rounds {
        for node in 0..NODES {
            world.all_have_shards().await;
            stream.flow(30).await;
            let (name, begun) = (world.name(node), Instant::now());
            if (usize::try_from(round).expect("a small number") + node).is_multiple_of(2) {
                drain(&world, node, &name);
                // It answers on, through the others.
                stream.flow(10).await;
            }
            let coordinator = &mut world.fleet.coordinators[node];
            tokio::task::block_in_place(|| {
                coordinator.terminate();
                coordinator.wait_until_ended();
                coordinator.restart();
            });
            eprintln!("{name}: down and up again after {:?}", begun.elapsed());
        }
    }
    world.all_have_shards().await;
    stream.flow(30).await;
    let refusals = stream.refusals();
    let accepted = stream.stop(&world.channels[0]).await;
    let said: BTreeSet<String> = refusals.iter().map(ToString::to_string).collect();
    eprintln!("rolling restart: {} tries of {accepted} orders had to be repeated: {said:#?}", refusals.len());
    let compensated = orders::settle("a rolling restart", &world.fleet, &world.channels[0], accepted).await;
    assert_eq!(compensated, orders::must_fail(accepted), "orders failed that hadn't to");
    let final_ones: Vec<_> = refusals.iter().filter(|status| !AGAIN.contains(&status.code())).collect();
    assert!(final_ones.is_empty(), "no reason to try again: {final_ones:#?}");
}

/// As an operator does it, by asking another node.
fn drain(world: &World, node: usize, name: &str) {
    let other = format!("http://{}", world.fleet.coordinators[(node + 1) % NODES].address);
    let run = Command::new(program("amends")).args(["--address", &other, "cluster", "drain", name, "--yes"]).output();
    let run = run.expect("the binary");
    let said = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && said.contains("draining"), "{said}");
}

//! What a power cut takes: nothing that was acknowledged under `appendfsync always`, something of it under `everysec`.
//!
//! The second half shows that the first can fail.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use amends_redis_lab::{Disk, Server, Settings};

/// Acknowledged writes, and how many of them were gone after the power came back.
fn cut_under_load(appendfsync: &str) -> (u64, u64) {
    let mut disk = Disk::new();
    let mut server = Server::start_in(&Settings::strict().with("appendfsync", appendfsync), disk.folder());
    let acknowledged = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let mut connection = server.connect().expect("it runs");
        let acknowledged = &acknowledged;
        scope.spawn(move || {
            while let Ok(number) = redis::cmd("INCR").arg("n").query(&mut connection) {
                acknowledged.store(number, Ordering::SeqCst);
            }
        });
        // Long enough that `everysec` has synced something, and not at the end of a second.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(2_400) {
            std::thread::yield_now();
        }
        disk.cut_power(&mut server);
    });
    server.restart();
    let acknowledged = acknowledged.into_inner();
    let left: u64 = server.ask::<Option<u64>>(&["GET", "n"]).unwrap_or_default();
    eprintln!("{appendfsync}: {acknowledged} acknowledged, {left} left");
    (acknowledged, acknowledged.saturating_sub(left))
}

#[test]
fn power_cut_takes_nothing_that_was_synced() {
    for _ in 0..2 {
        let (acknowledged, lost) = cut_under_load("always");
        assert!(acknowledged > 100, "no load");
        assert_eq!(lost, 0);
    }
}

#[test]
fn power_cut_takes_what_was_not_synced() {
    // One of them may fall into the moment after a sync.
    let lost = (0..5).map(|_| cut_under_load("everysec").1).find(|lost| *lost > 0);
    assert!(lost.is_some(), "five power cuts took nothing: this disk doesn't lose what isn't synced");
}

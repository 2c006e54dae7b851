//! What a coordinator and its store need, again and again while something runs, and whether it grows.
//!
//! Read from outside: `/proc`, Redis' own counts, the database file. Invariant: whoever is asked is changed by nothing.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use amends_redis_lab::Server;
use rusqlite::{Connection, OpenFlags};

/// Between two samples, in a run that isn't only a slice.
const EVERY: Duration = Duration::from_secs(5);

/// Where the sagas are.
pub(crate) enum Kept {
    InFolder(PathBuf),
    InRedis(Server),
}

/// One moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    /// Since the first one.
    pub(crate) at: Duration,
    /// Memory of the coordinator.
    pub(crate) rss_mib: f64,
    /// Its open descriptors.
    pub(crate) descriptors: f64,
    /// Keys of Redis, or sagas in the database.
    pub(crate) keys: f64,
    /// Redis' memory, or the database's pages in use. A removed saga's id stays reserved, so this grows by some bytes a saga.
    pub(crate) store_mib: f64,
}

/// What of a sample is looked at.
pub(crate) type Of = fn(&Sample) -> f64;

/// How much more of something there is at the end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Growth {
    what: &'static str,
    mean: f64,
    /// From the end of the warm-up to the end, by the straight line that fits best, in hundredths of the mean.
    pub(crate) percent: f64,
    pub(crate) is_asserted: bool,
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:.1} in the mean, {:+.1} % by the end", self.what, self.mean, self.percent)
    }
}

/// Samples until the work is over.
pub(crate) async fn take(kept: &Kept, process: u32, length: Duration, work: impl Future<Output = ()>) -> Vec<Sample> {
    let (begun, mut samples) = (Instant::now(), Vec::new());
    let every = EVERY.min(length / 4);
    let mut ticks = tokio::time::interval(every);
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            () = &mut work => return samples,
            _ = ticks.tick() => samples.push(kept.sample(process, begun.elapsed())),
        }
    }
}

impl Kept {
    fn sample(&self, process: u32, at: Duration) -> Sample {
        let (keys, store_mib) = match self {
            Self::InFolder(folder) => database(&folder.join("amends.db")),
            Self::InRedis(server) => redis(server),
        };
        Sample { at, rss_mib: rss_mib(process), descriptors: descriptors(process), keys, store_mib }
    }
}

fn redis(server: &Server) -> (f64, f64) {
    let used: f64 = server.info("used_memory").and_then(|text| text.parse().ok()).expect("used_memory");
    (server.ask::<u64>(&["DBSIZE"]) as f64, used / 1_048_576.0)
}

/// A connection for each look, so that no state of the database is held on to.
fn database(file: &Path) -> (f64, f64) {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(file, flags).expect("the database");
    let number = |query: &str| database.query_row(query, [], |row| row.get::<_, f64>(0)).expect("a number");
    let sagas = number("SELECT CAST(count(*) AS REAL) FROM saga");
    let pragma =
        |name: &str| database.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).expect("a number") as f64;
    (sagas, (pragma("page_count") - pragma("freelist_count")) * pragma("page_size") / 1_048_576.0)
}

fn rss_mib(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1_024.0
}

fn descriptors(process: u32) -> f64 {
    std::fs::read_dir(format!("/proc/{process}/fd")).expect("it runs").count() as f64
}

/// What has grown since the warm-up. Means of a minute, since what has ended is removed once a minute.
pub(crate) fn growths(samples: &[Sample], warm_up: Duration) -> Vec<Growth> {
    let kinds: [(&str, Of, bool); 4] = [
        ("memory of the coordinator, MiB", |it| it.rss_mib, true),
        ("descriptors", |it| it.descriptors, true),
        ("keys, or sagas kept", |it| it.keys, true),
        ("store, MiB", |it| it.store_mib, false),
    ];
    let minutes: Vec<&[Sample]> =
        samples.chunk_by(|one, next| minute(one) == minute(next)).filter(|some| some[0].at >= warm_up).collect();
    let growth = |(what, of, is_asserted): (&'static str, Of, bool)| {
        let means: Vec<f64> = minutes.iter().map(|some| some.iter().map(of).sum::<f64>() / some.len() as f64).collect();
        let mean = means.iter().sum::<f64>() / means.len().max(1) as f64;
        let percent = slope(&means) * means.len().saturating_sub(1) as f64 / mean.max(f64::MIN_POSITIVE) * 100.0;
        Growth { what, mean, percent, is_asserted }
    };
    kinds.into_iter().map(growth).collect()
}

fn minute(sample: &Sample) -> u64 {
    sample.at.as_secs() / 60
}

/// Of the straight line that fits best, per place.
fn slope(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let middle = (count - 1.0) / 2.0;
    let mean = values.iter().sum::<f64>() / count;
    let places = (0_u32..).map(f64::from);
    let (up, across) = places.zip(values).fold((0.0, 0.0), |(up, across), (place, value)| {
        let aside = place - middle;
        (up + aside * (value - mean), across + aside * aside)
    });
    if across > 0.0 { up / across } else { 0.0 }
}

#[test]
fn soak_says_what_grows() {
    let sample = |second: u64| {
        let at = Duration::from_secs(second);
        let saw = (second % 60) as f64;
        Sample { at, rss_mib: 100.0 + at.as_secs_f64() / 60.0, descriptors: 40.0, keys: 500.0 + saw, store_mib: 1.0 }
    };
    let samples: Vec<Sample> = (0..1_800).step_by(5).map(sample).collect();
    let shown: Vec<String> = growths(&samples, Duration::from_secs(150)).iter().map(Growth::to_string).collect();
    assert_eq!(shown[0], "memory of the coordinator, MiB: 116.5 in the mean, +22.3 % by the end");
    assert_eq!(shown[1], "descriptors: 40.0 in the mean, +0.0 % by the end");
    assert_eq!(shown[2], "keys, or sagas kept: 527.5 in the mean, +0.0 % by the end");
}

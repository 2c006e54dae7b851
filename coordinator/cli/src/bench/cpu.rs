//! How much processor time processes have used, as Linux tells (`/proc/<id>/stat`).
//!
//! On a machine whose cores are all busy this is what the speed comes from, and unlike the speed it hardly depends on what else
//! runs there. Invariant: a process that can't be asked counts nothing, and is shown as such.

use std::time::Duration;

/// Of one process since it began.
pub(super) fn used(process: Option<u32>) -> Option<Duration> {
    read(&std::fs::read_to_string(format!("/proc/{}/stat", process?)).ok()?)
}

/// The name may hold anything, also brackets; what follows its last bracket are numbers. The unit is 1/100 s on every Linux that Rust
/// runs on (`USER_HZ`).
fn read(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(Duration::from_millis(10 * (user + system)))
}

/// The processes of a measurement.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Processes {
    pub(super) participant: Option<u32>,
    pub(super) coordinator: Option<u32>,
    pub(super) redis: Option<u32>,
}

/// What they have used.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Used([Option<Duration>; 4]);

impl Used {
    /// In the order of the times.
    pub(super) const NAMES: [&'static str; 4] = ["load", "participant", "coordinator", "redis"];

    pub(super) fn by(processes: &Processes) -> Self {
        let Processes { participant, coordinator, redis } = *processes;
        Self([Some(std::process::id()), participant, coordinator, redis].map(used))
    }

    pub(super) fn since(&self, before: &Self) -> Self {
        let mut between = *self;
        for (after, before) in between.0.iter_mut().zip(before.0) {
            *after = after.zip(before).map(|(after, before)| after.saturating_sub(before));
        }
        between
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        let mut sum = *self;
        for (one, other) in sum.0.iter_mut().zip(other.0) {
            *one = one.or(other.map(|_| Duration::ZERO)).map(|one| one + other.unwrap_or_default());
        }
        sum
    }

    /// Of each process for one of so many units, in microseconds.
    pub(super) fn each(&self, units: u64) -> [Option<f64>; 4] {
        self.0.map(|used| Some(used?.as_secs_f64() * 1e6 / units.max(1) as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_is_skipped() {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 3 0 100";
        assert_eq!(read(stat), Some(Duration::from_secs(2)));
        assert_eq!(read("42 (a"), None);
        assert!(used(Some(std::process::id())).is_some() && used(None).is_none());
    }
}

//! The process as the system sees it, from `/proc`. The names are those that all Prometheus clients use.
//!
//! Invariant: what can't be read is left out; elsewhere than on Linux that is all of it.

use amends_runtime::telemetry::{Sample, Source, names};

/// Ticks a second in `/proc/*/stat`: fixed in the kernel's interface, whatever its own clock.
const TICKS: f64 = 100.0;

#[derive(Debug)]
pub(super) struct Process;

impl Source for Process {
    fn samples(&self) -> Vec<Sample> {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let (status, stat, limits) = (read("/proc/self/status"), read("/proc/self/stat"), read("/proc/self/limits"));
        let open = std::fs::read_dir("/proc/self/fd").map(|files| files.count() as f64).ok();
        let values = [
            (names::PROCESS_MEMORY, memory(&status)),
            (names::PROCESS_OPEN_FDS, open),
            (names::PROCESS_MAX_FDS, max_files(&limits)),
            (names::PROCESS_CPU, cpu(&stat)),
            (names::PROCESS_START, started(&stat, &read("/proc/stat"))),
        ];
        values.into_iter().filter_map(|(metric, value)| Some(Sample::new(metric, &[], value?))).collect()
    }
}

fn number(text: Option<&str>) -> Option<f64> {
    text?.parse().ok()
}

fn memory(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    number(line.split_whitespace().next()).map(|kibibytes| kibibytes * 1024.0)
}

fn max_files(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    number(line.split_whitespace().next())
}

/// The fields after the process's name, which may hold anything but comes first and in brackets.
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default().split_whitespace()
}

fn cpu(stat: &str) -> Option<f64> {
    let mut times = fields(stat).skip(11);
    Some((number(times.next())? + number(times.next())?) / TICKS)
}

fn started(stat: &str, system: &str) -> Option<f64> {
    let booted = system.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(number(Some(booted.trim()))? + number(fields(stat).nth(19))? / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_brackets_shifts_nothing() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 250 150 0 0 20 0 9 0 5000 1 2";
        assert_eq!(cpu(stat), Some(4.0));
        assert_eq!(started(stat, "cpu 1\nbtime 1000\n"), Some(1050.0));
        assert_eq!(memory("Name:\ta\nVmRSS:\t    2048 kB\n"), Some(2048.0 * 1024.0));
        assert_eq!(max_files("Max open files            1024                 4096    files"), Some(1024.0));
        assert_eq!((cpu(""), memory(""), max_files("Max open files unlimited")), (None, None, None));
    }

    #[test]
    fn this_process_can_be_read() {
        let names: Vec<_> =
            Process.samples().into_iter().filter(|it| it.value > 0.0).map(|it| it.metric.name).collect();
        assert!(names.len() >= 4, "{names:?}");
    }
}

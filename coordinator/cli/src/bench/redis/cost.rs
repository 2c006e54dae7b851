//! What something cost Redis, by Redis' own count (`INFO`) and its process's.
//!
//! Round trips are the answers that it wrote (`total_writes_processed`); script calls are those of `EVALSHA`; commands are all,
//! those that scripts call too. Under `appendfsync always` it syncs the append-only file after each write to it, and what it
//! writes is answers and that file: syncs are its writing system calls less its answers. Under `everysec` it syncs at most once
//! a second, and that bound is what is counted. Asks nobody. Invariant: the question that a count is (one command, one round
//! trip) is not in a difference.

use std::time::Instant;

use serde_json::{Value, json};

use crate::redis_server::Sync;

/// The value of a line `<name>: <value>`.
pub(super) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(value.trim())
}

/// Counts since the server was started, or between two of them.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Counts {
    round_trips: u64,
    script_calls: u64,
    commands: u64,
    commits: u64,
    bytes_in: u64,
    aof_bytes: u64,
    cpu_us: u64,
    /// All writing system calls.
    writes: Option<u64>,
    syncs: Option<u64>,
    sync: Sync,
    at: Instant,
}

impl Counts {
    /// `None` where the server doesn't tell all of it. Commits and syncs are known only of a difference.
    pub(super) fn read(info: &str, writes: Option<u64>, sync: Sync, at: Instant) -> Option<Self> {
        let number = |name| field(info, name)?.parse::<u64>().ok();
        let seconds = |name| field(info, name)?.parse::<f64>().ok();
        let cpu = seconds("used_cpu_user")? + seconds("used_cpu_sys")?;
        // Absent until the first call.
        let script_calls = field(info, "cmdstat_evalsha")
            .map_or(Some(0), |stats| stats.strip_prefix("calls=")?.split(',').next()?.parse().ok())?;
        Some(Self {
            round_trips: number("total_writes_processed")?,
            script_calls,
            commands: number("total_commands_processed")?,
            commits: 0,
            bytes_in: number("total_net_input_bytes")?,
            aof_bytes: number("aof_current_size")?,
            cpu_us: std::time::Duration::from_secs_f64(cpu).as_micros().try_into().ok()?,
            writes,
            syncs: None,
            sync,
            at,
        })
    }

    /// What happened in between.
    pub(in super::super) fn since(&self, before: &Self) -> Self {
        let answers = self.round_trips - before.round_trips;
        let syncs = match self.sync {
            // An answer to a question is a write by the time that writes are read, and counted as an answer in the next one: each
            // difference has one.
            Sync::Always => {
                self.writes.zip(before.writes).map(|(after, before)| (after - before).saturating_sub(answers))
            }
            Sync::EverySecond => Some(self.at.duration_since(before.at).as_secs() + 1),
        };
        Self {
            round_trips: answers.saturating_sub(1),
            script_calls: self.script_calls - before.script_calls,
            commands: (self.commands - before.commands).saturating_sub(1),
            commits: 0,
            bytes_in: self.bytes_in - before.bytes_in,
            aof_bytes: self.aof_bytes - before.aof_bytes,
            cpu_us: self.cpu_us - before.cpu_us,
            writes: None,
            syncs,
            sync: self.sync,
            at: self.at,
        }
    }

    /// Two differences together.
    pub(in super::super) fn plus(&self, other: &Self) -> Self {
        Self {
            round_trips: self.round_trips + other.round_trips,
            script_calls: self.script_calls + other.script_calls,
            commands: self.commands + other.commands,
            commits: self.commits + other.commits,
            bytes_in: self.bytes_in + other.bytes_in,
            aof_bytes: self.aof_bytes + other.aof_bytes,
            cpu_us: self.cpu_us + other.cpu_us,
            syncs: self.syncs.zip(other.syncs).map(|(one, other)| one + other),
            ..*self
        }
    }

    /// Accepted commits are counted by who makes them.
    pub(in super::super) fn with_commits(self, commits: u64) -> Self {
        Self { commits, ..self }
    }

    /// Spread over so many.
    pub(in super::super) fn each(&self, units: u64) -> Cost {
        #[expect(clippy::cast_precision_loss, reason = "counts of a run of seconds are far below 2^52")]
        let each = |count: u64| count as f64 / units.max(1) as f64;
        Cost {
            round_trips: each(self.round_trips),
            script_calls: each(self.script_calls),
            commits: each(self.commits),
            commands: each(self.commands),
            syncs: self.syncs.map(each),
            bytes_in: each(self.bytes_in),
            aof_bytes: each(self.aof_bytes),
            cpu_us: each(self.cpu_us),
        }
    }
}

/// What one of many cost, or one second.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Cost {
    round_trips: f64,
    script_calls: f64,
    commits: f64,
    commands: f64,
    syncs: Option<f64>,
    bytes_in: f64,
    aof_bytes: f64,
    cpu_us: f64,
}

impl Cost {
    pub(in super::super) const HEADER: [&'static str; 8] =
        ["ROUND TRIPS", "SCRIPT CALLS", "COMMITS", "COMMANDS", "FSYNCS", "BYTES IN", "AOF BYTES", "CPU US"];

    pub(in super::super) fn texts(&self) -> [String; 8] {
        let Self { round_trips, script_calls, commits, commands, syncs, bytes_in, aof_bytes, cpu_us } = self;
        [
            format!("{round_trips:.3}"),
            format!("{script_calls:.3}"),
            format!("{commits:.3}"),
            format!("{commands:.1}"),
            syncs.map_or_else(|| "-".to_owned(), |syncs| format!("{syncs:.3}")),
            format!("{bytes_in:.0}"),
            format!("{aof_bytes:.0}"),
            format!("{cpu_us:.0}"),
        ]
    }

    pub(in super::super) fn json(&self) -> Value {
        let Self { round_trips, script_calls, commits, commands, syncs, bytes_in, aof_bytes, cpu_us } = self;
        json!({
            "round_trips": round_trips, "script_calls": script_calls, "commits": commits, "commands": commands,
            "fsyncs": syncs, "bytes_in": bytes_in, "aof_bytes": aof_bytes, "cpu_us": cpu_us,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "# Stats\r\ntotal_commands_processed:10\r\ntotal_net_input_bytes:1000\r\n\
        total_writes_processed:5\r\naof_current_size:0\r\nused_cpu_sys:0.5\r\nused_cpu_user:1.5\r\n";
    const AFTER: &str = "total_commands_processed:111\r\ntotal_net_input_bytes:9000\r\ntotal_writes_processed:26\r\n\
        aof_current_size:4000\r\nused_cpu_sys:1.0\r\nused_cpu_user:2.0\r\n\
        cmdstat_evalsha:calls=20,usec=700,usec_per_call=35.00,rejected_calls=0,failed_calls=0\r\n";

    fn between(sync: Sync) -> Value {
        let at = Instant::now();
        let before = Counts::read(BEFORE, Some(7), sync, at).expect("complete");
        let after =
            Counts::read(AFTER, Some(38), sync, at + std::time::Duration::from_millis(1_500)).expect("complete");
        after.since(&before).with_commits(40).each(10).json()
    }

    #[test]
    fn a_difference_is_without_the_question() {
        let cost = between(Sync::Always);
        let is = |name: &str, value: f64| assert_eq!(cost[name].as_f64(), Some(value), "{name}: {cost}");
        is("round_trips", 2.0);
        is("script_calls", 2.0);
        is("commits", 4.0);
        is("commands", 10.0);
        is("bytes_in", 800.0);
        is("aof_bytes", 400.0);
        is("cpu_us", 100_000.0);
    }

    #[test]
    fn syncs_are_writes_less_answers_or_the_seconds() {
        // 31 writes, 21 of them answers.
        assert_eq!(between(Sync::Always)["fsyncs"].as_f64(), Some(1.0));
        assert_eq!(between(Sync::EverySecond)["fsyncs"].as_f64(), Some(0.2));
    }

    #[test]
    fn a_server_that_does_not_count_is_told_apart() {
        assert!(Counts::read("redis_version:5.0\r\n", None, Sync::Always, Instant::now()).is_none());
        assert_eq!(field("a_b:1\r\na:2\r\n", "a"), Some("2"));
    }
}

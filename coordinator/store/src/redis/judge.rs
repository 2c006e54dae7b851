//! Is this server safe to keep money's memory in? Pure: facts in, findings out.
//!
//! Asks no server. Invariants: what is unsafe for the durability level is refused, and every refusal names the line of
//! redis.conf (or of our own configuration) to change; what can't be known is refused too, unless the operator attests it.

use super::probe::{Copy, Probe};
use crate::contract::{Finding, Severity};

/// What an answered commit has to survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// A power cut of the master, and with replicas the loss of the master: `appendfsync always`, and all replicas confirm.
    #[default]
    Strict,
    /// A kill of the Redis process; a power cut or a fail-over may lose the last second or two.
    Relaxed,
}

/// What is asked of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) durability: Durability,
    /// How many replicas must confirm each commit.
    pub(super) replicas: u64,
    /// `appendfsync` as the operator vouches for it, where the server doesn't tell.
    pub(super) attested: Option<String>,
    /// The store that this must be.
    pub(super) store_id: Option<String>,
    /// The nodes' leases, in ms: two clocks may not be further apart than a third of it.
    pub(super) lease_ms: u64,
    pub(super) cluster: bool,
}

/// Judges one server. `Severity::Error` is a refusal.
pub(super) fn judge(probe: &Probe, wanted: &Wanted) -> Vec<Finding> {
    let mut findings = vec![version(probe), role(probe)];
    findings.extend(identity(probe, wanted));
    findings.extend(log(probe, wanted));
    findings.extend(memory(probe));
    findings.extend(health(probe));
    findings.extend(replicas(probe, wanted));
    findings.extend(probe.copies.iter().map(|copy| replica(copy, wanted)));
    findings.extend(clock(probe, wanted));
    findings.extend(rights(probe, wanted));
    if wanted.cluster {
        findings.extend(cluster(probe));
    }
    for finding in &mut findings {
        finding.message = format!("{}: {}", probe.server, finding.message);
    }
    findings
}

fn ok(message: impl Into<String>) -> Finding {
    Finding { severity: Severity::Info, message: message.into() }
}

fn warn(message: impl Into<String>) -> Finding {
    Finding { severity: Severity::Warning, message: message.into() }
}

fn refuse(message: impl Into<String>) -> Finding {
    Finding { severity: Severity::Error, message: message.into() }
}

fn version(probe: &Probe) -> Finding {
    match probe.version() {
        Some(version @ (major, minor, patch)) if version < (7, 0, 0) => {
            refuse(format!("Redis {major}.{minor}.{patch} is too old: 7.0 or newer is needed"))
        }
        Some((major, minor, patch)) => ok(format!("Redis {major}.{minor}.{patch}")),
        None => warn("it doesn't tell its version (INFO is denied): 7.0 or newer is needed"),
    }
}

fn role(probe: &Probe) -> Finding {
    match probe.role.as_deref().or_else(|| probe.info("role")) {
        Some("master") => ok("it is a master"),
        Some(other) => {
            refuse(format!("it is a {other}: give the master's address, or those of the Sentinels that know it"))
        }
        None => refuse("it doesn't tell its role: allow ROLE for our user (ACL SETUSER … +role)"),
    }
}

fn identity(probe: &Probe, wanted: &Wanted) -> Option<Finding> {
    let (expected, found) = (wanted.store_id.as_ref()?, probe.store_id.as_ref()?);
    Some(match found {
        Some(found) if found == expected => ok(format!("it holds our store {expected}")),
        Some(found) => refuse(format!(
            "it holds the store {found}, and this coordinator belongs to {expected}: give the right address \
             (store.redis.url). Only if sagas of {expected} are to be left behind for good, remove its id from this \
             coordinator (store.redis.id, or the redis-store file in store.data)"
        )),
        None => refuse(format!(
            "it is empty, and this coordinator belongs to the store {expected}: Redis was wiped, or this is another \
             server. Stop, and restore its appendonly files or a backup; a new store would do acknowledged sagas again"
        )),
    })
}

fn log(probe: &Probe, wanted: &Wanted) -> Vec<Finding> {
    let Some(fsync) = probe.setting("appendfsync") else { return vec![attested(wanted)] };
    let mut findings = Vec::new();
    if probe.setting("appendonly") == Some("yes") && probe.info("aof_enabled") != Some("0") {
        findings.push(ok("appendonly is on"));
    } else {
        findings.push(refuse(
            "appendonly is off: a restart of Redis loses acknowledged sagas. Write `appendonly yes` in redis.conf",
        ));
    }
    // The log is made by a first rewrite: until it has ended, nothing is in it.
    if probe.number("aof_rewrite_in_progress") == Some(1) && probe.number("aof_current_size").is_none() {
        findings.push(refuse("its append-only file is only being made: wait until the first rewrite has ended"));
    }
    findings.push(match (fsync, wanted.durability) {
        ("always", _) => ok("appendfsync is always: an answered commit is on the disk"),
        ("everysec", Durability::Relaxed) => warn(
            "appendfsync is everysec, as durability: relaxed allows: a power cut loses about the last second, and up to \
             two where the disk is slow",
        ),
        ("everysec", Durability::Strict) => refuse(
            "appendfsync is everysec: a power cut loses about a second of acknowledged sagas. Write `appendfsync always` \
             in redis.conf, or accept the loss with durability: relaxed (store.redis.durability)",
        ),
        (other, _) => refuse(format!(
            "appendfsync is {other}: a power cut loses what the kernel hasn't written yet. Write `appendfsync always` in \
             redis.conf"
        )),
    });
    findings.push(match probe.setting("no-appendfsync-on-rewrite") {
        Some("no") => ok("it syncs during rewrites too"),
        _ => refuse(
            "no-appendfsync-on-rewrite is on: a power cut during a rewrite loses up to 30 s. Write \
             `no-appendfsync-on-rewrite no` in redis.conf",
        ),
    });
    findings
}

fn attested(wanted: &Wanted) -> Finding {
    let needed = match wanted.durability {
        Durability::Strict => "aof-always",
        Durability::Relaxed => "aof-everysec",
    };
    match wanted.attested.as_deref() {
        Some("aof-always") => warn("it doesn't tell its settings; the operator attests aof-always"),
        Some("aof-everysec") if wanted.durability == Durability::Relaxed => {
            warn("it doesn't tell its settings; the operator attests aof-everysec")
        }
        Some(other) => refuse(format!(
            "it doesn't tell its settings, and the operator attests {other}, which isn't enough: {needed} is needed \
             (store.redis.attested_durability)"
        )),
        None => refuse(format!(
            "it doesn't tell its settings (CONFIG GET is denied): allow it for our user (ACL SETUSER … +config|get), or, \
             where the provider guarantees it, write attested_durability: {needed} (store.redis)"
        )),
    }
}

fn memory(probe: &Probe) -> Vec<Finding> {
    let policy = probe.setting("maxmemory-policy").or_else(|| probe.info("maxmemory_policy"));
    let mut findings = vec![match policy {
        Some("noeviction") => ok("maxmemory-policy is noeviction"),
        Some(other) => refuse(format!(
            "maxmemory-policy is {other}: Redis would throw sagas away when its memory is full. Write \
             `maxmemory-policy noeviction` in redis.conf"
        )),
        None => refuse("it doesn't tell its maxmemory-policy: allow INFO or CONFIG GET for our user"),
    }];
    let percent = probe.memory_percent();
    findings.push(match probe.number("maxmemory") {
        Some(most) if most > 0 => {
            let what = format!("{percent} % of maxmemory is used");
            if percent > 75 {
                warn(format!("{what}: give it more; above 90 % new sagas are refused, so that running ones can finish"))
            } else {
                ok(what)
            }
        }
        _ => warn(
            "maxmemory isn't set: when the machine's memory is full, the kernel kills Redis instead of Redis refusing \
             writes, and nothing is kept in reserve for running sagas (with it, new ones are refused above 90 %). Write \
             `maxmemory <bytes>` in redis.conf",
        ),
    });
    findings
}

fn health(probe: &Probe) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, what) in [
        ("aof_last_write_status", "its last write to the append-only file failed"),
        ("aof_last_bgrewrite_status", "its last rewrite of the append-only file failed"),
        ("rdb_last_bgsave_status", "its last snapshot failed, which can stop writes (stop-writes-on-bgsave-error)"),
    ] {
        if probe.info(name).is_some_and(|status| status != "ok") {
            let message = format!("{what}: look at its log and at the room on its disk");
            findings.push(if name == "aof_last_write_status" { refuse(message) } else { warn(message) });
        }
    }
    findings
}

fn replicas(probe: &Probe, wanted: &Wanted) -> Vec<Finding> {
    let connected = probe.replicas();
    let needed = wanted.replicas;
    let mut findings = Vec::new();
    if needed == 0 && connected == 0 {
        return vec![ok("it has no replicas: what its disk loses is lost")];
    }
    if wanted.durability == Durability::Relaxed {
        return vec![warn(
            "its replicas confirm nothing with durability: relaxed: a fail-over loses what they hadn't got yet",
        )];
    }
    findings.push(if connected < needed {
        // Not a refusal: each commit waits for them, so that nothing is acknowledged while they are away.
        warn(format!("{connected} of {needed} replicas are connected: no commit is acknowledged until all are back"))
    } else {
        ok(format!("{needed} replicas confirm every commit"))
    });
    let fewest: u64 = probe.setting("min-replicas-to-write").and_then(|text| text.parse().ok()).unwrap_or(0);
    let lag: u64 = probe.setting("min-replicas-max-lag").and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
    if probe.config.is_some() && (fewest == 0 || lag > 10) {
        findings.push(warn(
            "a master that is cut off from its replicas still takes writes. Write `min-replicas-to-write 1` and \
             `min-replicas-max-lag 10` in redis.conf",
        ));
    }
    findings
}

/// Each may be the master tomorrow: what it answers for must be on its own disk.
fn replica(copy: &Copy, wanted: &Wanted) -> Finding {
    let name = &copy.server;
    let Some(config) = &copy.config else {
        return warn(format!(
            "its replica {name} can't be asked for its settings from here: see to it that it has `appendonly yes` and \
             `appendfsync always` too"
        ));
    };
    let is = |setting: &str, value: &str| config.get(setting).is_some_and(|it| it == value);
    let strict = wanted.durability == Durability::Strict;
    if !is("appendonly", "yes") {
        let judge = if strict { refuse } else { warn };
        return judge(format!(
            "its replica {name} has no append-only file: promoted and restarted it has nothing, and what it confirms is in \
             its memory only. Write `appendonly yes` in the replica's redis.conf"
        ));
    }
    if strict && !is("appendfsync", "always") {
        return warn(format!(
            "its replica {name} doesn't sync each write: where the master's disk is lost and the replica's power fails too, \
             the last second is lost. Write `appendfsync always` in the replica's redis.conf"
        ));
    }
    ok(format!("its replica {name} keeps an append-only file"))
}

fn clock(probe: &Probe, wanted: &Wanted) -> Option<Finding> {
    let ahead = probe.clock_ahead_ms?;
    let apart = ahead.unsigned_abs();
    let what = format!("its clock is {apart} ms {} ours", if ahead < 0 { "behind" } else { "ahead of" });
    Some(if apart > wanted.lease_ms.max(3000) / 3 {
        warn(format!("{what}, more than a third of a lease: set both machines' clocks by NTP"))
    } else if apart > 1000 {
        warn(format!("{what}: set both machines' clocks by NTP"))
    } else {
        ok("its clock agrees with ours")
    })
}

fn rights(probe: &Probe, wanted: &Wanted) -> Option<Finding> {
    let may = probe.may_run.as_ref()?;
    if may.is_empty() {
        return Some(ok("our user can neither wipe nor reconfigure it"));
    }
    let level = if wanted.durability == Durability::Strict { "; in production give us a user of our own" } else { "" };
    Some(warn(format!(
        "our user may run {}{level}: ACL SETUSER amends on >password ~{{amends:* +@all -@dangerous -@admin +info +role \
         +config|get +acl|whoami +acl|dryrun",
        may.join(", ")
    )))
}

fn cluster(probe: &Probe) -> Vec<Finding> {
    let mut findings = Vec::new();
    if probe.setting("cluster-allow-reads-when-down") == Some("yes") {
        findings.push(refuse(
            "cluster-allow-reads-when-down is on: old data would be read. Write `cluster-allow-reads-when-down no` in \
             redis.conf",
        ));
    }
    if probe.setting("cluster-replica-validity-factor") == Some("0") {
        findings.push(refuse(
            "cluster-replica-validity-factor is 0: replicas as old as you like are promoted. Write \
             `cluster-replica-validity-factor 10` in redis.conf",
        ));
    }
    if probe.replicas() == 0 {
        findings.push(warn("this primary has no replica: if it dies, its shards stand still until it is back"));
    }
    findings
}

/// What can be lost, in plain words.
pub(super) fn loss_window(wanted: &Wanted) -> &'static str {
    match (wanted.durability, wanted.replicas) {
        (Durability::Strict, 0) => {
            "strict: an answered commit survives a kill and a power cut of Redis, as far as its disk keeps what it says it \
             has synced. If the disk dies, everything since the last backup is lost"
        }
        (Durability::Strict, _) => {
            "strict: an answered commit is on the master's disk and confirmed by every replica; it survives a kill, a power \
             cut and a fail-over to any of them. A loss needs the master's disk and the promoted replica to fail together"
        }
        (Durability::Relaxed, 0) => {
            "relaxed: an answered commit survives a kill of Redis; a power cut loses the last second or two of acknowledged \
             sagas"
        }
        (Durability::Relaxed, _) => {
            "relaxed: an answered commit survives a kill of Redis; a power cut loses the last second or two of acknowledged \
             sagas, and a fail-over what the replica hadn't got yet"
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// A server with which nothing is wrong.
    fn good() -> Probe {
        Probe {
            server: "redis://h:6379".into(),
            info: Some(map(&[
                ("redis_version", "7.0.15"),
                ("role", "master"),
                ("aof_enabled", "1"),
                ("aof_current_size", "10"),
                ("aof_last_write_status", "ok"),
                ("aof_last_bgrewrite_status", "ok"),
                ("rdb_last_bgsave_status", "ok"),
                ("loading", "0"),
                ("used_memory", "10"),
                ("maxmemory", "100"),
            ])),
            config: Some(map(&[
                ("appendonly", "yes"),
                ("appendfsync", "always"),
                ("no-appendfsync-on-rewrite", "no"),
                ("maxmemory-policy", "noeviction"),
                ("min-replicas-to-write", "1"),
                ("min-replicas-max-lag", "10"),
            ])),
            role: Some("master".into()),
            clock_ahead_ms: Some(3),
            may_run: Some(Vec::new()),
            copies: Vec::new(),
            store_id: Some(Some("one".into())),
        }
    }

    fn wanted() -> Wanted {
        Wanted { store_id: Some("one".into()), lease_ms: 5000, ..Wanted::default() }
    }

    fn set(probe: &mut Probe, name: &str, value: &str) {
        probe.config.as_mut().unwrap().insert(name.into(), value.into());
    }

    fn say(probe: &mut Probe, name: &str, value: &str) {
        probe.info.as_mut().unwrap().insert(name.into(), value.into());
    }

    fn worst(probe: &Probe, wanted: &Wanted) -> Vec<Finding> {
        let findings = judge(probe, wanted);
        let worst = findings.iter().map(|finding| finding.severity).max().unwrap();
        findings.into_iter().filter(|finding| finding.severity == worst).collect()
    }

    #[test]
    fn a_good_server_has_nothing_to_complain_of() {
        let findings = worst(&good(), &wanted());
        assert!(findings.iter().all(|finding| finding.severity == Severity::Info), "{findings:?}");
    }

    /// Each one thing that is wrong is refused by itself, and the refusal says what to write.
    #[test]
    fn every_refusal_names_what_to_change() {
        type Spoil = fn(&mut Probe);
        let cases: [(Spoil, &str); 15] = [
            (|p| say(p, "redis_version", "6.2.14"), "7.0 or newer"),
            (|p| p.role = Some("slave".into()), "give the master's address"),
            (|p| set(p, "appendonly", "no"), "`appendonly yes`"),
            (|p| say(p, "aof_enabled", "0"), "`appendonly yes`"),
            (|p| set(p, "appendfsync", "everysec"), "`appendfsync always`"),
            (|p| set(p, "appendfsync", "no"), "`appendfsync always`"),
            (|p| set(p, "no-appendfsync-on-rewrite", "yes"), "`no-appendfsync-on-rewrite no`"),
            (|p| set(p, "maxmemory-policy", "volatile-lru"), "`maxmemory-policy noeviction`"),
            (|p| set(p, "maxmemory-policy", "allkeys-lru"), "`maxmemory-policy noeviction`"),
            (|p| say(p, "aof_last_write_status", "err"), "room on its disk"),
            (|p| p.config = None, "attested_durability: aof-always"),
            (|p| p.store_id = Some(None), "Redis was wiped"),
            (|p| p.store_id = Some(Some("two".into())), "give the right address"),
            (|p| (p.role, p.info) = (None, None), "allow ROLE"),
            (|p| (p.config, p.info) = (None, None), "maxmemory-policy"),
        ];
        for (spoil, expected) in cases {
            let mut probe = good();
            spoil(&mut probe);
            let findings = worst(&probe, &wanted());
            assert!(findings.iter().all(|finding| finding.severity == Severity::Error), "{expected}: {findings:?}");
            assert!(findings.iter().any(|finding| finding.message.contains(expected)), "{expected}: {findings:?}");
            assert!(findings.iter().all(|finding| finding.message.starts_with("redis://h:6379: ")), "{findings:?}");
        }
    }

    #[test]
    fn relaxed_must_be_asked_for_and_says_what_it_costs() {
        let mut probe = good();
        set(&mut probe, "appendfsync", "everysec");
        let relaxed = Wanted { durability: Durability::Relaxed, ..wanted() };
        let findings = worst(&probe, &relaxed);
        assert_eq!(findings.len(), 1);
        assert!(
            findings[0].severity == Severity::Warning && findings[0].message.contains("loses about the last second")
        );
        set(&mut probe, "appendfsync", "no");
        assert_eq!(worst(&probe, &relaxed)[0].severity, Severity::Error);
    }

    #[test]
    fn what_is_denied_can_be_attested_but_not_less_than_is_needed() {
        let mut probe = good();
        probe.config = None;
        say(&mut probe, "maxmemory_policy", "noeviction");
        let attests = |text: &str| Wanted { attested: Some(text.into()), ..wanted() };
        assert_eq!(worst(&probe, &attests("aof-always"))[0].severity, Severity::Warning);
        assert_eq!(worst(&probe, &attests("aof-everysec"))[0].severity, Severity::Error);
        let relaxed = Wanted { durability: Durability::Relaxed, ..attests("aof-everysec") };
        assert_eq!(worst(&probe, &relaxed)[0].severity, Severity::Warning);
    }

    #[test]
    fn waitaof_is_believed_from_7_2_on_but_for_three_versions() {
        for (version, name, believed) in [
            ("7.0.15", "redis", false),
            ("7.2.0", "redis", true),
            ("7.4.0", "redis", false),
            ("7.4.2", "redis", false),
            ("7.4.3", "redis", true),
            ("7.2.4", "valkey", true),
        ] {
            let mut probe = good();
            say(&mut probe, "redis_version", version);
            say(&mut probe, "server_name", name);
            assert_eq!(probe.has_waitaof(), believed, "{name} {version}");
        }
    }

    #[test]
    fn a_backup_tool_is_no_replica() {
        let mut probe = good();
        say(&mut probe, "slave0", "ip=10.0.0.2,port=6379,state=online,offset=14,lag=0");
        say(&mut probe, "slave1", "ip=10.0.0.3,port=0,state=online,offset=0,lag=3");
        say(&mut probe, "slave2", "ip=10.0.0.4,port=6379,state=wait_bgsave,offset=0,lag=0");
        say(&mut probe, "slave_repl_offset", "14");
        assert_eq!(probe.replicas(), 1);
    }

    /// On Redis 7.0, which has no `WAITAOF`, nothing else would notice it.
    #[test]
    fn a_replica_that_keeps_nothing_is_refused() {
        let judged = |config: Option<&[(&str, &str)]>, wanted: &Wanted| {
            let mut probe = good();
            probe.copies = vec![Copy { server: "10.0.0.2:6379".into(), config: config.map(map) }];
            let found = judge(&probe, wanted).into_iter().find(|it| it.message.contains("replica 10.0.0.2:6379"));
            found.unwrap().severity
        };
        let relaxed = Wanted { durability: Durability::Relaxed, ..wanted() };
        let off: &[(&str, &str)] = &[("appendonly", "no"), ("appendfsync", "always")];
        assert_eq!(judged(Some(off), &wanted()), Severity::Error);
        assert_eq!(judged(Some(off), &relaxed), Severity::Warning);
        let lazy: &[(&str, &str)] = &[("appendonly", "yes"), ("appendfsync", "everysec")];
        assert_eq!(judged(Some(lazy), &wanted()), Severity::Warning);
        assert_eq!(judged(Some(lazy), &relaxed), Severity::Info);
        let good: &[(&str, &str)] = &[("appendonly", "yes"), ("appendfsync", "always")];
        assert_eq!(judged(Some(good), &wanted()), Severity::Info);
        assert_eq!(judged(None, &wanted()), Severity::Warning, "it may be on a network of its own");
    }

    #[test]
    fn a_replica_is_asked_where_it_says_it_is() {
        let mut probe = good();
        say(&mut probe, "slave0", "ip=10.0.0.2,port=6379,state=online,offset=14,lag=0");
        say(&mut probe, "slave1", "ip=::1,port=6380,state=online,offset=14,lag=0");
        assert_eq!(probe.replica_addresses(), ["10.0.0.2:6379", "::1:6380"]);
    }

    #[test]
    fn missing_replicas_are_said_and_not_refused() {
        let findings = worst(&good(), &Wanted { replicas: 2, ..wanted() });
        assert!(findings[0].message.contains("0 of 2 replicas"), "{findings:?}");
        assert_eq!(findings[0].severity, Severity::Warning);
    }
}

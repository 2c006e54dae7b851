//! What a server says of itself: one pipeline of harmless questions, kept as facts.
//!
//! Judges nothing: that is `judge.rs`, which needs no server. Invariant: a question that the server refuses is an absent fact,
//! never a default.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, RedisResult, Value};

use super::failure::{Failure, is_broken};

/// The settings that matter here.
const SETTINGS: &[&str] = &[
    "appendonly",
    "appendfsync",
    "no-appendfsync-on-rewrite",
    "maxmemory",
    "maxmemory-policy",
    "min-replicas-to-write",
    "min-replicas-max-lag",
    "cluster-allow-reads-when-down",
    "cluster-replica-validity-factor",
];

/// Commands that a coordinator has no use for, as arguments of `ACL DRYRUN`.
const DANGEROUS: &[&[&str]] = &[&["FLUSHALL"], &["CONFIG", "SET", "a", "b"], &["DEBUG", "SLEEP", "0"], &["SHUTDOWN"]];

/// What a replica says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copy {
    /// `host:port`
    pub(super) server: String,
    /// `CONFIG GET`; absent where it can't be reached from here, or doesn't tell.
    pub(super) config: Option<BTreeMap<String, String>>,
}

/// The facts about one server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Probe {
    /// Which server: its address, for messages.
    pub(super) server: String,
    /// `INFO`, by name; absent where it is denied.
    pub(super) info: Option<BTreeMap<String, String>>,
    /// `CONFIG GET`; absent where it is denied.
    pub(super) config: Option<BTreeMap<String, String>>,
    /// `ROLE`: "master", "slave" …; absent where it is denied.
    pub(super) role: Option<String>,
    /// How far its clock is ahead of ours, in ms; negative: behind.
    pub(super) clock_ahead_ms: Option<i64>,
    /// Which of the dangerous commands this user may run; absent where nobody can tell.
    pub(super) may_run: Option<Vec<&'static str>>,
    /// Its replicas, by their own word; those that weren't looked at are not among them.
    pub(super) copies: Vec<Copy>,
    /// The store id in the meta key; absent where another node of a Cluster has the key.
    pub(super) store_id: Option<Option<String>>,
}

impl Probe {
    /// A line of `INFO`.
    pub(super) fn info(&self, name: &str) -> Option<&str> {
        self.info.as_ref()?.get(name).map(String::as_str)
    }

    /// A number of `INFO`.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.info(name)?.parse().ok()
    }

    /// A setting.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.config.as_ref()?.get(name).map(String::as_str)
    }

    /// Where its replicas say that they are: `host:port` of those that are connected and in step.
    pub(super) fn replica_addresses(&self) -> Vec<String> {
        let lines = self.info.iter().flatten().filter(|(name, value)| is_replica(name, value));
        let field = |value: &str, name: &str| {
            value.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
        };
        lines.filter_map(|(_, value)| Some(format!("{}:{}", field(value, "ip")?, field(value, "port")?))).collect()
    }

    /// How many replicas are connected and in step. One without a port is a tool that copies the data, as for a backup.
    pub(super) fn replicas(&self) -> u64 {
        self.info.iter().flatten().filter(|(name, value)| is_replica(name, value)).count() as u64
    }

    /// The version, as far as it has three numbers.
    pub(super) fn version(&self) -> Option<(u16, u16, u16)> {
        let mut parts = self.info("redis_version")?.split('.').map(|part| part.parse().ok());
        Some((parts.next()??, parts.next()??, parts.next()??))
    }

    /// Whether it is reading its data, and answers for nothing yet.
    pub(super) fn is_loading(&self) -> bool {
        ["loading", "async_loading"].iter().any(|name| self.number(name) == Some(1))
    }

    /// How much of its memory is used, in percent; 0 where there is no bound.
    pub(super) fn memory_percent(&self) -> u64 {
        match (self.number("used_memory"), self.number("maxmemory")) {
            (Some(used), Some(most)) if most > 0 => used.saturating_mul(100) / most,
            _ => 0,
        }
    }

    /// Whether it has `WAITAOF`, and one that tells the truth.
    pub(super) fn has_waitaof(&self) -> bool {
        let is_redis = self.info("server_name").is_none_or(|name| name == "redis");
        self.version().is_some_and(|version| {
            let lies = is_redis && ((7, 4, 0)..=(7, 4, 2)).contains(&version);
            version >= (7, 2, 0) && !lies
        })
    }
}

/// Whether a line of `INFO` is about a replica that is in step.
fn is_replica(name: &str, value: &str) -> bool {
    let is_one = name.strip_prefix("slave").is_some_and(|rest| rest.parse::<u32>().is_ok());
    is_one && value.contains("state=online") && !value.contains("port=0,")
}

/// Asks the server on this connection.
pub(super) async fn ask(
    connection: &mut MultiplexedConnection,
    server: &str,
    meta_key: &str,
) -> Result<Probe, Failure> {
    let mut pipeline = redis::pipe();
    pipeline.ignore_errors();
    pipeline.cmd("INFO");
    pipeline.cmd("CONFIG").arg("GET").arg(SETTINGS);
    pipeline.cmd("ROLE").cmd("TIME").cmd("HGET").arg(meta_key).arg("id").cmd("ACL").arg("WHOAMI");
    let before = now_ms();
    let replies: RedisResult<Vec<RedisResult<Value>>> = pipeline.query_async(connection).await;
    let waited = now_ms() - before;
    let mut replies = replies.map_err(Failure::Unknown)?.into_iter();
    let mut next = || replies.next().unwrap_or(Ok(Value::Nil));
    let info: Option<String> = fact(next())?;
    let config: Option<BTreeMap<String, String>> = fact(next())?;
    let role: Option<Vec<Value>> = fact(next())?;
    let time: Option<(i64, i64)> = fact(next())?;
    let store_id: Option<Option<String>> = fact(next())?;
    let user: Option<String> = fact(next())?;
    let may_run = match user {
        Some(user) => may_run(connection, &user).await?,
        None => None,
    };
    Ok(Probe {
        server: server.to_owned(),
        info: info.map(|text| read_info(&text)),
        config: config.filter(|config| !config.is_empty()),
        role: role.and_then(|parts| String::from_redis_value(parts.into_iter().next()?).ok()),
        // Half of the round trip is the way there; the rest of the error doesn't matter for seconds.
        clock_ahead_ms: time.map(|(seconds, micros)| seconds * 1000 + micros / 1000 - before - waited / 2),
        may_run,
        copies: Vec::new(),
        store_id,
    })
}

/// Asks a replica on this connection, under this name.
pub(super) async fn ask_copy(connection: RedisResult<MultiplexedConnection>, server: String) -> Copy {
    let config = async {
        let mut get = redis::cmd("CONFIG");
        get.arg("GET").arg(&["appendonly", "appendfsync"]);
        let config: BTreeMap<String, String> = get.query_async(&mut connection.ok()?).await.ok()?;
        Some(config).filter(|config| !config.is_empty())
    };
    Copy { config: config.await, server }
}

async fn may_run(connection: &mut MultiplexedConnection, user: &str) -> Result<Option<Vec<&'static str>>, Failure> {
    let mut pipeline = redis::pipe();
    pipeline.ignore_errors();
    for command in DANGEROUS {
        let mut dry = Cmd::new();
        dry.arg("ACL").arg("DRYRUN").arg(user).arg(*command);
        pipeline.add_command(dry);
    }
    let replies: RedisResult<Vec<RedisResult<Value>>> = pipeline.query_async(connection).await;
    let mut may = Vec::new();
    for (command, reply) in DANGEROUS.iter().zip(replies.map_err(Failure::Unknown)?) {
        match fact::<String>(reply)? {
            Some(answer) if answer == "OK" => may.extend(command.first()),
            Some(_) => {}
            None => return Ok(None),
        }
    }
    Ok(Some(may))
}

/// The value of a reply; `None` where the server refuses to tell. A broken connection is no fact about the server.
fn fact<T: FromRedisValue>(reply: RedisResult<Value>) -> Result<Option<T>, Failure> {
    match reply {
        Ok(value) => Ok(T::from_redis_value(value).ok()),
        Err(error) if is_broken(&error) => Err(Failure::Unknown(error)),
        Err(_) => Ok(None),
    }
}

fn read_info(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_end().to_owned())).collect()
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

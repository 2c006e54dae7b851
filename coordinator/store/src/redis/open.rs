//! Opening the store: reach the server, judge it, and find our store there or make it.
//!
//! A store is made only where nobody remembers one: a coordinator that knows an id never makes a new store in its place.
//! Invariant: nothing is written to a server that was refused.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use uuid::Uuid;

use super::address::{Address, AddressError};
use super::certificates::TlsFiles;
use super::dial::Dialer;
use super::failure::Failure;
use super::guard::Guard;
use super::judge::{Durability, Wanted};
use super::keys::{Keys, SHARD_KEYS, slot_of};
use super::link::Lane;
use super::router::Router;
use super::script::Scripts;
use super::{RedisStore, remember, values, watch};
use crate::contract::{Log, Severity, ShardId};
use crate::stats::Counters;
use crate::transfer::Standing;

/// Shards of a new store for which no number is set.
const SHARDS: u16 = 64;

/// The layout that `keys.rs` describes.
pub(super) const FORMAT: u64 = 3;

/// How to open a store on Redis.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// Where Redis is.
    pub address: Address,
    /// The store's name, in all its keys: several stores can share a server.
    pub name: String,
    /// How many shards a new store gets (`None`: 64); an existing one must have as many.
    pub shards: Option<u16>,
    /// What an answered commit has to survive.
    pub durability: Durability,
    /// How many replicas must confirm each commit in strict durability; 0: as many as there ever were.
    pub replicas: u16,
    /// `aof-always` or `aof-everysec`, where the server doesn't tell its settings and its operator vouches for them.
    pub attested_durability: Option<String>,
    /// The id that the store must have.
    pub store_id: Option<String>,
    /// The file in which the id is remembered between starts; `None`: it is not.
    pub remembered_in: Option<PathBuf>,
    /// The certificates of connections over TLS.
    pub tls: TlsFiles,
    /// How long the nodes' leases last: by it the clocks are judged.
    pub lease: Duration,
    /// To copy to or from it, not to serve from it: it may stand anyhow.
    pub for_transfer: bool,
}

impl RedisOptions {
    /// The defaults: strict, nothing attested, nothing remembered.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            name: "main".to_owned(),
            shards: None,
            durability: Durability::Strict,
            replicas: 0,
            attested_durability: None,
            store_id: None,
            remembered_in: None,
            tls: TlsFiles::default(),
            lease: Duration::from_secs(5),
            for_transfer: false,
        }
    }
}

/// A store that can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum RedisOpenError {
    /// The address can't be read.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The name breaks the rule for names, or the number of shards is 0.
    #[error("{0}")]
    Invalid(String),
    /// Nobody answers.
    #[error("Redis at {address} can't be used: {why}")]
    Unreachable {
        /// Where it should be.
        address: String,
        /// What happened.
        why: String,
    },
    /// The server isn't safe for the durability that is asked for.
    #[error("Redis is refused:\n{}", .0.iter().map(|line| format!("  - {line}")).collect::<Vec<_>>().join("\n"))]
    Refused(Vec<String>),
    /// It was created with another number of shards.
    #[error(
        "the store has {stored} shards, not {asked}: their number is fixed when it is created; leave store.shards out"
    )]
    OtherShards {
        /// As it is stored.
        stored: u16,
        /// As it was asked for.
        asked: u16,
    },
    /// Made by a newer version.
    #[error("the store has format {found}, this version reads format {FORMAT}: start the newer version of Amends")]
    TooNew {
        /// Its format.
        found: u64,
    },
    /// It may not be served from.
    #[error("the store at {address} takes no work: {}", standing.explain())]
    Closed {
        /// Where it is.
        address: String,
        /// How it stands.
        standing: Standing,
    },
    /// The store id can't be remembered.
    #[error("the store id can't be kept in {}: {source}", path.display())]
    Remember {
        /// In which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl RedisOpenError {
    pub(super) fn unreachable(address: &Address, failure: &Failure) -> Self {
        Self::Unreachable { address: address.to_string(), why: failure.to_string() }
    }
}

/// `probing`: whether a write is tried, as whoever serves from the store does.
pub(super) async fn open(options: RedisOptions, probing: bool) -> Result<RedisStore, RedisOpenError> {
    let RedisOptions { address, name, .. } = &options;
    if amends_engine::ids::Namespace::parse(name).is_err() {
        return Err(RedisOpenError::Invalid(format!(
            "the store's name {name:?} has other characters than A-Z a-z 0-9 . _ -"
        )));
    }
    if options.shards == Some(0) {
        return Err(RedisOpenError::Invalid("a store needs at least one shard".to_owned()));
    }
    let unreachable = |failure: Failure| RedisOpenError::unreachable(address, &failure);
    let known = known_id(&options)?;
    let keys = Keys::new(name);
    let scripts = Arc::new(Scripts::new());
    let guard = Arc::new(Guard::new(wanted(&options, known.clone()), keys.meta()));
    let dialer =
        Dialer::new(address.clone(), options.tls.clone()).map_err(|error| unreachable(Failure::Unreachable(error)))?;
    let router = Arc::new(Router::new(dialer, Arc::clone(&guard), Arc::clone(&scripts)));
    judge_all(&router).await?.map_err(unreachable)?;

    let shards = options.shards.unwrap_or(SHARDS);
    let meta = create(&router, &keys, &scripts, shards, known).await.map_err(unreachable)?;
    if meta.format > FORMAT {
        return Err(RedisOpenError::TooNew { found: meta.format });
    }
    if let Some(asked) = options.shards.filter(|asked| *asked != meta.shards) {
        return Err(RedisOpenError::OtherShards { stored: meta.shards, asked });
    }
    guard.expect(&meta.id);
    if !meta.seeded {
        seed(&router, &keys, &scripts, &meta).await.map_err(unreachable)?;
    }
    // Whoever only looks writes nothing.
    if meta.format < FORMAT && probing {
        upgrade(&router, &keys, &scripts, &meta).await.map_err(unreachable)?;
    }
    if probing && !options.for_transfer {
        write_something(&router, &keys).await?.map_err(unreachable)?;
    }
    if let Some(path) = &options.remembered_in {
        remember::write(path, &meta.id).map_err(|source| RedisOpenError::Remember { path: path.clone(), source })?;
    }
    let _watching = watch::spawn(Arc::clone(&router), Arc::clone(&guard));
    let shards = meta.shards;
    let address = address.clone();
    let counters = Counters::default();
    Ok(RedisStore { router, guard, keys, scripts, shards, address, counters, _watching })
}

pub(super) fn known_id(options: &RedisOptions) -> Result<Option<String>, RedisOpenError> {
    if options.store_id.is_some() {
        return Ok(options.store_id.clone());
    }
    let Some(path) = &options.remembered_in else { return Ok(None) };
    remember::read(path).map_err(|source| RedisOpenError::Remember { path: path.clone(), source })
}

pub(super) fn wanted(options: &RedisOptions, store_id: Option<String>) -> Wanted {
    Wanted {
        durability: options.durability,
        replicas: u64::from(options.replicas),
        attested: options.attested_durability.clone(),
        store_id,
        lease_ms: u64::try_from(options.lease.as_millis()).unwrap_or(u64::MAX),
        cluster: options.address.kind == super::address::Kind::Cluster,
    }
}

/// Judges every server before the first write; says all that is refused at once.
async fn judge_all(router: &Router) -> Result<Result<(), Failure>, RedisOpenError> {
    let primaries = match router.primaries().await {
        Ok(primaries) => primaries,
        Err(failure) => return Ok(Err(failure)),
    };
    let mut refused = Vec::new();
    router
        .sentinels()
        .await
        .into_iter()
        .filter(|it| it.severity > Severity::Info)
        .for_each(|it| tracing::warn!("{}", it.message));
    for link in primaries {
        match link.examine().await {
            Ok((_, findings)) => {
                for finding in findings {
                    match finding.severity {
                        Severity::Error => refused.push(finding.message),
                        Severity::Warning => tracing::warn!("{}", finding.message),
                        Severity::Info => tracing::debug!("{}", finding.message),
                    }
                }
            }
            Err(failure) => return Ok(Err(failure)),
        }
    }
    if refused.is_empty() { Ok(Ok(())) } else { Err(RedisOpenError::Refused(refused)) }
}

/// Writes once, as every commit will be: settings can look good and the disk be gone. A full memory isn't a reason to stay away:
/// running sagas have what is kept in reserve for them.
async fn write_something(router: &Router, keys: &Keys) -> Result<Result<(), Failure>, RedisOpenError> {
    let key = keys.meta();
    let mut write = redis::cmd("HSET");
    write.arg(&key).arg("probed").arg(Uuid::now_v7().to_string());
    Ok(match router.write_to_disk(slot_of(&key), &write).await {
        Ok(()) => Ok(()),
        Err(failure @ Failure::Full(_)) => {
            tracing::warn!(%failure, "the first write was refused");
            Ok(())
        }
        Err(failure @ (Failure::Refused(_) | Failure::Unconfirmed { .. } | Failure::NotOnDisk)) => {
            return Err(RedisOpenError::Refused(vec![format!("a first write isn't kept: {failure}")]));
        }
        Err(failure) => Err(failure),
    })
}

struct Meta {
    id: String,
    format: u64,
    shards: u16,
    seeded: bool,
}

async fn create(
    router: &Router,
    keys: &Keys,
    scripts: &Scripts,
    shards: u16,
    known: Option<String>,
) -> Result<Meta, Failure> {
    let key = keys.meta();
    let id = known.unwrap_or_else(|| Uuid::now_v7().to_string());
    let mut call = scripts.create.call(1);
    call.arg(&key).arg(id).arg(FORMAT).arg(shards).arg(0);
    read_meta(router.write(Lane::Record, slot_of(&key), &call).await?)
}

fn read_meta(answer: Value) -> Result<Meta, Failure> {
    let (id, format, shards, seeded): (String, u64, u16, u64) = values::read(answer)?;
    Ok(Meta { id, format, shards, seeded: seeded == 1 })
}

/// Brings a store of an older format up to this one, shard by shard; the format itself last, so that breaking off at any point
/// and starting again ends right. A node of the older version that is still running doesn't keep up what is added (a saga that it
/// starts is not found by what only open ones are searched for): `docs/redis.md` has it stopped first. One that is started again
/// is refused by the new number.
async fn upgrade(router: &Router, keys: &Keys, scripts: &Scripts, meta: &Meta) -> Result<(), Failure> {
    for shard in (0..meta.shards).map(ShardId) {
        let mut call = scripts.upgrade.call(3 + Log::ALL.len());
        call.arg(keys.lease(shard)).arg(keys.index(shard)).arg(keys.counts(shard));
        call.arg(Log::ALL.map(|log| keys.log(shard, log)).as_slice()).arg(&meta.id);
        let whose: String = values::read(router.write(Lane::Record, slot_of(&keys.lease(shard)), &call).await?)?;
        if whose != meta.id {
            let whose = if whose.is_empty() { "nobody: was Redis wiped?" } else { &whose };
            return Err(Failure::Frozen(format!("shard {} belongs to {whose}", shard.0)));
        }
    }
    let key = keys.meta();
    let mut format = redis::cmd("HSET");
    format.arg(&key).arg("format").arg(FORMAT);
    router.write(Lane::Record, slot_of(&key), &format).await?;
    tracing::info!(from = meta.format, to = FORMAT, "the store was brought up to this version's format");
    Ok(())
}

/// Makes every shard's own keys. Only once in a store's life: made again, they would hide that a server was wiped.
async fn seed(router: &Router, keys: &Keys, scripts: &Scripts, meta: &Meta) -> Result<(), Failure> {
    for shard in (0..meta.shards).map(ShardId) {
        let mut call = scripts.seed.call(SHARD_KEYS + Log::ALL.len());
        call.arg(&keys.shard(shard)).arg(Log::ALL.map(|log| keys.log(shard, log)).as_slice()).arg(&meta.id);
        let whose: String = values::read(router.write(Lane::Record, slot_of(&keys.lease(shard)), &call).await?)?;
        if whose != meta.id {
            return Err(Failure::Frozen(format!("shard {} is of another store, {whose}", shard.0)));
        }
    }
    let key = keys.meta();
    let mut seeded = redis::cmd("HSET");
    seeded.arg(&key).arg("seeded").arg("1");
    router.write(Lane::Record, slot_of(&key), &seeded).await?;
    Ok(())
}

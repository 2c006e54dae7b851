//! Opening a data directory: the lock, whose database it is, the settings that durability rests on.
//!
//! Never writes to a database that isn't ours or is newer than this program. Invariant: a store that opens is in WAL mode
//! with `synchronous = FULL`, locked against other processes, and known to the disk by name.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use amends_engine::time::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use super::SqliteStore;
use super::lock::{DirLock, Unlocked};
use super::readers::{BUSY_TIMEOUT, Readers, STATEMENTS};
use super::reserve::{self, Reserve};
use super::schema::{self, Kind};
use super::tenure;
use super::writer::{Parts, StartError, Writer};
use crate::contract::TimeSource;
use crate::error::Source;
use crate::planted;
use crate::stats::Counters;
use crate::transfer::Standing;

/// The database's name in the data directory.
pub(super) const DATABASE: &str = "amends.db";

/// Shards of a new store, where nothing else is asked for.
const SHARDS: u16 = 16;

/// Bytes of the reserve, where nothing else is asked for.
pub(super) const RESERVE_BYTES: u64 = 64 * 1024 * 1024;

/// Pages (of 4 KiB) of the log after which it is copied into the database. A failed sync of that copy loses nothing: the
/// log stays as it is, and the copy is made again from it.
const CHECKPOINT_PAGES: i64 = 4000;

/// To what size the log is cut back when it has grown beyond it.
const LOG_BYTES: i64 = 64 * 1024 * 1024;

/// What the writer's connection may keep of the database in memory, in KiB.
const CACHE_KIB: i64 = 64 * 1024;

/// What to open, and how.
#[derive(Clone)]
pub struct OpenOptions {
    /// The data directory; made when it isn't there, readable for its owner only. Not on a network file system.
    pub dir: PathBuf,
    /// Shards of the store: `None` takes what it was created with, 16 when it is new. Any other number than that is refused.
    pub shards: Option<u16>,
    /// Size of the reserve that lets running sagas finish on a full disk; 0 for none. Default 64 MiB.
    pub reserve_bytes: u64,
    /// Where to read the time; the system's clock by default.
    pub clock: TimeSource,
    /// To copy it or to change how it stands, not to serve from it: it must be there, and may stand anyhow. Default false.
    pub for_transfer: bool,
}

/// Whether a directory holds a store. Opens nothing.
pub fn is_there(dir: &Path) -> bool {
    dir.join(DATABASE).is_file()
}

impl OpenOptions {
    /// The defaults for this directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            shards: None,
            reserve_bytes: RESERVE_BYTES,
            clock: Arc::new(system_time),
            for_transfer: false,
        }
    }
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dir, shards, reserve_bytes, clock: _, for_transfer } = self;
        f.debug_struct("OpenOptions")
            .field("dir", dir)
            .field("shards", shards)
            .field("reserve_bytes", reserve_bytes)
            .field("for_transfer", for_transfer)
            .finish_non_exhaustive()
    }
}

/// Why a store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "the data directory {} is in use by {}: stop that one, or choose another directory",
        dir.display(),
        pid.map_or("another process".into(), |pid| format!("process {pid}"))
    )]
    InUse {
        /// Which directory.
        dir: PathBuf,
        /// The other process, where it could be told.
        pid: Option<u32>,
    },
    /// The file system said no.
    #[error("{what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// The file is somebody else's.
    #[error("{} is not a database of Amends: choose another directory", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Written by a newer version.
    #[error("{} has schema version {found}; this program knows up to {newest}: use a newer one", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// The newest known here.
        newest: i32,
    },
    /// The number of shards can't be changed.
    #[error("the store was created with {stored} shards, which can't be changed; the configuration asks for {asked}")]
    OtherShards {
        /// What it has.
        stored: u16,
        /// What was asked for.
        asked: u16,
    },
    /// A store needs at least one shard.
    #[error("a store needs at least one shard")]
    NoShards,
    /// There is no store, and none is to be made.
    #[error("there is no store in {}: name the folder that `amends serve` had as store.data", dir.display())]
    Missing {
        /// The directory.
        dir: PathBuf,
    },
    /// It may not be served from.
    #[error("the store in {} takes no work: {}", dir.display(), standing.explain())]
    Closed {
        /// The directory.
        dir: PathBuf,
        /// How it stands.
        standing: Standing,
    },
    /// The database can't be used.
    #[error("the database {} can't be opened", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: Source,
    },
}

/// Opens a store, or makes a new one. Blocks; waits for nobody.
pub(super) fn open(options: OpenOptions) -> Result<SqliteStore, OpenError> {
    let OpenOptions { dir, shards, reserve_bytes, clock, for_transfer } = options;
    if shards == Some(0) {
        return Err(OpenError::NoShards);
    }
    if for_transfer && !is_there(&dir) {
        return Err(OpenError::Missing { dir });
    }
    make_dir(&dir)?;
    let lock = lock(&dir)?;
    let path = dir.join(DATABASE);
    let database = |source: rusqlite::Error| OpenError::Database { path: path.clone(), source: Box::new(source) };
    let mut conn = connect(&path)?;
    let mut found = schema::kind_of(&conn);
    if found.as_ref().is_err_and(is_without_room) && reserve::free(&dir) {
        conn = connect(&path)?;
        found = schema::kind_of(&conn);
    }
    let kind = found.map_err(|error| unreadable(&path, error))?;
    match kind {
        Kind::Empty | Kind::Ours | Kind::Older(_) => settle(&conn).map_err(database)?,
        Kind::Newer(found) => return Err(OpenError::TooNew { path, found, newest: schema::VERSION }),
        Kind::Foreign => return Err(OpenError::Foreign { path }),
    }
    settle_log(&conn).map_err(database)?;
    match kind {
        Kind::Empty => {
            schema::create(&mut conn, shards.unwrap_or(SHARDS), clock()).map_err(database)?;
            sync_dir(&dir)?;
        }
        Kind::Older(from) => {
            schema::upgrade(&mut conn, from).map_err(database)?;
            tracing::info!(from, to = schema::VERSION, "the database was brought up to this version's schema");
        }
        Kind::Ours | Kind::Newer(_) | Kind::Foreign => {}
    }
    match schema::standing(&conn).map_err(database)? {
        None => {
            let source = "how the store stands can't be read: was it written by a newer version?".into();
            return Err(OpenError::Database { path, source });
        }
        // We have the lock, so whoever had a shard is gone.
        Some(_) if for_transfer => tenure::forget_holders(&conn).map_err(database)?,
        Some(Standing::InUse) => {}
        Some(standing) => return Err(OpenError::Closed { dir, standing }),
    }
    let id = schema::meta(&conn, "store_id").map_err(database)?;
    let stored = schema::shards(&conn).map_err(database)?;
    if let Some(asked) = shards.filter(|asked| *asked != stored) {
        return Err(OpenError::OtherShards { stored, asked });
    }
    let readers = Readers::open(&path).map_err(database)?;
    let reserve = Reserve::open(&dir, reserve_bytes, clock());
    let counters = Arc::new(Counters::default());
    let parts = Parts { conn, reserve, clock: Arc::clone(&clock), counters: Arc::clone(&counters) };
    let writer = Writer::start(parts).map_err(|error| match error {
        StartError::Database(source) => database(source),
        StartError::Thread(source) => OpenError::Io { what: "can't start a thread for", path: path.clone(), source },
    })?;
    let members = Default::default();
    Ok(SqliteStore { readers, writer, id, shards: stored, clock, counters, dir, reserve_bytes, members, _lock: lock })
}

/// Takes the lock on a directory that is there.
pub(super) fn lock(dir: &Path) -> Result<DirLock, OpenError> {
    DirLock::take(dir).map_err(|unlocked| match unlocked {
        Unlocked::Held(pid) => OpenError::InUse { dir: dir.into(), pid },
        Unlocked::Io(source) => OpenError::Io { what: "can't lock", path: dir.into(), source },
    })
}

fn connect(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let conn = Connection::open_with_flags(path, flags)?;
        conn.busy_timeout(BUSY_TIMEOUT)?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(conn)
    };
    open().map_err(|source: rusqlite::Error| OpenError::Database { path: path.into(), source: Box::new(source) })
}

/// The index of SQLite's log is a file too, and is made before anything is read. Whoever starts on a full disk to finish what is
/// running needs that much of the reserve.
fn is_without_room(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(ffi::SQLITE_IOERR_SHMSIZE | ffi::SQLITE_FULL))
}

/// A file that SQLite can't even begin to read is somebody else's; other errors are what they are.
fn unreadable(path: &Path, error: rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::Foreign { path: path.into() },
        _ => OpenError::Database { path: path.into(), source: Box::new(error) },
    }
}

/// The settings that durability and speed rest on, all of them for the writer's connection.
fn settle(conn: &Connection) -> rusqlite::Result<()> {
    let mode: String = conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(rusqlite::Error::ToSqlConversionFailure(
            format!("the file system can't do WAL: journal mode stayed {mode}").into(),
        ));
    }
    conn.pragma_update(None, "synchronous", if planted::is("acked_before_fsync") { "NORMAL" } else { "FULL" })?;
    conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    conn.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
    conn.pragma_update(None, "temp_store", "MEMORY")
}

/// Copies what a crash left in the log into the database, with both synced, before anything is answered from it: after a
/// kill or a failed sync the system may show pages of the log that the disk doesn't have.
fn settle_log(conn: &Connection) -> rusqlite::Result<()> {
    match conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0)) {
        Ok(false) => {}
        Ok(true) => tracing::warn!("another program reads the database: the log of the last run is kept beside it"),
        // Running sagas must be able to finish on a full disk, so it mustn't keep the store from opening.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
            tracing::warn!("the disk is full: the log of the last run is kept beside the database");
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Makes the directory, and the new names known to the disk: a power cut must not lose the file itself.
pub(super) fn make_dir(dir: &Path) -> Result<(), OpenError> {
    if dir.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|source| OpenError::Io {
        what: "can't make the directory",
        path: dir.into(),
        source,
    })?;
    dir.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync_dir)
}

pub(super) fn sync_dir(dir: &Path) -> Result<(), OpenError> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|source| OpenError::Io { what: "can't sync the directory", path: dir.into(), source })
}

/// The system's clock.
fn system_time() -> Timestamp {
    // A clock before 1970 reads as 0: epochs then rise by one, which is all that fencing needs.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

//! A backup of the embedded store as one file, made while a coordinator writes to it, and a store made from such a file.
//!
//! Reading needs no lock: in WAL mode a reader of another process sees one state and holds nobody up. Never writes into a folder
//! that has a store, never over a file that is there, never to what is backed up. Invariants: a file with the backup's own name is
//! whole, checked, and on the disk; a folder that [`restore`] leaves behind has all of the backup or no store at all.
//!
//! A restored store knows nothing of what was committed after the backup. Its epochs are later ones all the same, because they are at
//! least the clock's time, and participants know by their barrier what was done: see `docs/backup.md`.

use std::fs::{self, File, OpenOptions as FileOptions};
use std::io;
use std::path::{Path, PathBuf};

use amends_engine::time::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::columns::{to_time, to_u64};
use super::open::{self, DATABASE, OpenError};
use super::readers::BUSY_TIMEOUT;
use super::schema::{self, Kind};
use crate::planted;

/// Beside the database: its log, and the index of that. A log without its database would be played into the restored one.
const BESIDE: [&str; 2] = ["amends.db-wal", "amends.db-shm"];

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The store's id.
    pub store: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// How many sagas are in it.
    pub sagas: u64,
    /// How many of them are unfinished.
    pub open: u64,
    /// When the newest of them was started; `None` where there is none.
    pub newest: Option<Timestamp>,
}

/// Why there is no backup, or no restored store.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Nothing is written over.
    #[error("{} is there already: choose another name, or move it away", path.display())]
    Occupied {
        /// The file.
        path: PathBuf,
    },
    /// The file is not what was written.
    #[error("{} is damaged: {found}. Use an older backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found first.
        found: String,
    },
    /// The folder, the file or the database can't be used.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Writes all that the store in this folder holds at this moment to a new file, readable for its owner only. Blocks for as long as
/// reading the store takes; a coordinator that has the store works on, and its log grows meanwhile.
///
/// # Errors
/// When there is no store, the file is there already, or either can't be read or written. A file that was begun is
/// `<file>.part`, and is replaced by the next attempt.
pub fn backup(dir: &Path, file: &Path) -> Result<Backup, BackupError> {
    if !open::is_there(dir) {
        return Err(OpenError::Missing { dir: dir.into() }.into());
    }
    if file.exists() {
        return Err(BackupError::Occupied { path: file.into() });
    }
    let database = dir.join(DATABASE);
    let conn = connect(&database)?;
    let part = part_of(file);
    remove(&part)?;
    create(&part)?;
    if planted::is("backup_without_log") {
        fs::copy(&database, &part).map_err(|source| OpenError::Io {
            what: "can't copy to",
            path: part.clone(),
            source,
        })?;
    } else {
        // One state of the store, its log included, whatever the writer does meanwhile.
        conn.execute("VACUUM INTO ?1", [part.to_string_lossy()]).map_err(|error| failed(&database, error))?;
    }
    let backup = examine(&part)?;
    place(&part, file)?;
    Ok(backup)
}

/// Makes a store in this folder from a backup.
///
/// # Errors
/// When the folder has a store or what is left of one, when a process has it, when the file is no whole backup, or either can't be
/// read or written.
pub fn restore(file: &Path, dir: &Path) -> Result<Backup, BackupError> {
    let backup = examine(file)?;
    open::make_dir(dir)?;
    let _lock = open::lock(dir)?;
    if let Some(name) = std::iter::once(DATABASE).chain(BESIDE).find(|name| dir.join(name).exists()) {
        return Err(BackupError::Occupied { path: dir.join(name) });
    }
    let (database, part) = (dir.join(DATABASE), dir.join(format!("{DATABASE}.part")));
    remove(&part)?;
    let mut target = create(&part)?;
    let copied = File::open(file).and_then(|mut source| io::copy(&mut source, &mut target));
    copied.map_err(|source| OpenError::Io { what: "can't copy the backup to", path: part.clone(), source })?;
    // What was read a second time may be another thing.
    examine(&part)?;
    place(&part, &database)?;
    Ok(backup)
}

/// What is in this file; an error unless all of it is a sound store that this program can read.
fn examine(file: &Path) -> Result<Backup, BackupError> {
    let conn = connect(file)?;
    let read = || {
        let text = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
        let found = conn.query_row("PRAGMA integrity_check(1)", [], text)?;
        if found != "ok" {
            return Ok(Err(found));
        }
        let count = "SELECT count(*), coalesce(sum(open), 0), max(started_at) FROM saga";
        let (sagas, open, newest) = conn.query_row(count, [], |row| {
            Ok((to_u64(row.get(0)?), to_u64(row.get(1)?), row.get::<_, Option<i64>>(2)?.map(to_time)))
        })?;
        Ok(Ok(Backup { store: schema::meta(&conn, "store_id")?, bytes: 0, sagas, open, newest }))
    };
    let found = match read() {
        Ok(found) => found,
        Err(error) if is_damage(&error) => Err(error.to_string()),
        Err(error) => return Err(failed(file, error)),
    };
    let backup = found.map_err(|found| BackupError::Damaged { path: file.into(), found })?;
    let size = fs::metadata(file).map_err(|source| OpenError::Io { what: "can't read", path: file.into(), source })?;
    Ok(Backup { bytes: size.len(), ..backup })
}

/// A connection that only reads a store of ours.
pub(super) fn connect(path: &Path) -> Result<Connection, BackupError> {
    let read = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags)?;
        conn.busy_timeout(BUSY_TIMEOUT)?;
        let kind = schema::kind_of(&conn)?;
        Ok((conn, kind))
    };
    match read() {
        Ok((conn, Kind::Ours | Kind::Older(_))) => Ok(conn),
        Ok((_, Kind::Newer(found))) => {
            Err(OpenError::TooNew { path: path.into(), found, newest: schema::VERSION }.into())
        }
        Ok((_, Kind::Foreign | Kind::Empty)) => Err(OpenError::Foreign { path: path.into() }.into()),
        Err(error) if is_damage(&error) => Err(BackupError::Damaged { path: path.into(), found: error.to_string() }),
        Err(error) => Err(failed(path, error)),
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

pub(super) fn failed(path: &Path, error: rusqlite::Error) -> BackupError {
    OpenError::Database { path: path.into(), source: Box::new(error) }.into()
}

fn part_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn remove(part: &Path) -> Result<(), OpenError> {
    match fs::remove_file(part) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => {
            Err(OpenError::Io { what: "can't remove what an earlier attempt left in", path: part.into(), source })
        }
    }
}

/// A new file that only its owner reads: it holds what teams sent.
fn create(path: &Path) -> Result<File, OpenError> {
    let mut options = FileOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|source| OpenError::Io { what: "can't make", path: path.into(), source })
}

/// Gives a finished file its name, known to the disk only with all that is in it: SQLite itself doesn't sync a copy.
fn place(part: &Path, name: &Path) -> Result<(), OpenError> {
    let synced = File::open(part).and_then(|file| file.sync_all());
    synced.map_err(|source| OpenError::Io { what: "can't sync", path: part.into(), source })?;
    fs::rename(part, name).map_err(|source| OpenError::Io { what: "can't name", path: name.into(), source })?;
    let folder = name.parent().filter(|parent| !parent.as_os_str().is_empty());
    open::sync_dir(folder.unwrap_or(Path::new(".")))
}

//! The reserve: a file of the data directory that is given up when the disk is full, so that running sagas can finish.
//!
//! Its bytes are random, so that a file system that compresses can't keep it for nothing. It never helps where the full disk
//! isn't the data directory's, against a quota (SQLite reports that as an I/O error), or where other programs take the room
//! that it gives up. Invariant: while it is given up, new sagas are refused, so that what it freed is left to running ones.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use amends_engine::time::Timestamp;

/// The name of the file in the data directory.
const FILE: &str = "reserve";

/// How long to wait before trying again to get it back: each try writes as much as the reserve holds.
const RETRY: Duration = Duration::from_secs(10);

const CHUNK: usize = 64 * 1024;

/// The reserve of one data directory.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    size: u64,
    there: bool,
    tried_at: Timestamp,
}

impl Reserve {
    /// Finds the reserve or makes it; a full disk isn't an error, it means that the reserve is in use.
    pub(super) fn open(dir: &Path, size: u64, now: Timestamp) -> Self {
        let mut reserve = Self { path: dir.join(FILE), size, there: false, tried_at: now };
        if is_whole(&reserve.path, size) {
            reserve.there = true;
        } else {
            reserve.make();
        }
        reserve
    }

    /// Whether it is there; while it isn't, new sagas are refused.
    pub(super) fn is_there(&self) -> bool {
        self.there
    }

    /// Gives it up. Says whether there was anything to give up.
    pub(super) fn give_up(&mut self, now: Timestamp) -> bool {
        self.tried_at = now;
        if !std::mem::replace(&mut self.there, false) {
            return false;
        }
        tracing::error!(
            file = %self.path.display(),
            "the disk is full: the reserve is given up so that running sagas can finish, new ones are refused"
        );
        remove(&self.path)
    }

    /// Tries to get it back, not too often.
    pub(super) fn restore(&mut self, now: Timestamp) {
        if self.there || now.since(self.tried_at) < RETRY {
            return;
        }
        self.tried_at = now;
        self.make();
        if self.there {
            tracing::info!(file = %self.path.display(), "there is room again: the reserve is back, new sagas are taken");
        }
    }

    fn make(&mut self) {
        match fill(&self.path, self.size) {
            Ok(()) => self.there = true,
            Err(error) => {
                tracing::warn!(file = %self.path.display(), %error, "the reserve can't be written");
                // What was written of it is needed more by running sagas; a rest that stays is found by its length.
                let _ = fs::remove_file(&self.path);
            }
        }
    }
}

/// Whether the reserve in this file has its full size.
pub(super) fn is_whole(path: &Path, size: u64) -> bool {
    fs::metadata(path).is_ok_and(|found| found.len() == size)
}

/// Where the reserve of a data directory is.
pub(super) fn path_in(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// Gives up the reserve of a store that can't even be opened for want of room. Says whether there was anything to give up.
pub(super) fn free(dir: &Path) -> bool {
    let path = path_in(dir);
    if !path.exists() {
        return false;
    }
    tracing::error!(file = %path.display(), "the disk is full: the reserve is given up so that the store can be opened");
    remove(&path)
}

fn remove(path: &Path) -> bool {
    let freed = fs::remove_file(path).and_then(|()| sync_dir(path));
    if let Err(error) = &freed {
        tracing::error!(file = %path.display(), %error, "the reserve couldn't be removed");
    }
    freed.is_ok()
}

fn fill(path: &Path, size: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mut chunk = vec![0; CHUNK];
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    let mut left = size;
    while left > 0 {
        for word in chunk.chunks_exact_mut(8) {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            word.copy_from_slice(&noise.to_le_bytes());
        }
        let now = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
        file.write_all(&chunk[..now])?;
        left -= now as u64;
    }
    // Without it the room may be promised and not there (delayed allocation).
    file.sync_all()
}

/// Makes the removal of a file known to the disk, so that its room is free at once.
fn sync_dir(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_given_up_once_and_comes_back_after_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let mut reserve = Reserve::open(dir.path(), 100_000, Timestamp(0));
        assert!(reserve.is_there() && is_whole(&path_in(dir.path()), 100_000));
        assert!(reserve.give_up(Timestamp(5_000)));
        assert!(!reserve.is_there() && !path_in(dir.path()).exists());
        assert!(!reserve.give_up(Timestamp(6_000)), "there is nothing left to give up");
        reserve.restore(Timestamp(15_999));
        assert!(!reserve.is_there(), "too early");
        reserve.restore(Timestamp(16_000));
        assert!(reserve.is_there() && is_whole(&path_in(dir.path()), 100_000));
    }

    #[test]
    fn a_reserve_of_the_wrong_size_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(path_in(dir.path()), b"cut short").unwrap();
        assert!(Reserve::open(dir.path(), 4096, Timestamp(0)).is_there());
        assert!(is_whole(&path_in(dir.path()), 4096));
    }
}

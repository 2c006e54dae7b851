//! The lock on a data directory: two processes on one directory must be impossible (reliability-and-security §1.10).
//!
//! The operating system holds it, so that it ends with the process, however that ends; the pid in the file is only for
//! the message. Never removes the file: a process that still waits for it would then hold a lock on nothing.
//! Invariant: as long as a [`DirLock`] lives, no other process has one of the same directory. Not on network file systems,
//! whose locks don't keep that promise.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// The name of the file in the data directory.
const FILE: &str = "lock";

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(super) struct DirLock {
    file: File,
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Closing isn't enough: a process that is just being spawned has a copy of the handle until it runs its program.
        // Where unlocking fails, closing still does it in a moment.
        let _ = self.file.unlock();
    }
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum Unlocked {
    /// Another process has it, this one where it could be read.
    Held(Option<u32>),
    /// The file can't be used.
    Io(io::Error),
}

impl DirLock {
    /// Takes the lock, or says who has it. Doesn't wait.
    pub(super) fn take(dir: &Path) -> Result<Self, Unlocked> {
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).to_owned();
        let mut file = options.open(dir.join(FILE)).map_err(Unlocked::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Unlocked::Held(pid_in(&mut file))),
            Err(TryLockError::Error(error)) => return Err(Unlocked::Io(error)),
        }
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(Unlocked::Io)?;
        Ok(Self { file })
    }
}

fn pid_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

//! The folder of this process for everything that its servers write.
//!
//! Servers that live in a `static` are never dropped, and a killed test drops nothing: so each process holds a lock on its folder,
//! and the next one that starts removes the folders whose lock is free. Invariant: the folder of a living process is never
//! touched by another.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// Shared by all test processes of one user.
pub(crate) fn shared() -> PathBuf {
    let user = rustix::process::getuid().as_raw();
    let folder = std::env::temp_dir().join(format!("amends-redis-lab-{user}"));
    fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    folder
}

/// A new folder that goes when it is dropped, or at the latest with the next process that starts.
pub(crate) fn folder(prefix: &str) -> TempDir {
    tempfile::Builder::new().prefix(prefix).tempdir_in(&own().folder).expect("a folder for a server")
}

struct Own {
    folder: PathBuf,
    // Held until the process ends.
    _lock: File,
}

fn own() -> &'static Own {
    static OWN: OnceLock<Own> = OnceLock::new();
    OWN.get_or_init(|| {
        let processes = shared().join("processes");
        fs::create_dir_all(&processes).expect("a folder");
        // One at a time: nobody may take a folder for abandoned that its owner is about to lock.
        let sweeping = File::create(shared().join("sweeping")).expect("a lock");
        sweeping.lock().expect("a lock");
        sweep(&processes);
        let folder = tempfile::Builder::new().prefix("p").tempdir_in(&processes).expect("a folder").keep();
        let lock = File::create(folder.join("lock")).expect("a lock");
        lock.lock().expect("nobody else's");
        Own { folder, _lock: lock }
    })
}

fn sweep(processes: &Path) {
    for folder in fs::read_dir(processes).expect("own folder").flatten().map(|entry| entry.path()) {
        let free = File::open(folder.join("lock")).map_or(true, |lock| lock.try_lock().is_ok());
        if free {
            unmount_all(&folder);
            // Another user's leftovers, or a disk that is still mounted: not worth a failed test.
            fs::remove_dir_all(&folder).ok();
        }
    }
}

/// The disks that a killed test left mounted below a folder.
fn unmount_all(folder: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    for point in points.filter(|point| Path::new(point).starts_with(folder)) {
        Command::new("umount").arg("-l").arg(point).status().ok();
    }
}

//! A disk that can lose power: an ext4 file system in an image file, mounted by loop.
//!
//! `kill -9` doesn't test a sync, because what a dead process wrote is still in the kernel's memory. The image file holds only what
//! the kernel has been made to write, or chose to: a copy of it, taken the moment the server is dead, is what a power cut leaves.
//! Needs root. Invariant: nothing makes the kernel write between the death and the copy (no sync, no unmount).

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::server::Server;
use crate::{programs, workplace};

/// Room for a few rewrites of a test's append-only file; the file is sparse.
const SIZE: u64 = 256 * 1024 * 1024;

/// A disk of a test's own, mounted.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    mounted: PathBuf,
    cuts: u32,
    // Removed last.
    temporary: TempDir,
}

impl Disk {
    /// Makes a file system and mounts it.
    pub fn new() -> Self {
        let temporary = workplace::folder("disk");
        let (image, mounted) = (temporary.path().join("image-0"), temporary.path().join("mounted"));
        fs::create_dir(&mounted).expect("a folder");
        fs::File::create(&image).and_then(|file| file.set_len(SIZE)).expect("an image file");
        run("mkfs.ext4", [OsStr::new("-q"), image.as_os_str()]);
        let disk = Self { image, mounted, cuts: 0, temporary };
        disk.mount();
        disk
    }

    /// Where it is mounted; the same after a cut.
    pub fn folder(&self) -> &Path {
        &self.mounted
    }

    /// The power fails for this server and its disk, and comes back for the disk: the server is dead, and its folder holds what
    /// was on the disk. It wants a `restart`.
    pub fn cut_power(&mut self, server: &mut Server) {
        self.cut_power_of(|| server.kill());
    }

    /// The power fails for whatever this kills, which must be all that writes to the disk.
    pub fn cut_power_of(&mut self, kill: impl FnOnce()) {
        kill();
        self.cuts += 1;
        let copy = self.temporary.path().join(format!("image-{}", self.cuts));
        copy_at_rest(&self.image, &copy);
        // What is still in memory goes to the old image only.
        run("umount", [&self.mounted]);
        fs::remove_file(&self.image).expect("own image");
        self.image = copy;
        self.mount();
    }

    /// Without barriers: a sync writes to the image, which is what a copy sees, and needn't wait for the disk under the image. Twenty
    /// times as many syncs fit into a second, and the cut takes the same.
    fn mount(&self) {
        run(
            "mount",
            [OsStr::new("-o"), OsStr::new("loop,nobarrier"), self.image.as_os_str(), self.mounted.as_os_str()],
        );
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a server that is dropped after the disk may still write to it.
        Command::new(programs::find("umount")).arg("-l").arg(&self.mounted).status().ok();
    }
}

/// Copies until nothing has changed meanwhile: the kernel may just have been writing by itself, and a disk is never half of before
/// and half of after.
fn copy_at_rest(image: &Path, copy: &Path) {
    let read = || fs::read(image).expect("own image");
    let mut last = read();
    loop {
        let next = read();
        if next == last {
            break;
        }
        last = next;
    }
    fs::write(copy, last).expect("room for a copy");
}

fn run<A: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = A>) {
    let mut command = Command::new(programs::find(program));
    command.args(arguments);
    let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} (a disk that loses power needs root, and loop devices): {said}");
}

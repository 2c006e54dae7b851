//! Finds the servers' programs: on the search path, else where `.ci/tools` has put them.
//!
//! Never downloads or builds anything. A missing program is a failure that names the way to get it, never a skipped test.

use std::path::{Path, PathBuf};

/// Where `.ci/tools` links the programs whose distribution package would start a service: in the workspace's own target folder.
const LINKED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools");

pub(crate) fn find(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps mkfs and losetup where an ordinary user's search path doesn't lead.
    let folders = std::env::split_paths(&path).chain([LINKED, "/usr/sbin", "/sbin"].map(PathBuf::from));
    let found = folders.map(|folder| folder.join(name)).find(|program| is_there(program));
    found.unwrap_or_else(|| panic!("{name} is not on this machine: run .ci/tools (or `make tools`), which installs it"))
}

fn is_there(program: &Path) -> bool {
    program.is_file()
}

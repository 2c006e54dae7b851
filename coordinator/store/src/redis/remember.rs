//! The coordinator's own memory of which store it belongs to: one small file beside it.
//!
//! Without it a wiped Redis would look like a new one, and acknowledged sagas would be done again. Invariant: the file is whole or
//! not there, and once written it is never changed.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

/// The id that is remembered, if any.
pub(super) fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|id| !id.is_empty())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Remembers an id, unless it is remembered already.
pub(super) fn write(path: &Path, id: &str) -> io::Result<()> {
    if read(path)?.as_deref() == Some(id) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let draft = path.with_extension("new");
    let mut file = File::create(&draft)?;
    writeln!(file, "{id}")?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deeper").join("redis-store");
        assert_eq!(read(&path).unwrap(), None);
        write(&path, "one").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("one"));
        write(&path, "one").unwrap();
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}

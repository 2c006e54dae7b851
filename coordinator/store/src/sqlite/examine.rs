//! The examination of a store that another process may be using, for `doctor`.
//!
//! Reads beside the other, as a backup does, and takes no lock. Invariant: nothing is written.

use std::path::Path;

use super::backup::{BackupError, connect, failed};
use super::check::{self, Outside};
use super::open::{DATABASE, RESERVE_BYTES};
use super::schema;
use crate::contract::{Finding, Severity};

/// What can be said about the store in this folder, as [`crate::Store::check`] does. Blocks for as long as reading the store takes.
///
/// # Errors
/// When it can't be read.
pub fn examine(dir: &Path) -> Result<Vec<Finding>, BackupError> {
    let database = dir.join(DATABASE);
    let conn = connect(&database)?;
    let read = || -> rusqlite::Result<Vec<Finding>> {
        let (id, shards) = (schema::meta(&conn, "store_id")?, schema::shards(&conn)?);
        let message = format!("the sqlite store {id} with {shards} shards");
        // What the other process knows of its disk stands in its log.
        let outside = Outside { dir: dir.into(), reserve_bytes: RESERVE_BYTES, fatal: None };
        let mut findings = vec![Finding { severity: Severity::Info, message }];
        findings.extend(check::check(&conn, &outside)?);
        Ok(findings)
    };
    read().map_err(|error| failed(&database, error))
}

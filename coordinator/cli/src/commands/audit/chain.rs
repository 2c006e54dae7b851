//! Whether exported entries are all there, as they were written: the check itself.
//!
//! Pure, and independent of the code that writes: it knows audit.proto and SHA-256 and nothing else. Invariant: an entry counts
//! as good only if its number follows the one before, it carries that one's digest, its own digest is that of its record, and
//! what it shows is what its record says.

use std::collections::BTreeMap;

use amends_proto::v1::{AuditEntry, AuditRecord};
use pbjson_types::Timestamp;
use prost::Message as _;
use sha2::{Digest as _, Sha256};

/// How far the log of a shard goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    /// The first entry that is there; above 1 where older ones were trimmed.
    pub(super) first: u64,
    /// The last one.
    pub(super) last: u64,
    /// The last one's digest.
    pub(super) digest: String,
}

/// The first entry that isn't as it was written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {number} of shard {shard}: {problem}")]
pub(super) struct Broken {
    shard: u32,
    number: u64,
    problem: String,
}

/// What was checked so far.
#[derive(Debug, Default)]
pub(super) struct Chains {
    shards: BTreeMap<u32, Span>,
    entries: u64,
}

impl Chains {
    /// Takes in the next entry of its shard.
    pub(super) fn add(&mut self, entry: &AuditEntry) -> Result<(), Broken> {
        let broken = |problem: String| Broken { shard: entry.shard, number: entry.number, problem };
        self.follows(entry).map_err(broken)?;
        let record = check_alone(entry).map_err(broken)?;
        let shown = shown(&record, entry);
        if let Some(field) = differing(&shown, entry) {
            return Err(broken(format!("its {field} isn't what its record says: it was changed after it was written")));
        }
        let digest = entry.digest.clone();
        self.entries += 1;
        let span = Span { first: entry.number, last: entry.number, digest: digest.clone() };
        self.shards.entry(entry.shard).and_modify(|it| (it.last, it.digest) = (entry.number, digest)).or_insert(span);
        Ok(())
    }

    fn follows(&self, entry: &AuditEntry) -> Result<(), String> {
        let Some(before) = self.shards.get(&entry.shard) else {
            let is_first = entry.number == 1;
            let has_none = entry.previous_digest == "0".repeat(64);
            return match (is_first, has_none) {
                (true, true) | (false, false) => Ok(()),
                (true, false) => Err("it is the first, but carries the digest of one before".to_owned()),
                (false, true) => Err("it carries no digest of the entry before, as only entry 1 may".to_owned()),
            };
        };
        match before.last.checked_add(1) {
            Some(next) if entry.number > next => {
                let missing =
                    if entry.number == next + 1 { next.to_string() } else { format!("{next} to {}", entry.number - 1) };
                Err(format!("it follows entry {}: {missing} is missing", before.last))
            }
            Some(next) if entry.number == next && entry.previous_digest == before.digest => Ok(()),
            Some(next) if entry.number == next => Err(format!(
                "it doesn't carry the digest of entry {}: one of the two isn't what was written",
                before.last
            )),
            _ => Err(format!("it follows entry {}: it stands twice, or in the wrong place", before.last)),
        }
    }

    /// How many entries there are.
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    /// How far each shard's log goes.
    pub(super) fn shards(&self) -> &BTreeMap<u32, Span> {
        &self.shards
    }

    /// One digest of the ends of all chains: whoever has noted it notices when the end of any of them is cut off.
    pub(super) fn head(&self) -> String {
        let line = |(shard, span): (&u32, &Span)| format!("{shard} {} {}\n", span.last, span.digest);
        hexadecimal(&Sha256::digest(self.shards.iter().map(line).collect::<String>()))
    }
}

/// What can be said of an entry without the others: its digest, and that its record can be read.
fn check_alone(entry: &AuditEntry) -> Result<AuditRecord, String> {
    let previous = bytes(&entry.previous_digest).ok_or("its previous_digest is no SHA-256 in hexadecimal")?;
    let digest = Sha256::new().chain_update(previous).chain_update(&entry.record).finalize();
    if hexadecimal(&digest) != entry.digest {
        return Err("its digest isn't that of its record: one of the two was changed".to_owned());
    }
    AuditRecord::decode(entry.record.clone()).map_err(|error| format!("its record can't be read: {error}"))
}

/// The entry as its record says; digests and the record itself are taken over.
fn shown(record: &AuditRecord, entry: &AuditEntry) -> AuditEntry {
    let record = record.clone();
    let milliseconds = i64::try_from(record.time_ms).unwrap_or(i64::MAX);
    let nanos = i32::try_from(milliseconds % 1000 * 1_000_000).unwrap_or_default();
    AuditEntry {
        shard: record.shard,
        number: record.number,
        time: Some(Timestamp { seconds: milliseconds / 1000, nanos }),
        principal: record.principal,
        method: record.method,
        namespace: record.namespace,
        target: record.target,
        reason: record.reason,
        result: record.result,
        message: record.message,
        request: record.request,
        revision: record.revision,
        batch: record.batch,
        node: record.node,
        left_out: record.left_out,
        previous_digest: entry.previous_digest.clone(),
        digest: entry.digest.clone(),
        record: entry.record.clone(),
    }
}

/// The first field in which two entries differ.
fn differing(one: &AuditEntry, other: &AuditEntry) -> Option<&'static str> {
    let fields = [
        ("shard", one.shard == other.shard),
        ("number", one.number == other.number),
        ("time", one.time == other.time),
        ("principal", one.principal == other.principal),
        ("method", one.method == other.method),
        ("namespace", one.namespace == other.namespace),
        ("target", one.target == other.target),
        ("reason", one.reason == other.reason),
        ("result", one.result == other.result),
        ("message", one.message == other.message),
        ("request", one.request == other.request),
        ("revision", one.revision == other.revision),
        ("batch", one.batch == other.batch),
        ("node", one.node == other.node),
        ("left_out", one.left_out == other.left_out),
    ];
    fields.into_iter().find(|(_, same)| !same).map(|(field, _)| field)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(digest: &str) -> Option<[u8; 32]> {
    let is_digest = digest.len() == 64 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(digest.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    is_digest.then_some(bytes)
}

#[cfg(test)]
mod tests;

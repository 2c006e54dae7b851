//! Nothing that is done to an exported log goes unnoticed.

use super::*;

fn entry(shard: u32, number: u64, previous_digest: String) -> AuditEntry {
    let record = AuditRecord {
        shard,
        number,
        time_ms: 1_700_000_000_123 + number,
        principal: "ops".to_owned(),
        method: "Operations/Retry".to_owned(),
        namespace: "default".to_owned(),
        target: format!("sagas/order-{number}"),
        reason: "ticket 7".to_owned(),
        result: 1,
        revision: number,
        node: "node-1".to_owned(),
        call: vec![7; 16].into(),
        ..AuditRecord::default()
    };
    let bytes: bytes::Bytes = record.encode_to_vec().into();
    let entry = AuditEntry { previous_digest, record: bytes, ..AuditEntry::default() };
    sealed(shown(&record, &entry))
}

fn sealed(entry: AuditEntry) -> AuditEntry {
    let previous = bytes(&entry.previous_digest).expect("a digest");
    let digest = hexadecimal(&Sha256::new().chain_update(previous).chain_update(&entry.record).finalize());
    AuditEntry { digest, ..entry }
}

fn log() -> Vec<AuditEntry> {
    let mut entries = Vec::new();
    for shard in [1, 3] {
        let mut last = "0".repeat(64);
        for number in 1..=4 {
            let next = entry(shard, number, last);
            last = next.digest.clone();
            entries.push(next);
        }
    }
    entries
}

fn check(entries: &[AuditEntry]) -> Result<Chains, Broken> {
    let mut chains = Chains::default();
    entries.iter().try_for_each(|entry| chains.add(entry))?;
    Ok(chains)
}

#[track_caller]
fn breaks(entries: &[AuditEntry], at: (u32, u64), problem: &str) {
    let broken = check(entries).expect_err("it is broken");
    assert_eq!((broken.shard, broken.number), at, "{broken}");
    assert!(broken.problem.contains(problem), "{broken}");
}

#[test]
fn a_log_as_it_was_written_is_good_also_without_its_beginning() {
    let log = log();
    let chains = check(&log).expect("whole");
    assert_eq!((chains.entries(), chains.shards().len()), (8, 2));
    let trimmed = check(&[&log[2..4], &log[4..]].concat()).expect("trimmed at its beginning");
    assert_eq!((trimmed.shards()[&1].first, trimmed.head()), (3, chains.head()));
}

#[test]
fn a_missing_repeated_or_moved_entry_is_named() {
    let without = |at: usize| {
        log().into_iter().enumerate().filter(|(place, _)| *place != at).map(|(_, it)| it).collect::<Vec<_>>()
    };
    breaks(&without(1), (1, 3), "2 is missing");
    breaks(&[&log()[..1], &log()[3..]].concat(), (1, 4), "2 to 3 is missing");
    let mut twice = log();
    twice.insert(2, twice[1].clone());
    breaks(&twice, (1, 2), "stands twice");
    let mut elsewhere = log();
    elsewhere[5] = AuditEntry { shard: 3, ..elsewhere[1].clone() };
    breaks(&elsewhere, (3, 2), "digest of entry 1");
}

#[test]
fn a_changed_entry_is_named_and_with_it_the_field() {
    let mut log = log();
    log[1].principal = "somebody else".to_owned();
    breaks(&log, (1, 2), "its principal isn't what its record says");
    let record = AuditRecord { reason: "no".to_owned(), ..AuditRecord::decode(log[1].record.clone()).expect("one") };
    log[1].record = record.encode_to_vec().into();
    breaks(&log, (1, 2), "its digest isn't that of its record");
    // Whoever mends that as well breaks the next one.
    log[1] = sealed(shown(&record, &log[1]));
    breaks(&log, (1, 3), "doesn't carry the digest of entry 2");
    let mut odd = super::tests::log();
    odd[0].previous_digest = "x".repeat(64);
    breaks(&odd, (1, 1), "it is the first");
}

#[test]
fn a_log_that_begins_anew_is_noticed_and_so_is_an_end_that_is_cut_off() {
    let mut anew = log();
    anew[2] = entry(1, 3, "0".repeat(64));
    breaks(&anew, (1, 3), "doesn't carry the digest of entry 2");
    breaks(&anew[2..3], (1, 3), "as only entry 1 may");
    let (whole, cut) = (check(&log()).expect("whole"), check(&log()[..7]).expect("a good beginning"));
    assert_ne!(whole.head(), cut.head());
}

#[test]
fn no_field_of_an_entry_can_be_changed_unnoticed() {
    let good = log().remove(0);
    let json = serde_json::to_value(&good).expect("JSON");
    for (field, value) in json.as_object().expect("an object") {
        let mut changed = json.clone();
        changed[field] = match value {
            serde_json::Value::Number(_) => 9.into(),
            serde_json::Value::String(text) if field == "result" => text.replace("DONE", "REFUSED").into(),
            serde_json::Value::String(text) if field == "time" => text.replace('3', "4").into(),
            serde_json::Value::String(_) if matches!(field.as_str(), "number" | "revision") => "9".into(),
            serde_json::Value::String(_) if field == "record" => "CAE=".into(),
            _ => "f".repeat(64).into(),
        };
        let changed: AuditEntry = serde_json::from_value(changed).expect("an entry");
        assert_ne!(changed, good, "{field}");
        assert!(check(&[changed]).is_err(), "{field}");
    }
}

//! Who did what: listing it, exporting it, and what a verification says of an export that somebody touched.

use std::path::PathBuf;

use crate::fake::Fake;
use crate::harness::{Run, amends, check};

#[test]
fn list() {
    check("audit-list", &["audit", "list"]);
    check("audit-list-json", &["audit", "list", "--limit", "2", "-o", "json"]);
    let filters = [
        "audit",
        "list",
        "--target",
        "sagas/order-1",
        "--principal",
        "ops",
        "--method",
        "Operations/Retry",
        "--batch",
        "b-1",
        "--result",
        "refused",
        "--since",
        "2026-11-21T03:04:05Z",
        "--until",
        "2026-11-22T03:04:05.5Z",
    ];
    check("audit-list-filters", &filters);
    let odd = amends(&["audit", "list", "--since", "yesterday"]);
    assert!(odd.code == 2 && odd.stderr.contains("such as 24h"), "{}", odd.stderr);
}

struct Exported {
    folder: tempfile::TempDir,
    lines: Vec<String>,
    head: String,
}

fn export(address: &str, file: &std::path::Path) -> Run {
    amends(&["audit", "export", &file.display().to_string(), "--address", address])
}

fn exported() -> Exported {
    let (fake, folder) = (Fake::start(), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("audit.jsonl");
    let run = export(fake.address(), &file);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let text = std::fs::read_to_string(&file).expect("written");
    let head = run.stdout.lines().find_map(|line| line.strip_prefix("head ")).expect("a head").to_owned();
    Exported { lines: text.lines().map(str::to_owned).collect(), folder, head }
}

impl Exported {
    fn write(&self, name: &str, lines: &[String]) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).expect("written");
        file
    }

    fn verify(&self, lines: &[String], more: &[&str]) -> Run {
        let file = self.write("touched.jsonl", lines).display().to_string();
        amends(&[&["audit", "verify", &file], more].concat())
    }
}

#[test]
fn an_export_holds_all_shards_and_is_never_written_over_another() {
    let exported = exported();
    assert_eq!(exported.lines.len(), 6);
    let file = exported.folder.path().join("audit.jsonl");
    let again = export(Fake::start().address(), &file);
    assert!(again.code == 2 && again.stderr.contains("exists"), "{}", again.stderr);
    let nobody = export("http://127.0.0.1:1", &exported.folder.path().join("other.jsonl"));
    assert_eq!((nobody.code, exported.folder.path().join("other.jsonl").exists()), (4, false));
}

#[test]
fn what_was_exported_is_verified_without_a_coordinator() {
    let exported = exported();
    let good = exported.verify(&exported.lines, &["--head", &exported.head]);
    assert_eq!(good.code, 0, "{}", good.stderr);
    assert!(good.stdout.contains("6 entries, all as they were written"), "{}", good.stdout);
    let json = exported.verify(&exported.lines, &["-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!((&json["entries"], json["head"].as_str()), (&6.into(), Some(exported.head.as_str())));
}

#[test]
fn the_first_broken_entry_is_named_and_the_exit_code_is_one() {
    let exported = exported();
    let mut missing = exported.lines.clone();
    missing.remove(1);
    let run = exported.verify(&missing, &[]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(
        run.stderr.contains("touched.jsonl:2: entry 3 of shard 1: it follows entry 1: 2 is missing"),
        "{}",
        run.stderr
    );
    let mut changed = exported.lines.clone();
    changed[4] = changed[4].replace("mallory", "alice");
    let run = exported.verify(&changed, &[]);
    assert!(run.code == 1 && run.stderr.contains("its principal isn't what its record says"), "{}", run.stderr);
    let mut odd = exported.lines.clone();
    odd[2] = "{\"shard\":".to_owned();
    let run = exported.verify(&odd, &[]);
    assert!(run.code == 1 && run.stderr.contains("touched.jsonl:3: not an entry"), "{}", run.stderr);
    let run = exported.verify(&[], &[]);
    assert!(run.code == 1 && run.stderr.contains("nothing to verify"), "{}", run.stderr);
}

#[test]
fn a_cut_end_is_noticed_by_the_head_or_an_older_export() {
    let exported = exported();
    let cut = &exported.lines[..5];
    assert_eq!(exported.verify(cut, &[]).code, 0, "nothing in the file can tell");
    let run = exported.verify(cut, &["--head", &exported.head]);
    assert!(run.code == 1 && run.stderr.contains("missing at its end"), "{}", run.stderr);
    let older = exported.write("older.jsonl", &exported.lines[..2]).display().to_string();
    assert_eq!(exported.verify(&exported.lines, &["--against", &older]).code, 0);
    let whole = exported.write("whole.jsonl", &exported.lines).display().to_string();
    let run = exported.verify(cut, &["--against", &whole]);
    assert!(run.code == 1 && run.stderr.contains("shard 3 lacks entry 3"), "{}", run.stderr);
    // What was trimmed after its retention is no gap.
    let trimmed = exported.lines[2..].to_vec();
    assert_eq!(exported.verify(&trimmed, &["--against", &older]).code, 0);
}

#[test]
fn a_log_that_is_broken_in_the_coordinator_is_exported_as_it_is() {
    let (fake, folder) = (Fake::start(), tempfile::tempdir().expect("a folder"));
    fake.break_the_log();
    let file = folder.path().join("audit.jsonl");
    let run = export(fake.address(), &file);
    assert!(
        run.code == 1 && run.stderr.contains("the coordinator's log is broken: entry 2 of shard 1"),
        "{}",
        run.stderr
    );
    assert_eq!(std::fs::read_to_string(&file).expect("kept").lines().count(), 6);
}

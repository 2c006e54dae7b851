//! `amends demo` without a person: its report, and `check.sql`, which must agree with it.

use std::path::Path;
use std::process::{Command, Stdio};

use amends_redis_lab::free_address;
use rusqlite::Connection;
use serde_json::Value;

use crate::process::{program, root, search_path};

#[test]
fn demo_conserves_money_and_stock_and_check_sql_agrees() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = conserves(folder.path(), &[]);
    assert_eq!(check_sql(&folder.path().join("demo")), report);
}

#[test]
fn demo_on_redis_conserves_money_and_stock() {
    let folder = tempfile::tempdir().expect("a folder");
    conserves(folder.path(), &["--store", "redis"]);
}

fn conserves(folder: &Path, flags: &[&str]) -> Value {
    let data = folder.join("demo");
    let addresses = ["--grpc", "--http", "--account", "--inventory", "--payment", "--redis"]
        .into_iter()
        .flat_map(|flag| [flag.to_owned(), free_address().to_string()]);
    let output = Command::new(program("amends"))
        .args(["demo", "--for", "20s", "--output", "json", "--data"])
        .arg(&data)
        .args(addresses)
        .args(flags)
        .env("PATH", search_path())
        .stderr(Stdio::inherit())
        .output()
        .expect("the demo");
    assert!(output.status.success(), "the demo failed: {}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    eprintln!("{report}");
    let field = |name: &str| report[name].as_i64().unwrap_or_else(|| panic!("no {name} in {report}"));
    assert_eq!((field("open"), field("stuck"), field("held_after")), (0, 0, 0));
    assert!(field("completed") > 0 && field("compensated") > 0);
    assert_eq!(field("started"), field("completed") + field("compensated"));
    assert_eq!(field("money_before"), field("money_after"));
    assert_eq!(field("stock_before"), field("stock_after") + field("sold"));
    assert_eq!(field("sold"), field("completed"));
    report
}

/// Runs the file as a person would: from the demo's folder.
fn check_sql(data: &Path) -> Value {
    let text = std::fs::read_to_string(root().join("examples/checkout/check.sql")).expect("check.sql");
    let text = text.replace("ATTACH '", &format!("ATTACH '{}/", data.display()));
    let begin = text.find("SELECT").expect("a query");
    let database = Connection::open_in_memory().expect("a database");
    database.execute_batch(&text[..begin]).expect("the databases");
    let mut query = database.prepare(&text[begin..]).expect("a query");
    let names: Vec<String> = query.column_names().into_iter().map(str::to_owned).collect();
    query
        .query_row([], |row| {
            let fields = names
                .iter()
                .enumerate()
                .map(|(index, name)| Ok((name.clone(), Value::from(row.get::<_, i64>(index)?))));
            fields.collect::<Result<serde_json::Map<_, _>, rusqlite::Error>>().map(Value::Object)
        })
        .expect("one row")
}

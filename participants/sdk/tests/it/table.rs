//! The published table, `participants/barrier-table.jsonl`: what the barrier does with every call in every state of a row.
//!
//! Barriers in other languages are tested against the same file, so that they can't drift from this one. Invariant: the file
//! is what this barrier does; `AMENDS_UPDATE_TABLE=1` writes it anew.

use std::collections::BTreeMap;
use std::path::Path;

use amends_participant::testing::StepCall;
use amends_participant::{Answer, Barrier, Database, pending, rejected};
use prost::Message as _;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};
use tempfile::TempDir;
use tonic::{Request, Response, Status};
use tonic_types::StatusExt as _;

const COLUMNS: [&str; 8] = [
    "status",
    "action_digest",
    "action_reply",
    "refusal_reason",
    "refusal_message",
    "ending",
    "ending_digest",
    "ending_reply",
];

/// Every state of a row, in the order of [`COLUMNS`]; digests by the name of the request, replies by their text.
#[rustfmt::skip]
const ROWS: [[&str; 8]; 10] = [
    ["sealed",    "",       "",      "",             "",         "",             "compensate", ""],
    ["refused",   "action", "",      "OUT_OF_STOCK", "sold out", "",             "",           ""],
    ["pending",   "action", "",      "",             "",         "",             "",           ""],
    ["pending",   "action", "",      "",             "",         "compensating", "compensate", ""],
    ["pending",   "action", "",      "",             "",         "compensated",  "compensate", "undone"],
    ["succeeded", "action", "acted", "",             "",         "",             "",           ""],
    ["succeeded", "action", "acted", "",             "",         "confirming",   "confirm",    ""],
    ["succeeded", "action", "acted", "",             "",         "confirmed",    "confirm",    "confirmed"],
    ["succeeded", "action", "acted", "",             "",         "compensating", "compensate", ""],
    ["succeeded", "action", "acted", "",             "",         "compensated",  "compensate", "undone"],
];

/// The highest epoch seen before each call.
const SEEN: u64 = 7;

struct Case {
    before: Option<[&'static str; 8]>,
    operation: &'static str,
    request: &'static str,
    epoch: u64,
    expects_succeeded: bool,
    handler: &'static str,
}

#[tokio::test]
async fn the_published_table_is_what_the_barrier_does() {
    let mut lines = String::new();
    for before in [None].into_iter().chain(ROWS.map(Some)) {
        for operation in ["action", "confirm", "compensate"] {
            for expects_succeeded in [false, true] {
                for (epoch, request) in
                    [(SEEN - 1, operation), (SEEN, operation), (SEEN + 1, operation), (SEEN, "other")]
                {
                    for handler in ["does", "refuses", "waits"] {
                        let case = Case { before, operation, request, epoch, expects_succeeded, handler };
                        let (line, ran) = play(&case).await;
                        lines += &format!("{line}\n");
                        if !ran {
                            break;
                        }
                    }
                }
            }
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../barrier-table.jsonl");
    if std::env::var_os("AMENDS_UPDATE_TABLE").is_some() {
        std::fs::write(&path, &lines).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap();
    let differs = published.lines().zip(lines.lines()).find(|(published, found)| published != found);
    assert!(published == lines, "the table has changed: AMENDS_UPDATE_TABLE=1 writes it; first difference {differs:?}");
}

/// One line of the table, and whether the handler ran.
async fn play(case: &Case) -> (Value, bool) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("table.db");
    let database = Database::open(&path, &["CREATE TABLE ran (id INTEGER PRIMARY KEY) STRICT"]).await.unwrap();
    let mut direct = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    prepare(&mut direct, case).await;

    let barrier = Barrier::new(database, "test.v1.Test");
    let (ran, was_run) = std::sync::mpsc::channel();
    let handler = case.handler;
    let answer = barrier.handle(call(case), move |db, _, _: String| {
        Box::pin(async move {
            ran.send(()).unwrap();
            sqlx::query("INSERT INTO ran DEFAULT VALUES").execute(db).await?;
            match handler {
                "does" => Ok(Answer::Done("done".to_owned())),
                "refuses" => Err(rejected("NO_ROOM", "there is no room")),
                _ => pending(),
            }
        })
    });
    let answer = told(answer.await);
    let ran = was_run.try_recv().is_ok();
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM ran").fetch_one(&mut direct).await.unwrap();
    assert_eq!(kept == 1, ran && handler != "refuses", "the change stands or falls with the answer");
    let (after, epoch_after) = dump(&mut direct).await;
    let before = case.before.map(|row| object(row.map(str::to_owned)));
    let line = json!({
        "before": before,
        "call": { "operation": case.operation, "request": case.request, "epoch": case.epoch, "expects_succeeded": case.expects_succeeded },
        "handler": handler,
        "ran": ran,
        "answer": answer,
        "after": after,
        "epoch_after": epoch_after,
    });
    (line, ran)
}

fn call(case: &Case) -> Request<String> {
    let step = StepCall::new("saga", "step").epoch(case.epoch);
    let step = if case.expects_succeeded { step.expects_succeeded() } else { step };
    let message = case.request.to_owned();
    match case.operation {
        "action" => step.action(message),
        "confirm" => step.confirm(message),
        _ => step.compensate(message),
    }
}

fn told(answer: Result<Response<String>, Status>) -> Value {
    match answer {
        Ok(reply) if reply.metadata().get("amends-outcome").is_some() => json!({ "outcome": "pending" }),
        Ok(reply) => json!({ "reply": reply.into_inner() }),
        Err(status) => {
            let info = status.get_details_error_info().unwrap();
            let metadata: BTreeMap<_, _> = info.metadata.into_iter().collect();
            json!({ "code": format!("{:?}", status.code()), "domain": info.domain, "reason": info.reason, "metadata": metadata })
        }
    }
}

fn digest(request: &str) -> Vec<u8> {
    Sha256::digest(request.to_owned().encode_to_vec()).to_vec()
}

async fn prepare(db: &mut SqliteConnection, case: &Case) {
    let epoch = "INSERT INTO amends_saga (namespace, saga_id, epoch) VALUES ('default', 'saga', ?)";
    sqlx::query(epoch).bind(SEEN.cast_signed()).execute(&mut *db).await.unwrap();
    let Some(row) = case.before else { return };
    let sql = format!(
        "INSERT INTO amends_barrier (namespace, saga_id, step, element, {})
         VALUES ('default', 'saga', 'step', '', ?, ?, ?, ?, ?, ?, ?, ?)",
        COLUMNS.join(", ")
    );
    let mut insert = sqlx::query(AssertSqlSafe(sql));
    for (column, value) in COLUMNS.into_iter().zip(row) {
        insert = match column {
            _ if value.is_empty() => insert.bind(None::<String>),
            "action_digest" | "ending_digest" => insert.bind(digest(value)),
            "action_reply" | "ending_reply" => insert.bind(value.to_owned().encode_to_vec()),
            _ => insert.bind(value),
        };
    }
    insert.execute(db).await.unwrap();
}

/// The row as the table has it, and the highest epoch seen.
async fn dump(db: &mut SqliteConnection) -> (Option<Value>, i64) {
    let sql = format!("SELECT {} FROM amends_barrier", COLUMNS.join(", "));
    let found = sqlx::query(AssertSqlSafe(sql)).fetch_optional(&mut *db).await.unwrap();
    let epoch = sqlx::query_scalar("SELECT epoch FROM amends_saga").fetch_one(db).await.unwrap();
    let row = found.map(|found| {
        object(COLUMNS.map(|column| {
            let bytes = |column| found.get::<Option<Vec<u8>>, _>(column);
            match column {
                "action_digest" | "ending_digest" => bytes(column).map(|bytes| named(&bytes)),
                "action_reply" | "ending_reply" => bytes(column).map(|bytes| String::decode(bytes.as_slice()).unwrap()),
                _ => found.get::<Option<String>, _>(column),
            }
            .unwrap_or_default()
        }))
    });
    (row, epoch)
}

fn named(bytes: &[u8]) -> String {
    let names = ["action", "confirm", "compensate", "other"];
    names.into_iter().find(|name| digest(name) == bytes).unwrap().to_owned()
}

/// Only the columns that hold something.
fn object(row: [String; 8]) -> Value {
    let filled = COLUMNS.into_iter().zip(row).filter(|(_, value)| !value.is_empty());
    Value::Object(filled.map(|(column, value)| (column.to_owned(), Value::from(value))).collect::<Map<_, _>>())
}

//! Which rows are swept, and that what comes after can't do harm.

use sqlx::{Connection, SqliteConnection};
use tonic::Code;

use crate::fixture::{Fixture, on_both_databases, step, told};

on_both_databases! {
    rows_below_the_floor_of_their_own_store_are_swept_and_no_others,
    a_saga_that_holds_the_floor_down_keeps_its_rows_and_its_answers,
    a_copy_that_comes_after_the_sweep_is_not_let_through,
    many_sagas_go_in_batches,
    the_highest_floor_counts,
}

fn text(what: &str) -> String {
    what.to_owned()
}

async fn counts(f: &Fixture) -> (i64, i64) {
    let count = "SELECT (SELECT count(*) FROM amends_barrier), (SELECT count(*) FROM amends_saga)";
    sqlx::query_as(count).fetch_one(f.database.readers()).await.unwrap()
}

async fn sagas(f: &Fixture) -> Vec<String> {
    let sagas = "SELECT saga_id FROM amends_saga ORDER BY saga_id";
    sqlx::query_scalar(sagas).fetch_all(f.database.readers()).await.unwrap()
}

async fn rows_below_the_floor_of_their_own_store_are_swept_and_no_others(f: Fixture) {
    f.does(step("old").origin("a", 100, 0).action(text("old"))).await.unwrap();
    f.does(step("old").origin("a", 100, 0).compensate(text("undo"))).await.unwrap();
    f.does(step("old-of-b").origin("b", 100, 0).action(text("b"))).await.unwrap();
    f.does(step("from-an-older-coordinator").action(text("unknown"))).await.unwrap();
    f.does(step("at-the-floor").origin("a", 200, 0).action(text("at"))).await.unwrap();
    assert_eq!(f.database.sweep().await.unwrap(), 0, "the floor is at zero");
    f.does(step("young").origin("a", 300, 200).action(text("young"))).await.unwrap();
    assert_eq!(f.database.sweep().await.unwrap(), 1);
    assert_eq!(sagas(&f).await, ["at-the-floor", "from-an-older-coordinator", "old-of-b", "young"]);
    assert_eq!(counts(&f).await, (4, 4));
}

async fn a_saga_that_holds_the_floor_down_keeps_its_rows_and_its_answers(f: Fixture) {
    f.does(step("stuck").origin("a", 100, 0).action(text("held"))).await.unwrap();
    for later in 1..6 {
        // Years go by; the coordinator's floor stands still at the stuck saga's begin.
        let saga = format!("later-{later}");
        f.does(step(&saga).origin("a", 100_000_000_000 * later, 100).action(saga)).await.unwrap();
        assert_eq!(f.database.sweep().await.unwrap(), 0);
    }
    let undo = step("stuck").origin("a", 100, 100).expects_succeeded().compensate(text("undo"));
    assert_eq!(f.does(undo).await.unwrap(), "undo #7", "the operator's retry finds the action and undoes it");
}

async fn a_copy_that_comes_after_the_sweep_is_not_let_through(f: Fixture) {
    let copy = || step("over").origin("a", 100, 0).action(text("over"));
    f.does(copy()).await.unwrap();
    f.does(step("young").origin("a", 300, 200).action(text("young"))).await.unwrap();
    assert_eq!(f.database.sweep().await.unwrap(), 1);
    let again = Fixture::at(f.place.clone()).await;
    for f in [&f, &again] {
        let over = (Code::Aborted, text("AMENDS_SAGA_OVER"));
        for _ in 0..2 {
            assert_eq!(told(f.does(copy()).await), over, "also a second one, and after a restart");
        }
        assert_eq!(f.made().await, ["over", "young"]);
    }
    assert_eq!(counts(&f).await, (1, 1), "and leaves nothing behind");
    assert!(f.does(step("over").origin("b", 100, 0).action(text("b"))).await.is_ok(), "another store's floor");
}

async fn many_sagas_go_in_batches(f: Fixture) {
    for number in 0..450 {
        f.does(step(&format!("s-{number}")).origin("a", number, 0).action(text("a"))).await.unwrap();
    }
    f.does(step("young").origin("a", 900, 440).action(text("young"))).await.unwrap();
    assert_eq!(f.database.sweep().await.unwrap(), 440);
    assert_eq!(counts(&f).await, (11, 11));
}

async fn the_highest_floor_counts(f: Fixture) {
    f.does(step("s").origin("a", 150, 0).action(text("s"))).await.unwrap();
    f.does(step("t").origin("a", 300, 200).action(text("t"))).await.unwrap();
    f.does(step("u").origin("a", 300, 100).action(text("u"))).await.unwrap();
    assert_eq!(f.database.sweep().await.unwrap(), 1, "a call that was held up brings an older floor");
}

#[tokio::test]
async fn a_database_from_before_the_sweep_is_brought_up_to_date() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("test.db");
    let mut db = SqliteConnection::connect(&format!("sqlite://{}?mode=rwc", path.display())).await.unwrap();
    let before = "CREATE TABLE amends_saga (namespace TEXT NOT NULL, saga_id TEXT NOT NULL, epoch INTEGER NOT NULL, \
         first_seen INTEGER NOT NULL DEFAULT (unixepoch()), PRIMARY KEY (namespace, saga_id)) STRICT, WITHOUT ROWID; \
         INSERT INTO amends_saga (namespace, saga_id, epoch) VALUES ('default', 'old', 9)";
    sqlx::raw_sql(before).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
    let f = Fixture::at(amends_participant::database::Place::File(path)).await;
    assert_eq!(told(f.does(step("old").epoch(8).action(text("a"))).await).1, "AMENDS_STALE_EPOCH");
    f.does(step("young").origin("a", 300, 200).action(text("young"))).await.unwrap();
    assert_eq!(f.database.sweep().await.unwrap(), 0, "what has no begin is never swept");
}

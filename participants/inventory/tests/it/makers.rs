//! A saga releases only what it has reserved itself, whatever order it names.

use crate::fixture::{Running, precondition, step, told};

#[tokio::test]
async fn sagas_that_reserve_for_the_same_order_release_each_its_own() {
    let running = Running::with_tea(&[]).await;
    let namesake = step("a").namespace("elsewhere");
    running.reserve("order-1", &step("a"), 4).await.unwrap();
    running.reserve("order-1", &step("b"), 2).await.unwrap();
    running.reserve("order-1", &namesake, 1).await.unwrap();
    assert_eq!(running.release("order-1", &step("b")).await.unwrap(), 2, "what saga a has reserved is a sale");
    assert_eq!(running.release("order-1", &namesake).await.unwrap(), 1, "the same saga id, another tenant");
    assert_eq!(running.tea().await, (6, 4));
    running.audit().await;
}

#[tokio::test]
async fn a_release_that_names_another_sagas_order_is_refused_and_releases_nothing() {
    let running = Running::with_tea(&[]).await;
    running.reserve("order-a", &step("a"), 4).await.unwrap();
    running.reserve("order-b", &step("b"), 2).await.unwrap();
    assert_eq!(told(running.release("order-a", &step("b")).await), precondition("UNKNOWN_ORDER"));
    assert_eq!(running.tea().await, (4, 6), "both still stand");
    assert_eq!(running.release("order-b", &step("b")).await.unwrap(), 2, "a refused release can come again, mended");
    assert_eq!(running.release("order-a", &step("a")).await.unwrap(), 4);
    running.audit().await;
}

#[tokio::test]
async fn what_was_reserved_before_makers_were_written_down_is_released_as_it_was_then() {
    let running = Running::with_tea(&[]).await;
    running.reserve("order-1", &step("old"), 4).await.unwrap();
    let mut db = running.connect().await;
    for column in ["namespace", "saga_id"] {
        let older = sqlx::AssertSqlSafe(format!("ALTER TABLE reservations DROP COLUMN {column}"));
        sqlx::raw_sql(older).execute(&mut db).await.unwrap();
    }
    drop(db);
    let running = running.restart().await.restart().await;
    assert_eq!(running.release("order-1", &step("old")).await.unwrap(), 4);
    assert_eq!(running.tea().await, (10, 0));
    running.audit().await;
}

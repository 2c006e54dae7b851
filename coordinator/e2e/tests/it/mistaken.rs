//! A definition whose compensation names another saga's order: nothing of that one is undone, and a person is asked.

use std::time::Duration;

use amends_proto::v1 as api;

use crate::shop::Shop;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compensation_that_names_anothers_order_leaves_it_sold_and_its_own_saga_stuck() {
    let mut shop = Shop::new(&[], 0).await;
    shop.merchant_opens();
    shop.define(&[]).await;
    let own = "Inventory/Release\n      request: { order_id: \"${input.order_id}\" }";
    let anothers = "Inventory/Release\n      retry: { max_attempts: 2, initial: 10ms, max: 10ms }\n      \
                    request: { order_id: sold-1 }";
    shop.define(&[("saga: qr-payment", "saga: qr-mistaken"), (own, anothers)]).await;
    shop.start("qr-payment", "sold-1", "ada", 60).await;
    shop.code("sold-1").await;
    shop.pay("sold-1").await.expect("paid");
    assert_eq!(shop.ended("sold-1").await.status(), api::SagaStatus::Completed);
    // Frida's account is frozen, so her saga turns back.
    shop.start("qr-mistaken", "mistaken-1", "frida", 60).await;
    let saga = stuck(&shop, "mistaken-1").await;
    let reasons: Vec<_> = saga.stuck.iter().map(api::Stuck::reason).collect();
    assert_eq!(reasons, [api::StuckReason::CompensationRefused], "{saga:#?}");
    let inventory = rusqlite::Connection::open(shop.data.path().join("inventory.db")).expect("a database");
    let standing =
        "SELECT group_concat(order_id) FROM (SELECT order_id FROM reservations WHERE released = 0 ORDER BY order_id)";
    let standing: String = inventory.query_row(standing, [], |row| row.get(0)).expect("a row");
    assert_eq!(standing, "mistaken-1,sold-1", "its own stands too, for a person to release");
}

async fn stuck(shop: &Shop, id: &str) -> api::Saga {
    for _ in 0..600 {
        let saga = shop.get(id).await;
        if saga.status() == api::SagaStatus::Stuck {
            return saga;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{id} isn't stuck: {:#?}", shop.get(id).await);
}

//! A record that can't be read: its saga is parked and shown, and the others run.

use amends_proto::v1;
use tonic::Code;

use crate::harness::{Memory, Server, checkout, refusal};
use crate::shop::Answer;

/// Damages what is stored of a saga while no server runs.
fn damage(memory: &Memory, id: &str) {
    let database = memory.config().store.data.join("amends.db");
    let connection = rusqlite::Connection::open(database).unwrap();
    let damaged = connection.execute("UPDATE saga SET state = substr(state, 1, 20) WHERE id = ?1", [id]).unwrap();
    assert_eq!(damaged, 1);
}

/// Changes the last byte of every payload of a saga while no server runs: its requests are no longer what was prepared.
fn damage_payloads(memory: &Memory, id: &str) {
    let database = memory.config().store.data.join("amends.db");
    let connection = rusqlite::Connection::open(database).unwrap();
    let damage = "UPDATE payload SET bytes = CAST(substr(bytes, 1, length(bytes) - 1) || x'7e' AS BLOB) \
                WHERE saga = (SELECT saga FROM saga WHERE id = ?1)";
    assert!(connection.execute(damage, [id]).unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_no_longer_what_was_prepared_is_never_sent() {
    let memory = Memory::sqlite();
    let (mut server, shop) = Server::with_shop(&memory).await;
    shop.always("Charge", Answer::Held);
    server.sagas.start(checkout("damaged")).await.unwrap();
    server.sagas.start(checkout("whole")).await.unwrap();
    shop.has_calls(2 * 2).await;
    server.stop().await.unwrap();

    memory.is_free().await;
    damage_payloads(&memory, "damaged");
    shop.let_go();
    let mut server = Server::start(&memory).await;
    assert_eq!(server.end_of("whole").await.status(), v1::SagaStatus::Completed);
    let get = v1::GetSagaRequest { saga_id: "damaged".to_owned(), ..Default::default() };
    let status = server.sagas.get(get).await.unwrap_err();
    assert_eq!(refusal(&status).0, Code::DataLoss);
    assert!(status.message().contains("is not what was committed"), "{}", status.message());
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saga_that_cant_be_read_is_shown_and_stops_nobody_else() {
    let memory = Memory::sqlite();
    let (mut server, shop) = Server::with_shop(&memory).await;
    server.run("ended").await;
    shop.always("Charge", Answer::Held);
    for id in ["before", "damaged", "after"] {
        server.sagas.start(checkout(id)).await.unwrap();
    }
    shop.has_calls(2 + 3 * 2).await;
    server.stop().await.unwrap();

    memory.is_free().await;
    damage(&memory, "ended");
    damage(&memory, "damaged");
    shop.let_go();
    let mut server = Server::start(&memory).await;
    for id in ["before", "after"] {
        assert_eq!(server.end_of(id).await.status(), v1::SagaStatus::Completed);
    }

    let listed = server.sagas.list(v1::ListSagasRequest::default()).await.unwrap().into_inner().sagas;
    let find = |id: &str| listed.iter().find(|saga| saga.id == id).unwrap();
    let damaged = find("damaged");
    assert_eq!((damaged.status(), damaged.stuck[0].reason()), (v1::SagaStatus::Stuck, v1::StuckReason::Poison));
    let told = &damaged.stuck[0].message;
    assert!(told.contains("the record is damaged") && told.ends_with("It was running"), "{told}");
    assert_eq!((find("ended").status(), find("ended").stuck.as_slice()), (v1::SagaStatus::Completed, &[][..]));
    assert_eq!(find("before").status(), v1::SagaStatus::Completed);

    let get = v1::GetSagaRequest { saga_id: "damaged".to_owned(), ..Default::default() };
    let status = server.sagas.get(get).await.unwrap_err();
    assert_eq!(refusal(&status), (Code::DataLoss, "UNREADABLE".to_owned(), vec![]));
    let message = status.message();
    assert!(message.starts_with("saga default/damaged can't be read at revision"), "{message}");
    assert!(message.contains("restore the store from a backup"), "{message}");
    let again = server.sagas.start(checkout("damaged")).await.unwrap_err();
    assert_eq!(refusal(&again).0, Code::DataLoss);
    server.stop().await.unwrap();
}

//! A store moves to Redis while sagas are stuck, pending, waiting for a retry and done: the copy is killed again and again, and
//! at the end every saga ends, the books balance, and only one of the two stores can be served from.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use amends_proto::v1 as api;
use amends_redis_lab::{Server, Settings};

use crate::process::program;
use crate::shop::Shop;

/// How many of each kind. There are a hundred teapots.
const PENDING: u32 = 70;
const WAITING: u32 = 5;
const STUCK: u32 = 3;
const ENDED: u32 = 80;

fn ids(kind: &'static str, count: u32) -> impl Iterator<Item = String> {
    (0..count).map(move |number| format!("{kind}-{number}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moving_to_redis_loses_nothing_and_does_nothing_twice() {
    // Each stuck one has two attempts to cancel its code; they are used up, and the operator's come through.
    let fault = format!("CancelQrPayment:down:next={}:saga=stuck-", 2 * STUCK);
    let mut shop = Shop::new(&["--allow-faults", "--fault", &fault], 0).await;
    shop.define(&[
        ("max: 30s", "max: 1s"),
        (
            "call: payment.v1.Payment/CancelQrPayment\n",
            "call: payment.v1.Payment/CancelQrPayment\n      retry: { max_attempts: 2, initial: 100ms, max: 100ms }\n",
        ),
    ])
    .await;
    begin(&shop).await;
    let before = standing(&shop).await;
    shop.stop_serving();

    let server = Server::start(&Settings::strict());
    let kills = copy_with_kills(&shop, &server);
    assert!(kills >= 4, "the copy was killed {kills} times only");
    assert_moved(&shop, &server);
    shop.serve(&["--store", &server.url(), "--data", &format!("{}-2", shop.folder())]).await;
    assert_eq!(standing(&shop).await, before, "revisions and histories of what was at rest");
    end(&mut shop).await;
    shop.check_books(i64::from(PENDING + WAITING));
    let mut sold: Vec<String> = ids("pending", PENDING).chain(ids("waiting", WAITING)).collect();
    sold.sort();
    assert_eq!(shop.merchant_has(), sold, "each order once");
}

/// Brings each saga to where it is to be when the coordinator is killed.
async fn begin(shop: &Shop) {
    for id in ids("ended", ENDED) {
        shop.start("qr-payment", &id, "frida", 120).await;
    }
    // The screening finds more than a few payments an hour by one payer odd.
    for (number, id) in ids("pending", PENDING).chain(ids("waiting", WAITING)).chain(ids("stuck", STUCK)).enumerate() {
        let payer = format!("payer-{}", number / 3);
        if number % 3 == 0 {
            shop.open_account(&payer).await;
        }
        shop.start("qr-payment", &id, &payer, 120).await;
    }
    for id in ids("ended", ENDED) {
        shop.ended(&id).await;
    }
    for id in ids("pending", PENDING) {
        shop.code(&id).await;
    }
    for id in ids("waiting", WAITING) {
        shop.code(&id).await;
        shop.pay(&id).await.expect("paid");
        until(shop, &id, |saga| attempts(saga, "notify-merchant") > 1).await;
    }
    for id in ids("stuck", STUCK) {
        shop.code(&id).await;
        let reason = "the customer has left".to_owned();
        let cancel = api::CancelSagaRequest { saga_id: id.clone(), reason, ..Default::default() };
        api::sagas_client::SagasClient::new(shop.channel.clone()).cancel(cancel).await.expect("cancelled");
        until(shop, &id, |saga| saga.status() == api::SagaStatus::Stuck).await;
    }
}

fn attempts(saga: &api::Saga, step: &str) -> u32 {
    let step = saga.steps.iter().find(|it| it.name == step);
    step.map_or(0, |step| step.operations.iter().map(|operation| operation.attempts).sum())
}

async fn until(shop: &Shop, id: &str, is: impl Fn(&api::Saga) -> bool) {
    for _ in 0..600 {
        if is(&shop.get(id).await) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{:#?}", shop.get(id).await);
}

/// Revision and history of every saga that nobody works on.
async fn standing(shop: &Shop) -> Vec<(String, u64, String)> {
    let mut all = Vec::new();
    for id in ids("ended", ENDED).chain(ids("stuck", STUCK)) {
        let saga = shop.get(&id).await;
        let history = shop.history(&id).await;
        all.push((id, saga.revision, format!("{history:?}")));
    }
    all
}

fn amends(arguments: &[&str]) -> Command {
    let mut command = Command::new(program("amends"));
    command.args(arguments).env("AMENDS__LOG__FILTER", "error").stdin(Stdio::null());
    command
}

fn output(arguments: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } = amends(arguments).output().expect("the binary");
    (status.success(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

/// Kills the first run when it says its first line, the second at its second, and so on, until one comes to its end before it
/// is killed. Says how many were killed.
fn copy_with_kills(shop: &Shop, server: &Server) -> usize {
    let (from, to) = (shop.folder(), server.url());
    let copy = ["store", "copy", "--from", &from, "--to", &to];
    let mut kills = 0;
    loop {
        let mut child = amends(&copy).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let said: Vec<String> = stderr.lines().map_while(Result::ok).take(kills + 1).collect();
        child.kill().expect("own child");
        let ended = child.wait().expect("own child");
        eprintln!("copy: {ended} behind {said:?}");
        if ended.success() {
            break;
        }
        assert_eq!(ended.code(), None, "it failed by itself");
        kills += 1;
        if kills == 1 {
            let anywhere = ["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"];
            let (served, said) =
                output(&[&["serve", "--store", &to, "--data", &format!("{from}-2")], &anywhere[..]].concat());
            assert!(!served && said.contains("it is an unfinished copy of the store"), "{said}");
        }
    }
    let (done, said) = output(&copy);
    assert!(done && said.contains("An earlier run has copied and compared everything"), "{said}");
    kills
}

/// The source says where it went, and nobody serves from it.
fn assert_moved(shop: &Shop, server: &Server) {
    let (served, said) = output(&["serve", "--data", &shop.folder(), "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    let moved = said.contains(&format!("it was moved to {}", server.url())) && said.contains("amends store reopen");
    assert!(!served && moved, "{said}");
}

/// Every saga to its end: the payers pay, the merchant is back, the operator retries.
async fn end(shop: &mut Shop) {
    shop.merchant_opens();
    let shop = &*shop;
    for id in ids("pending", PENDING) {
        shop.pay(&id).await.expect("paid");
    }
    for id in ids("stuck", STUCK) {
        let reason = "the payment service is back".to_owned();
        let retry = api::RetrySagaRequest { saga_id: id.clone(), reason, ..Default::default() };
        api::operations_client::OperationsClient::new(shop.channel.clone()).retry(retry).await.expect("retried");
        assert_eq!(shop.ended(&id).await.status(), api::SagaStatus::Compensated, "{id}");
    }
    for id in ids("pending", PENDING).chain(ids("waiting", WAITING)) {
        assert_eq!(shop.ended(&id).await.status(), api::SagaStatus::Completed, "{id}");
    }
    for id in ids("ended", ENDED) {
        assert_eq!(shop.ended(&id).await.status(), api::SagaStatus::Compensated, "{id}");
    }
}

//! A stream of checkout orders for a fleet, and the books that must balance when it has ended.
//!
//! Most orders complete; every tenth can't be reserved once the little stock is out, every tenth can't be paid. Invariant: what is checked
//! is read from the participants' databases, never from answers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use amends_participant::database::Place;
use amends_participant::testing::connect;
use amends_proto::v1 as api;
use serde_json::{Value, json};
use sqlx::AnyConnection;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::fleet::{Fleet, ended, try_start};

/// How long the last saga may take once nothing is broken any more.
const SETTLE: Duration = Duration::from_secs(120);

/// How long it may take until somebody who places an order is told what is wrong: servers are looked at every 15 s.
const TOLD_MAX: Duration = Duration::from_secs(45);
/// How long one order may take until it is accepted, whatever is broken meanwhile.
const ACCEPTED_MAX: Duration = Duration::from_secs(60);
/// How long a customer waits before asking again.
const AGAIN: Duration = Duration::from_millis(100);
/// Between two orders of one customer.
const PAUSE: Duration = Duration::from_millis(10);

const CUSTOMERS: [(&str, i64); 3] = [("ada", 100_000_000), ("ben", 100_000_000), ("paul", 5_000)];
const STOCK: [(&str, i64); 2] = [("teapot", 100_000), ("first-edition", 2)];
pub(crate) const PRICE: i64 = 2_500;

/// Registers everything, and gives the customers their money and the shelves their stock.
pub(crate) async fn open_shop(fleet: &Fleet) {
    fleet.set_up(&CUSTOMERS, &STOCK).await;
}

pub(crate) fn id(number: u64) -> String {
    format!("order-{number:05}")
}

pub(crate) fn input(number: u64) -> Value {
    let (sku, customer) = match number % 10 {
        3 => ("first-edition", "ada"),
        6 => ("teapot", "paul"),
        _ => ("teapot", ["ada", "ben"][usize::try_from(number % 2).expect("0 or 1")]),
    };
    json!({ "order_id": id(number), "sku": sku, "quantity": 1, "account_id": customer, "amount_minor": PRICE })
}

/// Places one order and returns once it is accepted, with what was answered before. It asks one coordinator after the other, as a
/// client does that knows several.
async fn place(channels: &[Channel], number: u64) -> Vec<Status> {
    let (begun, mut refusals) = (Instant::now(), Vec::new());
    let first = usize::try_from(number).expect("a small number") % channels.len();
    for channel in channels.iter().cycle().skip(first) {
        match try_start(channel, "checkout", &id(number), &input(number)).await {
            Ok(()) => break,
            Err(status) => {
                assert!(begun.elapsed() < ACCEPTED_MAX, "{}: {status}", id(number));
                refusals.push(status);
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
    refusals
}

/// Places so many orders, with a pause behind each.
pub(crate) async fn place_all(channel: Channel, orders: u64, pause: Duration) {
    for number in 0..orders {
        place(std::slice::from_ref(&channel), number).await;
        tokio::time::sleep(pause).await;
    }
}

/// Orders that are placed by several customers at once until somebody says stop.
pub(crate) struct Stream {
    stop: watch::Sender<bool>,
    numbers: Arc<AtomicU64>,
    customers: JoinSet<()>,
    /// What the customers were answered before their orders were accepted.
    refusals: Arc<Mutex<Vec<Status>>>,
    refused: Vec<u64>,
}

impl Stream {
    /// Each customer places its orders one after the other.
    pub(crate) fn start(channels: &[Channel], customers: usize) -> Self {
        let (stop, stopped) = watch::channel(false);
        let numbers = Arc::new(AtomicU64::new(0));
        let (refusals, mut set) = (Arc::<Mutex<Vec<Status>>>::default(), JoinSet::new());
        for _ in 0..customers {
            let (channels, numbers, stopped) = (channels.to_vec(), numbers.clone(), stopped.clone());
            let refusals = refusals.clone();
            set.spawn(async move {
                while !*stopped.borrow() {
                    let heard = place(&channels, numbers.fetch_add(1, Ordering::SeqCst)).await;
                    refusals.lock().expect("no panic").extend(heard);
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        Self { stop, numbers, customers: set, refusals, refused: Vec::new() }
    }

    /// How many have been placed or are being placed.
    pub(crate) fn placed(&self) -> u64 {
        self.numbers.load(Ordering::SeqCst)
    }

    /// What the customers were answered so far before their orders were accepted.
    pub(crate) fn refusals(&self) -> Vec<Status> {
        self.refusals.lock().expect("no panic").clone()
    }

    /// Places one order and says why it isn't accepted. It may be all the same, and is placed again before the stream stops.
    pub(crate) async fn try_one(&mut self, channel: &Channel) -> Result<(), Status> {
        let number = self.numbers.fetch_add(1, Ordering::SeqCst);
        let placed = try_start(channel, "checkout", &id(number), &input(number)).await;
        if placed.is_err() {
            self.refused.push(number);
        }
        placed
    }

    /// Tries until an order is refused with these words.
    pub(crate) async fn is_told(&mut self, channel: &Channel, words: &str) {
        let begun = Instant::now();
        while !self.may_be_told(channel, words, 1).await {
            assert!(begun.elapsed() < TOLD_MAX, "not told of {words:?}");
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Whether one of so many orders is refused with these words.
    pub(crate) async fn may_be_told(&mut self, channel: &Channel, words: &str, orders: u32) -> bool {
        for _ in 0..orders {
            let answer = self.try_one(channel).await;
            if let Err(status) = &answer
                && status.message().contains(words)
            {
                eprintln!("told: {}", status.message());
                return true;
            }
        }
        false
    }

    /// Waits until so many more are placed than now.
    pub(crate) async fn flow(&mut self, more: u64) {
        let until = self.placed() + more;
        while self.placed() < until {
            if let Some(customer) = self.customers.try_join_next() {
                customer.expect("no order is refused for good");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Stops it and says how many orders have been accepted, numbered from 0.
    pub(crate) async fn stop(mut self, channel: &Channel) -> u64 {
        self.stop.send_replace(true);
        while let Some(customer) = self.customers.join_next().await {
            customer.expect("all accepted");
        }
        for number in self.refused {
            place(std::slice::from_ref(channel), number).await;
        }
        self.numbers.load(Ordering::SeqCst)
    }
}

/// How many of so many orders can't be filled, whatever happens: there are two first editions, and Paul has money for two teapots.
pub(crate) fn must_fail(orders: u64) -> i64 {
    let of = |digit| (0..orders).filter(|number| number % 10 == digit).count().saturating_sub(2);
    i64::try_from(of(3) + of(6)).expect("a small number")
}

/// Waits until every accepted order has ended, and checks all books. Says how many were compensated.
pub(crate) async fn settle(what: &str, fleet: &Fleet, channel: &Channel, orders: u64) -> i64 {
    let mut completed = 0;
    let mut compensated = 0;
    for number in 0..orders {
        match ended(channel, &id(number), SETTLE).await.status() {
            api::SagaStatus::Completed => completed += 1,
            api::SagaStatus::Compensated => compensated += 1,
            other => panic!("{} ended as {other:?}", id(number)),
        }
    }
    eprintln!("{what}: {completed} completed, {compensated} compensated");
    assert!(completed > 0 && compensated > 0, "a run without both outcomes proves little");
    check_books(&fleet.places, completed).await;
    compensated
}

/// Which of the accepted orders nobody knows any more. Asks again while there is no answer.
pub(crate) async fn missing(channel: &Channel, accepted: u64) -> Vec<u64> {
    let mut missing = Vec::new();
    for number in 0..accepted {
        let begun = Instant::now();
        loop {
            let get = api::GetSagaRequest { saga_id: id(number), ..Default::default() };
            match api::sagas_client::SagasClient::new(channel.clone()).get(get).await {
                Ok(_) => {}
                Err(status) if status.code() == Code::NotFound => missing.push(number),
                Err(status) if status.code() == Code::Unavailable && begun.elapsed() < ACCEPTED_MAX => {
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
                Err(status) => panic!("{}: {status}", id(number)),
            }
            break;
        }
    }
    missing
}

/// Places these orders once more, as they were.
pub(crate) async fn place_again(channel: &Channel, numbers: &[u64]) {
    for number in numbers {
        place(std::slice::from_ref(channel), *number).await;
    }
}

async fn number(database: &mut AnyConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(database).await.expect("a number")
}

/// What a participant says of its own books.
async fn sums(database: &mut AnyConnection) -> BTreeMap<String, i64> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT kind, amount FROM conservation").fetch_all(database).await.expect("sums");
    rows.into_iter().collect()
}

/// All books after so many completed orders and as many failed ones as you like.
pub(crate) async fn check_books(places: &[Place], completed: i64) {
    let mut books = Vec::new();
    for place in places {
        let mut database = connect(place).await;
        let twice = number(&mut database, "SELECT count(*) FROM effects WHERE count > 1").await;
        assert_eq!(twice, 0, "an effect twice, at {place}");
        books.push(sums(&mut database).await);
    }
    let [account, inventory, payment] = books.as_slice() else { panic!("three participants") };
    let money: i64 = CUSTOMERS.iter().map(|(_, amount)| amount).sum();
    let stock: i64 = STOCK.iter().map(|(_, quantity)| quantity).sum();
    assert_eq!(account["held"], 0, "money is still held");
    assert_eq!(account["balance"], money, "money was made or lost");
    assert_eq!(account["entries_sum"], 0);
    assert_eq!(inventory["available"] + inventory["sold"], stock, "stock was made or lost");
    assert_eq!(inventory["sold"], completed, "sold is not what was completed");
    assert_eq!(payment["charged"] - payment["refunded"], completed * PRICE, "charged is not what was completed");
    let settled = "SELECT balance_minor FROM accounts WHERE account_id = 'merchant-settlement'";
    let settled = number(&mut connect(&places[0]).await, settled).await;
    assert_eq!(settled, completed * PRICE, "settled is not what was completed");
}

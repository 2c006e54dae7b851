//! Starts sagas at a steady rate and follows each to its end.
//!
//! A start without an answer is repeated with the same id, which can't start anything twice. Invariant: every saga that was
//! accepted is followed until it has ended, or until the demo stops looking and counts it as open; one that was stuck and is not
//! any more isn't counted as stuck any more.

use std::time::Duration;

use amends_proto::v1 as api;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::screen::Screen;
use super::world::{PLENTY, POOR, RICH, SCARCE, SLOW_PREFIX, STUCK_PREFIX, World};
use crate::connect::{Connection, request};
use crate::exit::{Exit, Failure};

/// How long to wait before asking a coordinator again that didn't answer.
const AGAIN: Duration = Duration::from_millis(300);
/// How often a finished saga's follow-up may fail before it counts as open.
const TRIES_MAX: u32 = 200;

/// How many sagas went which way.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) started: u64,
    pub(super) completed: u64,
    pub(super) compensated: u64,
    pub(super) stuck: u64,
    pub(super) open: u64,
}

/// The stream of sagas.
#[derive(Debug)]
pub(super) struct Stream {
    connection: Connection,
    screen: Screen,
    period: Duration,
}

/// A saga got stuck, or was repaired.
#[derive(Debug)]
struct Turn {
    saga: api::Saga,
    is_stuck: bool,
}

/// What one saga buys.
#[derive(Debug, Clone)]
struct Order {
    id: String,
    sku: &'static str,
    customer: &'static str,
}

impl Stream {
    pub(super) fn new(connection: Connection, screen: Screen, rate: f64) -> Self {
        Self { connection, screen, period: Duration::from_secs_f64(1.0 / rate) }
    }

    /// Starts sagas for `length`, then waits for them for at most `drain`.
    pub(super) async fn run_for(mut self, length: Duration, drain: Duration) -> Result<Counts, Failure> {
        let mut followers = JoinSet::new();
        let mut counts = Counts::default();
        let mut ticks = tokio::time::interval(self.period);
        let until = tokio::time::Instant::now() + length;
        for number in 0.. {
            let due = ticks.tick().await;
            if due >= until {
                break;
            }
            let order = self.begin(order(number), &mut counts).await?;
            followers.spawn(follow(self.connection.clone(), order.id));
        }
        let finish = async {
            while let Some(ended) = followers.join_next().await {
                self.count(ended.unwrap_or(None), &mut counts);
            }
        };
        let drained = tokio::time::timeout(drain, finish).await.is_ok();
        if !drained {
            followers.shutdown().await;
        }
        counts.open = counts.started - counts.completed - counts.compensated - counts.stuck;
        Ok(counts)
    }

    /// Starts sagas until Ctrl-C, one of which gets stuck.
    pub(super) async fn run_until_interrupted(mut self, world: &World) -> Result<(), Failure> {
        let mut followers = JoinSet::new();
        let mut counts = Counts::default();
        let mut ticks = tokio::time::interval(self.period);
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        let (turned, mut turns) = mpsc::unbounded_channel();
        let mut orders = std::iter::once(stuck_order()).chain((0..).map(order));
        loop {
            tokio::select! {
                _ = &mut interrupted => break,
                Some(turn) = turns.recv() => self.turn(turn, world, &mut counts).await?,
                Some(ended) = followers.join_next() => self.count(ended.unwrap_or(None), &mut counts),
                _ = ticks.tick() => if let Some(order) = orders.next() {
                    let order = self.begin(order, &mut counts).await?;
                    followers.spawn(follow_to_end(self.connection.clone(), order.id, turned.clone()));
                },
            }
        }
        self.screen.end(&counts);
        Ok(())
    }

    async fn begin(&mut self, order: Order, counts: &mut Counts) -> Result<Order, Failure> {
        start(&self.connection, &order).await?;
        counts.started += 1;
        Ok(order)
    }

    async fn turn(&mut self, turn: Turn, world: &World, counts: &mut Counts) -> Result<(), Failure> {
        let Turn { saga, is_stuck } = turn;
        if !is_stuck {
            counts.stuck -= 1;
            return Ok(());
        }
        counts.stuck += 1;
        if saga.id == stuck_order().id {
            world.heal().await?;
            self.screen.stuck(&saga.id);
        } else {
            self.screen.ended(&saga, counts);
        }
        Ok(())
    }

    fn count(&mut self, ended: Option<api::Saga>, counts: &mut Counts) {
        let Some(saga) = ended else { return };
        match saga.status() {
            api::SagaStatus::Completed => counts.completed += 1,
            api::SagaStatus::Compensated => counts.compensated += 1,
            api::SagaStatus::Stuck => counts.stuck += 1,
            _ => return,
        }
        self.screen.ended(&saga, counts);
    }
}

fn order(number: u64) -> Order {
    let customers = RICH.len() as u64;
    let customer = RICH[usize::try_from(number % customers).unwrap_or(0)];
    let plain = |sku, customer| Order { id: format!("order-{number:05}"), sku, customer };
    match number % 12 {
        3 => plain(SCARCE, customer),
        7 => plain(PLENTY, POOR),
        10 if number.is_multiple_of(5) => Order { id: format!("{SLOW_PREFIX}{number:05}"), sku: PLENTY, customer },
        _ => plain(PLENTY, customer),
    }
}

/// Its customer can't pay, so its reservation must be released, which is refused.
fn stuck_order() -> Order {
    Order { id: format!("{STUCK_PREFIX}1"), sku: PLENTY, customer: POOR }
}

/// Starts a saga; repeated until there is an answer, since a repeat can't start it twice.
async fn start(connection: &Connection, order: &Order) -> Result<(), Failure> {
    let input = serde_json::json!({
        "order_id": order.id,
        "sku": order.sku,
        "quantity": 1,
        "account_id": order.customer,
        "amount_minor": 2500,
    });
    let message = api::StartSagaRequest {
        saga_id: order.id.clone(),
        definition: "checkout".to_owned(),
        input: Some(crate::payload::from_json(&input)),
        ..api::StartSagaRequest::default()
    };
    let mut tries = 0;
    loop {
        let Err(status) = connection.sagas().start(request(message.clone())).await else { return Ok(()) };
        let failure = Failure::from(status);
        if tries == TRIES_MAX || failure.exit() != Exit::Unavailable {
            return Err(failure);
        }
        tries += 1;
        tokio::time::sleep(AGAIN).await;
    }
}

/// Watches a saga until it has ended or is stuck. `None`: the coordinator couldn't say.
async fn follow(connection: Connection, id: String) -> Option<api::Saga> {
    watch(&connection, &id, |saga| saga.status() == api::SagaStatus::Stuck).await
}

/// Watches a saga until it has ended, and tells whenever it gets stuck and no longer is.
async fn follow_to_end(connection: Connection, id: String, turned: mpsc::UnboundedSender<Turn>) -> Option<api::Saga> {
    let mut is_stuck = false;
    loop {
        let saga = watch(&connection, &id, |saga| (saga.status() == api::SagaStatus::Stuck) != is_stuck).await?;
        let has_ended = saga.end_time.is_some();
        if is_stuck || !has_ended {
            is_stuck = !is_stuck;
            // The demo may have ended in the meantime.
            let _ = turned.send(Turn { saga: saga.clone(), is_stuck });
        }
        if has_ended {
            return Some(saga);
        }
    }
}

/// The saga when it has ended, or is as wanted.
async fn watch(connection: &Connection, id: &str, is_wanted: impl Fn(&api::Saga) -> bool) -> Option<api::Saga> {
    for _ in 0..TRIES_MAX {
        let message = api::WatchSagaRequest { saga_id: id.to_owned(), ..api::WatchSagaRequest::default() };
        if let Ok(stream) = connection.sagas().watch(message).await {
            let mut stream = stream.into_inner();
            while let Ok(Some(seen)) = stream.message().await {
                if let Some(saga) = seen.saga.filter(|saga| saga.end_time.is_some() || is_wanted(saga)) {
                    return Some(saga);
                }
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
    None
}

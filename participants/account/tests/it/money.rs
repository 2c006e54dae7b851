//! Floors, bad input, and the methods outside sagas.

use amends_account::proto::{ConfirmHoldRequest, DepositRequest, GetBalanceRequest, HoldRequest, OpenRequest};
use amends_participant::testing::{TestPlace, until_known};
use tonic::{Code, Request};

use crate::fixture::{Running, precondition, step, told};

#[tokio::test]
async fn many_holds_on_few_accounts_never_go_below_the_floor() {
    let running = Running::start(TestPlace::new().await, &[]).await;
    let accounts = [("a", 0), ("b", -50), ("c", 20)];
    for (account, floor) in accounts {
        running.open(account, floor, 100).await;
    }
    let sagas: Vec<(&str, String)> = (0..240).map(|n| (accounts[n % 3].0, format!("s-{n}"))).collect();
    let running_ref = &running;
    let held = futures::future::join_all(sagas.iter().map(|(account, saga)| async move {
        let held = until_known(async || running_ref.hold_on(account, &step(saga), 7).await);
        held.await.map_err(|status| status.code())
    }));
    let held = held.await;
    assert_eq!(held.iter().filter(|held| held.is_ok()).count(), 14 + 21 + 11, "100, 150 and 80 in sevens");
    assert!(held.iter().all(|held| matches!(held, Ok(7) | Err(Code::FailedPrecondition))));
    let ends =
        futures::future::join_all(sagas.iter().zip(&held).enumerate().map(|(n, ((_, saga), held))| async move {
            match held {
                Ok(_) if n % 2 == 0 => until_known(async || running_ref.confirm(&step(saga)).await).await,
                _ => until_known(async || running_ref.cancel(&step(saga)).await).await,
            }
        }));
    assert!(ends.await.iter().all(Result::is_ok));
    let sums = running.audit().await;
    assert_eq!((sums["held"], sums["balance"]), (0, 300));
}

#[tokio::test]
async fn what_cannot_be_held_is_rejected_with_its_reason() {
    let running = Running::with_alice().await;
    assert_eq!(told(running.hold(&step("s-1"), 0).await), precondition("INVALID_AMOUNT"));
    assert_eq!(told(running.hold(&step("s-2"), -5).await), precondition("INVALID_AMOUNT"));
    assert_eq!(told(running.hold(&step("s-3"), i64::MAX).await), precondition("INSUFFICIENT_FUNDS"));
    assert_eq!(told(running.hold_on("nobody", &step("s-4"), 5).await), precondition("UNKNOWN_ACCOUNT"));
    assert_eq!(told(running.hold_on("world", &step("s-5"), 5).await), precondition("UNKNOWN_ACCOUNT"));
    running.audit().await;
}

#[tokio::test]
async fn balances_do_not_wrap_round() {
    let running = Running::start(TestPlace::new().await, &[]).await;
    running.open("rich", 0, i64::MAX).await;
    let more = DepositRequest { deposit_id: "more".into(), account_id: "rich".into(), amount_minor: 1 };
    assert_eq!(running.client.clone().deposit(more).await.expect_err("overflow").code(), Code::OutOfRange);
    assert_eq!(running.balance("rich").await, (i64::MAX, 0));
}

#[tokio::test]
async fn a_hold_is_confirmed_to_nowhere_but_where_it_says() {
    let running = Running::with_alice().await;
    running.hold(&step("s"), 30).await.unwrap();
    let request = ConfirmHoldRequest { hold_id: "h".into(), settle_to: 7 };
    let confirmed = running.client.clone().confirm_hold(step("s").confirm(request)).await;
    assert_eq!(told(confirmed), precondition("INVALID_SETTLE_TO"), "not the merchant");
    assert_eq!(running.audit().await["held"], 30);
    assert_eq!(running.confirm(&step("s")).await.unwrap(), 30);
}

#[tokio::test]
async fn ids_that_cannot_be_are_refused_and_not_unknown() {
    let running = Running::with_alice().await;
    let long = "x".repeat(1_000_000);
    for (saga, account) in [("s-1", long.as_str()), ("s-2", "a\0b")] {
        assert_eq!(told(running.hold_on(account, &step(saga), 5).await), precondition("UNKNOWN_ACCOUNT"));
    }
    let hold = HoldRequest { account_id: "alice".into(), hold_id: "a\0b".into(), amount_minor: 5 };
    let held = running.client.clone().hold(step("s-3").action(hold)).await;
    assert_eq!(told(held), precondition("INVALID_HOLD_ID"));
    let nothing = OpenRequest { account_id: "a\0b".into(), floor_minor: 0 };
    assert_eq!(running.client.clone().open(nothing).await.expect_err("NUL").code(), Code::InvalidArgument);
}

#[tokio::test]
async fn open_and_deposit_are_idempotent_by_their_own_ids() {
    let running = Running::with_alice().await;
    running.open("alice", 0, 100).await;
    assert_eq!(running.balance("alice").await, (100, 0));
    let mut client = running.client.clone();
    let other_floor = OpenRequest { account_id: "alice".into(), floor_minor: -1 };
    assert_eq!(client.open(other_floor).await.expect_err("other").code(), Code::AlreadyExists);
    let other = DepositRequest { deposit_id: "seed-alice".into(), account_id: "alice".into(), amount_minor: 1 };
    assert_eq!(client.deposit(other).await.expect_err("other").code(), Code::AlreadyExists);
    let nobody = DepositRequest { deposit_id: "d".into(), account_id: "nobody".into(), amount_minor: 1 };
    assert_eq!(client.deposit(nobody).await.expect_err("nobody").code(), Code::NotFound);
    let system = DepositRequest { deposit_id: "d".into(), account_id: "world".into(), amount_minor: 1 };
    assert_eq!(client.deposit(system).await.expect_err("system").code(), Code::NotFound);
    let nothing = OpenRequest { account_id: String::new(), floor_minor: 0 };
    assert_eq!(client.open(nothing).await.expect_err("empty").code(), Code::InvalidArgument);
    let nobody = GetBalanceRequest { account_id: "nobody".into() };
    assert_eq!(client.get_balance(nobody).await.expect_err("nobody").code(), Code::NotFound);
    running.audit().await;
}

#[tokio::test]
async fn a_hold_without_our_metadata_is_internal_and_changes_nothing() {
    let running = Running::with_alice().await;
    let hold = HoldRequest { account_id: "alice".into(), hold_id: "h".into(), amount_minor: 5 };
    let status = running.client.clone().hold(Request::new(hold)).await.expect_err("no metadata");
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(running.balance("alice").await, (100, 0));
}

#[tokio::test]
async fn a_flag_opens_an_account_once_and_leaves_it_alone_afterwards() {
    let running = Running::start(TestPlace::new().await, &["--open", "ada=100"]).await;
    assert_eq!(running.balance("ada").await, (100, 0));
    running.hold_on("ada", &step("s"), 30).await.unwrap();
    let running = running.restart_with(&["--open", "ada=500", "--open", "ben=5"]).await;
    assert_eq!((running.balance("ada").await, running.balance("ben").await), ((70, 30), (5, 0)));
    running.audit().await;
}

//! `examples/transfer-tcc`: thousands of transfers at once between ten accounts, while the account service is killed.
//!
//! At the end all have ended, the total is what it was, each balance is what the completed transfers make it, and no account
//! was ever below its floor, not even for a moment.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use amends_account::proto as account;
use amends_proto::v1 as api;
use amends_redis_lab::free_address;
use rand::{Rng as _, SeedableRng as _};
use rusqlite::Connection;
use serde_json::json;

use crate::fleet::{coordinator, define, dial, ended, register, start};
use crate::process::{Process, program, root, setting};

/// How long the last transfer may take once nobody is killed any more.
const SETTLE: Duration = Duration::from_secs(180);
const OPENING: i64 = 10_000;
/// A floor above zero, below it (an overdraft), and zero.
const FLOORS: [i64; 3] = [0, -2_000, 1_000];
const ACCOUNTS: usize = 10;

struct Transfer {
    from: usize,
    to: usize,
    amount: i64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_keep_the_total_and_every_floor_while_participants_are_killed() {
    let (count, kills) = (setting("AMENDS_TRANSFERS", 2_000), setting("AMENDS_TRANSFER_KILLS", 8));
    let seed = setting("AMENDS_SEED", rand::random());
    eprintln!("transfer test: {count} transfers, {kills} kills, AMENDS_SEED={seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let data = tempfile::tempdir().expect("a folder");
    let mut accounts = account_service(data.path());
    let mut coordinator = coordinator(data.path());
    coordinator.wait_until_listening();
    let channel = dial(coordinator.address).await;
    register(channel.clone(), "account", accounts.address, true).await;
    let source = std::fs::read_to_string(root().join("examples/transfer-tcc/transfer.saga.yaml")).expect("the example");
    define(channel.clone(), source).await;
    open_accounts(&accounts).await;

    let transfers: Vec<Transfer> = (0..count).map(|_| any_transfer(&mut random)).collect();
    let starts = transfers.iter().enumerate().map(|(number, transfer)| {
        let input = json!({ "from": name(transfer.from), "to": name(transfer.to), "amount_minor": transfer.amount });
        let channel = channel.clone();
        tokio::spawn(async move { start(&channel, "transfer", &id(number), &input).await })
    });
    let starts: Vec<_> = starts.collect();
    let killer = tokio::task::spawn_blocking(move || {
        for _ in 0..kills {
            std::thread::sleep(Duration::from_millis(random.random_range(100..600)));
            accounts.kill();
            std::thread::sleep(Duration::from_millis(random.random_range(0..200)));
            accounts.restart();
        }
        accounts
    });
    for accepted in starts {
        accepted.await.expect("accepted");
    }
    let _accounts = killer.await.expect("the killer");

    let mut expected = vec![OPENING; ACCOUNTS];
    let mut compensated = 0;
    for (number, transfer) in transfers.iter().enumerate() {
        let saga = ended(&channel, &id(number), SETTLE).await;
        match saga.status() {
            api::SagaStatus::Completed => {
                expected[transfer.from] -= transfer.amount;
                expected[transfer.to] += transfer.amount;
            }
            api::SagaStatus::Compensated => {
                compensated += 1;
                let why = saga.decision.map(|decision| decision.code).unwrap_or_default();
                assert_eq!(why, "INSUFFICIENT_FUNDS", "{}", id(number));
            }
            other => panic!("{} ended as {other:?}", id(number)),
        }
    }
    eprintln!("transfer test: {} completed, {compensated} compensated", transfers.len() - compensated);
    assert!(0 < compensated && compensated < transfers.len(), "a run without both outcomes proves little");
    check_ledger(data.path(), &expected);
}

fn account_service(data: &Path) -> Process {
    let address = free_address();
    let arguments = ["--addr", &address.to_string(), "--data", &data.display().to_string()];
    let arguments = arguments.map(str::to_owned).to_vec();
    let mut process = Process::start("account", program("amends-account"), address, arguments);
    process.wait_until_listening();
    process
}

async fn open_accounts(process: &Process) {
    let mut client = account::account_client::AccountClient::new(dial(process.address).await);
    for number in 0..ACCOUNTS {
        let (account_id, floor_minor) = (name(number), FLOORS[number % FLOORS.len()]);
        client.open(account::OpenRequest { account_id: account_id.clone(), floor_minor }).await.expect("open");
        let deposit = account::DepositRequest { deposit_id: account_id.clone(), account_id, amount_minor: OPENING };
        client.deposit(deposit).await.expect("deposit");
    }
}

fn any_transfer(random: &mut rand::rngs::StdRng) -> Transfer {
    let from = random.random_range(0..ACCOUNTS);
    let to = (from + random.random_range(1..ACCOUNTS)) % ACCOUNTS;
    Transfer { from, to, amount: random.random_range(1..=800) }
}

fn name(account: usize) -> String {
    format!("account-{account}")
}

fn id(number: usize) -> String {
    format!("transfer-{number:06}")
}

/// All of it by SQL, on the service's own database.
fn check_ledger(data: &Path, expected: &[i64]) {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = Connection::open_with_flags(data.join("account.db"), flags).expect("a database");
    let number = |query: &str| database.query_row(query, [], |row| row.get::<_, i64>(0)).expect("a number");
    assert_eq!(number("SELECT count(*) FROM effects WHERE count > 1"), 0, "an effect twice");
    let amount = |kind: &str| number(&format!("SELECT amount FROM conservation WHERE kind = '{kind}'"));
    let total = OPENING * i64::try_from(ACCOUNTS).expect("a small number");
    assert_eq!((amount("balance"), amount("deposited"), amount("entries_sum")), (total, total, 0));
    assert_eq!((amount("held"), amount("incoming"), amount("clearing")), (0, 0, 0), "something is still under way");
    let below = "SELECT count(*) FROM (
        SELECT a.floor_minor AS floor_minor,
            sum(e.amount_minor) OVER (PARTITION BY e.account_id ORDER BY e.movement, e.side) AS after
        FROM entries e JOIN accounts a ON a.account_id = e.account_id WHERE a.kind = 'customer')
        WHERE after < floor_minor";
    assert_eq!(number(below), 0, "an account was below its floor");
    let mut query =
        database.prepare("SELECT account_id, balance_minor FROM accounts WHERE kind = 'customer'").expect("a query");
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("balances");
    let balances: BTreeMap<String, i64> = rows.collect::<Result<_, _>>().expect("balances");
    let expected: BTreeMap<String, i64> = expected.iter().enumerate().map(|(it, sum)| (name(it), *sum)).collect();
    assert_eq!(balances, expected, "balances are not what the completed transfers make them");
}

//! Moves money between a few accounts, many transfers at once, and shows what became of all of it.
//!
//! Talks to a coordinator and an account service that run already (`run.sh` starts them). Invariant: it counts what the
//! service says before and after, never what it has asked for.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use amends_account::proto::account_client::AccountClient;
use amends_account::proto::{DepositRequest, GetBalanceReply, GetBalanceRequest, OpenRequest};
use amends_client::{Client, Ending, Error};
use clap::Parser;
use futures::StreamExt as _;
use serde_json::json;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

/// What every account begins with, in minor units.
const OPENING_MINOR: i64 = 10_000;

/// How long to wait for one transfer before saying so; it runs on either way.
const PATIENCE: Duration = Duration::from_secs(300);

/// Moves money between a few accounts as TCC transactions, many at once.
#[derive(Debug, Parser)]
#[command(name = "amends-transfer-tcc")]
struct Arguments {
    /// The coordinator's gRPC address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7400")]
    coordinator: String,
    /// The account service's address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7501")]
    account: String,
    /// How many transfers
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    transfers: u32,
    /// How many of them at once
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1000))]
    at_once: u16,
    /// Between how many accounts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=1000))]
    accounts: u32,
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("--account {address} is no address: write it like http://127.0.0.1:7501")]
    Address {
        address: String,
        #[source]
        source: tonic::transport::Error,
    },
    #[error("the account service said {0}")]
    Account(#[from] Status),
    #[error(transparent)]
    Coordinator(#[from] Error),
    #[error("the screen can't be written")]
    Screen(#[from] io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    amends_tls::install();
    match run(&Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            // Nothing can be done where even this can't be written.
            writeln!(io::stderr(), "amends-transfer-tcc: {failure}").ok();
            ExitCode::FAILURE
        }
    }
}

/// Whether the total is what it was and nobody is below the floor.
async fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let address = arguments.account.clone();
    let endpoint = Endpoint::from_shared(address.clone()).map_err(|source| Failure::Address { address, source })?;
    let mut accounts = AccountClient::new(endpoint.connect_lazy());
    for number in 0..arguments.accounts {
        open(&mut accounts, name(number)).await?;
    }
    let before = balances(&mut accounts, arguments.accounts).await?;
    let client = Client::connect(&arguments.coordinator)?.principal("transfer-tcc");
    let run = format!("{:x}", std::process::id());
    let transfers = (0..arguments.transfers).map(|number| transfer(&client, &run, arguments.accounts, number));
    let endings: Vec<_> = futures::stream::iter(transfers).buffer_unordered(arguments.at_once.into()).collect().await;
    let mut counts = BTreeMap::new();
    for ending in endings {
        *counts.entry(ending?).or_insert(0) += 1;
    }
    let after = balances(&mut accounts, arguments.accounts).await?;
    show(&before, &after, &counts)
}

async fn open(accounts: &mut AccountClient<Channel>, account_id: String) -> Result<(), Failure> {
    let request = OpenRequest { account_id: account_id.clone(), floor_minor: 0 };
    again(async || accounts.open(request.clone()).await).await?;
    let deposit_id = format!("opening-{account_id}");
    let request = DepositRequest { deposit_id, account_id, amount_minor: OPENING_MINOR };
    again(async || accounts.deposit(request.clone()).await).await?;
    Ok(())
}

async fn balances(accounts: &mut AccountClient<Channel>, count: u32) -> Result<Vec<GetBalanceReply>, Failure> {
    let mut balances = Vec::new();
    for number in 0..count {
        let request = GetBalanceRequest { account_id: name(number) };
        balances.push(again(async || accounts.get_balance(request.clone()).await).await?);
    }
    Ok(balances)
}

/// Calls again while the service is being started again. Each of these calls can be made twice: an account is opened once, and a
/// deposit's id lets it count once.
async fn again<T>(mut call: impl AsyncFnMut() -> Result<Response<T>, Status>) -> Result<T, Failure> {
    let mut tries_left = 50;
    loop {
        match call().await {
            Ok(reply) => return Ok(reply.into_inner()),
            Err(_) if tries_left > 0 => tries_left -= 1,
            Err(status) => return Err(status.into()),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Who pays whom and how much is made up from the number: any pair, up to 29.99.
async fn transfer(client: &Client, run: &str, accounts: u32, number: u32) -> Result<String, Error> {
    let from = number % accounts;
    let to = (from + 1 + number / accounts % (accounts - 1)) % accounts;
    let amount_minor = i64::from(number.wrapping_mul(2_654_435_761) % 2_999) + 1;
    let input = json!({ "from": name(from), "to": name(to), "amount_minor": amount_minor });
    let saga = client.saga("transfer", &input).id(&format!("transfer-{run}-{number}"));
    Ok(match saga.start_and_wait(PATIENCE).await?.ending {
        Ending::Completed { .. } => "completed".to_owned(),
        Ending::Compensated { why, .. } => format!("compensated: {}", why.code),
        ending => ending.to_string(),
    })
}

fn name(number: u32) -> String {
    format!("account-{number}")
}

fn show(
    before: &[GetBalanceReply],
    after: &[GetBalanceReply],
    counts: &BTreeMap<String, u32>,
) -> Result<bool, Failure> {
    let mut screen = io::stdout().lock();
    writeln!(screen, "\n{:<12} {:>12} {:>12} {:>10}", "account", "before", "after", "held")?;
    for (number, (before, after)) in before.iter().zip(after).enumerate() {
        let [was, is, held] = [before.available_minor, after.available_minor, after.held_minor].map(money);
        writeln!(screen, "{:<12} {was:>12} {is:>12} {held:>10}", name(u32::try_from(number).unwrap_or(u32::MAX)))?;
    }
    let total =
        |balances: &[GetBalanceReply]| balances.iter().map(|it| it.available_minor + it.held_minor).sum::<i64>();
    writeln!(screen, "{:<12} {:>12} {:>12}\n", "total", money(total(before)), money(total(after)))?;
    for (ending, count) in counts {
        writeln!(screen, "{count:>6}  {ending}")?;
    }
    let is_sound = total(before) == total(after) && after.iter().all(|it| it.available_minor >= it.floor_minor);
    let verdict = if is_sound { "the total is what it was, and nobody is below the floor" } else { "MONEY IS MISSING" };
    writeln!(screen, "\n{verdict}")?;
    Ok(is_sound)
}

/// 1999: `19.99`.
fn money(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", minor.unsigned_abs() / 100, minor.unsigned_abs() % 100)
}

//! A shop's counter: sells one thing by QR code and shows how the saga goes.
//!
//! Talks to a coordinator and participants that run already (`run.sh` starts them). `world.rs` is who may buy what, `code.rs`
//! draws the code, `wallet.rs` is the payer, `follow.rs` shows what happens. Invariant: everything on the screen comes from
//! the saga's history or a participant's answer.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use amends_client::{Client, Error};
use clap::Parser;
use serde_json::json;

use follow::Follower;
use wallet::{Patience, Wallet};
use world::{Place, World};

mod code;
mod follow;
mod wallet;
mod world;

/// Sells one teapot by QR code.
#[derive(Debug, Parser)]
#[command(name = "amends-qr-payment")]
struct Arguments {
    /// The coordinator's gRPC address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7400")]
    coordinator: String,
    #[command(flatten)]
    place: Place,
    /// Who buys: ada; frida, whose account is frozen; lena, who may pay 10.00 at once
    #[arg(long, value_name = "NAME", default_value = "ada")]
    payer: String,
    /// What it costs, in minor units
    #[arg(long, value_name = "MINOR", default_value_t = 1999, value_parser = clap::value_parser!(i64).range(1..))]
    amount: i64,
    /// How long the code can be paid
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=120))]
    expires: u32,
    /// Pay by itself after this time, instead of when you press Enter
    #[arg(long, value_name = "SECONDS", conflicts_with = "never_pay")]
    pay_after: Option<u64>,
    /// Don't pay at all
    #[arg(long)]
    never_pay: bool,
}

/// Why there is nothing (more) to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{address} doesn't answer")]
    Connect {
        address: String,
        #[source]
        source: tonic::transport::Error,
    },
    #[error("a participant said {0}")]
    Participant(#[from] tonic::Status),
    #[error(transparent)]
    Coordinator(#[from] Error),
    #[error("the code can't be drawn")]
    Code(#[from] qrcode::types::QrError),
    #[error("the screen can't be written")]
    Screen(#[from] io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    amends_tls::install();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing can be done where even this can't be written.
            writeln!(io::stderr(), "amends-qr-payment: {failure}").ok();
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let world = World::set_up(&arguments.place).await?;
    let client = Client::connect(&arguments.coordinator)?.principal("shop");
    let order_id = format!("order-{:x}", std::process::id());
    let input = json!({
        "order_id": order_id, "sku": world::SKU, "payer_id": arguments.payer, "merchant_id": "shop-1",
        "amount_minor": arguments.amount, "expires_in_seconds": arguments.expires,
    });
    let price = code::money(arguments.amount);
    writeln!(io::stdout(), "{order_id}: a {} for {}, {price}", world::SKU, arguments.payer)?;
    client.saga("qr-payment", &input).id(&order_id).start().await?;
    let patience = match arguments.pay_after {
        Some(seconds) => Patience::For(Duration::from_secs(seconds)),
        None if arguments.never_pay => Patience::ForEver,
        None if io::stdin().is_terminal() => Patience::UntilEnter,
        None => Patience::For(Duration::from_secs(2)),
    };
    let wallet = Wallet::new(world.payment.clone(), arguments.payer, patience);
    Follower::new(client, world, wallet).follow(&order_id).await
}

//! What the demo's world looks like: who is registered, who has money, what is in stock, and what goes wrong on purpose.
//!
//! Uses only what anybody may call. Invariant: everything that goes wrong is a switch of the participants, shown by name.

use amends_proto::v1 as api;
use tonic::transport::Channel;

use super::Addresses;
use crate::connect::{Connection, request};
use crate::exit::Failure;

/// Generated from the participants' own files: clients only.
pub(super) mod account {
    #![allow(clippy::all, missing_debug_implementations, unreachable_pub, reason = "generated code")]
    tonic::include_proto!("account.v1");
}
pub(super) mod inventory {
    #![allow(clippy::all, missing_debug_implementations, unreachable_pub, reason = "generated code")]
    tonic::include_proto!("inventory.v1");
}
pub(super) mod faults {
    #![allow(clippy::all, missing_debug_implementations, unreachable_pub, reason = "generated code")]
    tonic::include_proto!("amends.faults.v1");
}

use faults::faults_client::FaultsClient;
use faults::{Kind, Rule};

/// The definition that the demo runs, as a newcomer finds it.
const CHECKOUT: &str = include_str!("../../../../examples/checkout/checkout.saga.yaml");

/// Customers with enough money.
pub(super) const RICH: [&str; 4] = ["ada", "ben", "cleo", "dan"];
/// A customer with hardly any.
pub(super) const POOR: &str = "paul";
/// A product with enough stock.
pub(super) const PLENTY: &str = "teapot";
/// A product that runs out.
pub(super) const SCARCE: &str = "first-edition";
/// Sagas whose reservation is committed but never answered in time.
pub(super) const SLOW_PREFIX: &str = "slow-";
/// Sagas whose release is refused until somebody repairs it.
pub(super) const STUCK_PREFIX: &str = "stuck-";

/// The connections to the participants.
#[derive(Debug)]
pub(super) struct World {
    inventory_faults: FaultsClient<Channel>,
}

impl World {
    /// Registers participants and definition, fills accounts and shelves, and sets the switches.
    pub(super) async fn set_up(
        connection: &Connection,
        addresses: &Addresses,
        with_stuck: bool,
    ) -> Result<Self, Failure> {
        for (name, address) in
            [("account", addresses.account), ("inventory", addresses.inventory), ("payment", addresses.payment)]
        {
            register_participant(connection, name, &format!("http://{address}")).await?;
        }
        register_definition(connection).await?;
        open_accounts(dial(addresses.account).await?).await?;
        fill_shelves(dial(addresses.inventory).await?).await?;
        let mut inventory_faults = FaultsClient::new(dial(addresses.inventory).await?);
        let mut rules = vec![Rule {
            method: "Reserve".to_owned(),
            kind: Kind::TimeoutAfterCommit.into(),
            delay_ms: 10_000,
            saga_id_prefix: SLOW_PREFIX.to_owned(),
            ..Rule::default()
        }];
        if with_stuck {
            rules.push(Rule {
                method: "Release".to_owned(),
                kind: Kind::Reject.into(),
                saga_id_prefix: STUCK_PREFIX.to_owned(),
                ..Rule::default()
            });
        }
        inventory_faults.set(faults::SetRequest { rules }).await?;
        let mut payment_faults = FaultsClient::new(dial(addresses.payment).await?);
        let late_answers = Rule {
            method: "Charge".to_owned(),
            kind: Kind::TimeoutAfterCommit.into(),
            probability: Some(0.05),
            delay_ms: 10_000,
            ..Rule::default()
        };
        payment_faults.set(faults::SetRequest { rules: vec![late_answers] }).await?;
        Ok(Self { inventory_faults })
    }

    /// The participant's people have mended what made the saga stuck.
    pub(super) async fn heal(&self) -> Result<(), Failure> {
        self.inventory_faults.clone().clear(faults::ClearRequest {}).await?;
        Ok(())
    }
}

async fn dial(address: std::net::SocketAddr) -> Result<Channel, Failure> {
    let text = format!("http://{address}");
    let endpoint = tonic::transport::Endpoint::from_shared(text).map_err(|error| Failure::Usage(error.to_string()))?;
    endpoint.connect().await.map_err(|error| Failure::Process(std::io::Error::other(error)))
}

async fn register_participant(connection: &Connection, name: &str, endpoint: &str) -> Result<(), Failure> {
    let put = api::PutParticipantRequest {
        participant: Some(api::Participant {
            name: name.to_owned(),
            endpoints: vec![endpoint.to_owned()],
            refusals_final: true,
            ..api::Participant::default()
        }),
        ..api::PutParticipantRequest::default()
    };
    connection.participants().put(request(put)).await?;
    Ok(())
}

async fn register_definition(connection: &Connection) -> Result<(), Failure> {
    let register =
        api::RegisterDefinitionRequest { source: CHECKOUT.to_owned(), ..api::RegisterDefinitionRequest::default() };
    connection.definitions().register(request(register)).await?;
    Ok(())
}

async fn open_accounts(channel: Channel) -> Result<(), Failure> {
    let mut client = account::account_client::AccountClient::new(channel);
    for (customer, amount_minor) in RICH.iter().map(|it| (*it, 10_000_000)).chain([(POOR, 500)]) {
        client.open(account::OpenRequest { account_id: customer.to_owned(), floor_minor: 0 }).await?;
        let deposit = account::DepositRequest {
            deposit_id: format!("opening-{customer}"),
            account_id: customer.to_owned(),
            amount_minor,
        };
        client.deposit(deposit).await?;
    }
    Ok(())
}

async fn fill_shelves(channel: Channel) -> Result<(), Failure> {
    let mut client = inventory::inventory_client::InventoryClient::new(channel);
    for (sku, quantity) in [(PLENTY, 1_000_000), (SCARCE, 3)] {
        let stock = inventory::SetStockRequest { sku: sku.to_owned(), quantity };
        client.set_stock(stock).await?;
    }
    Ok(())
}

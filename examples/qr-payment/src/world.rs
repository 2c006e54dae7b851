//! Who may buy what: three customers and a shelf of teapots.
//!
//! Uses only what anybody may call, and may run again: nothing here changes what is there already.

use amends_account::proto::account_client::AccountClient;
use amends_account::proto::{GetPointsRequest, OpenRequest, SetFrozenRequest, SetLimitsRequest};
use amends_inventory::proto::SetStockRequest;
use amends_inventory::proto::inventory_client::InventoryClient;
use amends_payment::proto::payment_client::PaymentClient;
use clap::Args;
use tonic::transport::{Channel, Endpoint};

use crate::Failure;

/// What is sold.
pub(crate) const SKU: &str = "teapot";

/// Where the participants are.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The account service's address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7501")]
    account: String,
    /// The inventory service's address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7502")]
    inventory: String,
    /// The payment service's address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7503")]
    payment: String,
}

/// Connections to the participants, for what isn't a step.
#[derive(Debug)]
pub(crate) struct World {
    account: AccountClient<Channel>,
    pub(crate) payment: PaymentClient<Channel>,
}

impl World {
    /// Opens the accounts and fills the shelf.
    pub(crate) async fn set_up(place: &Place) -> Result<Self, Failure> {
        let mut account = AccountClient::new(connect(&place.account).await?);
        for account_id in ["ada", "frida", "lena"].map(str::to_owned) {
            account.open(OpenRequest { account_id, floor_minor: 0 }).await?;
        }
        account.set_frozen(SetFrozenRequest { account_id: "frida".to_owned(), frozen: true }).await?;
        let limits =
            SetLimitsRequest { account_id: "lena".to_owned(), per_payment_minor: Some(1_000), per_day_minor: None };
        account.set_limits(limits).await?;
        let mut inventory = InventoryClient::new(connect(&place.inventory).await?);
        inventory.set_stock(SetStockRequest { sku: SKU.to_owned(), quantity: 100 }).await?;
        Ok(Self { account, payment: PaymentClient::new(connect(&place.payment).await?) })
    }

    /// The points of an account.
    pub(crate) async fn points(&self, account_id: &str) -> Result<i64, Failure> {
        let request = GetPointsRequest { account_id: account_id.to_owned() };
        Ok(self.account.clone().get_points(request).await?.into_inner().balance)
    }
}

async fn connect(address: &str) -> Result<Channel, Failure> {
    let failed = |source| Failure::Connect { address: address.to_owned(), source };
    Endpoint::from_shared(address.to_owned()).map_err(failed)?.connect().await.map_err(failed)
}

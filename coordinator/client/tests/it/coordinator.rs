//! Starts, stops and restarts a coordinator on one port and one folder.

use std::net::SocketAddr;
use std::time::Duration;

use amends_client::{Client, v1};
use amends_proto::v1::definitions_client::DefinitionsClient;
use amends_proto::v1::operations_client::OperationsClient;
use amends_proto::v1::participants_client::ParticipantsClient;
use amends_server::{App, ServerConfig};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use crate::shop::Shop;

/// Two steps; a refused charge releases the reservation, and one failure to release is one too many.
const CHECKOUT: &str = r#"
saga: checkout
timeout: 5m
input:
  type: object
  required: [order_id, amount]
  properties: { order_id: { type: string }, amount: { type: integer } }
steps:
  - step: reserve
    participant: shop
    action: { call: shop.v1.Shop/Reserve, timeout: 60s, request: { order_id: "${input.order_id}" } }
    compensate: { call: shop.v1.Shop/Release, retry: { max_attempts: 1 }, request: { order_id: "${input.order_id}" } }
  - step: charge
    participant: shop
    action: { call: shop.v1.Shop/Charge, timeout: 60s, request: { order_id: "${input.order_id}", amount: "${input.amount}" } }
    compensate: { call: shop.v1.Shop/Refund, request: { order_id: "${input.order_id}" } }
"#;

/// A limit that only a hang reaches.
pub(crate) const LONG: Duration = Duration::from_secs(60);

#[derive(serde::Serialize)]
pub(crate) struct Order {
    pub(crate) order_id: &'static str,
    pub(crate) amount: i64,
}

pub(crate) const ORDER: Order = Order { order_id: "o-1", amount: 9_007_199_254_740_993 };

pub(crate) struct Coordinator {
    pub(crate) address: SocketAddr,
    folder: tempfile::TempDir,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Coordinator {
    /// With a shop and the definition `checkout`.
    pub(crate) async fn open() -> (Self, Shop) {
        let folder = tempfile::tempdir().unwrap();
        let mut coordinator = Self { address: "127.0.0.1:0".parse().unwrap(), folder, running: None };
        coordinator.start().await;
        let shop = Shop::open().await;
        let channel = coordinator.channel();
        let participant = v1::Participant {
            name: "shop".to_owned(),
            endpoints: vec![shop.address.clone()],
            ..v1::Participant::default()
        };
        let put = v1::PutParticipantRequest { participant: Some(participant), expected_revision: 0 };
        ParticipantsClient::new(channel.clone()).put(put).await.unwrap();
        let register = v1::RegisterDefinitionRequest { source: CHECKOUT.to_owned(), ..Default::default() };
        DefinitionsClient::new(channel).register(register).await.unwrap();
        (coordinator, shop)
    }

    pub(crate) async fn start(&mut self) {
        let mut config = ServerConfig::default();
        config.grpc.listen = self.address;
        config.http.listen.set_port(0);
        config.store.shards = Some(4);
        config.store.data = self.folder.path().join("data");
        config.shutdown.grace = Duration::from_secs(2);
        // The predecessor lets go of the store a moment after it has stopped.
        let app = loop {
            match App::build(config.clone()).await {
                Ok(app) => break app,
                Err(amends_server::Error::Open(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error:?}"),
            }
        };
        self.address = app.grpc_address();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            app.run(async {
                let _ = stopped.await;
            })
            .await
            .unwrap();
        });
        self.running = Some((stop, running));
    }

    pub(crate) async fn stop(&mut self) {
        if let Some((stop, running)) = self.running.take() {
            let _ = stop.send(());
            running.await.unwrap();
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&format!("http://{}", self.address)).unwrap().principal("tests").time_limit(LONG)
    }

    pub(crate) fn operations(&self) -> OperationsClient<Channel> {
        OperationsClient::new(self.channel())
    }

    pub(crate) fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap().connect_lazy()
    }
}

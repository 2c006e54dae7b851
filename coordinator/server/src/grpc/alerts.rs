//! Service Alerts: how the webhooks do, and a test of one.
//!
//! It shows and tries; what is told to whom is in the configuration alone. Invariant: no address is shown with its path.

use amends_proto::v1;
use amends_proto::v1::alerts_server::Alerts;
use amends_runtime::alerts::{EventType, Posted, WebhookState};
use tonic::{Request, Response, Status};

use super::Api;
use super::caller;
use super::status::Refusal;
use super::to_proto::timestamp;

#[tonic::async_trait]
impl Alerts for Api {
    async fn list_webhooks(
        &self,
        _: Request<v1::ListWebhooksRequest>,
    ) -> Result<Response<v1::ListWebhooksResponse>, Status> {
        let mut webhooks: Vec<v1::Webhook> =
            self.alerts.iter().flat_map(|alerts| alerts.states()).map(webhook).collect();
        webhooks.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Response::new(v1::ListWebhooksResponse { webhooks, node: self.coordinator.node().to_owned() }))
    }

    async fn test_webhook(
        &self,
        request: Request<v1::TestWebhookRequest>,
    ) -> Result<Response<v1::TestWebhookResponse>, Status> {
        let principal = caller::principal(&request)?;
        let name = request.into_inner().webhook;
        let unknown = || Refusal::NoSuchWebhook(name.clone());
        let alerts = self.alerts.clone().ok_or_else(unknown)?;
        let asked = name.clone();
        let posted = self.to_its_end(async move { Ok(alerts.test(&asked, &principal).await) }).await?;
        let error = match posted.ok_or_else(unknown)? {
            Posted::Delivered => String::new(),
            Posted::Refused { why } | Posted::Failed { why, .. } => why,
        };
        let node = self.coordinator.node().to_owned();
        Ok(Response::new(v1::TestWebhookResponse { delivered: error.is_empty(), error, node }))
    }
}

fn webhook(state: WebhookState) -> v1::Webhook {
    v1::Webhook {
        name: state.name,
        address: state.address,
        events: state.events.into_iter().map(EventType::as_str).map(str::to_owned).collect(),
        failures: state.failures,
        last_error: state.last_error,
        delivered_time: state.delivered_at.map(timestamp),
        oldest_undelivered_time: state.oldest.map(timestamp),
    }
}

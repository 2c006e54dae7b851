//! What instances of participants say of themselves: here, and gone.
//!
//! Nothing is stored. Invariant: what has changed by a word is told to every node that can be reached before the word is answered.

use amends_proto::v1;
use amends_runtime::participant::{HEARTBEAT_PERIOD, Heartbeat, LIFETIME};
use tonic::Request;

use super::Api;
use super::from_proto::discovery;
use super::status::{Refusal, Violation};

impl Api {
    pub(super) async fn register_instance(
        &self,
        request: Request<v1::RegisterEndpointRequest>,
    ) -> Result<v1::RegisterEndpointResponse, Refusal> {
        let message = request.into_inner();
        let key = discovery::participant(&message.namespace, &message.participant)?;
        let (instance, weight) = discovery::instance(&message)?;
        let directory = self.coordinator.directory().clone();
        let registration = directory.get(&key.0, &key.1);
        let registration = registration.ok_or_else(|| Refusal::NoSuchParticipant(key.1.to_string()))?;
        if !registration.discovery.self_registration {
            return Err(Refusal::NoSelfRegistration(key.1.to_string()));
        }
        let bad = |problem: String| Violation::new("endpoint", problem);
        let endpoint = discovery::parse(&message.endpoint, registration.protocol).map_err(bad)?;
        self.registry.check_endpoint(&endpoint).map_err(bad)?;
        let heartbeat = Heartbeat { endpoint, instance, weight };
        let now = self.coordinator.seams().now();
        if directory.renew(&key, heartbeat.clone(), now).map_err(Refusal::TooManyInstances)? {
            let Heartbeat { endpoint, instance, .. } = heartbeat;
            tracing::info!(namespace = %key.0, participant = %key.1, %endpoint, instance, "an instance registered itself");
            self.announce_to_its_end().await?;
        }
        let milliseconds = |time: std::time::Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        Ok(v1::RegisterEndpointResponse {
            heartbeat_period_ms: milliseconds(HEARTBEAT_PERIOD),
            lifetime_ms: milliseconds(LIFETIME),
        })
    }

    pub(super) async fn deregister_instance(
        &self,
        request: Request<v1::DeregisterEndpointRequest>,
    ) -> Result<v1::DeregisterEndpointResponse, Refusal> {
        let message = request.into_inner();
        let key = discovery::participant(&message.namespace, &message.participant)?;
        let directory = self.coordinator.directory();
        let registration = directory.get(&key.0, &key.1);
        let registration = registration.ok_or_else(|| Refusal::NoSuchParticipant(key.1.to_string()))?;
        let endpoint = discovery::parse(&message.endpoint, registration.protocol)
            .map_err(|problem| Violation::new("endpoint", problem))?;
        if directory.leave(&key, &endpoint, self.coordinator.seams().now()) {
            tracing::info!(namespace = %key.0, participant = %key.1, %endpoint, "an instance left");
            self.announce_to_its_end().await?;
        }
        Ok(v1::DeregisterEndpointResponse {})
    }

    async fn announce_to_its_end(&self) -> Result<(), Refusal> {
        let coordinator = self.coordinator.clone();
        let announcing = async move {
            coordinator.announce().await;
            Ok(())
        };
        self.to_its_end(announcing).await
    }
}

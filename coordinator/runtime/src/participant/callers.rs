//! Both protocols behind the one seam: hands every call to the caller of its protocol.
//!
//! Invariant: a request that was prepared for one protocol is never sent by the other, whatever the participant's registration
//! says by now.

use std::sync::Arc;

use amends_definition::Protocol;
use amends_engine::ids::{Namespace, ParticipantName};
use async_trait::async_trait;

use super::directory::Directory;
use super::grpc::GrpcCaller;
use super::http::HttpCaller;
use super::{Answer, Call, EndpointState, ParticipantCaller, Reply};

/// Hands every call to the caller of its protocol.
#[derive(Debug)]
pub struct Callers {
    directory: Arc<Directory>,
    grpc: GrpcCaller,
    http: HttpCaller,
}

impl Callers {
    /// `directory` is the one that both callers use.
    pub fn new(directory: Arc<Directory>, grpc: GrpcCaller, http: HttpCaller) -> Self {
        Self { directory, grpc, http }
    }

    /// How the addresses of a participant stand, as far as this node knows; none where it isn't registered.
    pub fn endpoints(&self, namespace: &Namespace, name: &ParticipantName) -> Vec<EndpointState> {
        match self.directory.get(namespace, name).map(|registration| registration.protocol) {
            Some(Protocol::Grpc) => self.grpc.endpoints(namespace, name),
            Some(Protocol::Http) => self.http.endpoints(namespace, name),
            None => Vec::new(),
        }
    }
}

#[async_trait]
impl ParticipantCaller for Callers {
    async fn call(&self, call: Call) -> Answer {
        let registered = self.directory.get(&call.key.namespace, &call.participant).map(|it| it.protocol);
        match (call.protocol(), registered) {
            (protocol, Some(registered)) if protocol != registered => {
                let why = format!(
                    "participant {} is registered for {registered}, and the saga's definition calls it by {protocol}: \
                     register it for {protocol} again, and the other under another name",
                    call.participant
                );
                Answer { reply: Reply::NotSent(why), endpoint: String::new() }
            }
            (Protocol::Grpc, _) => self.grpc.call(call).await,
            (Protocol::Http, _) => self.http.call(call).await,
        }
    }
}

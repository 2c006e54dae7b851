//! Both protocols behind the one seam: hands every call to the caller of its protocol.
//!
//! Invariant: a request that was prepared for one protocol is never sent by the other, whatever the participant's registration
//! says by now.

use std::sync::Arc;

use amends_definition::Protocol;
use async_trait::async_trait;

use super::directory::Directory;
use super::grpc::GrpcCaller;
use super::http::HttpCaller;
use super::{Answer, Call, ParticipantCaller, Reply};

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

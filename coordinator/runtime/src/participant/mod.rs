//! Participants: where they are, how they are called, and what their answers mean.
//!
//! This file is the seam: the shard owner hands a [`Call`] to a [`ParticipantCaller`] and gets an [`Answer`]; over the
//! network that is [`GrpcCaller`], in the simulation something else. A caller makes one attempt and never retries: retries
//! happen in one layer only, the engine's. Invariant: [`Reply::NotSent`] is said only where the request certainly never
//! left this process; everything less certain is left open ([`Reply::NoAnswer`], [`Reply::Broken`]). Payload bytes are never
//! printed. Next: `outcome.rs` turns replies into outcomes, `grpc.rs` makes the calls.

mod balance;
mod callers;
mod channel;
mod code;
mod dial;
mod directory;
mod discovery;
mod egress;
mod ejection;
mod endpoint;
mod exchange;
mod frame;
mod grpc;
mod http;
mod members;
mod outcome;
mod pools;
pub mod protection;
mod recent;
mod reflection;
mod registration;
mod secret;
mod signature;
mod source;
mod state;
mod status;
mod trust;
mod verdict;

use std::fmt;
use std::time::Duration;

use amends_engine::ids::{Operation, ParticipantName, SagaKey, StepName};
use async_trait::async_trait;
use bytes::Bytes;

pub use crate::floor::Origin;
pub use amends_definition::Protocol;
pub use balance::Balancing;
pub use callers::Callers;
pub use code::{AnyCode, Code};
pub use dial::{Outgoing, Resolve, SystemResolver};
pub use directory::{Directory, ParticipantKey};
pub use discovery::{
    Answer as FoundAnswer, Find, FindError, FollowSettings, Follower, Found, HEARTBEAT_PERIOD, Heartbeat,
    INSTANCES_MAX, LIFETIME, SourceState, Told, TooManyInstances,
};
pub use egress::{Allow, Egress, InvalidAllow, Refused};
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use grpc::{GrpcCaller, REPLY_BYTES_MAX};
pub use http::{HttpCaller, HttpPost};
pub use members::{MEMBERS_MAX, Member, Membership, Origin as MemberOrigin};
pub use outcome::{Meaning, Reading, classify};
pub use reflection::{Problem as ReflectionProblem, ReflectionError, fetch_descriptors};
pub use registration::{
    Codes, Discovery, ENDPOINTS_MAX, Endpoints, InvalidRegistration, Registration, SIGNING_MAX, SOURCES_MAX,
    UnreadableRegistration, WEIGHT_MAX,
};
pub use secret::{InvalidSecretReference, Keyring, SecretError, SecretReference};
pub use source::{InvalidSource, Source, SourceKind};
pub use state::{EndpointHealth, EndpointState};
pub use trust::{TlsSettings, Trust};

/// The domain of our own `google.rpc.ErrorInfo` reasons.
pub const ERROR_DOMAIN: &str = "amends";

/// One attempt to be made.
#[derive(Clone)]
pub struct Call {
    /// The saga.
    pub key: SagaKey,
    /// Whom to call.
    pub participant: ParticipantName,
    /// For which step.
    pub step: StepName,
    /// Which of its operations. TCC's try and cancel are called action and compensate on the wire too.
    pub operation: Operation,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// The owner's epoch: a participant refuses a lower one than it has seen for this saga.
    pub epoch: u64,
    /// What the participant needs to know for its sweep.
    pub origin: Origin,
    /// The action is recorded as succeeded: a participant without a row for it must not answer with an empty success.
    pub expects_succeeded: bool,
    /// The method: `/package.Service/Method`; empty for an HTTP operation, whose request says where it goes.
    pub path: String,
    /// The protobuf request, or an [`amends_definition::HttpRequest`]: the same bytes on every attempt.
    pub request: Bytes,
    /// How long to wait for the answer, connecting included.
    pub timeout: Duration,
    /// W3C trace context; empty where there is none.
    pub traceparent: String,
}

impl Call {
    /// The key under which the participant recognizes copies of this operation: the same on every attempt.
    ///
    /// A query has a key of its own, ending in `query`: under the action's key a participant that stores replies by key would
    /// answer the question with the action's reply, or the action with the question's. Names can't hold a `/`, so the parts
    /// can be told apart.
    pub fn idempotency_key(&self) -> String {
        format!("{}/{}/{}", self.key, self.step, self.operation)
    }

    /// How the definition calls it.
    pub fn protocol(&self) -> Protocol {
        if self.path.is_empty() { Protocol::Http } else { Protocol::Grpc }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({} attempt {} to {}{})", self.idempotency_key(), self.attempt, self.participant, self.path)
    }
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What was said, if anything.
    pub reply: Reply,
    /// The address that was called, or tried last; empty where there was none to try.
    pub endpoint: String,
}

/// What a participant, or the way to it, said.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply {
    /// `OK` with one message.
    Ok {
        /// The message as it came.
        bytes: Bytes,
        /// `amends-outcome: pending` came with it, in headers or trailers.
        pending: bool,
    },
    /// A status other than `OK`.
    Status(Status),
    /// What an HTTP participant answered, whatever its status.
    Http(HttpReply),
    /// Nothing within the attempt's time; the request may have arrived.
    NoAnswer,
    /// The connection broke, or the answer broke off, after the request may have left.
    Broken(String),
    /// The reply is longer than so many bytes and wasn't read to its end.
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// An answer that isn't gRPC, or not what a unary method answers.
    Unreadable(String),
    /// The request certainly never left this process.
    NotSent(String),
}

impl Reply {
    /// How long the participant asks us to wait, where it does.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status(status) => status.retry_after,
            Self::Http(reply) => reply.retry_after,
            _ => None,
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok { bytes, pending } => write!(f, "Ok({} bytes, pending: {pending})", bytes.len()),
            Self::Status(status) => status.fmt(f),
            Self::Http(reply) => reply.fmt(f),
            Self::NoAnswer => f.write_str("NoAnswer"),
            Self::Broken(why) => write!(f, "Broken({why:?})"),
            Self::TooLarge { limit } => write!(f, "TooLarge(limit: {limit})"),
            Self::Unreadable(why) => write!(f, "Unreadable({why:?})"),
            Self::NotSent(why) => write!(f, "NotSent({why:?})"),
        }
    }
}

/// An HTTP response, with what matters to us.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpReply {
    /// Its status, 100 to 999.
    pub status: u16,
    /// The JSON body of a 2xx as it came; `None`: it has none, or not JSON.
    pub body: Option<Bytes>,
    /// `amends-outcome: pending` came with it.
    pub pending: bool,
    /// For people: what the participant said of a failure.
    pub message: String,
    /// `amends-reason`: one of our own error reasons.
    pub reason: Option<String>,
    /// `Retry-After`: don't call again sooner.
    pub retry_after: Option<Duration>,
}

impl fmt::Debug for HttpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.body.as_ref().map(Bytes::len);
        write!(f, "Http({}, body: {body:?} bytes, pending: {}, {:?})", self.status, self.pending, self.message)
    }
}

/// A status other than `OK`, with the details that matter to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its code.
    pub code: Code,
    /// Its message, for people.
    pub message: String,
    /// `google.rpc.ErrorInfo`, where it came with the status.
    pub info: Option<ErrorInfo>,
    /// `google.rpc.RetryInfo`, else `grpc-retry-pushback-ms`: don't call again sooner.
    pub retry_after: Option<Duration>,
}

/// The participant's own reason for a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorInfo {
    /// In capitals, at most 63 bytes: `OUT_OF_STOCK`.
    pub reason: String,
    /// Whose reasons these are; ours are of [`ERROR_DOMAIN`].
    pub domain: String,
}

/// Makes one attempt to call a participant.
#[async_trait]
pub trait ParticipantCaller: Send + Sync + fmt::Debug {
    /// Calls once and answers within the call's `timeout`, whatever happens. Dropping the future drops the call, which may
    /// have arrived by then.
    async fn call(&self, call: Call) -> Answer;
}

#[cfg(test)]
mod tests {
    use amends_engine::ids::{Namespace, SagaId};

    use super::*;

    fn call(operation: Operation, attempt: u32) -> Call {
        Call {
            key: SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("order-1").unwrap() },
            participant: ParticipantName::parse("payment").unwrap(),
            step: StepName::parse("charge").unwrap(),
            operation,
            attempt,
            epoch: 7,
            origin: Origin::default(),
            expects_succeeded: false,
            path: "/payment.v1.Payment/Charge".to_owned(),
            request: Bytes::from_static(b"card 4711"),
            timeout: Duration::from_secs(1),
            traceparent: String::new(),
        }
    }

    #[test]
    fn every_operation_has_its_own_key_and_every_attempt_the_same() {
        assert_eq!(call(Operation::Action, 1).idempotency_key(), "default/order-1/charge/action");
        assert_eq!(call(Operation::Action, 9).idempotency_key(), "default/order-1/charge/action");
        assert_eq!(call(Operation::Compensate, 1).idempotency_key(), "default/order-1/charge/compensate");
        assert_eq!(call(Operation::Confirm, 1).idempotency_key(), "default/order-1/charge/confirm");
        assert_eq!(call(Operation::Query, 1).idempotency_key(), "default/order-1/charge/query");
    }

    #[test]
    fn payloads_are_not_printed() {
        let printed = format!("{:?}", call(Operation::Action, 1));
        assert!(!printed.contains("4711"), "{printed}");
        let printed = format!("{:?}", Reply::Ok { bytes: Bytes::from_static(b"card 4711"), pending: false });
        assert_eq!(printed, "Ok(9 bytes, pending: false)");
    }
}

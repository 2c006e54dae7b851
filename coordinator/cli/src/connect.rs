//! The connection to a coordinator and the clients of its services.
//!
//! Never retries: a command that is repeated must be repeated by its user, who sees what happened. Invariant: every
//! unary call has a time limit, so that no command hangs on a coordinator that is stopped but still connected.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use amends_proto::v1::cluster_client::ClusterClient;
use amends_proto::v1::definitions_client::DefinitionsClient;
use amends_proto::v1::operations_client::OperationsClient;
use amends_proto::v1::participants_client::ParticipantsClient;
use amends_proto::v1::sagas_client::SagasClient;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::exit::Failure;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Descriptor sets and long lists are larger than tonic's default of 4 MiB.
const ANSWER_LENGTH_MAX: usize = 64 << 20;

/// Where a coordinator answers: `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address(Uri);

/// Text that isn't an address.
#[derive(Debug, thiserror::Error)]
#[error("not an address of a coordinator: write http://host:port")]
pub(crate) struct InvalidAddress;

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let uri: Uri = text.parse().map_err(|_| InvalidAddress)?;
        let complete = uri.scheme_str() == Some("http") && uri.port_u16().is_some() && uri.path() == "/";
        if complete && uri.query().is_none() { Ok(Self(uri)) } else { Err(InvalidAddress) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_string().trim_end_matches('/'))
    }
}

/// An open connection. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    channel: Channel,
}

impl Connection {
    /// Connects, so that "nobody is there" is told apart from "the call failed".
    pub(crate) async fn open(address: &Address) -> Result<Self, Failure> {
        let endpoint = Endpoint::from(address.0.clone()).connect_timeout(CONNECT_TIMEOUT);
        match endpoint.connect().await {
            Ok(channel) => Ok(Self { channel }),
            Err(source) => Err(Failure::NobodyAnswers { address: address.clone(), source }),
        }
    }

    pub(crate) fn sagas(&self) -> SagasClient<Channel> {
        SagasClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_LENGTH_MAX)
    }

    pub(crate) fn definitions(&self) -> DefinitionsClient<Channel> {
        DefinitionsClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_LENGTH_MAX)
    }

    pub(crate) fn participants(&self) -> ParticipantsClient<Channel> {
        ParticipantsClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_LENGTH_MAX)
    }

    pub(crate) fn cluster(&self) -> ClusterClient<Channel> {
        ClusterClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_LENGTH_MAX)
    }

    pub(crate) fn operations(&self) -> OperationsClient<Channel> {
        OperationsClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_LENGTH_MAX)
    }
}

/// A request with the usual time limit.
pub(crate) fn request<T>(message: T) -> tonic::Request<T> {
    request_within(message, Duration::ZERO)
}

/// A request that the coordinator may hold for `wait` before it answers.
pub(crate) fn request_within<T>(message: T, wait: Duration) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(wait + CALL_TIMEOUT);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_with_host_and_port_and_nothing_else() {
        assert_eq!("http://127.0.0.1:7400/".parse::<Address>().expect("valid").to_string(), "http://127.0.0.1:7400");
        assert!("http://[::1]:7400".parse::<Address>().is_ok());
        for wrong in ["", "127.0.0.1:7400", "https://a:1", "http://a", "http://a:1/b", "http://a:1?b", "http://:1x"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong:?}");
        }
    }
}

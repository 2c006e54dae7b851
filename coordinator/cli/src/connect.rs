//! The connection to a coordinator and the clients of its services.
//!
//! Never retries: a command that is repeated must be repeated by its user, who sees what happened. Invariant: every
//! unary call has a time limit, so that no command hangs on a coordinator that is stopped but still connected.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use amends_proto::v1::alerts_client::AlertsClient;
use amends_proto::v1::audit_client::AuditClient;
use amends_proto::v1::batches_client::BatchesClient;
use amends_proto::v1::cluster_client::ClusterClient;
use amends_proto::v1::definitions_client::DefinitionsClient;
use amends_proto::v1::operations_client::OperationsClient;
use amends_proto::v1::participants_client::ParticipantsClient;
use amends_proto::v1::sagas_client::SagasClient;
use amends_tls::{ClientFiles, ClientTls, Target};
use clap::Args;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Uri};

use crate::exit::Failure;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Descriptor sets and long lists are larger than tonic's default of 4 MiB.
const ANSWER_LENGTH_MAX: usize = 64 << 20;

/// Where a coordinator answers: `http://host:port`, or `https://host:port` with whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    uri: Uri,
    tls: TlsFlags,
}

/// How a coordinator at `https://` is connected to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct TlsFlags {
    /// Trust these authorities instead of the public ones, for https:// (PEM)
    #[arg(long, global = true, env = "AMENDS_TLS_CA", value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Show this certificate where the coordinator asks for one (PEM)
    #[arg(long, global = true, env = "AMENDS_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The certificate's key (PEM)
    #[arg(long, global = true, env = "AMENDS_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// The name that the coordinator's certificate has, where that isn't the host
    #[arg(long, global = true, env = "AMENDS_TLS_SERVER_NAME", value_name = "NAME")]
    tls_server_name: Option<String>,
}

impl TlsFlags {
    /// What was given, as for a file: CA, certificate, key, name.
    pub(crate) fn texts(&self) -> [Option<String>; 4] {
        let text = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        [text(&self.tls_ca), text(&self.tls_cert), text(&self.tls_key), self.tls_server_name.clone()]
    }

    fn client(&self) -> Result<ClientTls, Failure> {
        let identity = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            _ => return Err(Failure::Usage("--tls-cert and --tls-key are given together".to_owned())),
        };
        let ca: Vec<PathBuf> = self.tls_ca.iter().cloned().collect();
        let files = ClientFiles { public: ca.is_empty(), ca, identity };
        ClientTls::open(files).map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            Failure::Usage(format!("{error}{cause}"))
        })
    }
}

/// Text that isn't an address.
#[derive(Debug, thiserror::Error)]
#[error("not an address of a coordinator: write http://host:port, or https://host:port for TLS")]
pub(crate) struct InvalidAddress;

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let uri: Uri = text.parse().map_err(|_| InvalidAddress)?;
        let is_ours = matches!(uri.scheme_str(), Some("http" | "https"));
        let complete = is_ours && uri.port_u16().is_some() && uri.path() == "/" && uri.query().is_none();
        if complete { Ok(Self { uri, tls: TlsFlags::default() }) } else { Err(InvalidAddress) }
    }
}

impl Address {
    /// The same, connected to as these flags say.
    pub(crate) fn with_tls(self, tls: TlsFlags) -> Self {
        Self { tls, ..self }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uri.to_string().trim_end_matches('/'))
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
        let tls = match address.uri.scheme_str() {
            Some("https") => Some(Arc::new(address.tls.client()?)),
            _ => None,
        };
        let target = Target::new(&address.uri, tls, address.tls.tls_server_name.as_deref());
        let target = target.map_err(|error| Failure::Usage(format!("{address}: {error}")))?;
        match target.tuned(|endpoint| endpoint.connect_timeout(CONNECT_TIMEOUT)).connect().await {
            Ok(channel) => Ok(Self { channel }),
            Err(source) => Err(Failure::NobodyAnswers { address: Box::new(address.clone()), source }),
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

    pub(crate) fn audit(&self) -> AuditClient<Channel> {
        AuditClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_LENGTH_MAX)
    }

    pub(crate) fn batches(&self) -> BatchesClient<Channel> {
        BatchesClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_LENGTH_MAX)
    }

    pub(crate) fn alerts(&self) -> AlertsClient<Channel> {
        AlertsClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_LENGTH_MAX)
    }

    pub(crate) fn operations(&self) -> OperationsClient<Channel> {
        OperationsClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_LENGTH_MAX)
    }
}

/// By what this program is known to the coordinator; once for the process.
static BEARER: OnceLock<MetadataValue<Ascii>> = OnceLock::new();

/// Who asks.
#[derive(Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Credentials {
    /// A token, if the coordinator asks who you are; others on this machine can see it, so better --token-file
    #[arg(long, global = true, env = "AMENDS_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    /// A file with the token
    #[arg(long, global = true, env = "AMENDS_TOKEN_FILE", conflicts_with = "token", value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("token_file", &self.token_file).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Whether a token itself was given.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// The file that was named.
    pub(crate) fn file(&self) -> Option<String> {
        self.token_file.as_ref().map(|file| file.display().to_string())
    }

    /// Every request from now on carries them.
    pub(crate) fn use_for_all(self) -> Result<(), Failure> {
        let token = match (self.token, self.token_file) {
            (Some(token), _) => token,
            (None, Some(path)) => {
                std::fs::read_to_string(&path).map_err(|source| Failure::File { path: path.clone(), source })?
            }
            (None, None) => return Ok(()),
        };
        let unusable = |_| Failure::Usage("the token has characters that no token has".to_owned());
        let mut bearer: MetadataValue<Ascii> = format!("Bearer {}", token.trim()).parse().map_err(unusable)?;
        bearer.set_sensitive(true);
        // There is one command in a process.
        let _ = BEARER.set(bearer);
        Ok(())
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
    identified(&mut request);
    request
}

/// Adds who asks, for requests without a time limit.
pub(crate) fn identified<T>(request: &mut tonic::Request<T>) {
    if let Some(bearer) = BEARER.get() {
        request.metadata_mut().insert("authorization", bearer.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_with_host_and_port_and_nothing_else() {
        assert_eq!("http://127.0.0.1:7400/".parse::<Address>().expect("valid").to_string(), "http://127.0.0.1:7400");
        assert!("http://[::1]:7400".parse::<Address>().is_ok());
        assert!("https://a:1".parse::<Address>().is_ok());
        for wrong in
            ["", "127.0.0.1:7400", "https://a", "ftp://a:1", "http://a", "http://a:1/b", "http://a:1?b", "http://:1x"]
        {
            assert!(wrong.parse::<Address>().is_err(), "{wrong:?}");
        }
    }
}

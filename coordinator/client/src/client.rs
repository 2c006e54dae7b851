//! The connection to a coordinator, and the calls that need no builder.
//!
//! Connects when it is first used, and again whenever the connection is lost. Invariant: every call has a time limit of its
//! own and all tries together have [`Client::time_limit`], so that nothing hangs on a coordinator that is stopped but still
//! connected.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use amends_proto::v1;
use amends_proto::v1::sagas_client::SagasClient;
use amends_tls::{ClientTls, Target};
use serde::Serialize;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Uri};
use tonic::{Request, Response, Status};

use crate::complete::CompleteStep;
use crate::error::Error;
use crate::retry;
use crate::start::SagaStart;
use crate::tls::{TlsFiles, Watching};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one try may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// Lists of sagas are larger than tonic's default of 4 MiB.
const ANSWER_LENGTH_MAX: usize = 64 << 20;
const PRINCIPAL: &str = "amends-principal";
const PRINCIPAL_LENGTH_MAX: usize = 128;

/// A coordinator, as one caller sees it. Cheap to clone: clones share the connection.
#[derive(Debug, Clone)]
pub struct Client {
    sagas: SagasClient<Channel>,
    namespace: String,
    principal: Option<String>,
    token: Option<Token>,
    time_limit: Duration,
    _watching: Option<Arc<Watching>>,
}

/// Shows nothing of itself.
#[derive(Clone)]
struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Client {
    /// A coordinator at `http://host:port`, or at `https://host:port` with a certificate of a public authority. Returns at once;
    /// the connection is made by the first call.
    ///
    /// Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// [`Error::Invalid`] when this isn't such an address.
    pub fn connect(address: &str) -> Result<Self, Error> {
        if address.starts_with("https://") {
            Self::connect_tls(address, &TlsFiles::default())
        } else {
            Self::to(address, None, None)
        }
    }

    /// A coordinator at `https://host:port`, with authorities and a certificate of your own. Reads the files; the connection is
    /// made by the first call.
    ///
    /// Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// [`Error::Invalid`] when this isn't such an address, or the files can't be used.
    pub fn connect_tls(address: &str, files: &TlsFiles) -> Result<Self, Error> {
        if !address.starts_with("https://") {
            return Err(Error::invalid("address", format!("{address:?}: write https://host:port")));
        }
        let (tls, watching) = files.open()?;
        let client = Self::to(address, Some(tls), files.server_name.as_deref())?;
        Ok(Self { _watching: Some(Arc::new(watching)), ..client })
    }

    fn to(address: &str, tls: Option<Arc<ClientTls>>, server_name: Option<&str>) -> Result<Self, Error> {
        let wrong = || {
            let problem =
                format!("{address:?} is not an address: write http://host:port, or https://host:port for TLS");
            Error::invalid("address", problem)
        };
        let uri: Uri = address.parse().map_err(|_| wrong())?;
        if uri.port_u16().is_none() {
            return Err(wrong());
        }
        let target = Target::new(&uri, tls, server_name).map_err(|_| wrong())?.tuned(|endpoint| {
            endpoint
                .connect_timeout(CONNECT_TIMEOUT)
                .http2_keep_alive_interval(KEEP_ALIVE)
                .keep_alive_timeout(KEEP_ALIVE / 2)
                .keep_alive_while_idle(true)
                .tcp_nodelay(true)
        });
        Ok(Self::over(target.lazy()))
    }

    /// The same over a channel of your own making: with a proxy or a balancer.
    pub fn over(channel: Channel) -> Self {
        Self {
            sagas: SagasClient::new(channel).max_decoding_message_size(ANSWER_LENGTH_MAX),
            namespace: String::new(),
            principal: None,
            token: None,
            time_limit: TIME_LIMIT,
            _watching: None,
        }
    }

    /// The tenant of all calls; `default` unless this is called.
    #[must_use]
    pub fn namespace(self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..self }
    }

    /// Who calls, for the sagas' history, where the coordinator doesn't ask for a [`Client::token`], which says it better: 1 to 128 printable ASCII characters, best the service's name. Anything else is an
    /// [`Error::Invalid`] of the first call. Without a name the coordinator records where the call came from.
    #[must_use]
    pub fn principal(self, name: &str) -> Self {
        Self { principal: Some(name.to_owned()), ..self }
    }

    /// Who calls, for a coordinator that asks: a token that `amends token new` made, or one of your identity provider. It is sent
    /// with every call and shown nowhere; use TLS where others could listen.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        Self { token: Some(Token(token.trim().to_owned())), ..self }
    }

    /// How long a call may take with all its retries; 30 s unless this is called. For a [`Client::watch`], how long it goes on
    /// trying while nothing is heard.
    #[must_use]
    pub fn time_limit(self, time_limit: Duration) -> Self {
        Self { time_limit, ..self }
    }

    /// Prepares the start of a saga of the newest version of a definition; nothing is sent yet. `input` becomes JSON.
    pub fn saga<I: Serialize + ?Sized>(&self, definition: &str, input: &I) -> SagaStart {
        SagaStart::new(self.clone(), definition, serde_json::to_vec(input))
    }

    /// One saga as it stands.
    ///
    /// # Errors
    /// [`Error::NotFound`]: there is none, or it ended longer ago than the coordinator keeps sagas.
    pub async fn get(&self, saga_id: &str) -> Result<v1::Saga, Error> {
        let message = v1::GetSagaRequest { namespace: self.namespace.clone(), saga_id: saga_id.to_owned() };
        self.call(message, |mut sagas, request| async move { sagas.get(request).await }).await
    }

    /// Asks for what was done to be undone. Safe to repeat.
    ///
    /// # Errors
    /// [`Error::Refused`]: it is past its pivot, confirming, or ended otherwise.
    pub async fn cancel(&self, saga_id: &str, reason: &str) -> Result<v1::CancelResult, Error> {
        let message = v1::CancelSagaRequest {
            namespace: self.namespace.clone(),
            saga_id: saga_id.to_owned(),
            reason: reason.to_owned(),
            expected_revision: 0,
        };
        let answer = self.call(message, |mut sagas, request| async move { sagas.cancel(request).await }).await?;
        Ok(answer.result())
    }

    /// Prepares to tell what became of an operation that was answered `pending`.
    pub fn complete_step(&self, saga_id: &str, step: &str) -> CompleteStep {
        let message = v1::CompleteStepRequest {
            namespace: self.namespace.clone(),
            saga_id: saga_id.to_owned(),
            step: step.to_owned(),
            ..Default::default()
        };
        CompleteStep::new(self.clone(), message)
    }

    pub(crate) fn namespace_of_calls(&self) -> &str {
        &self.namespace
    }

    pub(crate) fn limit(&self) -> Duration {
        self.time_limit
    }

    pub(crate) fn sagas(&self) -> SagasClient<Channel> {
        self.sagas.clone()
    }

    /// One idempotent call with its retries.
    pub(crate) async fn call<M, R, F>(
        &self,
        message: M,
        send: impl Fn(SagasClient<Channel>, Request<M>) -> F,
    ) -> Result<R, Error>
    where
        M: Clone,
        F: Future<Output = Result<Response<R>, Status>>,
    {
        retry::run(self.time_limit, || {
            let request = self.request(message.clone()).map(|mut request| {
                request.set_timeout(TRY_TIMEOUT);
                send(self.sagas(), request)
            });
            async {
                // On this side too: a request that can't even be sent must not hang.
                let sent = tokio::time::timeout(TRY_TIMEOUT, request?).await;
                let answer = sent.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
                answer.map(Response::into_inner).map_err(Error::from)
            }
        })
        .await
    }

    /// A request that names its caller.
    pub(crate) fn request<M>(&self, message: M) -> Result<Request<M>, Error> {
        let mut request = Request::new(message);
        if let Some(name) = &self.principal {
            let problem = || Error::invalid("principal", "write a name of 1 to 128 printable ASCII characters");
            let name =
                Some(name).filter(|name| (1..=PRINCIPAL_LENGTH_MAX).contains(&name.len())).ok_or_else(problem)?;
            request.metadata_mut().insert(PRINCIPAL, name.parse().map_err(|_| problem())?);
        }
        if let Some(Token(token)) = &self.token {
            let problem = |_| Error::invalid("token", "it has characters that no token has");
            let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse().map_err(problem)?;
            value.set_sensitive(true);
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_goes_with_every_request_and_is_shown_nowhere() {
        let client = Client::connect("http://127.0.0.1:1").unwrap().token("amends_x\n");
        let request = client.request(()).unwrap();
        assert_eq!(request.metadata().get("authorization").unwrap(), "Bearer amends_x");
        assert!(!format!("{client:?}").contains("amends_x") && !format!("{request:?}").contains("amends_x"));
        assert!(client.token("a\nb").request(()).is_err());
    }
}

//! Tells the coordinator where this instance answers, every few seconds, and that it leaves.
//!
//! ```no_run
//! # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
//! use amends_participant::registration::Instance;
//!
//! let coordinators = vec!["http://127.0.0.1:7400".parse()?];
//! let instance = Instance::new(coordinators, "payment", "http://10.0.0.7:7503");
//! let registered = instance.register(); // once calls are answered
//! // … at a clean stop, first of all, while calls are still answered:
//! registered.leave().await;
//! # Ok(()) }
//! ```
//!
//! The participant must be registered with `self_registration`. Any coordinator of the store will do; where one doesn't answer, the
//! next is told. It never gives up, and nothing but the log shows that it fails: an instance serves whether or not it can be told.
//! Invariant: after [`Registered::leave`] nothing is said any more.

use std::sync::Arc;
use std::time::Duration;

use amends_proto::v1;
use amends_proto::v1::participants_client::ParticipantsClient;
use amends_tls::{ClientTls, Target};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::token::TokenFile;

/// How long a coordinator is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// When the next one is told after one that didn't answer.
const AGAIN: Duration = Duration::from_secs(1);
/// The least and the longest time between two words, whatever the coordinator says.
const PERIOD: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

/// An instance of a participant, and whom to tell.
#[derive(Debug, Clone)]
pub struct Instance {
    coordinators: Vec<Endpoint>,
    namespace: String,
    participant: String,
    endpoint: String,
    name: String,
    weight: u32,
    tls: Option<Arc<ClientTls>>,
    token: Option<TokenFile>,
}

/// An instance that is being told of. Dropping it ends the telling without a word: then it is called for some seconds more.
#[derive(Debug)]
pub struct Registered {
    leave: oneshot::Sender<()>,
    telling: JoinHandle<()>,
}

impl Instance {
    /// An instance of `participant` in namespace `default` that answers at `endpoint`, `http://host:port` as the coordinator reaches it.
    pub fn new(coordinators: Vec<Endpoint>, participant: impl Into<String>, endpoint: impl Into<String>) -> Self {
        let (participant, endpoint) = (participant.into(), endpoint.into());
        Self {
            coordinators,
            namespace: String::new(),
            participant,
            endpoint,
            name: String::new(),
            weight: 1,
            tls: None,
            token: None,
        }
    }

    /// Another namespace.
    #[must_use]
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), ..self }
    }

    /// A name for people: a host or pod.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// How often it is called beside the others, 1 to 1000.
    #[must_use]
    pub fn weight(self, weight: u32) -> Self {
        Self { weight, ..self }
    }

    /// Trusts and shows these to coordinators at `https://`.
    #[must_use]
    pub fn over(self, tls: Option<Arc<ClientTls>>) -> Self {
        Self { tls, ..self }
    }

    /// Sends this token with every word.
    #[must_use]
    pub fn token(self, token: Option<TokenFile>) -> Self {
        Self { token, ..self }
    }

    /// Begins to tell. Needs a tokio runtime.
    pub fn register(self) -> Registered {
        let (leave, leaving) = oneshot::channel();
        Registered { leave, telling: tokio::spawn(self.tell(leaving)) }
    }

    async fn tell(self, mut leaving: oneshot::Receiver<()>) {
        let mut clients = self.clients();
        let mut log = Log::default();
        while !clients.is_empty() {
            let said = match self.request(self.here()) {
                Ok(request) => clients[0].register_endpoint(request).await,
                Err(status) => Err(status),
            };
            log.note(&said.as_ref().map(|_| ()).map_err(Clone::clone), &self);
            let pause = match said {
                Ok(answer) => period(answer.into_inner().heartbeat_period_ms),
                Err(_) => {
                    clients.rotate_left(1);
                    AGAIN
                }
            };
            tokio::select! {
                // Dropped: nobody waits for a last word.
                left = &mut leaving => {
                    if left.is_ok() {
                        self.say_goodbye(&mut clients).await;
                    }
                    return;
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Any coordinator will do.
    async fn say_goodbye(&self, clients: &mut [ParticipantsClient<Channel>]) {
        for client in clients {
            let said = match self.request(self.gone()) {
                Ok(request) => client.deregister_endpoint(request).await,
                Err(status) => Err(status),
            };
            match said {
                Ok(_) => return,
                Err(status) => tracing::warn!(%status, "the coordinator can't be told that this instance leaves"),
            }
        }
    }

    /// One for each coordinator whose address can be used.
    fn clients(&self) -> Vec<ParticipantsClient<Channel>> {
        let connect = |endpoint: &Endpoint| {
            let target = Target::new(endpoint.uri(), self.tls.clone(), None);
            match target {
                Ok(target) => {
                    let target = target.tuned(|endpoint| endpoint.connect_timeout(PATIENCE).timeout(PATIENCE));
                    Some(ParticipantsClient::new(target.lazy()))
                }
                Err(error) => {
                    tracing::error!(coordinator = %endpoint.uri(), %error, "this coordinator can't be told of this instance");
                    None
                }
            }
        };
        self.coordinators.iter().filter_map(connect).collect()
    }

    fn request<T>(&self, message: T) -> Result<Request<T>, Status> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            token.put(request.metadata_mut()).map_err(|error| Status::unauthenticated(error.to_string()))?;
        }
        Ok(request)
    }

    fn here(&self) -> v1::RegisterEndpointRequest {
        v1::RegisterEndpointRequest {
            namespace: self.namespace.clone(),
            participant: self.participant.clone(),
            endpoint: self.endpoint.clone(),
            instance: self.name.clone(),
            weight: self.weight,
        }
    }

    fn gone(&self) -> v1::DeregisterEndpointRequest {
        v1::DeregisterEndpointRequest {
            namespace: self.namespace.clone(),
            participant: self.participant.clone(),
            endpoint: self.endpoint.clone(),
        }
    }
}

impl Registered {
    /// Says that this instance leaves, and ends. When it returns, no coordinator that could be reached begins a call to it; calls
    /// under way go on. Takes some seconds at most.
    pub async fn leave(self) {
        let Self { leave, telling } = self;
        if leave.send(()).is_ok() {
            // Ended or panicked: nothing is said any more either way.
            let _ = telling.await;
        }
    }
}

fn period(milliseconds: u32) -> Duration {
    Duration::from_millis(milliseconds.into()).clamp(PERIOD.0, PERIOD.1)
}

/// Says in the log what has changed, and not the same every second.
#[derive(Debug, Default)]
struct Log {
    is_well: Option<bool>,
}

impl Log {
    fn note(&mut self, said: &Result<(), Status>, instance: &Instance) {
        let (participant, endpoint) = (&instance.participant, &instance.endpoint);
        let before = self.is_well.replace(said.is_ok());
        match said {
            Ok(()) if before != Some(true) => {
                tracing::info!(participant, endpoint, "registered with the coordinator");
            }
            Err(status) if before != Some(false) => {
                tracing::warn!(participant, endpoint, %status, "can't register with the coordinator; trying on");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

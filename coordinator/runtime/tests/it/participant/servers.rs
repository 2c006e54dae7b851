//! Servers that do what a test needs: a tonic server with a hand-made answer, and a bare HTTP/2 server that misbehaves.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use amends_engine::ids::{Namespace, Operation, ParticipantName, SagaId, SagaKey, StepName};
use amends_engine::time::Timestamp;
use amends_runtime::participant::{
    Answer, Balancing, Call, Codes, Directory, Discovery, Endpoint, Endpoints, GrpcCaller, Origin, Outgoing,
    ParticipantCaller, Registration, SystemResolver, Trust,
};
use amends_runtime::seam::{Clock, Entropy, Seams, spawn};
use amends_tls::{Application, Listener, ServerTls};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::NamedService;

/// Longest that a test waits for something that must come; only a failing test waits so long.
pub(super) const LONG: Duration = Duration::from_secs(30);

pub(super) type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// A gRPC service of which every method is one function.
#[derive(Clone)]
struct Raw(Arc<dyn Fn(Request<Body>) -> Answering + Send + Sync>);

impl NamedService for Raw {
    const NAME: &'static str = "test.v1.Raw";
}

impl Service<Request<Body>> for Raw {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answering = (self.0)(request);
        Box::pin(async { Ok(answering.await) })
    }
}

/// A server that runs until it is stopped or dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Server {
    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint::parse(&format!("http://{}", self.address)).unwrap()
    }

    /// Stops it and waits until all its connections are closed.
    pub(super) async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(LONG, self.running).await.unwrap().unwrap();
    }
}

/// Answers every call with what `answer` makes of it.
pub(super) async fn raw<F, A>(answer: F) -> Server
where
    F: Fn(Request<Body>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    raw_at(TcpListener::bind("127.0.0.1:0").await.unwrap(), answer)
}

pub(super) fn raw_at<F, A>(listener: TcpListener, answer: F) -> Server
where
    F: Fn(Request<Body>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let service = Raw(Arc::new(move |request| Box::pin(answer(request)) as Answering));
    serve(listener, tonic::transport::Server::builder().add_service(service))
}

pub(super) fn serve(listener: TcpListener, router: tonic::transport::server::Router) -> Server {
    serve_over(Listener::plain(listener), router)
}

/// Answers every call over TLS with `done`.
pub(super) async fn over_tls(tls: Arc<ServerTls>) -> Server {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service = Raw(Arc::new(|_| Box::pin(async { ok(b"done", &[], &[]) }) as Answering));
    let router = tonic::transport::Server::builder().add_service(service);
    serve_over(Listener::new(tcp, Some(tls), Application::Grpc), router)
}

fn serve_over(listener: Listener, router: tonic::transport::server::Router) -> Server {
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let incoming = listener.incoming();
    let running = spawn(async move {
        // A test that doesn't stop its server drops the sender, which stops it as well.
        router.serve_with_incoming_shutdown(incoming, async { drop(stopped.await) }).await.unwrap();
    });
    Server { address, stop, running }
}

/// Accepts connections one after the other and gives each request, with the means to answer it, to `misbehave`; what that
/// returns says whether the connection goes on.
pub(super) async fn bare<F>(misbehave: F) -> Endpoint
where
    F: Fn(h2::server::SendResponse<Bytes>) -> Then + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_, respond))) = connection.accept().await {
                if misbehave(respond) == Then::Close {
                    break;
                }
            }
        }
    });
    Endpoint::parse(&format!("http://{address}")).unwrap()
}

/// What becomes of a bare server's connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Then {
    Close,
    GoOn,
}

/// An address at which nobody listens.
pub(super) async fn nobody() -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Endpoint::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap()
}

/// `OK` with one message, these headers before it and these trailers after it.
pub(super) fn ok(
    message: &[u8],
    headers: &[(&'static str, &str)],
    trailers: &[(&'static str, &str)],
) -> Response<Body> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let framed = [[0].as_slice(), &length, message].concat();
    let mut all: HeaderMap = map(trailers);
    all.insert("grpc-status", "0".parse().unwrap());
    let frames = [Frame::data(Bytes::from(framed)), Frame::trailers(all)].map(Ok::<_, tonic::Status>);
    let mut response = Response::new(Body::new(StreamBody::new(futures::stream::iter(frames))));
    response.headers_mut().extend(map(headers));
    response.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    response
}

fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
}

/// The message of a request, without its prefix.
pub(super) async fn message(request: Request<Body>) -> Bytes {
    request.into_body().collect().await.unwrap().to_bytes().slice(5..)
}

/// A clock that stands still until the test moves it, and no dice.
#[derive(Clone, Default)]
pub(super) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(super) fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl fmt::Debug for TestClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestClock")
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_800_000_000_000 + self.0.load(Ordering::SeqCst))
    }
}

impl Entropy for TestClock {
    fn bits(&self) -> u128 {
        0
    }

    fn unit(&self) -> f64 {
        0.0
    }
}

/// As where the operator says nothing.
pub(super) fn outgoing() -> Outgoing {
    Outgoing {
        egress: Arc::default(),
        resolver: Arc::new(SystemResolver),
        keyring: Arc::default(),
        trust: Arc::new(Trust::public().unwrap()),
    }
}

/// A caller with one participant, `payment`.
pub(super) struct Caller {
    pub(super) clock: TestClock,
    directory: Arc<Directory>,
    caller: GrpcCaller,
}

impl Caller {
    pub(super) fn new(endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        let caller = Self::with(outgoing());
        caller.register(endpoints);
        caller
    }

    pub(super) fn with(outgoing: Outgoing) -> Self {
        let clock = TestClock::default();
        let directory = Arc::new(Directory::new());
        let seams = Seams::new(Arc::new(clock.clone()), Arc::new(clock.clone()));
        Self { clock, caller: GrpcCaller::new(directory.clone(), seams, outgoing, 64), directory }
    }

    pub(super) fn register(&self, endpoints: impl IntoIterator<Item = Endpoint>) {
        let discovery = Discovery { balancing: Balancing::RoundRobin, ..Discovery::default() };
        let endpoints = Endpoints { fixed: endpoints.into_iter().collect(), discovery };
        self.put(Registration::found(endpoints, false, Codes::new(), None).unwrap());
    }

    pub(super) fn put(&self, registration: Registration) {
        self.directory.put(Namespace::default_namespace(), ParticipantName::parse("payment").unwrap(), registration);
    }

    pub(super) async fn call(&self, call: Call) -> Answer {
        tokio::time::timeout(LONG, self.caller.call(call)).await.unwrap()
    }
}

/// The first attempt of `charge`.
pub(super) fn charge() -> Call {
    Call {
        key: SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("order-1").unwrap() },
        participant: ParticipantName::parse("payment").unwrap(),
        step: StepName::parse("charge").unwrap(),
        operation: Operation::Action,
        attempt: 1,
        origin: Origin::default(),
        epoch: 7,
        expects_succeeded: false,
        path: "/test.v1.Raw/Charge".to_owned(),
        request: Bytes::from_static(b"\x08\x01"),
        timeout: LONG,
        traceparent: String::new(),
    }
}

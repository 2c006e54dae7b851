//! A participant that does what a test tells it: service `shop.v1.Shop`, with reflection, on a port of its own.
//!
//! Every method takes an `Order` and gives a `Done`. What a method answers is set by method; the default is success.

use amends_participant::signing::{SignedLayer, Verifier};
use amends_tls::{Application, Listener, ServerTls};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::{Buf as _, BufMut as _, Bytes};
use prost::Message as _;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Code, Request, Response, Status};

pub(crate) const PROTO: &str = r#"
syntax = "proto3";
package shop.v1;
service Shop {
  rpc Reserve(Order) returns (Done);
  rpc Release(Order) returns (Done);
  rpc Charge(Order) returns (Done);
  rpc Refund(Order) returns (Done);
  rpc Look(Order) returns (Done);
}
message Order { string order_id = 1; int64 amount = 2; }
message Done { string receipt = 1; }
"#;

#[derive(Clone, PartialEq, prost::Message)]
struct Done {
    #[prost(string, tag = "1")]
    receipt: String,
}

/// What a method answers.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Done,
    Says(Code, &'static str),
    Pending,
    /// Success, as soon as the test lets go.
    Held,
}

#[derive(Debug, Default)]
struct Script {
    next: BTreeMap<String, VecDeque<Answer>>,
    always: BTreeMap<String, Answer>,
}

/// The participant. Cheap to clone; serves until the test ends.
#[derive(Debug, Clone)]
pub(crate) struct Shop {
    script: Arc<Mutex<Script>>,
    calls: Arc<watch::Sender<Vec<String>>>,
    /// The `traceparent` of each call, empty where it had none.
    traces: Arc<Mutex<Vec<String>>>,
    held: Arc<watch::Sender<bool>>,
    pub(crate) address: String,
}

/// The descriptors of [`PROTO`].
pub(crate) fn descriptor_set() -> Vec<u8> {
    descriptor_set_in("proto3")
}

/// The same, in another syntax.
pub(crate) fn descriptor_set_in(syntax: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shop.proto"), PROTO).unwrap();
    let mut set = protox::compile(["shop.proto"], [folder.path()]).unwrap();
    set.file.iter_mut().for_each(|file| file.syntax = Some(syntax.to_owned()));
    set.encode_to_vec()
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::guarded(None, None).await
    }

    /// One that is called over TLS, at `localhost`, and answers signed calls only, as far as these are given.
    pub(crate) async fn guarded(tls: Option<Arc<ServerTls>>, verifier: Option<Verifier>) -> Self {
        let (scheme, host) = if tls.is_some() { ("https", "localhost") } else { ("http", "127.0.0.1") };
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener = Listener::new(tcp, tls, Application::Grpc);
        let shop = Self {
            script: Arc::default(),
            calls: Arc::new(watch::Sender::new(Vec::new())),
            traces: Arc::default(),
            held: Arc::new(watch::Sender::new(true)),
            address: format!("{scheme}://{host}:{}", listener.local_addr().unwrap().port()),
        };
        let descriptors = descriptor_set();
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(&descriptors)
            .build_v1()
            .unwrap();
        let incoming = listener.incoming();
        let signed = tower::util::option_layer(verifier.map(SignedLayer::new));
        let server =
            tonic::transport::Server::builder().layer(signed).add_service(shop.clone()).add_service(reflection);
        tokio::spawn(server.serve_with_incoming(incoming));
        shop
    }

    /// The next call of this method, and only that, gets this answer.
    pub(crate) fn once(&self, method: &str, answer: Answer) {
        self.script.lock().unwrap().next.entry(method.to_owned()).or_default().push_back(answer);
    }

    /// From now on this method answers so.
    pub(crate) fn always(&self, method: &str, answer: Answer) {
        self.script.lock().unwrap().always.insert(method.to_owned(), answer);
    }

    /// Lets all held calls, and all that would be held, go.
    pub(crate) fn let_go(&self) {
        self.held.send_replace(false);
    }

    /// Waits until this method has been called.
    pub(crate) async fn is_called(&self, method: &str) {
        let mut calls = self.calls.subscribe();
        calls.wait_for(|calls| calls.iter().any(|call| call == method)).await.unwrap();
    }

    /// Waits until there have been so many calls.
    pub(crate) async fn has_calls(&self, count: usize) {
        self.calls.subscribe().wait_for(|calls| calls.len() >= count).await.unwrap();
    }

    /// All calls so far, by method.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.borrow().clone()
    }

    /// The `traceparent` of all calls so far.
    pub(crate) fn traces(&self) -> Vec<String> {
        self.traces.lock().unwrap().clone()
    }

    fn answer_to(&self, method: &str) -> Answer {
        let mut script = self.script.lock().unwrap();
        let next = script.next.get_mut(method).and_then(VecDeque::pop_front);
        next.or_else(|| script.always.get(method).cloned()).unwrap_or(Answer::Done)
    }

    async fn serve(self, method: String) -> Result<Response<Bytes>, Status> {
        let answer = self.answer_to(&method);
        self.calls.send_modify(|calls| calls.push(method.clone()));
        if matches!(answer, Answer::Held) {
            let _ = self.held.subscribe().wait_for(|held| !held).await;
        }
        let done = Done { receipt: format!("{}-receipt", method.to_lowercase()) };
        let mut response = Response::new(Bytes::from(done.encode_to_vec()));
        match answer {
            Answer::Done | Answer::Held => Ok(response),
            Answer::Says(code, message) => Err(Status::new(code, message)),
            Answer::Pending => {
                response.metadata_mut().insert("amends-outcome", "pending".parse().unwrap());
                Ok(response)
            }
        }
    }
}

impl NamedService for Shop {
    const NAME: &'static str = "shop.v1.Shop";
}

type Answering<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl tower::Service<http::Request<Body>> for Shop {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answering<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let shop = self.clone();
        let trace = request.headers().get("traceparent").and_then(|trace| trace.to_str().ok()).unwrap_or_default();
        shop.traces.lock().unwrap().push(trace.to_owned());
        Box::pin(async move { Ok(Grpc::new(Raw).unary(Method { shop, method }, request).await) })
    }
}

struct Method {
    shop: Shop,
    method: String,
}

impl UnaryService<Bytes> for Method {
    type Response = Bytes;
    type Future = Answering<Result<Response<Bytes>, Status>>;

    fn call(&mut self, _: Request<Bytes>) -> Self::Future {
        Box::pin(self.shop.clone().serve(self.method.clone()))
    }
}

/// Messages as the bytes they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

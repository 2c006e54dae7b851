//! A server that reads whole requests and answers each with the bytes that the test wrote down, and a caller for it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amends_definition::HttpRequest;
use amends_engine::ids::{Namespace, Operation, ParticipantName, SagaId, SagaKey, StepName};
use amends_engine::time::Timestamp;
use amends_runtime::participant::{
    Answer, Call, Codes, Directory, Egress, Endpoint, HttpCaller, Keyring, Origin, Outgoing, ParticipantCaller,
    Registration, Resolve, SecretReference, SystemResolver, Trust,
};
use amends_runtime::seam::{Clock, Entropy, Seams};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// A guard against hanging, never waited for.
pub(super) const LONG: Duration = Duration::from_secs(30);
/// A time-out that is waited for.
pub(super) const SHORT: Duration = Duration::from_millis(200);

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// Writes this and waits for the next request.
    Answer(String),
    /// Writes this and closes.
    AnswerAndClose(String),
    /// Closes without a word.
    Close,
    /// Says nothing.
    Silence,
}

/// A request as it came: the head in lines, and the body.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) head: Vec<String>,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.head.iter().find_map(|line| line.strip_prefix(&prefix))
    }
}

/// Answers the requests in order, whatever connection they come over; the last act is for all further ones.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    acts: Arc<Mutex<Vec<Act>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<Mutex<usize>>,
}

impl Server {
    pub(super) async fn start(acts: &[Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self::on(&listener, acts);
        let accepting = server.clone();
        amends_runtime::seam::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = accepting.clone();
                amends_runtime::seam::spawn(async move { serving.serve(stream).await });
            }
        });
        server
    }

    pub(super) fn on(listener: &TcpListener, acts: &[Act]) -> Self {
        Self {
            address: listener.local_addr().unwrap(),
            acts: Arc::new(Mutex::new(acts.to_vec())),
            seen: Arc::default(),
            connections: Arc::default(),
        }
    }

    pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S) {
        *self.connections.lock().unwrap() += 1;
        while let Some(seen) = read_request(&mut stream).await {
            self.seen.lock().unwrap().push(seen);
            let act = {
                let mut acts = self.acts.lock().unwrap();
                if acts.len() > 1 { acts.remove(0) } else { acts[0].clone() }
            };
            match act {
                Act::Answer(text) => stream.write_all(text.as_bytes()).await.unwrap(),
                Act::AnswerAndClose(text) => {
                    let _ = stream.write_all(text.as_bytes()).await;
                    let _ = stream.shutdown().await;
                    return;
                }
                Act::Close => return,
                Act::Silence => tokio::time::sleep(LONG).await,
            }
        }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head: Vec<String> = String::from_utf8(head).unwrap().trim_end().split("\r\n").map(str::to_owned).collect();
    let mut seen = Seen { head, body: String::new() };
    let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    seen.body = String::from_utf8(body).unwrap();
    Some(seen)
}

/// A response with its length.
pub(super) fn response(status: &str, headers: &[&str], body: &str) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

pub(super) fn answer(status: &str, headers: &[&str], body: &str) -> Act {
    Act::Answer(response(status, headers, body))
}

/// A clock that stands.
#[derive(Debug, Clone)]
pub(super) struct TestClock(pub(super) Arc<Mutex<u64>>);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(*self.0.lock().unwrap())
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

/// What a caller is made of.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) egress: Egress,
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) trust: Arc<Trust>,
}

impl Default for Setting {
    fn default() -> Self {
        let trust = Arc::new(Trust::public().unwrap());
        Self { egress: Egress::default(), resolver: Arc::new(SystemResolver), keyring: Arc::default(), trust }
    }
}

/// A caller with one participant, `merchant`.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) clock: TestClock,
    directory: Arc<Directory>,
    caller: HttpCaller,
}

impl Caller {
    pub(super) fn of(url: &str) -> Self {
        Self::with(&[url], &[], Setting::default())
    }

    pub(super) fn with(urls: &[&str], signing: &[SecretReference], setting: Setting) -> Self {
        let clock = TestClock(Arc::new(Mutex::new(1_700_000_000_000)));
        let directory = Arc::new(Directory::new());
        let seams = Seams::new(Arc::new(clock.clone()), Arc::new(clock.clone()));
        let Setting { egress, resolver, keyring, trust } = setting;
        let outgoing = Outgoing { egress: Arc::new(egress), resolver, keyring, trust };
        let caller = HttpCaller::new(directory.clone(), seams, outgoing, 64);
        let caller = Self { clock, directory, caller };
        let endpoints = urls.iter().map(|url| Endpoint::parse_http(url).unwrap()).collect();
        let registration = Registration::new_http(endpoints, false, Codes::new(), signing.to_vec()).unwrap();
        caller.directory.put(Namespace::default_namespace(), ParticipantName::parse("merchant").unwrap(), registration);
        caller
    }

    pub(super) async fn call(&self, call: Call) -> Answer {
        tokio::time::timeout(LONG, self.caller.call(call)).await.unwrap()
    }
}

/// The first attempt of `notify`.
pub(super) fn notify() -> Call {
    let request = HttpRequest {
        method: "POST".to_owned(),
        path: "/orders/7/paid?a=b".to_owned(),
        headers: vec![
            ("x-shop".to_owned(), "42".to_owned()),
            ("content-type".to_owned(), "application/json".to_owned()),
        ],
        body: Some(bytes::Bytes::from_static(b"{\"paid\":true}")),
    };
    Call {
        key: SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("order-7").unwrap() },
        participant: ParticipantName::parse("merchant").unwrap(),
        step: StepName::parse("notify").unwrap(),
        operation: Operation::Action,
        attempt: 3,
        epoch: 9,
        origin: Origin { begun: Timestamp(1_800_000_000_000), floor: "1700000000000;store=abc".into() },
        expects_succeeded: false,
        path: String::new(),
        request: request.encode(),
        timeout: LONG,
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
    }
}

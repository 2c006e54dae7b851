//! A plain HTTP/1.1 client: one connection per request, nothing followed, nothing repeated.

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::harness::Server;

/// The content type that a request with a body needs.
pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON of a success.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }

    /// HTTP status, gRPC code, our reason, and the first field that was refused.
    pub(crate) fn refusal(&self) -> (u16, i64, String, String) {
        let status = self.json();
        let details = status["details"].as_array().unwrap();
        let member = |name: &str| details.iter().find_map(|detail| detail.get(name)).cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let field = text(&member("fieldViolations")[0]["field"]);
        (self.status, status["code"].as_i64().unwrap(), text(&member("reason")), field)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// Sends a request; the body of the answer is still to come.
pub(crate) async fn open(
    server: &Server,
    verb: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Response<Incoming> {
    let stream = TcpStream::connect(server.http).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::builder().method(verb).uri(path).header("host", server.http.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    sender.send_request(request.body(Full::new(body.into())).unwrap()).await.unwrap()
}

/// Sends a request and reads the whole answer.
pub(crate) async fn ask(
    server: &Server,
    verb: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let (head, body) = open(server, verb, path, headers, body).await.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer { status: head.status.as_u16(), headers: head.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
}

pub(crate) async fn get(server: &Server, path: &str) -> Answer {
    ask(server, "GET", path, &[], "").await
}

pub(crate) async fn post(server: &Server, path: &str, body: &str) -> Answer {
    ask(server, "POST", path, &[JSON], body.to_owned()).await
}

//! Consul: the instances of a service that pass their checks, by the health API with blocking queries.
//!
//! A question is held back by the agent until something changes, for half a minute at most, so that a change is known at once. It
//! registers nothing there. Invariant: the index of an answer is handed back as it came, or as 0 where it went backwards, as Consul's
//! documentation asks for.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use amends_runtime::participant::{FindError, Found, FoundAnswer};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;

use crate::error::chain;

/// How long the agent may hold a question back; it adds a sixteenth at most.
const WAIT: &str = "30s";
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(45);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Asks an agent.
#[derive(Debug)]
pub(super) struct Consul {
    /// `host:port`.
    agent: Option<String>,
}

/// What the health API says of one instance, as far as it matters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    node: Node,
    service: Service,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    address: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    /// Empty: the node's.
    #[serde(default)]
    address: String,
    port: u16,
    #[serde(default)]
    weights: Weights,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Weights {
    #[serde(default)]
    passing: u32,
}

impl Consul {
    /// `agent`: `http://host:port`.
    pub(super) fn new(agent: Option<&str>) -> Self {
        let host = |agent: &str| agent.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { agent: agent.map(host) }
    }

    /// The instances that pass their checks.
    pub(super) async fn instances(&self, service: &str, since: u64) -> Result<FoundAnswer, FindError> {
        let agent = self.agent.as_deref();
        let agent =
            agent.ok_or_else(|| FindError("set discovery.consul to the address of Consul's agent".to_owned()))?;
        let asking = tokio::time::timeout(PATIENCE, ask(agent, service, since));
        asking
            .await
            .unwrap_or_else(|_| Err("no answer".into()))
            .map_err(|error| FindError(format!("Consul doesn't tell: {}", chain(error.as_ref()))))
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;

async fn ask(agent: &str, service: &str, since: u64) -> Result<FoundAnswer, Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(TcpStream::connect(agent).await?)).await?;
    // Ends with the connection, which ends with this function.
    tokio::spawn(connection);
    let path = format!("/v1/health/service/{service}?passing=1&index={since}&wait={WAIT}");
    let request = http::Request::get(path).header(http::header::HOST, agent).body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    if !response.status().is_success() {
        return Err(format!("it answered {}", response.status()).into());
    }
    let index = response.headers().get("x-consul-index").and_then(|index| index.to_str().ok()?.parse().ok());
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await?.to_bytes();
    let entries: Vec<Entry> = serde_json::from_slice(&body)?;
    let found = entries.iter().map(found).collect::<Result<_, _>>()?;
    let index = index.filter(|index| *index >= since).unwrap_or(0);
    // It is asked again at once, and holds the next question back.
    Ok(FoundAnswer { found, good_for: Duration::ZERO, index })
}

fn found(entry: &Entry) -> Result<Found, Error> {
    let Entry { node, service } = entry;
    let text = if service.address.is_empty() { &node.address } else { &service.address };
    let ip: IpAddr = text.parse().map_err(|_| format!("{text:?} isn't an IP address"))?;
    Ok(Found { priority: 0, address: SocketAddr::new(ip, service.port), weight: service.weights.passing })
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::{Path, RawQuery};
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::*;

    /// Answers as Consul's documentation says, without any of Consul: there is none to test against here.
    async fn agent(status: StatusCode, index: &'static str, body: &'static str) -> String {
        let answer = async move |Path(service): Path<String>, RawQuery(query): RawQuery| {
            assert_eq!(service, "payment");
            assert!(query.is_some_and(|query| query.starts_with("passing=1&index=") && query.ends_with("&wait=30s")));
            (status, HeaderMap::from_iter([("x-consul-index".parse().unwrap(), index.parse().unwrap())]), body)
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/v1/health/service/{service}", get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    const TWO: &str = r#"[
        {"Node": {"Node": "a", "Address": "10.0.0.1"}, "Service": {"Service": "payment", "Address": "", "Port": 7503,
          "Weights": {"Passing": 3, "Warning": 1}}, "Checks": [{"Status": "passing"}]},
        {"Node": {"Node": "b", "Address": "10.0.0.2"}, "Service": {"Address": "fd00::2", "Port": 7504}}]"#;

    async fn ask(agent: &str, since: u64) -> Result<FoundAnswer, String> {
        Consul::new(Some(agent)).instances("payment", since).await.map_err(|FindError(why)| why)
    }

    #[tokio::test]
    async fn instances_that_pass_are_found_with_their_weights() {
        let agent = agent(StatusCode::OK, "42", TWO).await;
        let found = |address: &str, weight| Found { priority: 0, address: address.parse().unwrap(), weight };
        let expected = vec![found("10.0.0.1:7503", 3), found("[fd00::2]:7504", 0)];
        let answer = ask(&agent, 41).await.unwrap();
        assert_eq!(answer, FoundAnswer { found: expected, good_for: Duration::ZERO, index: 42 });
        assert_eq!(ask(&agent, 43).await.unwrap().index, 0, "an index that went backwards is forgotten");
    }

    #[tokio::test]
    async fn whatever_isnt_an_answer_is_none() {
        assert!(ask(&agent(StatusCode::INTERNAL_SERVER_ERROR, "1", "[]").await, 0).await.unwrap_err().contains("500"));
        assert!(ask(&agent(StatusCode::OK, "1", "{}").await, 0).await.is_err());
        let named = r#"[{"Node": {"Address": "a.example"}, "Service": {"Port": 1}}]"#;
        assert!(ask(&agent(StatusCode::OK, "1", named).await, 0).await.unwrap_err().contains("isn't an IP address"));
        assert_eq!(ask(&agent(StatusCode::OK, "1", "[]").await, 0).await.unwrap().found, []);
        let nowhere = Consul::new(None).instances("payment", 0).await.unwrap_err();
        assert!(nowhere.0.contains("discovery.consul"), "{nowhere}");
    }
}

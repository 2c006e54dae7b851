//! What nodes tell each other, over gRPC: both ends of service Peers.
//!
//! It goes from node to node and never through the store, since it is about what the store may have lost. A word that can't be
//! read or sent is only a word less. Invariant: before a word with news is answered, what was registered elsewhere is known
//! here.

use std::time::Duration;

use amends_proto::v1;
use amends_proto::v1::peers_client::PeersClient;
use amends_proto::v1::peers_server;
use amends_runtime::cluster::{Lost, Mark};
use amends_runtime::participant::{Endpoint, Heartbeat, Told};
use amends_runtime::{Peers, Word};
use amends_store::{Epoch, NodeRecord, Nonce, ShardId};
use tonic::{Request, Response, Status};

use super::Api;
use super::from_proto::discovery;
use super::status::{Refusal, Violation};
use crate::auth::Auth;
use crate::channels::Channels;
use crate::error::chain;

/// How long an exchange may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// The way to other nodes.
#[derive(Debug)]
pub(crate) struct GrpcPeers {
    pub(crate) channels: Channels,
    pub(crate) auth: Auth,
    /// The name of this node.
    pub(crate) node: String,
}

const EXCHANGE: &str = "/amends.v1.Peers/Exchange";

#[async_trait::async_trait]
impl Peers for GrpcPeers {
    async fn exchange(&self, with: &NodeRecord, word: Word) -> Option<Word> {
        let node = with.name.as_str();
        let channel = match self.channels.to(&with.address) {
            Ok(channel) => channel,
            Err(error) => {
                let (error, address) = (chain(&error), with.address.as_str());
                tracing::warn!(
                    node,
                    address,
                    error,
                    "the address of another node can't be used; set grpc.advertise there"
                );
                return None;
            }
        };
        let mut request = Request::new(to_proto(word));
        *request.metadata_mut() = super::marked(&self.auth, &self.node, EXCHANGE, &self.node);
        match tokio::time::timeout(PATIENCE, PeersClient::new(channel).exchange(request)).await {
            Ok(Ok(answer)) => from_proto(answer.into_inner()).ok(),
            Ok(Err(status)) => {
                tracing::debug!(node, %status, "another node doesn't answer");
                None
            }
            Err(_) => None,
        }
    }
}

#[tonic::async_trait]
impl peers_server::Peers for Api {
    async fn exchange(&self, request: Request<v1::PeerWord>) -> Result<Response<v1::PeerWord>, Status> {
        let mut word = from_proto(request.into_inner()).map_err(Refusal::from)?;
        // Nodes may have different rules.
        word.instances.retain(|told| self.registry.check_endpoint(&told.heartbeat.endpoint).is_ok());
        if word.news
            && let Err(error) = self.registry.refresh().await
        {
            tracing::warn!(error = chain(&error), "what another node has registered can't be read; trying again later");
        }
        Ok(Response::new(to_proto(self.coordinator.hear(word))))
    }

    async fn record(&self, request: Request<v1::RecordRequest>) -> Result<Response<v1::RecordResponse>, Status> {
        self.accounts.take_in(request.into_inner()).await?;
        Ok(Response::new(v1::RecordResponse {}))
    }
}

fn to_proto(word: Word) -> v1::PeerWord {
    let mark = |mark: Mark| v1::ShardMark {
        shard: mark.shard.0.into(),
        epoch: mark.epoch.0,
        nonce: mark.nonce.0.to_be_bytes().to_vec().into(),
        commits: mark.commits,
    };
    let lost =
        |lost: Lost| v1::LostCommits { shard: lost.shard.0.into(), found: lost.found, confirmed: lost.confirmed };
    v1::PeerWord {
        node: word.node,
        marks: word.marks.into_iter().map(mark).collect(),
        frozen: word.frozen.into_iter().map(lost).collect(),
        news: word.news,
        instances: word.instances.into_iter().map(instance_to_proto).collect(),
    }
}

fn instance_to_proto(told: Told) -> v1::HeardInstance {
    let Told { participant: (namespace, participant), heartbeat: Heartbeat { endpoint, instance, weight }, age, gone } =
        told;
    v1::HeardInstance {
        namespace: namespace.to_string(),
        participant: participant.to_string(),
        endpoint: endpoint.to_string(),
        instance,
        weight,
        age_ms: u32::try_from(age.as_millis()).unwrap_or(u32::MAX),
        gone,
    }
}

fn instance_from_proto(told: v1::HeardInstance) -> Result<Told, Violation> {
    let endpoint = Endpoint::parse_http(&told.endpoint)
        .map_err(|error| Violation::new("instances.endpoint", error.to_string()))?;
    Ok(Told {
        participant: discovery::participant(&told.namespace, &told.participant)?,
        heartbeat: Heartbeat { endpoint, instance: told.instance, weight: told.weight.max(1) },
        age: Duration::from_millis(told.age_ms.into()),
        gone: told.gone,
    })
}

fn from_proto(word: v1::PeerWord) -> Result<Word, Violation> {
    let shard = |number: u32| {
        u16::try_from(number).map(ShardId).map_err(|_| Violation::new("shard", format!("there is no shard {number}")))
    };
    let mark = |mark: v1::ShardMark| {
        let nonce = mark.nonce[..].try_into().map_err(|_| Violation::new("marks.nonce", "a nonce has 16 bytes"))?;
        let (epoch, nonce) = (Epoch(mark.epoch), Nonce(u128::from_be_bytes(nonce)));
        Ok(Mark { shard: shard(mark.shard)?, epoch, nonce, commits: mark.commits })
    };
    let lost = |lost: v1::LostCommits| {
        if lost.found >= lost.confirmed {
            return Err(Violation::new("frozen.found", "nothing is lost"));
        }
        Ok(Lost { shard: shard(lost.shard)?, found: lost.found, confirmed: lost.confirmed })
    };
    Ok(Word {
        node: word.node,
        marks: word.marks.into_iter().map(mark).collect::<Result<_, _>>()?,
        frozen: word.frozen.into_iter().map(lost).collect::<Result<_, _>>()?,
        news: word.news,
        instances: word.instances.into_iter().map(instance_from_proto).collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_comes_back_as_it_went_out() {
        let mark = Mark { shard: ShardId(3), epoch: Epoch(7), nonce: Nonce(u128::MAX - 1), commits: 12 };
        let lost = Lost { shard: ShardId(4), found: 1, confirmed: 2 };
        let participant = discovery::participant("team-b", "payment").unwrap();
        let endpoint = Endpoint::parse("http://10.0.0.1:7503").unwrap();
        let heartbeat = Heartbeat { endpoint, instance: "pod-1".into(), weight: 3 };
        let told = Told { participant, heartbeat, age: Duration::from_millis(1_234), gone: true };
        let word = Word { node: "a".into(), marks: vec![mark], frozen: vec![lost], news: true, instances: vec![told] };
        assert_eq!(from_proto(to_proto(word.clone())).unwrap(), word);
    }

    #[test]
    fn nonsense_is_refused() {
        let mark = v1::ShardMark { shard: 70_000, nonce: vec![0; 16].into(), ..Default::default() };
        let short = v1::ShardMark { nonce: vec![0; 15].into(), ..Default::default() };
        for mark in [mark, short] {
            assert!(from_proto(v1::PeerWord { marks: vec![mark], ..Default::default() }).is_err());
        }
        let lost = v1::LostCommits { shard: 0, found: 2, confirmed: 2 };
        assert!(from_proto(v1::PeerWord { frozen: vec![lost], ..Default::default() }).is_err());
    }
}

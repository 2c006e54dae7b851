//! Service Audit: who did, or tried to do, what, and why.
//!
//! Any node answers: the logs are in the store. It changes nothing. Invariant: an entry is shown as it was written, with the bytes
//! that its digest is of.

use amends_engine::payload::Digest;
use amends_proto::v1;
use amends_proto::v1::audit_server::Audit;
use amends_store::ShardId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tonic::{Request, Response, Status};

use super::status::{Refusal, Violation};
use super::{Api, from_proto, page, to_proto};
use crate::audit::{Filter, list_all, list_shard};

const PAGE_SIZE: usize = 100;

#[tonic::async_trait]
impl Audit for Api {
    async fn list(&self, request: Request<v1::ListAuditRequest>) -> Result<Response<v1::ListAuditResponse>, Status> {
        Ok(Response::new(self.list_audit(&request.into_inner()).await?))
    }
}

impl Api {
    async fn list_audit(&self, message: &v1::ListAuditRequest) -> Result<v1::ListAuditResponse, Refusal> {
        let store = self.coordinator.store();
        let shards = store.info().shards;
        let size = page::size(message.page_size, PAGE_SIZE)?;
        let filter = from_proto::audit_filter(message)?;
        let token = Token { fingerprint: fingerprint(message.shard, &filter) };
        let given = token.read(&message.page_token)?;
        let (found, next) = if message.shard == 0 {
            let positions = given.filter(|it| it.len() == usize::from(shards));
            if positions.is_none() && !message.page_token.is_empty() {
                return Err(page::foreign().into());
            }
            let (found, next) = list_all(&**store, &filter, positions.as_deref(), size).await?;
            (found, next.map(|positions| token.write(&positions)))
        } else {
            let shard = shard(message.shard, shards)?;
            let from = given.and_then(|it| it.first().copied()).unwrap_or(1);
            let (found, next) = list_shard(&**store, shard, &filter, from, size).await?;
            (found, next.map(|next| token.write(&[next])))
        };
        Ok(v1::ListAuditResponse {
            entries: found.into_iter().map(|(shard, entry)| to_proto::audit_entry(shard, entry)).collect(),
            next_page_token: next.unwrap_or_default(),
            shards: shards.into(),
        })
    }
}

fn shard(number: u32, shards: u16) -> Result<ShardId, Violation> {
    let found = u16::try_from(number).ok().filter(|number| (1..=shards).contains(number));
    let problem = || Violation::new("shard", format!("there is none; write 1 to {shards}, or leave it out for all"));
    found.map(|number| ShardId(number - 1)).ok_or_else(problem)
}

/// Where a page begins, in each shard, for one question.
struct Token {
    fingerprint: [u8; 4],
}

impl Token {
    fn write(&self, positions: &[u64]) -> String {
        let mut bytes = self.fingerprint.to_vec();
        for position in positions {
            prost::encoding::encode_varint(*position, &mut bytes);
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn read(&self, token: &str) -> Result<Option<Vec<u64>>, Violation> {
        if token.is_empty() {
            return Ok(None);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| page::foreign())?;
        let mut rest = bytes.strip_prefix(&self.fingerprint).ok_or_else(page::foreign)?;
        let mut positions = Vec::new();
        while !rest.is_empty() {
            positions.push(prost::encoding::decode_varint(&mut rest).map_err(|_| page::foreign())?);
        }
        Ok(Some(positions))
    }
}

/// Two questions with different answers differ here.
fn fingerprint(shard: u32, filter: &Filter) -> [u8; 4] {
    let Digest([a, b, c, d, ..]) = Digest::of(format!("{shard} {filter:?}").as_bytes());
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_as_it_was_given_and_no_other_is_misread() {
        let token = Token { fingerprint: fingerprint(0, &Filter::default()) };
        let positions = vec![1, 300, u64::MAX, 0];
        let text = token.write(&positions);
        assert_eq!(token.read(&text), Ok(Some(positions)));
        assert_eq!(token.read(""), Ok(None));
        let other = Token { fingerprint: fingerprint(3, &Filter::default()) };
        for wrong in ["x", "####", "AAAAAA", &text[..3]] {
            assert!(token.read(wrong).is_err(), "{wrong}");
        }
        assert!(other.read(&text).is_err());
    }

    #[test]
    fn shards_are_counted_from_one() {
        assert_eq!((shard(1, 16), shard(16, 16)), (Ok(ShardId(0)), Ok(ShardId(15))));
        assert!(shard(17, 16).is_err() && shard(70_000, 16).is_err());
    }
}

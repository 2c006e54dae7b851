//! A Cluster's map: which node has which slots.
//!
//! Asked from whichever known node answers first. It says where to try; the nodes themselves say `MOVED` when it is old.

use redis::{FromRedisValue as _, RedisResult, Value};

use super::dial::Dialer;
use super::failure::Failure;
use super::link::connect;

/// Slots and the primaries that have them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SlotMap {
    /// First slot, last slot, `host:port`.
    ranges: Vec<(u16, u16, String)>,
}

impl SlotMap {
    /// Asks the Cluster: the nodes of its address, then those that were met since.
    pub(super) async fn ask(dialer: &Dialer, met: &[String]) -> Result<Self, Failure> {
        let mut last = Failure::Nonsense("the address of the Cluster has no host");
        let named = dialer.address().hosts.iter().map(|(host, port)| format!("{host}:{port}"));
        for node in named.chain(met.iter().cloned()) {
            let host = node.rsplit_once(':').map_or(node.as_str(), |(host, _)| host);
            match ask_one(dialer, &node, host).await {
                Ok(map) if !map.ranges.is_empty() => return Ok(map),
                Ok(_) => last = Failure::Nonsense("the Cluster has no slots yet"),
                Err(error) => last = Failure::Unreachable(error),
            }
        }
        Err(last)
    }

    pub(super) fn node_of(&self, slot: u16) -> Option<&str> {
        self.ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot)).map(|(.., node)| node.as_str())
    }

    /// Every primary that has slots, once.
    pub(super) fn primaries(&self) -> Vec<String> {
        let mut nodes: Vec<String> = self.ranges.iter().map(|(.., node)| node.clone()).collect();
        nodes.sort();
        nodes.dedup();
        nodes
    }

    fn read(answer: Value, asked: &str) -> RedisResult<Self> {
        let mut ranges = Vec::new();
        for range in Vec::<Vec<Value>>::from_redis_value(answer)? {
            let [first, last, primary, ..] = &range[..] else { continue };
            let primary = Vec::<Value>::from_redis_value(primary.clone())?;
            let [host, port, ..] = &primary[..] else { continue };
            // A node that doesn't know its own name means the one that was asked.
            let host = Option::<String>::from_redis_value(host.clone())?.filter(|host| !host.is_empty());
            let port = u16::from_redis_value(port.clone())?;
            let (first, last) = (u16::from_redis_value(first.clone())?, u16::from_redis_value(last.clone())?);
            ranges.push((first, last, format!("{}:{port}", host.as_deref().unwrap_or(asked))));
        }
        Ok(Self { ranges })
    }
}

async fn ask_one(dialer: &Dialer, node: &str, host: &str) -> RedisResult<SlotMap> {
    let (client, _) = dialer.client(Some(node)).await?;
    let mut connection = connect(&client).await?;
    SlotMap::read(redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await?, host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_read_as_a_cluster_tells_it() {
        let node = |host: &str, port| {
            Value::Array(vec![Value::BulkString(host.into()), Value::Int(port), Value::BulkString("id".into())])
        };
        let range = |first, last, primary| {
            Value::Array(vec![Value::Int(first), Value::Int(last), primary, node("10.0.0.9", 9)])
        };
        let answer = Value::Array(vec![
            range(0, 5460, node("10.0.0.1", 7001)),
            range(5461, 10_922, node("", 7002)),
            range(10_923, 16_383, node("10.0.0.1", 7001)),
        ]);
        let map = SlotMap::read(answer, "asked").unwrap();
        assert_eq!(map.node_of(0), Some("10.0.0.1:7001"));
        assert_eq!(map.node_of(5461), Some("asked:7002"));
        assert_eq!(map.primaries(), ["10.0.0.1:7001", "asked:7002"]);
        assert_eq!(SlotMap::default().node_of(0), None);
    }
}

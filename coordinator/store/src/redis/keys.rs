//! Every key that this store has in Redis, and which slot each is in.
//!
//! `T` is the tag `{amends:<store>:<shard>}`, so that all of a shard is in one slot and one script can change it. What belongs
//! to no shard has tags of its own. Nothing is ever found by scanning the keyspace, and **no key has a time to live**: what is
//! kept goes when the sweep takes it, what is unfinished never goes.
//!
//! | Key | Type | Value | Written when | Deleted when |
//! |---|---|---|---|---|
//! | `T:lease` | hash | `store` (whose), `epoch`, `nonce` (absent: given back), `node`, `until` (ms), `commits` (+1 per accepted commit), `duplicates`, `closed` (why nobody may acquire it; absent: open) | the store is made; acquire, renew, release, commit; a copy | never |
//! | `T:saga:<ns>,<id>` | hash | `rev`, `state`, `ops` (the last commits), `due`, `cell`, `keep`, `at`, `labels` (digests), `names` (the labels themselves, absent: none); `pi`, `pr<step>.<op>`, `po<step>.<op>` (payloads), `h<seq>` (history) | each commit of the saga; a copy | the sweep, after its retention |
//! | `T:due` | sorted set | `<ns>,<id>` of open sagas that have a due time, which is the score in ms; `~` at infinity | a commit that changes the due time | the member: likewise; the key: never |
//! | `T:ended` | sorted set | `<retain until>,<ns>,<id>` of finished sagas; `~` | the commit that finishes one | the member: a sweep, or a commit that opens it again; the key: never |
//! | `T:index` | sorted set | `s,<ns>,<at>,<id>` each saga; `o,<ns>,<at>,<id>` each open one; `c,<cell>,<at>,<id>` by its cell; `l,<ns>,<label>,<at>,<id>` by each label; `~` | `s` and `l`: the first commit; `o`: the first, and one that opens it again; `c`: each commit that moves it to another cell | the member: the sweep, the move, or (`o`) the commit that finishes it; the key: never |
//! | `T:counts` | hash | `<cell>` → how many sagas are in it; `~` | a commit that moves a saga to another cell | the field: when it is 0; the key: never |
//! | `T:reserved` | set | digests of ids that were swept, about 80 bytes each; `~` | the sweep | never |
//! | `T:log:<audit or outbox>` | hash | `first` and `next` (which numbers it has), `<number>` → op id (16 bytes) and entry | a commit with log entries, an append, a trim | the field of a number: a trim; the key: never |
//! | `{amends:<store>:documents}` | hash | `revision` (the highest that a document ever had), `kind:<kind>` → how many there are | a document is put or deleted | the field of a kind: with its last document; the key: never |
//! | `{amends:<store>:documents}:ids:<kind>` | sorted set | `<id>` | a document is put | the member: when it is deleted |
//! | `{amends:<store>:documents}:of:<kind>` | hash | `<id>` → `<revision>:<body>` | a document is put | the field: when it is deleted |
//! | `{amends:<store>:meta}` | hash | `id`, `format`, `shards`, `created_at`, `seeded`, `standing` (absent: in use), `probed` (a random value: a start proves by it that writes are kept) | the store is made; a start; a copy | never |
//! | `{amends:<store>:definitions}:names` | sorted set | `<ns>,<name>` | a definition's first version | never |
//! | `{amends:<store>:definitions}:of:<ns>,<name>` | hash | `latest`, `version:<n>`, `digest:<d>` → n, `deprecation:<n>` | a version is registered or deprecated | never |
//! | `{amends:<store>:participants}` | hash | `<ns>,<name>` → `<revision>:<record>` | a participant is registered | never |
//! | `{amends:<store>:nodes}` | hash | `<node>` → `<heard at>:<record>` | each heartbeat | the field: when the node is forgotten |
//!
//! A **cell** (`crate::cell`) is `<ns>,<definition>,<version>,<status>,<stuck>[:<held up at>[:a]],<open>`: all that lists filter
//! by, but for labels. Times in
//! members are fixed-width hexadecimal, so that bytes sort like times, exactly; there the scores are all 0. In `T:due` it is the
//! score, because it changes with nearly every commit.
//! The comma sorts below every character that a name may have, so that members sort by (time, namespace, id).
//!
//! `~` is a member that never goes, so that none of a shard's own keys ever vanishes: while a Cluster moves a slot, a script
//! with keys of which some are missing is refused (`TRYAGAIN`), and an empty key is a missing one.
//! Invariant: a script gets every key that it touches handed in, all of one slot.

use amends_engine::ids::{DefinitionName, Namespace, SagaKey};

use crate::contract::{Log, ShardId};

/// How many keys of its own a shard has, in the order of [`Keys::shard`].
pub(super) const SHARD_KEYS: usize = 6;

/// How many slots a Cluster has.
const SLOTS: u16 = 16_384;

/// The keys of one store.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    store: String,
}

impl Keys {
    pub(super) fn new(store: &str) -> Self {
        Self { store: store.to_owned() }
    }

    fn of_shard(&self, shard: ShardId, what: &str) -> String {
        format!("{{amends:{}:{}}}:{what}", self.store, shard.0)
    }

    fn global(&self, what: &str) -> String {
        format!("{{amends:{}:{what}}}", self.store)
    }

    /// The keys that a shard's scripts take, in their order: lease, due, ended, index, counts, reserved.
    pub(super) fn shard(&self, shard: ShardId) -> [String; SHARD_KEYS] {
        ["lease", "due", "ended", "index", "counts", "reserved"].map(|what| self.of_shard(shard, what))
    }

    pub(super) fn lease(&self, shard: ShardId) -> String {
        self.of_shard(shard, "lease")
    }

    pub(super) fn due(&self, shard: ShardId) -> String {
        self.of_shard(shard, "due")
    }

    pub(super) fn ended(&self, shard: ShardId) -> String {
        self.of_shard(shard, "ended")
    }

    pub(super) fn index(&self, shard: ShardId) -> String {
        self.of_shard(shard, "index")
    }

    pub(super) fn counts(&self, shard: ShardId) -> String {
        self.of_shard(shard, "counts")
    }

    pub(super) fn saga(&self, shard: ShardId, key: &SagaKey) -> String {
        self.of_shard(shard, &format!("saga:{},{}", key.namespace, key.id))
    }

    pub(super) fn log(&self, shard: ShardId, log: Log) -> String {
        self.of_shard(shard, &format!("log:{}", log.name()))
    }

    pub(super) fn documents(&self) -> String {
        self.global("documents")
    }

    /// The keys that a script takes that changes a document: all documents', then its kind's ids and documents.
    pub(super) fn documents_of(&self, kind: &str) -> [String; 3] {
        let all = self.documents();
        [all.clone(), format!("{all}:ids:{kind}"), format!("{all}:of:{kind}")]
    }

    pub(super) fn meta(&self) -> String {
        self.global("meta")
    }

    pub(super) fn definition_names(&self) -> String {
        self.global("definitions") + ":names"
    }

    pub(super) fn definition(&self, namespace: &Namespace, name: &DefinitionName) -> String {
        format!("{}:of:{namespace},{name}", self.global("definitions"))
    }

    pub(super) fn participants(&self) -> String {
        self.global("participants")
    }

    pub(super) fn nodes(&self) -> String {
        self.global("nodes")
    }
}

/// The slot of a key, by its hash tag where it has one (the Redis Cluster specification).
pub(super) fn slot_of(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    crc16(tag.filter(|tag| !tag.is_empty()).unwrap_or(key).as_bytes()) % SLOTS
}

/// CRC-16/XMODEM, as the Cluster specification has it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
    })
}

#[cfg(test)]
mod tests {
    use amends_engine::ids::SagaId;

    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        // As CLUSTER KEYSLOT answers.
        assert_eq!(slot_of("foo"), 12_182);
        assert_eq!(slot_of("{foo}:anything"), 12_182);
        assert_eq!(slot_of("{}foo"), crc16(b"{}foo") % SLOTS);
    }

    #[test]
    fn all_of_a_shard_is_in_one_slot() {
        let keys = Keys::new("main");
        let saga = SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("order-1").unwrap() };
        for shard in [0, 1, 63].map(ShardId) {
            let slot = slot_of(&keys.lease(shard));
            assert!(keys.shard(shard).iter().all(|key| slot_of(key) == slot));
            assert_eq!(slot_of(&keys.saga(shard, &saga)), slot);
            assert!(Log::ALL.iter().all(|log| slot_of(&keys.log(shard, *log)) == slot));
        }
        assert_eq!(keys.saga(ShardId(7), &saga), "{amends:main:7}:saga:default,order-1");
        let documents = keys.documents_of("batch").map(|key| slot_of(&key));
        assert!(documents.iter().all(|slot| *slot == documents[0]));
        assert_ne!(slot_of(&keys.lease(ShardId(0))), slot_of(&keys.lease(ShardId(1))));
    }
}

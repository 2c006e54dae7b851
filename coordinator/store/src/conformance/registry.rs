//! Definitions and participants.

use amends_engine::ids::{ParticipantName, Version};
use amends_engine::payload::Digest;
use amends_engine::time::Timestamp;
use bytes::Bytes;

use super::support::{definition, namespace};
use crate::contract::*;
use crate::error::StoreError;

async fn put(store: &dyn Store, tenant: &str, name: &str, body: &'static str, at: u64) -> DefinitionRecord {
    let (tenant, name) = (namespace(tenant), definition(name));
    store.put_definition(&tenant, &name, Bytes::from(body), "team", Timestamp(at)).await.expect("writable")
}

/// By content: registering again is harmless, also when a newer version came between.
pub async fn the_same_definition_is_the_same_version(store: &dyn Store) {
    let first = put(store, "default", "checkout", "one", 1).await;
    let expected = DefinitionRecord {
        namespace: namespace("default"),
        name: definition("checkout"),
        version: Version(1),
        digest: Digest::of(b"one"),
        registered_at: Timestamp(1),
        principal: "team".into(),
        body: Bytes::from("one"),
        deprecated: None,
    };
    assert_eq!(first, expected);
    assert_eq!(put(store, "default", "checkout", "one", 2).await, first);
    assert_eq!(put(store, "default", "checkout", "two", 3).await.version, Version(2));
    assert_eq!(put(store, "default", "checkout", "one", 4).await, first);
    assert_eq!(put(store, "default", "refund", "one", 5).await.version, Version(1), "names count apart");
    assert_eq!(put(store, "other", "checkout", "two", 6).await.version, Version(1), "tenants too");
}

/// The latest where no version is named.
pub async fn definitions_are_found_by_version(store: &dyn Store) {
    let first = put(store, "default", "checkout", "one", 1).await;
    let second = put(store, "default", "checkout", "two", 2).await;
    let get = async |tenant: &str, version: Option<u32>| {
        let (tenant, name) = (namespace(tenant), definition("checkout"));
        store.get_definition(&tenant, &name, version.map(Version)).await.expect("readable")
    };
    assert_eq!(get("default", None).await, Some(second.clone()));
    assert_eq!(get("default", Some(1)).await, Some(first));
    assert_eq!(get("default", Some(2)).await, Some(second));
    assert_eq!(get("default", Some(3)).await, None);
    assert_eq!(get("other", None).await, None);
}

/// The oldest first.
pub async fn all_versions_are_listed(store: &dyn Store) {
    let first = put(store, "default", "checkout", "one", 1).await;
    let second = put(store, "default", "checkout", "two", 2).await;
    put(store, "default", "refund", "one", 3).await;
    put(store, "other", "checkout", "three", 4).await;
    let versions = async |tenant: &str, name: &str| {
        store.definition_versions(&namespace(tenant), &definition(name)).await.expect("readable")
    };
    assert_eq!(versions("default", "checkout").await, [first, second]);
    assert_eq!(versions("nobody", "checkout").await, []);
    assert_eq!(versions("default", "nothing").await, []);
}

/// By whom, why and since when; the content and the other versions stay as they are.
pub async fn a_version_is_deprecated_and_back(store: &dyn Store) {
    let first = put(store, "default", "checkout", "one", 1).await;
    let second = put(store, "default", "checkout", "two", 2).await;
    let other = put(store, "other", "checkout", "one", 3).await;
    let (tenant, name) = (namespace("default"), definition("checkout"));
    let mark = |version: u32, deprecation: Option<Deprecation>| {
        store.deprecate_definition(&tenant, &name, Version(version), deprecation)
    };
    let why = |reason: &str| Deprecation { at: Timestamp(9), principal: "ops".into(), reason: reason.into() };
    let expected = DefinitionRecord { deprecated: Some(why("it forgets the tax")), ..second.clone() };
    assert_eq!(mark(2, Some(why("it forgets the tax"))).await.expect("writable"), Some(expected.clone()));
    let get = async |version| store.get_definition(&tenant, &name, version).await.expect("readable");
    assert_eq!(get(None).await, Some(expected.clone()), "it is still the latest");
    assert_eq!(get(Some(Version(1))).await, Some(first.clone()));
    assert_eq!(store.definition_versions(&tenant, &name).await.expect("readable"), [first, expected.clone()]);
    assert_eq!(store.list_definitions(&tenant).await.expect("readable"), std::slice::from_ref(&expected));
    assert_eq!(store.list_definitions(&namespace("other")).await.expect("readable"), [other], "tenants are apart");
    assert_eq!(put(store, "default", "checkout", "two", 4).await, expected, "registering again changes nothing");

    let again = DefinitionRecord { deprecated: Some(why("and the fee")), ..second.clone() };
    assert_eq!(mark(2, Some(why("and the fee"))).await.expect("writable"), Some(again), "the last word counts");
    assert_eq!(mark(2, None).await.expect("writable"), Some(second.clone()));
    assert_eq!(mark(2, None).await.expect("writable"), Some(second.clone()), "a repeat is harmless");
    assert_eq!(get(None).await, Some(second));
    assert_eq!(mark(3, Some(why("x"))).await.expect("writable"), None);
    assert_eq!(mark(3, None).await.expect("writable"), None);
}

/// One line per name.
pub async fn the_latest_definitions_are_listed(store: &dyn Store) {
    let refund = put(store, "default", "refund", "r", 1).await;
    put(store, "default", "checkout", "one", 2).await;
    let checkout = put(store, "default", "checkout", "two", 3).await;
    put(store, "other", "checkout", "three", 4).await;
    let listed = store.list_definitions(&namespace("default")).await.expect("readable");
    assert_eq!(listed, [checkout, refund]);
    assert_eq!(store.list_definitions(&namespace("nobody")).await.expect("readable"), []);
}

fn participant(name: &str) -> ParticipantName {
    ParticipantName::parse(name).expect("a valid name")
}

async fn register(
    store: &dyn Store,
    name: &str,
    body: &'static str,
    expected: Option<u64>,
) -> Result<ParticipantRecord, StoreError> {
    register_in(store, "default", name, body, expected).await
}

async fn register_in(
    store: &dyn Store,
    tenant: &str,
    name: &str,
    body: &'static str,
    expected: Option<u64>,
) -> Result<ParticipantRecord, StoreError> {
    let (tenant, name) = (namespace(tenant), participant(name));
    store.put_participant(&tenant, &name, Bytes::from(body), expected, "team", Timestamp(5)).await
}

/// Two people who change one participant notice each other (anomaly 25).
pub async fn participants_are_compared_and_set(store: &dyn Store) {
    let first = register(store, "payment", "a", Some(0)).await.expect("it isn't there");
    let expected = ParticipantRecord {
        namespace: namespace("default"),
        name: participant("payment"),
        revision: 1,
        updated_at: Timestamp(5),
        principal: "team".into(),
        body: Bytes::from("a"),
    };
    assert_eq!(first, expected);
    let again = register(store, "payment", "b", Some(0)).await;
    assert!(matches!(again, Err(StoreError::Conflict { expected: 0, found: 1 })), "{again:?}");
    assert_eq!(register(store, "payment", "b", Some(1)).await.expect("as expected").revision, 2);
    assert_eq!(register(store, "payment", "c", None).await.expect("whatever is there").revision, 3);
    let missing = register(store, "inventory", "x", Some(1)).await;
    assert!(matches!(missing, Err(StoreError::Conflict { expected: 1, found: 0 })), "{missing:?}");
    let found = store.get_participant(&namespace("default"), &participant("payment")).await.expect("readable");
    assert_eq!(found.map(|record| (record.revision, record.body)), Some((3, Bytes::from("c"))));
    assert_eq!(store.get_participant(&namespace("other"), &participant("payment")).await.expect("readable"), None);
}

/// By name, of one tenant.
pub async fn participants_are_listed(store: &dyn Store) {
    let payment = register(store, "payment", "p", None).await.expect("writable");
    let account = register(store, "account", "a", None).await.expect("writable");
    let listed = store.list_participants(&namespace("default")).await.expect("readable");
    assert_eq!(listed, [account, payment]);
    assert_eq!(store.list_participants(&namespace("other")).await.expect("readable"), []);
}

/// By namespace first, then by name.
pub async fn all_tenants_participants_are_listed(store: &dyn Store) {
    assert_eq!(store.all_participants().await.expect("readable"), []);
    let mut expected = Vec::new();
    for (tenant, name) in [("team-b", "account"), ("default", "payment"), ("team-b", "payment"), ("default", "account")]
    {
        expected.push(register_in(store, tenant, name, "p", None).await.expect("writable"));
    }
    expected.sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
    assert_eq!(store.all_participants().await.expect("readable"), expected);
}

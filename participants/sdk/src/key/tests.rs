//! Reading and refusing a call's metadata.

use super::*;

const COMPLETE: [(&str, &str); 6] = [
    ("amends-saga-id", "order-1"),
    ("amends-step", "charge"),
    ("amends-operation", "action"),
    ("amends-attempt", "2"),
    ("amends-epoch", "18446744073709551615"),
    ("idempotency-key", "default/order-1/charge/action"),
];

fn parse(change: &[(&'static str, &str)]) -> Result<CallContext, MetadataError> {
    let mut metadata = MetadataMap::new();
    for (name, value) in COMPLETE.iter().chain(change) {
        metadata.insert(*name, value.parse().unwrap());
    }
    CallContext::from_metadata(&metadata)
}

#[test]
fn a_complete_call_is_read_with_its_widest_epoch() {
    let call = parse(&[("amends-expects", "succeeded")]).unwrap();
    assert_eq!(call.key.to_string(), "default/order-1/charge");
    assert_eq!((call.operation, call.attempt, call.epoch), (Operation::Action, 2, u64::MAX));
    assert!(call.expects_succeeded);
}

#[test]
fn where_a_saga_comes_from_is_read_or_ignored_but_never_an_error() {
    let floor = ("amends-floor", "1700000000000;store=abc");
    let call = parse(&[("amends-saga-begun", "1800000000000"), floor]).unwrap();
    let origin = Origin { store: "abc".into(), begun: 1_800_000_000_000, floor: 1_700_000_000_000 };
    assert_eq!(call.origin, Some(origin));
    for nonsense in ["", "17", "x;store=abc", "17;store=", "17 abc", "1800000000001;store=abc"] {
        let call = parse(&[("amends-saga-begun", "1800000000000"), ("amends-floor", nonsense)]).unwrap();
        assert_eq!(call.origin, None, "{nonsense:?}");
    }
    assert_eq!(parse(&[floor]).unwrap().origin, None, "without a begin nothing can be swept");
}

#[test]
fn a_query_says_which_step_asks_and_anybody_else_is_nobody() {
    let of = |pairs: &[(&'static str, &str)]| {
        let mut metadata = MetadataMap::new();
        for (name, value) in pairs {
            metadata.insert(*name, value.parse().unwrap());
        }
        StepKey::of_query(&metadata)
    };
    let query = [
        ("amends-saga-id", "order-1"),
        ("amends-step", "charge"),
        ("amends-operation", "query"),
        ("idempotency-key", "default/order-1/charge/query"),
    ];
    assert_eq!(of(&query), Ok(Some(parse(&[]).unwrap().key)));
    assert_eq!(of(&[]), Ok(None));
    assert_eq!(of(&COMPLETE), Ok(None), "a step that reads isn't a query");
    assert_eq!(of(&query[..3]), Err(MetadataError::Missing("idempotency-key")));
    let foreign = [query[0], query[1], query[2], ("idempotency-key", "default/order-2/charge/query")];
    assert!(matches!(of(&foreign), Err(MetadataError::Contradiction { name: "amends-saga-id", .. })));
}

#[test]
fn an_element_is_read_from_the_key() {
    let call = parse(&[("idempotency-key", "default/order-1/charge/line-7/action")]).unwrap();
    assert_eq!(call.key.element.as_deref(), Some("line-7"));
}

#[test]
fn every_missing_name_is_an_error_that_names_it() {
    for (missing, _) in COMPLETE {
        let mut metadata = MetadataMap::new();
        for (name, value) in COMPLETE.iter().filter(|(name, _)| *name != missing) {
            metadata.insert(*name, value.parse().unwrap());
        }
        assert_eq!(CallContext::from_metadata(&metadata), Err(MetadataError::Missing(missing)));
    }
}

#[test]
fn nonsense_is_internal_and_never_a_refusal() {
    let nonsense = [
        ("amends-operation", "query"),
        ("amends-operation", "try"),
        ("amends-attempt", "-1"),
        ("amends-epoch", "1.5"),
        ("amends-expects", "rejected"),
        ("idempotency-key", "order-1/charge/action"),
        ("idempotency-key", "default/order-1/charge//action"),
        ("idempotency-key", "default/order-2/charge/action"),
        ("idempotency-key", "default/order-1/ship/action"),
        ("idempotency-key", "default/order-1/charge/compensate"),
    ];
    for case in nonsense {
        let error = parse(&[case]).expect_err(case.1);
        assert_eq!(Status::from(error).code(), tonic::Code::Internal, "{case:?}");
    }
}

//! What is stored stays readable, and what isn't a registration is refused.

use super::*;
use crate::participant::Code;

fn endpoint(text: &str) -> Endpoint {
    Endpoint::parse(text).unwrap()
}

fn registration() -> Registration {
    let codes = [
        (Code::Aborted.into(), Meaning::Rejected),
        (Code::FailedPrecondition.into(), Meaning::Pending),
        (Code::AlreadyExists.into(), Meaning::Succeeded),
        (Code::NotFound.into(), Meaning::Unknown),
    ];
    let descriptors = Bytes::new();
    Registration::new(vec![endpoint("http://a:1"), endpoint("http://b:2")], true, codes.into(), Some(descriptors))
        .unwrap()
}

#[test]
fn the_stored_form_is_read_back() {
    assert_eq!(Registration::decode(registration().encode()).unwrap(), registration());
    let small = Registration::new(vec![endpoint("http://a:1")], false, Codes::new(), None).unwrap();
    assert_eq!(Registration::decode(small.encode()).unwrap(), small);
}

#[test]
fn limits_are_stored_only_where_somebody_has_changed_them() {
    use super::super::protection::{BreakerMode, Rate};
    use amends_engine::time::Timestamp;

    let change = LimitsChange { at: Timestamp(7), principal: "ops".to_owned(), reason: "slow".to_owned() };
    let limits = Limits {
        concurrency: 8,
        rate: Some(Rate(2_500)),
        resume_rate: Some(Rate(1)),
        breaker: BreakerMode::Held,
        ..Limits::default()
    };
    let changed = Registration { limits, limits_change: Some(change.clone()), ..registration() };
    assert_eq!(Registration::decode(changed.encode()).unwrap(), changed);
    // What nobody could keep to reads as the default, and the participant isn't lost for it.
    let still = Limits { concurrency: 0, ..changed.limits.clone() };
    let still = Registration { limits: still, ..changed };
    let read = Registration::decode(still.encode()).unwrap();
    assert_eq!((read.limits, read.limits_change), (Limits::default(), Some(change)));
}

/// As released: must be readable, and be what is written, for as long as format 1 is.
#[test]
fn format_1_stays_what_it_was() {
    let golden = b"\x08\x01\x12\x0ahttp://a:1\x12\x0ahttp://b:2\x18\x01\
        \x22\x04\x08\x05\x10\x04\x22\x04\x08\x06\x10\x01\x22\x04\x08\x09\x10\x03\x22\x04\x08\x0a\x10\x02\x2a\x00";
    assert_eq!(registration().encode().as_ref(), golden);
    assert_eq!(Registration::decode(Bytes::from_static(golden)).unwrap(), registration());
}

#[test]
fn format_2_stays_what_it_was() {
    let codes = [(AnyCode::Http(409), Meaning::Rejected), (AnyCode::Http(202), Meaning::Pending)];
    let endpoint = Endpoint::parse_http("https://a").unwrap();
    let signing = ["env:A", "file:/b"].map(|text| SecretReference::parse(text).unwrap());
    let http = Registration::new_http(vec![endpoint], true, codes.into(), signing.into()).unwrap();
    let golden = b"\x08\x02\x12\x0dhttps://a:443\x18\x01\x22\x05\x08\xca\x01\x10\x03\x22\x05\x08\x99\x03\x10\x02\
        \x32\x05env:A\x32\x07file:/b";
    assert_eq!(http.encode().as_ref(), golden);
    assert_eq!(Registration::decode(Bytes::from_static(golden)).unwrap(), http);
    // The same codes and addresses mean nothing in the other format.
    assert!(Registration::decode(Bytes::from_static(b"\x08\x01\x12\x09https://a")).is_err());
    assert!(Registration::decode(Bytes::from_static(b"\x08\x02\x12\x0ahttp://a:1\x22\x04\x08\x05\x10\x04")).is_err());
}

fn discovered() -> Registration {
    let source = |text: &str| Source::parse(text).unwrap().unwrap();
    let discovery = Discovery {
        sources: vec![source("http+dns://pay:1"), source("https+srv://_grpc._tcp.pay")],
        self_registration: true,
        balancing: Balancing::SagaHash,
        weights: [("http://a:1".to_owned(), 3)].into(),
    };
    let endpoints = Endpoints { fixed: vec![endpoint("http://a:1")], discovery };
    Registration::found(endpoints, false, Codes::new(), None).unwrap()
}

#[test]
fn how_addresses_are_found_is_stored_beside_them() {
    let golden = b"\x08\x01\x12\x0ahttp://a:1\xa2\x01\x10http+dns://pay:1\xa2\x01\x1ahttps+srv://_grpc._tcp.pay\
        \xa8\x01\x01\xb0\x01\x03\xba\x01\x0e\x0a\x0ahttp://a:1\x10\x03";
    assert_eq!(discovered().encode().as_ref(), golden);
    assert_eq!(Registration::decode(Bytes::from_static(golden)).unwrap(), discovered());
}

#[test]
fn what_cant_be_read_is_refused_and_says_why() {
    let read = |record: Record| Registration::decode(record.encode_to_vec().into()).unwrap_err().to_string();
    let good = Record { format: 1, endpoints: vec!["http://a:1".to_owned()], ..Record::default() };
    assert!(read(Record { format: 3, ..good.clone() }).contains("format 3"));
    assert!(read(Record { endpoints: vec![], ..good.clone() }).contains("no address"));
    assert!(read(Record { endpoints: vec!["a".to_owned()], ..good.clone() }).contains("address can't be read"));
    assert!(read(Record { sources: vec!["a".to_owned()], ..good.clone() }).contains("source of addresses"));
    assert!(read(Record { balancing: 9, ..good.clone() }).contains("in way 9"));
    assert!(read(Record { codes: [(0, 1)].into(), ..good.clone() }).contains("maps code 0"));
    assert!(read(Record { codes: [(1, 9)].into(), ..good }).contains("meaning 9"));
    assert!(Registration::decode(Bytes::from_static(b"\xff\xff")).is_err());
    assert!(matches!(Registration::decode(Bytes::new()), Err(UnreadableRegistration::Format(0))));
}

#[test]
fn a_registration_is_checked() {
    let new = |endpoints: Vec<Endpoint>| Registration::new(endpoints, false, Codes::new(), None);
    assert!(matches!(new(vec![]), Err(InvalidRegistration::NoEndpoint)));
    let many = (1..=65).map(|port| endpoint(&format!("http://a:{port}"))).collect();
    assert!(matches!(new(many), Err(InvalidRegistration::TooManyEndpoints(65))));
    let twice = vec![endpoint("http://a:1"), endpoint("http://b:1"), endpoint("http://A:1/")];
    assert_eq!(new(twice).unwrap_err().to_string(), "endpoints: http://a:1 is there twice");
    let bad = Registration::new(vec![endpoint("http://a:1")], false, Codes::new(), Some(Bytes::from_static(b"\xff")));
    assert!(bad.unwrap_err().to_string().starts_with("descriptor_set:"));
}

#[test]
fn how_addresses_are_found_is_checked() {
    let new = |fixed: Vec<Endpoint>, discovery: Discovery| {
        let registration = Registration::found(Endpoints { fixed, discovery }, false, Codes::new(), None);
        registration.map(|_| ()).map_err(|error| error.to_string())
    };
    let source = |port: u16| Source::parse(&format!("http+dns://pay:{port}")).unwrap().unwrap();
    let sources =
        |ports: &[u16]| Discovery { sources: ports.iter().map(|port| source(*port)).collect(), ..Discovery::default() };
    assert_eq!(new(vec![], sources(&[1])), Ok(()));
    assert_eq!(new(vec![], Discovery { self_registration: true, ..Discovery::default() }), Ok(()));
    assert_eq!(new(vec![], sources(&[1, 2, 1])), Err("endpoints: http+dns://pay:1 is there twice".to_owned()));
    assert!(new(vec![], sources(&[1, 2, 3, 4, 5, 6, 7, 8, 9])).unwrap_err().contains("at most 8"));
    for (address, weight) in [("http://a:1", 0), ("http://a:1", 1001), ("http://b:1", 1)] {
        let weighted = Discovery { weights: [(address.to_owned(), weight)].into(), ..Discovery::default() };
        assert!(new(vec![endpoint("http://a:1")], weighted).unwrap_err().starts_with("weights:"), "{address} {weight}");
    }
}

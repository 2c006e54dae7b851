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
    assert!(Registration::decode(Bytes::from_static(b"\x08\x01\x12\x0dhttps://a:443")).is_err());
    assert!(Registration::decode(Bytes::from_static(b"\x08\x02\x12\x0ahttp://a:1\x22\x04\x08\x05\x10\x04")).is_err());
}

#[test]
fn what_cant_be_read_is_refused_and_says_why() {
    let read = |record: Record| Registration::decode(record.encode_to_vec().into()).unwrap_err().to_string();
    let good = Record { format: 1, endpoints: vec!["http://a:1".to_owned()], ..Record::default() };
    assert!(read(Record { format: 3, ..good.clone() }).contains("format 3"));
    assert!(read(Record { endpoints: vec![], ..good.clone() }).contains("no address"));
    assert!(read(Record { endpoints: vec!["a".to_owned()], ..good.clone() }).contains("address can't be read"));
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

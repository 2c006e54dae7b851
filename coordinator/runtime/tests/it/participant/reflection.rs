//! Descriptors by server reflection.

use amends_engine::ids::ParticipantName;
use amends_runtime::participant::{Endpoint, ReflectionError, TlsSettings, fetch_descriptors};
use bytes::Bytes;
use prost::Message;
use prost_reflect::DescriptorPool;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use tokio::net::TcpListener;
use tonic_reflection::server::Builder;

use super::servers::{Server, nobody, ok, raw, serve};

const FILES: [(&str, &str); 4] = [
    (
        "pay/v1/pay.proto",
        r#"syntax = "proto3"; package pay.v1;
        import "pay/v1/card.proto"; import "google/protobuf/timestamp.proto";
        service Pay { rpc Charge(ChargeRequest) returns (ChargeReply); }
        message ChargeRequest { Card card = 1; }
        message ChargeReply { google.protobuf.Timestamp at = 1; }"#,
    ),
    (
        "pay/v1/card.proto",
        r#"syntax = "proto3"; package pay.v1; import public "common/money.proto"; message Card { common.Money limit = 1; }"#,
    ),
    ("common/money.proto", r#"syntax = "proto3"; package common; message Money { int64 minor = 1; }"#),
    (
        "stock/v1/stock.proto",
        r#"syntax = "proto3"; package stock.v1; import "common/money.proto";
        service Stock { rpc Reserve(common.Money) returns (common.Money); }"#,
    ),
];

struct Sources;

impl FileResolver for Sources {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let source = FILES.iter().find(|(file, _)| *file == name).map(|(_, source)| *source);
        File::from_source(name, source.ok_or_else(|| protox::Error::file_not_found(name))?)
    }
}

/// All files, as a server compiles them in.
fn compiled() -> Vec<u8> {
    let mut resolver = ChainFileResolver::new();
    resolver.add(GoogleFileResolver::new());
    resolver.add(Sources);
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_files(["pay/v1/pay.proto", "stock/v1/stock.proto"]).unwrap();
    compiler.encode_file_descriptor_set()
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn builder(set: &[u8]) -> Builder<'_> {
    Builder::configure().register_encoded_file_descriptor_set(set)
}

async fn v1() -> Server {
    let set = compiled();
    let service = builder(&set).build_v1().unwrap();
    serve(listener().await, tonic::transport::Server::builder().add_service(service))
}

async fn fetch(endpoint: &Endpoint, services: &[&str]) -> Result<Bytes, ReflectionError> {
    let services: Vec<String> = services.iter().map(|service| (*service).to_owned()).collect();
    let participant = ParticipantName::parse("payment").unwrap();
    fetch_descriptors(&super::servers::outgoing(), &TlsSettings::default(), &participant, endpoint, &services).await
}

fn files(set: &Bytes) -> Vec<String> {
    let set = prost_reflect::prost_types::FileDescriptorSet::decode(set.as_ref()).unwrap();
    set.file.into_iter().map(|file| file.name.unwrap()).collect()
}

#[tokio::test]
async fn a_service_comes_with_all_its_imports() {
    let server = v1().await;
    let set = fetch(&server.endpoint(), &["pay.v1.Pay"]).await.unwrap();
    let expected = ["common/money.proto", "google/protobuf/timestamp.proto", "pay/v1/card.proto", "pay/v1/pay.proto"];
    let mut names = files(&set);
    names.sort();
    assert_eq!(names, expected);
    let pool = DescriptorPool::decode(set).unwrap();
    let input = pool.get_service_by_name("pay.v1.Pay").unwrap().methods().next().unwrap().input();
    assert_eq!(input.get_field_by_name("card").unwrap().kind().as_message().unwrap().full_name(), "pay.v1.Card");
}

#[tokio::test]
async fn several_services_share_what_they_import_and_repeats_give_the_same_bytes() {
    let server = v1().await;
    let set = fetch(&server.endpoint(), &["pay.v1.Pay", "stock.v1.Stock"]).await.unwrap();
    assert_eq!(files(&set).len(), 5);
    assert!(DescriptorPool::decode(set.clone()).unwrap().get_service_by_name("stock.v1.Stock").is_some());
    assert_eq!(fetch(&server.endpoint(), &["stock.v1.Stock", "pay.v1.Pay"]).await.unwrap(), set);
}

#[tokio::test]
async fn an_older_server_is_asked_in_v1alpha() {
    let set = compiled();
    let service = builder(&set).build_v1alpha().unwrap();
    let server = serve(listener().await, tonic::transport::Server::builder().add_service(service));
    assert_eq!(files(&fetch(&server.endpoint(), &["pay.v1.Pay"]).await.unwrap()).len(), 4);
}

#[tokio::test]
async fn errors_name_the_participant_the_address_and_the_mend() {
    let server = v1().await;
    let unknown = fetch(&server.endpoint(), &["pay.v1.Pai"]).await.unwrap_err().to_string();
    assert!(
        unknown.starts_with(&format!("participant payment at {}: it doesn't know", server.endpoint())),
        "{unknown}"
    );
    assert!(unknown.contains("pay.v1.Pai"), "{unknown}");

    let without = raw(|_| async { ok(b"", &[], &[]) }).await;
    let without = fetch(&without.endpoint(), &["pay.v1.Pay"]).await.unwrap_err().to_string();
    assert!(without.contains("has no server reflection; switch that on, or register it with"), "{without}");

    let down = fetch(&nobody().await, &["pay.v1.Pay"]).await.unwrap_err().to_string();
    assert!(down.contains("is it running?"), "{down}");
}

//! Requests of every method that nobody would send: random messages, broken bytes, broken frames.
//!
//! Whatever comes, the answer is a refusal or a success, never an internal error, and the server goes on. As many requests as
//! AMENDS_RPC_FUZZ says for each method; the seed is printed, and AMENDS_RPC_FUZZ_SEED repeats a run.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::{Service as _, ServiceExt as _};

use crate::harness::{Memory, Server};

/// How long an answer is waited for: some requests ask for a wait of their own.
const PATIENCE: Duration = Duration::from_secs(1);
const DEPTH_MAX: usize = 4;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn text(random: &mut SmallRng) -> String {
    let words =
        ["", "default", "order-1", "checkout", "shop", "amends", "reserve", "../x", "\u{e9}\0", "${input", "-", "x"];
    let word = words.choose(random).unwrap();
    if random.random_bool(0.02) { "long".repeat(random.random_range(1..20_000)) } else { (*word).to_owned() }
}

fn scalar(kind: &Kind, random: &mut SmallRng, depth: usize) -> Value {
    let number = *[0, 1, -1, 7, i64::MAX, i64::MIN, i64::from(i32::MAX), 1 << 40].choose(random).unwrap();
    match kind {
        Kind::Double => Value::F64(*[0.0, f64::NAN, -1.5, f64::INFINITY].choose(random).unwrap()),
        Kind::Float => Value::F32(f32::NAN),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(number as i32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(number),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(number as u32),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(number as u64),
        Kind::Bool => Value::Bool(random.random()),
        Kind::String => Value::String(text(random)),
        Kind::Bytes => {
            let json =
                *[&b"{}"[..], b"{\"order_id\":\"o\",\"amount\":1}", b"[", b"\xff\xfe", b""].choose(random).unwrap();
            Value::Bytes(Bytes::from_static(json))
        }
        Kind::Enum(_) => Value::EnumNumber(random.random_range(-2..30)),
        Kind::Message(of) => Value::Message(message(of, random, depth + 1)),
    }
}

fn value(field: &FieldDescriptor, random: &mut SmallRng, depth: usize) -> Value {
    let kind = field.kind();
    if field.is_map() {
        let Kind::Message(entry) = &kind else { unreachable!("a map's entries are messages") };
        let of = entry.map_entry_value_field().kind();
        return Value::Map(
            (0..random.random_range(0..3))
                .map(|_| (MapKey::String(text(random)), scalar(&of, random, depth)))
                .collect(),
        );
    }
    match field.cardinality() {
        Cardinality::Repeated => {
            Value::List((0..random.random_range(0..4)).map(|_| scalar(&kind, random, depth)).collect())
        }
        Cardinality::Optional | Cardinality::Required => scalar(&kind, random, depth),
    }
}

fn message(of: &MessageDescriptor, random: &mut SmallRng, depth: usize) -> DynamicMessage {
    let mut message = DynamicMessage::new(of.clone());
    for field in of.fields() {
        if depth < DEPTH_MAX && random.random_bool(0.7) {
            let value = value(&field, random, depth);
            message.set_field(&field, value);
        }
    }
    message
}

fn broken(mut bytes: Vec<u8>, random: &mut SmallRng) -> Vec<u8> {
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..=bytes.len());
        match random.random_range(0..4) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes.truncate(at),
            2 => bytes.insert(at, random.random()),
            _ => bytes.extend_from_within(at..),
        }
    }
    bytes
}

/// A frame of a message: mostly right, sometimes with another length or flag, or two of them.
fn framed(message: &[u8], random: &mut SmallRng) -> Bytes {
    let mut frame = BytesMut::new();
    let is_right = random.random_bool(0.8);
    frame.put_u8(if is_right { 0 } else { random.random() });
    let length = u32::try_from(message.len()).unwrap();
    frame.put_u32(if is_right || random.random_bool(0.5) { length } else { random.random() });
    frame.put_slice(message);
    if random.random_bool(0.05) {
        frame.extend_from_within_self();
    }
    frame.freeze()
}

trait Twice {
    fn extend_from_within_self(&mut self);
}

impl Twice for BytesMut {
    fn extend_from_within_self(&mut self) {
        let again = self.clone();
        self.extend_from_slice(&again);
    }
}

/// The code of the answer; `None` where it takes its time.
async fn answer(channel: &Channel, path: &str, frame: Bytes, token: Option<&str>) -> Option<Code> {
    let mut request = http::Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(tonic::body::Body::new(Full::new(frame))).unwrap();
    let call = async {
        let mut channel = channel.clone();
        let response = channel.ready().await.unwrap().call(request).await;
        let Ok(response) = response else { return Code::Unknown };
        if let Some(status) = Status::from_header_map(response.headers()) {
            return status.code();
        }
        // A message is an answer; without one the trailers say why.
        match response.into_body().frame().await {
            None => Code::Ok,
            Some(Ok(frame)) => frame.trailers_ref().and_then(Status::from_header_map).map_or(Code::Ok, |it| it.code()),
            Some(Err(_)) => Code::Unknown,
        }
    };
    tokio::time::timeout(PATIENCE, call).await.ok()
}

async fn fuzz(server: &Server, token: Option<&str>) {
    let seed = setting("AMENDS_RPC_FUZZ_SEED", rand::rng().random());
    let each = setting("AMENDS_RPC_FUZZ", 30);
    eprintln!("AMENDS_RPC_FUZZ_SEED={seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let sets = [amends_proto::FILE_DESCRIPTOR_SET, tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET];
    let mut asked = 0;
    for set in sets {
        let pool = DescriptorPool::decode(set).unwrap();
        let services: Vec<_> = pool.services().collect();
        for rpc in services.iter().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let path = format!("/{}/{}", rpc.parent_service().full_name(), rpc.name());
            for number in 0..each {
                let mut bytes = message(&rpc.input(), &mut random, 0).encode_to_vec();
                if random.random_bool(0.5) {
                    bytes = broken(bytes, &mut random);
                }
                let code = answer(&server.channel, &path, framed(&bytes, &mut random), token).await;
                let is_defect = matches!(code, Some(Code::Internal | Code::Unknown | Code::DataLoss));
                assert!(!is_defect, "{path}, request {number} of seed {seed}: {code:?}");
                asked += 1;
            }
        }
    }
    assert!(asked > 20, "every method is asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_breaks_anything() {
    let (mut server, shop) = Server::with_shop(&Memory::in_memory()).await;
    fuzz(&server, None).await;
    // A request may have registered another shop or paused this one.
    server.put_shop(&shop.address).await;
    let resume = amends_proto::v1::ResumeParticipantRequest {
        name: "shop".to_owned(),
        reason: "a request may have paused it".to_owned(),
        ..Default::default()
    };
    server.participants.resume(resume).await.unwrap();
    server.register(&crate::harness::CHECKOUT.replace("saga: checkout", "saga: after")).await;
    let start =
        amends_proto::v1::StartSagaRequest { definition: "after".to_owned(), ..crate::harness::checkout("after") };
    server.sagas.start(start).await.unwrap();
    assert_eq!(server.end_of("after").await.status(), amends_proto::v1::SagaStatus::Completed);
}

/// The same through the gate, which reads messages before the services do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_breaks_the_gate() {
    let memory = Memory::in_memory();
    let mut access = crate::access::Access::new();
    let token =
        access.add("some", "{ roles: [starter, operator, registrar], namespaces: ['d*'], definitions: ['check*'] }");
    let server = Server::start_with(&memory, access.config(&memory)).await;
    fuzz(&server, Some(&token)).await;
    server.stop().await.unwrap();
}

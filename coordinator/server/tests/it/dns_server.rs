//! A DNS server on loopback that says what a test tells it, over real UDP.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record};
use tokio::net::UdpSocket;

/// What it says to every question.
#[derive(Debug, Clone, Default)]
pub(crate) enum Zone {
    /// These records, by name; nothing else exists.
    Has(BTreeMap<String, Vec<RData>>),
    /// It can't tell.
    #[default]
    Broken,
}

/// Serves until the test ends.
#[derive(Debug, Clone)]
pub(crate) struct DnsServer {
    pub(crate) address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
}

impl DnsServer {
    pub(crate) async fn open() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = Self { address: socket.local_addr().unwrap(), zone: Arc::default() };
        let zone = server.zone.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let answer = answer(&Message::from_vec(&buffer[..length]).unwrap(), &zone.lock().unwrap());
                socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
            }
        });
        server
    }

    pub(crate) fn says(&self, zone: Zone) {
        *self.zone.lock().unwrap() = zone;
    }
}

fn answer(question: &Message, zone: &Zone) -> Message {
    let (id, query) = (question.metadata.id, question.queries[0].clone());
    let mut answer = Message::response(id, question.metadata.op_code);
    answer.metadata.recursion_available = true;
    match zone {
        Zone::Broken => answer.metadata.response_code = ResponseCode::ServFail,
        Zone::Has(records) => match records.get(&query.name().to_ascii().to_ascii_lowercase()) {
            None => answer.metadata.response_code = ResponseCode::NXDomain,
            Some(records) => {
                let fits = records.iter().filter(|data| data.record_type() == query.query_type());
                answer.add_answers(fits.map(|data| Record::from_rdata(query.name().clone(), 0, data.clone())));
            }
        },
    }
    answer.add_query(query);
    answer
}

/// Records with a time to live of 0: who wants to know asks again.
pub(crate) fn zone<const N: usize>(records: [(&str, Vec<RData>); N]) -> Zone {
    Zone::Has(records.map(|(name, records)| (format!("{name}."), records)).into())
}

pub(crate) fn address(ip: &str) -> RData {
    match ip.parse().unwrap() {
        IpAddr::V4(ip) => RData::A(A(ip)),
        IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
    }
}

pub(crate) fn service(priority: u16, port: u16, target: &str) -> RData {
    RData::SRV(SRV::new(priority, 1, port, Name::from_ascii(format!("{target}.")).unwrap()))
}

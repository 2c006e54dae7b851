//! A prepared HTTP request as it is stored: every attempt sends these bytes again.
//!
//! Invariants: the same request has the same bytes; one that can't be sent as it is (a method that isn't a word, a path that
//! begins elsewhere) is not read back, so that a damaged record can't call something else.

use bytes::Bytes;
use prost::Message as _;

/// The format of the stored bytes that this code writes.
const FORMAT: u32 = 1;

/// Everything of a request but where it goes and what is the coordinator's to add.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// `POST`.
    pub method: String,
    /// Path and query, percent-encoded; begins with `/`.
    pub path: String,
    /// Names in small letters, in the order of the definition.
    pub headers: Vec<(String, String)>,
    /// JSON; `None`: no body.
    pub body: Option<Bytes>,
}

/// Stored bytes that are no request.
#[derive(Debug, thiserror::Error)]
pub enum HttpRequestError {
    /// Not protobuf, or damaged.
    #[error("the prepared HTTP request is damaged")]
    Damaged(#[from] prost::DecodeError),
    /// Written by a newer version of Amends, or not a request for an HTTP participant at all.
    #[error("the prepared request has format {found}; an HTTP request of format {FORMAT} is needed here")]
    Format {
        /// The format that it says it has.
        found: u32,
    },
    /// Its path would lead elsewhere.
    #[error("the prepared HTTP request has no path")]
    NoPath,
}

impl HttpRequest {
    /// The bytes to store.
    pub fn encode(&self) -> Bytes {
        let header = |(name, value): &(String, String)| Header { name: name.clone(), value: value.clone() };
        let record = Record {
            format: FORMAT,
            method: self.method.clone(),
            path: self.path.clone(),
            headers: self.headers.iter().map(header).collect(),
            body: self.body.clone(),
        };
        record.encode_to_vec().into()
    }

    /// Reads stored bytes.
    pub fn decode(bytes: Bytes) -> Result<Self, HttpRequestError> {
        let record = Record::decode(bytes)?;
        if record.format != FORMAT {
            return Err(HttpRequestError::Format { found: record.format });
        }
        if !record.path.starts_with('/') {
            return Err(HttpRequestError::NoPath);
        }
        let headers = record.headers.into_iter().map(|header| (header.name, header.value)).collect();
        Ok(Self { method: record.method, path: record.path, headers, body: record.body })
    }
}

impl std::fmt::Debug for HttpRequest {
    /// Without path, header values and body: a customer's values are in them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = self.body.as_ref().map_or(0, Bytes::len);
        write!(f, "HttpRequest({}, {} headers, {body} bytes)", self.method, self.headers.len())
    }
}

/// Format 1. The format has a tag that messages of participants hardly use, so that a request for a gRPC method is told apart.
#[derive(Clone, PartialEq, prost::Message)]
struct Record {
    #[prost(uint32, tag = "1999")]
    format: u32,
    #[prost(string, tag = "1")]
    method: String,
    #[prost(string, tag = "2")]
    path: String,
    #[prost(message, repeated, tag = "3")]
    headers: Vec<Header>,
    #[prost(bytes = "bytes", optional, tag = "4")]
    body: Option<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Header {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> HttpRequest {
        HttpRequest {
            method: "POST".to_owned(),
            path: "/a?b=c".to_owned(),
            headers: vec![("x-shop".to_owned(), "7".to_owned())],
            body: Some(Bytes::from_static(b"{}")),
        }
    }

    /// As released: must be readable, and be what is written, for as long as format 1 is.
    #[test]
    fn format_1_stays_what_it_was() {
        let golden = b"\x0a\x04POST\x12\x06/a?b=c\x1a\x0b\x0a\x06x-shop\x12\x017\x22\x02{}\xf8\x7c\x01";
        assert_eq!(request().encode().as_ref(), golden);
        assert_eq!(HttpRequest::decode(Bytes::from_static(golden)).unwrap(), request());
        let bare = HttpRequest { headers: vec![], body: None, ..request() };
        assert_eq!(HttpRequest::decode(bare.encode()).unwrap(), bare, "no body isn't an empty one");
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let decode = |bytes: &'static [u8]| HttpRequest::decode(Bytes::from_static(bytes)).unwrap_err().to_string();
        assert!(decode(b"\xff").contains("damaged"));
        assert!(decode(b"").contains("format 0"));
        assert!(decode(b"\x0a\x07order-1").contains("format 0"), "a gRPC participant's request");
        let elsewhere = HttpRequest { path: "evil.example/".to_owned(), ..request() };
        assert!(matches!(HttpRequest::decode(elsewhere.encode()), Err(HttpRequestError::NoPath)));
    }

    #[test]
    fn what_a_customer_sent_is_not_printed() {
        assert_eq!(format!("{:?}", request()), "HttpRequest(POST, 1 headers, 2 bytes)");
    }
}

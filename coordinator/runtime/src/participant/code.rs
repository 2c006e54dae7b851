//! The gRPC status codes that aren't `OK`, with the names that definitions, registrations and histories use.
//!
//! `OK` is left out on purpose: a status is never a success, and a mapping of `OK` can't be written down. What a code means
//! for a saga is decided in [`super::outcome`] only. Invariant: names and numbers are gRPC's.

use std::fmt;

use amends_definition::Protocol;

/// A status code other than `OK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "gRPC's own names say what is known about them")]
pub enum Code {
    Cancelled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

impl Code {
    /// Every code, in the order of their numbers: 1 to 16.
    pub const ALL: [Self; 16] = [
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// Its name as gRPC writes it: `FAILED_PRECONDITION`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    /// The code with this name; `None` for any other text, `OK` included.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }

    /// Its number on the wire, 1 to 16.
    pub fn number(self) -> u32 {
        1 + self as u32
    }

    /// The code with this number; `None` for 0 (`OK`) and for numbers that gRPC doesn't know.
    pub fn from_number(number: u32) -> Option<Self> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        Self::ALL.get(index).copied()
    }

    /// What a gRPC client makes of an HTTP status other than 200, which comes from a proxy and not from a participant.
    pub(super) fn from_http(status: http::StatusCode) -> Self {
        match status.as_u16() {
            400 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502 | 503 | 504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }
}

/// A status code of either protocol, as registrations map them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AnyCode {
    /// gRPC's.
    Grpc(Code),
    /// An HTTP status from 200 to 599.
    Http(u16),
}

impl AnyCode {
    /// The code with this name: `ABORTED`, or `409` for HTTP.
    pub fn parse(name: &str, protocol: Protocol) -> Option<Self> {
        match protocol {
            Protocol::Grpc => Code::parse(name).map(Self::Grpc),
            Protocol::Http if name.len() == 3 => name.parse().ok().and_then(Self::http),
            Protocol::Http => None,
        }
    }

    /// The code with this number in a stored registration.
    pub(super) fn from_number(number: u32, protocol: Protocol) -> Option<Self> {
        match protocol {
            Protocol::Grpc => Code::from_number(number).map(Self::Grpc),
            Protocol::Http => u16::try_from(number).ok().and_then(Self::http),
        }
    }

    /// Its number in its own protocol.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Grpc(code) => code.number(),
            Self::Http(status) => status.into(),
        }
    }

    fn http(status: u16) -> Option<Self> {
        (200..600).contains(&status).then_some(Self::Http(status))
    }
}

impl From<Code> for AnyCode {
    fn from(code: Code) -> Self {
        Self::Grpc(code)
    }
}

impl fmt::Display for AnyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grpc(code) => code.fmt(f),
            Self::Http(status) => status.fmt(f),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grpcs() {
        for code in Code::ALL {
            let theirs = tonic::Code::from_i32(i32::try_from(code.number()).unwrap());
            assert_eq!(format!("{theirs:?}"), format!("{code:?}"));
            assert_eq!(Code::from_number(code.number()), Some(code));
        }
    }

    #[test]
    fn names_are_read_back_and_ok_is_none_of_them() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.name()), Some(code));
        }
        assert_eq!(Code::parse("OK"), None);
        assert_eq!(Code::parse("aborted"), None);
        assert_eq!(Code::from_number(0), None);
        assert_eq!(Code::from_number(17), None);
        assert_eq!(Code::from_number(u32::MAX), None);
    }

    #[test]
    fn a_code_of_one_protocol_is_none_of_the_other() {
        assert_eq!(AnyCode::parse("409", Protocol::Http), Some(AnyCode::Http(409)));
        assert_eq!(AnyCode::parse("ABORTED", Protocol::Grpc), Some(Code::Aborted.into()));
        for (name, protocol) in [
            ("409", Protocol::Grpc),
            ("ABORTED", Protocol::Http),
            ("199", Protocol::Http),
            ("600", Protocol::Http),
            ("+40", Protocol::Http),
            ("0409", Protocol::Http),
        ] {
            assert_eq!(AnyCode::parse(name, protocol), None, "{name}");
        }
    }

    #[test]
    fn no_http_status_reads_as_a_refusal() {
        let refusals = [Code::FailedPrecondition, Code::InvalidArgument, Code::NotFound];
        for status in (100u16..1000).filter_map(|number| http::StatusCode::from_u16(number).ok()) {
            assert!(!refusals.contains(&Code::from_http(status)), "{status}");
        }
    }
}

//! The names of gRPC's status codes, as definitions write them.
//!
//! What a code means by default is the runtime's table; here are only the names. Invariant: `OK` is not among them: what an
//! `OK` means is said by the reply (`rejected_when`, `pending_when`).

/// Every code that a definition may map.
pub(crate) const MAPPABLE: [&str; 16] = [
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

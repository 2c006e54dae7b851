//! The trace that a saga belongs to: W3C trace context, and ids that are derived and never drawn.
//!
//! A saga's `traceparent` is stored with its head when it is started: the caller's, or one derived from the saga's key. Every
//! span's id is derived from the trace and from what the span is about, so that each owner in turn, on whatever node, names the same
//! saga, the same attempt and the same parent without asking anybody. Invariant: what the same saga derives is the same
//! everywhere and always; an id is never zero, which would mean that there is none.

use std::fmt;

use amends_engine::ids::SagaKey;
use amends_engine::payload::Digest;

/// The length of a `traceparent` of version 00.
const LENGTH: usize = 55;

/// What a W3C `traceparent` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: u128,
    /// The span that what follows belongs to.
    pub span_id: u64,
    /// Whether whoever began the trace has it recorded.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent` of version 00; `None` for anything else, and for ids that are zero.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != LENGTH || text.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'+') {
            return None;
        }
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if (version, trace.len(), span.len(), flags.len(), parts.next()) != ("00", 32, 16, 2, None) {
            return None;
        }
        let trace_id = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
        let span_id = u64::from_str_radix(span, 16).ok().filter(|id| *id != 0)?;
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Some(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }

    /// The trace of a saga that nobody gave one, in the store with this id; recorded.
    pub fn of_saga(store: &str, key: &SagaKey) -> Self {
        let Digest(bytes) = Digest::of(format!("amends trace\0{store}\0{key}").as_bytes());
        let mut trace = [0; 16];
        trace.copy_from_slice(&bytes[..16]);
        let trace_id = u128::from_be_bytes(trace).max(1);
        let begun = Self { trace_id, span_id: 1, sampled: true };
        Self { span_id: begun.saga_span(key), ..begun }
    }

    /// The span of the saga as a whole.
    pub fn saga_span(&self, key: &SagaKey) -> u64 {
        self.span(&format!("saga {key}"))
    }

    /// The parent of the saga's own span; `None` where its trace begins with it.
    pub fn saga_parent(&self, key: &SagaKey) -> Option<u64> {
        Some(self.span_id).filter(|parent| *parent != self.saga_span(key))
    }

    /// The id of the span about `what` in this trace.
    pub fn span(&self, what: &str) -> u64 {
        let Digest(bytes) = Digest::of(format!("amends span\0{:032x}\0{what}", self.trace_id).as_bytes());
        let mut id = [0; 8];
        id.copy_from_slice(&bytes[..8]);
        u64::from_be_bytes(id).max(1)
    }

    /// The same trace, continued under this span.
    pub fn under(self, span_id: u64) -> Self {
        Self { span_id, ..self }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace_id, span_id, sampled } = self;
        write!(f, "00-{trace_id:032x}-{span_id:016x}-{:02x}", u8::from(*sampled))
    }
}

/// The trace id of a saga's `traceparent`, for logs and histories; empty when there is none.
pub fn trace_id(traceparent: &str) -> &str {
    traceparent.split('-').nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use amends_engine::ids::{Namespace, SagaId};

    use super::*;

    fn key(id: &str) -> SagaKey {
        SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse(id).unwrap() }
    }

    #[test]
    fn what_is_read_is_written_again() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = TraceContext::parse(text).unwrap();
        assert!(context.sampled);
        assert_eq!(context.to_string(), text);
        assert_eq!(trace_id(text), "4bf92f3577b34da6a3ce929d0e0e4736");
        for wrong in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_owner_derives_the_same() {
        let one = TraceContext::of_saga("store", &key("order-1"));
        assert_eq!(one, TraceContext::of_saga("store", &key("order-1")));
        assert_eq!(TraceContext::parse(&one.to_string()), Some(one));
        assert_eq!(one.saga_parent(&key("order-1")), None, "its trace begins with it");
        let others = [TraceContext::of_saga("store", &key("order-2")), TraceContext::of_saga("other", &key("order-1"))];
        assert!(others.iter().all(|other| other.trace_id != one.trace_id));
        assert_ne!(one.span("action charge 1"), one.span("action charge 2"));
    }

    #[test]
    fn a_callers_span_is_the_sagas_parent() {
        let given = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert_eq!(given.saga_parent(&key("order-1")), Some(0x00f0_67aa_0ba9_02b7));
    }
}

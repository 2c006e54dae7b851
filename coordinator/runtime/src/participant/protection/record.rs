//! The stored form of limits: a message within a participant's record.
//!
//! Invariant: what can't be kept to, written by a newer program or damaged, reads as the default; a participant isn't lost for
//! its limits.

use prost::Message;

use amends_engine::time::Timestamp;

use super::limits::{BreakerMode, Limits, LimitsChange, Rate};

/// Limits as they are stored.
#[derive(Clone, PartialEq, Message)]
pub(in super::super) struct LimitsRecord {
    #[prost(uint32, tag = "1")]
    concurrency: u32,
    #[prost(uint32, tag = "2")]
    reserved_percent: u32,
    /// In thousandths; absent: none.
    #[prost(uint64, optional, tag = "3")]
    rate: Option<u64>,
    #[prost(uint32, tag = "4")]
    retry_percent: u32,
    #[prost(uint32, tag = "5")]
    breaker: u32,
    /// In thousandths; absent: measured.
    #[prost(uint64, optional, tag = "6")]
    resume_rate: Option<u64>,
    #[prost(uint64, tag = "7")]
    changed_at: u64,
    #[prost(string, tag = "8")]
    principal: String,
    #[prost(string, tag = "9")]
    reason: String,
}

impl LimitsRecord {
    pub(in super::super) fn new(limits: &Limits, change: &LimitsChange) -> Self {
        Self {
            concurrency: limits.concurrency,
            reserved_percent: limits.reserved_percent,
            rate: limits.rate.map(|rate| rate.0),
            retry_percent: limits.retry_percent,
            breaker: match limits.breaker {
                BreakerMode::Auto => 1,
                BreakerMode::Off => 2,
                BreakerMode::Held => 3,
            },
            resume_rate: limits.resume_rate.map(|rate| rate.0),
            changed_at: change.at.0,
            principal: change.principal.clone(),
            reason: change.reason.clone(),
        }
    }

    pub(in super::super) fn read(self) -> (Limits, Option<LimitsChange>) {
        let limits = Limits {
            concurrency: self.concurrency,
            reserved_percent: self.reserved_percent,
            rate: self.rate.map(Rate),
            retry_percent: self.retry_percent,
            breaker: match self.breaker {
                2 => BreakerMode::Off,
                3 => BreakerMode::Held,
                _ => BreakerMode::Auto,
            },
            resume_rate: self.resume_rate.map(Rate),
        };
        let change = LimitsChange { at: Timestamp(self.changed_at), principal: self.principal, reason: self.reason };
        let limits = if limits.check().is_ok() { limits } else { Limits::default() };
        (limits, Some(change))
    }
}

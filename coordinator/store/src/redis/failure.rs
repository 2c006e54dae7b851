//! What Redis answers instead of a result, and what that says about a write.
//!
//! Only an error that the server gives before it runs the first line of a script is certain: nothing was written
//! (reliability-and-security §1.5). That holds because nobody sends a copy behind our back: the connections here never
//! re-send. Invariant: what isn't on the list of certain answers is unknown.

use redis::{ErrorKind, RedisError};

use crate::error::{CommitError, Source, StoreError};

/// What to do about an error reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing was written: give the server its scripts and send it again.
    Reload,
    /// Nothing was written: another server has the keys, or is the master now.
    Reroute,
    /// Nothing was written: the server can't just now.
    Wait,
    /// Nothing was written: its memory is full.
    Full,
    /// Nothing was written: somebody has to change something.
    Refused,
    /// It may have been written.
    Unknown,
}

/// Judges an error reply.
pub(super) fn verdict(error: &RedisError) -> Verdict {
    match error.code() {
        Some("NOSCRIPT") => Verdict::Reload,
        Some("MOVED" | "ASK" | "READONLY") => Verdict::Reroute,
        Some("TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" | "LOADING" | "BUSY") => Verdict::Wait,
        Some("OOM") => Verdict::Full,
        Some("MISCONF" | "NOREPLICAS" | "NOPERM" | "NOAUTH" | "CROSSSLOT") => Verdict::Refused,
        _ => Verdict::Unknown,
    }
}

/// A call that gave no result.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Failure {
    /// The server refused before it wrote anything, and may take it soon, or another server may.
    #[error("Redis can't just now: {0}")]
    Passing(RedisError),
    /// The server refused before it wrote anything.
    #[error("Redis refuses: {0}")]
    Refused(RedisError),
    /// Its memory is full; nothing was written.
    #[error("Redis has reached its maxmemory, give it more: {0}")]
    Full(RedisError),
    /// There is no connection; nothing was sent.
    #[error("Redis can't be reached: {0}")]
    Unreachable(RedisError),
    /// The server there is no master; nothing was sent.
    #[error("{0}")]
    NotMaster(String),
    /// It was sent, and nobody knows what became of it.
    #[error("no answer from Redis: {0}")]
    Unknown(RedisError),
    /// It was written on the master, and too few replicas have said that they have it.
    #[error("written, but confirmed by {got} of {wanted} replicas only")]
    Unconfirmed {
        /// How many have it.
        got: u64,
        /// How many must.
        wanted: u64,
    },
    /// It was written, and the server doesn't get it onto its disk.
    #[error("the server doesn't say in time that it is on its disk")]
    NotOnDisk,
    /// The server isn't safe to write to, or isn't the right one.
    #[error("{0}")]
    Frozen(String),
    /// The answer makes no sense.
    #[error("Redis answered what no script of ours answers: {0}")]
    Nonsense(&'static str),
}

impl Failure {
    /// Whether nothing was written, and trying again soon may help.
    pub(super) fn is_certain_and_passing(&self) -> bool {
        matches!(self, Self::Passing(_) | Self::Unreachable(_) | Self::NotMaster(_))
    }

    /// For the reads, leases and registrations.
    pub(super) fn store(self) -> StoreError {
        match self {
            Self::Frozen(why) => StoreError::Frozen(why),
            Self::Nonsense(what) => StoreError::Corrupt { what: what.to_owned(), source: None },
            Self::Full(_) | Self::Refused(_) => StoreError::Refused(Box::new(self)),
            other => StoreError::Unavailable(Box::new(other)),
        }
    }

    /// For one commit of a call that failed.
    pub(super) fn commit(&self) -> CommitError {
        match self {
            Self::Full(_) => CommitError::Full,
            other => CommitError::Ambiguous(Box::new(other.clone()) as Source),
        }
    }
}

/// Whether a connection with this error is of no more use. A time-out counts: what comes late would be taken for the answer
/// to something else's caller, and a half-open link would never heal.
pub(super) fn is_broken(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Io | ErrorKind::Parse) || error.is_timeout() || error.is_unrecoverable_error()
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use crate::error::Class;

    use super::*;

    /// The error of a reply as it comes over the wire.
    fn reply(line: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        match value {
            Value::ServerError(error) => error.into(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_the_listed_answers_are_certain() {
        for (line, expected) in [
            ("NOSCRIPT No matching script. Please use EVAL.", Verdict::Reload),
            ("MOVED 3999 127.0.0.1:6381", Verdict::Reroute),
            ("ASK 3999 127.0.0.1:6381", Verdict::Reroute),
            ("READONLY Can not run script with write flag on readonly replica.", Verdict::Reroute),
            ("TRYAGAIN Multiple keys request during rehashing of slot", Verdict::Wait),
            ("CLUSTERDOWN Hash slot not served", Verdict::Wait),
            ("MASTERDOWN Link with MASTER is down", Verdict::Wait),
            ("LOADING Redis is loading the dataset in memory", Verdict::Wait),
            ("BUSY Redis is busy running a script.", Verdict::Wait),
            ("OOM command not allowed when used memory > 'maxmemory'.", Verdict::Full),
            ("MISCONF Redis is configured to save RDB snapshots", Verdict::Refused),
            ("NOREPLICAS Not enough good replicas to write.", Verdict::Refused),
            ("NOPERM this user has no permissions to run the 'evalsha' command", Verdict::Refused),
            ("CROSSSLOT Keys in request don't hash to the same slot", Verdict::Refused),
            ("UNBLOCKED force unblock from blocking operation", Verdict::Unknown),
            ("ERR Error running script", Verdict::Unknown),
            ("WHATEVER comes next", Verdict::Unknown),
        ] {
            assert_eq!(verdict(&reply(line)), expected, "{line}");
        }
        let dropped = RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!(verdict(&dropped), Verdict::Unknown);
        assert!(is_broken(&dropped) && !is_broken(&reply("OOM x")));
        assert!(is_broken(&RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))));
    }

    #[test]
    fn a_full_store_is_no_riddle_and_a_missing_confirmation_is_one() {
        assert!(matches!(Failure::Full(reply("OOM x")).commit(), CommitError::Full));
        let full = Failure::Full(reply("OOM x")).store();
        assert_eq!((full.to_string().as_str(), full.class()), ("the store refuses", Class::Retryable), "it did answer");
        assert!(matches!(Failure::Unconfirmed { got: 0, wanted: 1 }.commit(), CommitError::Ambiguous(_)));
        assert!(matches!(Failure::Unknown(reply("ERR x")).commit(), CommitError::Ambiguous(_)));
    }
}

//! What a call's reply says about the address that it went to.
//!
//! It says nothing about the saga: that is `outcome.rs`. Invariant: an answer of the service itself, whatever it refuses, speaks for
//! its address.

use super::code::Code;
use super::{HttpReply, Reply, Status};

/// What a reply says about an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The service is there.
    Answered,
    /// It isn't, or can't keep up, or something in front of it answered instead.
    Failed(String),
}

impl Verdict {
    /// Of a call that was handed to a connection of that address.
    pub(super) fn of(reply: &Reply) -> Self {
        match reply {
            Reply::Ok { .. } | Reply::TooLarge { .. } => Self::Answered,
            Reply::Status(status) => of_status(status),
            Reply::Http(reply) => of_http(reply),
            Reply::NoAnswer => Self::Failed("no answer within the attempt's time".to_owned()),
            Reply::Broken(why) | Reply::Unreadable(why) | Reply::NotSent(why) => Self::Failed(why.clone()),
        }
    }
}

fn of_status(status: &Status) -> Verdict {
    match status.code {
        Code::Unavailable | Code::DeadlineExceeded => {
            // Not its message: that may hold what the customer sent.
            Verdict::Failed(format!("it answered {}", status.code.name()))
        }
        _ => Verdict::Answered,
    }
}

fn of_http(reply: &HttpReply) -> Verdict {
    match reply.status {
        502..=504 => Verdict::Failed(format!("it answered {}", reply.status)),
        _ => Verdict::Answered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: Code) -> Reply {
        Reply::Status(Status { code, message: "card 4711".to_owned(), info: None, retry_after: None })
    }

    #[test]
    fn a_refusal_speaks_for_an_address_and_unavailability_against_it() {
        for code in
            [Code::FailedPrecondition, Code::Internal, Code::Aborted, Code::ResourceExhausted, Code::Unimplemented]
        {
            assert_eq!(Verdict::of(&status(code)), Verdict::Answered, "{code:?}");
        }
        for code in [Code::Unavailable, Code::DeadlineExceeded] {
            let Verdict::Failed(why) = Verdict::of(&status(code)) else { panic!("{code:?}") };
            assert!(!why.contains("4711"), "{why}");
        }
        assert!(matches!(Verdict::of(&Reply::NoAnswer), Verdict::Failed(_)));
        assert!(matches!(Verdict::of(&Reply::Broken(String::new())), Verdict::Failed(_)));
    }
}

//! What an answer says about its participant, for the breaker.
//!
//! Another question than what it means for the saga: a refusal is a healthy answer, and a code that says "overloaded" is a sick
//! one even if the saga may wait. Invariant: what a definition or a registration gives a meaning to is healthy: it was meant.

use amends_engine::outcome::{Doubt, Outcome};

use super::super::{Code, Reply};
use super::window::Health;

/// How a participant did, by what came of a call.
pub(crate) fn health(reply: &Reply, outcome: &Outcome) -> Health {
    match outcome {
        Outcome::Succeeded(_) | Outcome::Rejected { .. } | Outcome::Pending | Outcome::NotFound(_) => Health::Good,
        Outcome::NotSent(_) | Outcome::Unknown { doubt: Doubt::NoAnswer | Doubt::Broken, .. } => Health::Bad,
        Outcome::Unknown { doubt: Doubt::Code, .. } => of_code(reply),
        // It answers, and keeps its books.
        Outcome::Unknown { doubt: Doubt::Unreadable | Doubt::KeyReused | Doubt::RowMissing, .. } => Health::Good,
        Outcome::Unknown { doubt: Doubt::OwnerLost | Doubt::Misconfigured | Doubt::StaleEpoch, .. } => Health::Silent,
    }
}

fn of_code(reply: &Reply) -> Health {
    let is_bad = match reply {
        Reply::Status(status) => matches!(
            status.code,
            Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Internal | Code::Unknown
        ),
        Reply::Http(reply) => matches!(reply.status, 408 | 429 | 500 | 502 | 503 | 504),
        _ => false,
    };
    if is_bad { Health::Bad } else { Health::Good }
}

#[cfg(test)]
mod tests {
    use amends_engine::outcome::Why;

    use super::super::super::Status;
    use super::*;

    fn of(code: Code) -> Health {
        let reply = Reply::Status(Status { code, message: String::new(), info: None, retry_after: None });
        health(&reply, &Outcome::Unknown { doubt: Doubt::Code, why: Why::default() })
    }

    #[test]
    fn overloaded_and_broken_is_bad_and_a_conflict_is_work() {
        for code in [Code::Unavailable, Code::ResourceExhausted, Code::DeadlineExceeded, Code::Internal, Code::Unknown]
        {
            assert_eq!(of(code), Health::Bad, "{code:?}");
        }
        assert_eq!(of(Code::Aborted), Health::Good);
        assert_eq!(health(&Reply::NoAnswer, &Outcome::NotSent(Why::default())), Health::Bad);
        let silence = Outcome::Unknown { doubt: Doubt::NoAnswer, why: Why::default() };
        assert_eq!(health(&Reply::NoAnswer, &silence), Health::Bad);
    }

    #[test]
    fn a_refusal_is_a_healthy_answer_whatever_its_code() {
        let reply =
            Reply::Status(Status { code: Code::Unavailable, message: String::new(), info: None, retry_after: None });
        let refused = Outcome::Rejected { why: Why::default(), last_word: false };
        assert_eq!(health(&reply, &refused), Health::Good, "its registration says that UNAVAILABLE means rejected");
        let locked_out = Outcome::Unknown { doubt: Doubt::Misconfigured, why: Why::default() };
        assert_eq!(health(&reply, &locked_out), Health::Silent);
    }
}

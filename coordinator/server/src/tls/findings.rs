//! What is to be said about certificates, for `/readyz` and `amends doctor`.
//!
//! Invariant: what can be served with is never an error: a listener whose new files are broken goes on with the old ones.

use amends_store::{Finding, Severity};
use amends_tls::{Expiry, Standing};
use jiff::Timestamp;

/// One finding for each thing that is watched.
pub(crate) fn findings(standing: &[Standing]) -> Vec<Finding> {
    standing.iter().map(finding).collect()
}

fn finding(standing: &Standing) -> Finding {
    let Standing { what, file, expires, problem, renewals: _ } = standing;
    if let Some(problem) = problem {
        let message = format!("{what}: new files can't be used and the ones before stay in use: {problem}");
        return Finding { severity: Severity::Warning, message };
    }
    let Some((not_after, expiry)) = expires else {
        return Finding { severity: Severity::Info, message: format!("{what}: {file} is in use") };
    };
    let seconds = i64::try_from(*not_after).unwrap_or(i64::MAX);
    let end = Timestamp::from_second(seconds).map_or_else(|_| "never".to_owned(), |end| end.to_string());
    let (severity, text) = match expiry {
        Expiry::Far => (Severity::Info, format!("holds until {end}")),
        Expiry::Soon => (Severity::Warning, format!("expires in 14 days or less, at {end}; renew it")),
        Expiry::Tomorrow => (Severity::Warning, format!("expires within a day, at {end}; renew it now")),
        Expiry::Over => (Severity::Error, format!("has expired at {end}: nobody accepts it; renew it")),
    };
    Finding { severity, message: format!("{what}: the certificate in {file} {text}") }
}

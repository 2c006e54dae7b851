//! `amends token …`: tokens for those who call the coordinator.
//!
//! Calls nobody and keeps nothing: the token is shown once, to whoever makes it. Invariant: what is to be put into the access
//! file holds the token's digest only.

use std::time::Duration;

use amends_server::auth::Secret;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::exit::Failure;
use crate::output::{Format, fields};

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token, and the line for `tokens:` of the access file
    New(New),
}

/// Makes a token.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// How long it is valid, such as 90d; without it, until it is taken out of the access file
    #[arg(long, value_name = "TIME", value_parser = valid_for)]
    expires: Option<Duration>,
}

impl TokenCommand {
    pub(crate) fn run(self, output: Format) -> Result<(), Failure> {
        let Self::New(New { expires }) = self;
        let secret = Secret::generate().map_err(|error| Failure::Findings(error.to_string()))?;
        let line = line(&secret, expires)?;
        output.print(
            || Ok(json!({ "token": secret.token(), "line": line })),
            || fields(&[("token", secret.token().to_owned()), ("line", line.clone())]),
        )
    }
}

/// A time of days, each of 24 hours, or hours.
fn valid_for(text: &str) -> Result<Duration, String> {
    let wrong = || "write a time such as 90d or 12h".to_owned();
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let read = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(read).ok().filter(|valid| !valid.is_zero()).ok_or_else(wrong)
}

fn line(secret: &Secret, expires: Option<Duration>) -> Result<String, Failure> {
    let sha256 = secret.sha256();
    let Some(valid) = expires else { return Ok(format!("- {{ sha256: '{sha256}' }}")) };
    let too_long = |_| Failure::Usage("--expires: it ends after the year 9999".to_owned());
    let end = jiff::Timestamp::now().checked_add(valid).map_err(too_long)?;
    let end = jiff::Timestamp::from_second(end.as_second()).map_err(too_long)?;
    Ok(format!("- {{ sha256: '{sha256}', expires: '{end}' }}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_the_digest_and_the_end_and_never_the_token() {
        let secret = Secret::generate().expect("random numbers");
        let line = line(&secret, Some(valid_for("90d").expect("a time"))).expect("not too long");
        assert!(line.contains(&secret.sha256()) && line.contains("expires: '") && !line.contains(secret.token()));
        assert_eq!(valid_for("12h"), Ok(Duration::from_secs(12 * 3600)));
        for wrong in ["", "0d", "-1d", "soon", "1 month"] {
            assert!(valid_for(wrong).is_err(), "{wrong}");
        }
    }
}

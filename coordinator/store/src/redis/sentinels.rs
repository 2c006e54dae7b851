//! Whether the Sentinels could make a replica the master now: asked of each that the address names.
//!
//! Findings only, and none is a refusal: without a fail-over the store is as good as before, it only can't outlive its master.

use std::time::Duration;

use redis::{Client, RedisError, RedisResult, Value};
use tokio::time::timeout;

use super::dial::Dialer;
use super::link::connect;
use crate::contract::{Finding, Severity};

/// Fewer can't agree once one of them is gone with the master.
const FEWEST: usize = 3;

/// How long one may take to answer.
const ANSWER: Duration = Duration::from_secs(3);

/// What one Sentinel says: whether a fail-over has its quorum, and how many others it knows.
struct Said {
    quorum: RedisResult<String>,
    others: usize,
}

/// One finding for each Sentinel of the address; none where there are no Sentinels.
pub(super) async fn examine(dialer: &Dialer) -> Vec<Finding> {
    let Some((master, sentinels)) = dialer.sentinels().await else { return Vec::new() };
    let mut findings = Vec::new();
    for (name, client) in sentinels {
        let said = match client {
            Ok(client) => timeout(ANSWER, ask(&client, &master)).await.unwrap_or_else(|_| Err(too_late())),
            Err(error) => Err(error),
        };
        findings.push(judge(&name, &said));
    }
    findings
}

async fn ask(client: &Client, master: &str) -> RedisResult<Said> {
    let mut connection = connect(client).await?;
    let quorum = redis::cmd("SENTINEL").arg("CKQUORUM").arg(master).query_async(&mut connection).await;
    let others: Vec<Value> = redis::cmd("SENTINEL").arg("SENTINELS").arg(master).query_async(&mut connection).await?;
    Ok(Said { quorum, others: others.len() })
}

fn judge(name: &str, said: &RedisResult<Said>) -> Finding {
    let (severity, message) = match said {
        Err(error) => (Severity::Warning, format!("it doesn't answer: {error}")),
        Ok(Said { quorum: Err(error), .. }) => {
            (Severity::Warning, format!("no fail-over is possible now, the master can't be replaced: {error}"))
        }
        Ok(Said { others, .. }) if others + 1 < FEWEST => {
            let all = others + 1;
            (
                Severity::Warning,
                format!("there are {all} Sentinels: with fewer than {FEWEST} none may die with the master"),
            )
        }
        Ok(Said { quorum: Ok(answer), .. }) => (Severity::Info, format!("a fail-over is possible: {answer}")),
    };
    Finding { severity, message: format!("Sentinel {name}: {message}") }
}

fn too_late() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fail_over_that_cant_happen_is_warned_of() {
        let said = |quorum: RedisResult<String>, others| judge("s:26379", &Ok(Said { quorum, others }));
        let good = said(Ok("OK 3 usable Sentinels.".into()), 2);
        assert_eq!(good.severity, Severity::Info);
        assert_eq!(good.message, "Sentinel s:26379: a fail-over is possible: OK 3 usable Sentinels.");
        assert_eq!(said(Err(too_late()), 2).severity, Severity::Warning);
        assert!(said(Ok("OK".into()), 1).message.contains("there are 2 Sentinels"));
        assert_eq!(judge("s:26379", &Err(too_late())).severity, Severity::Warning);
    }
}

//! The examination of the store that the settings name, without serving from it.
//!
//! It makes no store and changes none: where there is none yet, that is what it says. Invariant: every refusal that would keep
//! the server from starting is among the findings.

use amends_store::redis::RedisOptions;
use amends_store::{Finding, OpenError, RedisOpenError, RedisStore, Severity, Store, sqlite};

use crate::config::{ServerConfig, StoreKind};
use crate::error::{Error, chain};
use crate::store::{Backend, redis_options};
use crate::tls::{self, Tls};

/// All that can be said about the certificates and the store, good and bad.
pub async fn examine(config: &ServerConfig) -> Result<Vec<Finding>, Error> {
    let mut findings = certificates(config).await;
    findings.extend(store(config).await?);
    Ok(findings)
}

/// What keeps others out, or doesn't.
async fn certificates(config: &ServerConfig) -> Vec<Finding> {
    let mut findings = Vec::new();
    if config.insecure_i_know {
        let message = "insecure_i_know: whoever can connect may do anything, and can be overheard".to_owned();
        findings.push(Finding { severity: Severity::Warning, message });
    }
    match Tls::open(config).await {
        // Where no file is named there is nothing to say.
        Ok(tls) => {
            let named = tls.keeper.standing().into_iter().filter(|standing| standing.file != "public authorities");
            findings.extend(tls::findings(&named.collect::<Vec<_>>()));
        }
        Err(error) => findings.push(Finding { severity: Severity::Error, message: chain(&error) }),
    }
    findings
}

async fn store(config: &ServerConfig) -> Result<Vec<Finding>, Error> {
    match config.store.kind {
        StoreKind::Redis => redis(redis_options(&config.store, config.sagas.lease)?).await,
        StoreKind::Sqlite if !amends_store::sqlite::is_there(&config.store.data) => Ok(vec![info(format!(
            "there is no store in {} yet: it is made at the first start",
            config.store.data.display()
        ))]),
        StoreKind::Sqlite | StoreKind::Memory => {
            let backend = match Backend::open(&config.store, config.sagas.lease).await {
                Ok(backend) => backend,
                Err(error @ Error::Open(OpenError::InUse { .. })) => return beside(config, &error).await,
                Err(error) => return Ok(vec![bad(chain(&error))]),
            };
            let findings = opened(&**backend.store()).await;
            backend.close().await;
            findings
        }
    }
}

/// What a running coordinator uses is read beside it: that is when somebody is called.
async fn beside(config: &ServerConfig, in_use: &Error) -> Result<Vec<Finding>, Error> {
    let dir = config.store.data.clone();
    let examined = tokio::task::spawn_blocking(move || sqlite::examine(&dir)).await;
    let examined = examined.map_err(|_| Error::Broken("examining the store"))?;
    let mut findings = vec![info(format!("{}; here it is only read", first_clause(&chain(in_use))))];
    findings.extend(examined.unwrap_or_else(|error| vec![bad(chain(&error))]));
    Ok(findings)
}

async fn redis(options: RedisOptions) -> Result<Vec<Finding>, Error> {
    match RedisStore::examine(options).await {
        Ok(findings) => Ok(findings),
        Err(RedisOpenError::Refused(lines)) => Ok(lines.into_iter().map(bad).collect()),
        // Closed, missing, of another version: that is what was asked.
        Err(error) => Ok(vec![bad(chain(&error))]),
    }
}

/// Without the advice for somebody who wanted to serve from it.
fn first_clause(message: &str) -> &str {
    message.split(": ").next().unwrap_or(message)
}

fn bad(message: String) -> Finding {
    Finding { severity: Severity::Error, message }
}

async fn opened(store: &dyn Store) -> Result<Vec<Finding>, Error> {
    let about = store.info();
    let mut findings = vec![
        info(format!("the {} store {} with {} shards", about.kind, about.id, about.shards)),
        info(format!("an answered request survives: {}", about.durability)),
    ];
    findings.extend(store.check().await?);
    Ok(findings)
}

fn info(message: String) -> Finding {
    Finding { severity: Severity::Info, message }
}

#[cfg(test)]
mod tests {
    use amends_store::redis::Address;

    use super::*;

    /// What a doctor is called for is what it tells of.
    #[tokio::test]
    async fn a_store_that_isnt_there_is_a_finding() {
        let mut config = ServerConfig::default();
        config.store.kind = StoreKind::Redis;
        config.store.redis.url = Some(Address::parse("redis://127.0.0.1:1").unwrap());
        config.store.data = std::env::temp_dir().join("amends-no-such-folder");
        let findings = examine(&config).await.unwrap();
        assert!(
            matches!(&findings[..], [bad] if bad.severity == Severity::Error && bad.message.contains("can't be used")),
            "{findings:?}"
        );
    }
}

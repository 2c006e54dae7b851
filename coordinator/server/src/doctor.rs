//! The examination of the store that the settings name, without serving from it.
//!
//! It makes no store and changes none: where there is none yet, that is what it says. Invariant: every refusal that would keep
//! the server from starting is among the findings.

use amends_store::redis::RedisOptions;
use amends_store::{Finding, RedisOpenError, RedisStore, Severity, Store};

use crate::config::{ServerConfig, StoreKind};
use crate::error::Error;
use crate::store::{Backend, redis_options};

/// All that can be said about the store, good and bad.
pub async fn examine(config: &ServerConfig) -> Result<Vec<Finding>, Error> {
    match config.store.kind {
        StoreKind::Redis => redis(redis_options(&config.store, config.sagas.lease)?).await,
        StoreKind::Sqlite if !amends_store::sqlite::is_there(&config.store.data) => Ok(vec![info(format!(
            "there is no store in {} yet: it is made at the first start",
            config.store.data.display()
        ))]),
        StoreKind::Sqlite | StoreKind::Memory => {
            let backend = Backend::open(&config.store, config.sagas.lease).await?;
            let findings = opened(&**backend.store()).await;
            backend.close().await;
            findings
        }
    }
}

async fn redis(options: RedisOptions) -> Result<Vec<Finding>, Error> {
    match RedisStore::examine(options).await {
        Ok(findings) => Ok(findings),
        Err(RedisOpenError::Refused(lines)) => {
            Ok(lines.into_iter().map(|message| Finding { severity: Severity::Error, message }).collect())
        }
        Err(error) => Err(error.into()),
    }
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

//! The examination of a store that isn't open: judged like at a start, and nothing is written.
//!
//! It doesn't repeat what opening does with a good server; where one is refused it says all that is wrong, the good too.

use std::sync::Arc;

use super::dial::Dialer;
use super::failure::Failure;
use super::guard::Guard;
use super::keys::{Keys, slot_of};
use super::open::{FORMAT, RedisOpenError, RedisOptions, known_id, wanted};
use super::router::Router;
use super::script::Scripts;
use super::{check, values};
use crate::contract::{Finding, Severity, Store as _};

/// See [`super::RedisStore::examine`].
pub(super) async fn examine(options: RedisOptions) -> Result<Vec<Finding>, RedisOpenError> {
    let unreachable = |failure: Failure| RedisOpenError::unreachable(&options.address, &failure);
    let known = known_id(&options)?;
    let keys = Keys::new(&options.name);
    let guard = Arc::new(Guard::new(wanted(&options, known.clone()), keys.meta()));
    let dialer = Dialer::new(options.address.clone(), options.tls.clone());
    let dialer = dialer.map_err(|error| unreachable(Failure::Unreachable(error)))?;
    let router = Router::new(dialer, Arc::clone(&guard), Arc::new(Scripts::new()));
    let mut findings = check::servers(&router, &guard).await.map_err(unreachable)?;
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Ok(findings);
    }
    let Some(format) = format(&router, &keys).await.map_err(unreachable)? else {
        let message = format!("there is no store {} there yet: it is made at the first start", options.name);
        findings.push(Finding { severity: Severity::Info, message });
        return Ok(findings);
    };
    // Opened, so that its records can be read. It remembers nothing: that is for whoever serves from it.
    let store = super::open::open(RedisOptions { store_id: known, remembered_in: None, ..options }, false).await?;
    let about = store.info();
    let message = format!("the store {} with {} shards", about.id, about.shards);
    findings.push(Finding { severity: Severity::Info, message });
    let unreachable = |failure: Failure| RedisOpenError::unreachable(&store.address, &failure);
    findings.extend(check::unreadable(&store).await.map_err(unreachable)?);
    if format < FORMAT {
        let message = format!("the store has format {format}: the next start brings it up to format {FORMAT}");
        findings.push(Finding { severity: Severity::Info, message });
    } else {
        findings.extend(check::logs(&store).await.map_err(unreachable)?);
    }
    Ok(findings)
}

/// The format of the store; `None` where there is no store.
async fn format(router: &Router, keys: &Keys) -> Result<Option<u64>, Failure> {
    let key = keys.meta();
    let mut get = redis::cmd("HGET");
    get.arg(&key).arg("format");
    let answers = router.read(vec![(slot_of(&key), get)]).await?;
    answers.into_iter().next().map_or(Ok(None), values::read)
}

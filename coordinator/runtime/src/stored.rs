//! Reads a stored saga back: the one place where bytes of the store become a saga again.
//!
//! It trusts nothing: a record that can't be decoded, a definition that is gone, a payload that isn't what the state says, all
//! make the saga unreadable, and an unreadable saga is left alone. Invariant: a request that was prepared is sent with the very
//! bytes that were committed, or not at all. A store that doesn't answer says nothing about the saga, and stays an error.

use std::collections::BTreeMap;
use std::sync::Arc;

use amends_definition::Compiled;
use amends_engine::ids::{Operation, SagaKey};
use amends_engine::payload::{Digest, Payload, PayloadKey};
use amends_engine::saga::Saga;
use amends_store::{StoredSaga, record};

use crate::definitions::Definitions;
use crate::error::{RequestError, UnreadableSaga, with_sources};

/// A saga as it was last committed, with all that is needed to go on with it.
#[derive(Debug)]
pub(crate) struct Revived {
    pub(crate) saga: Saga,
    pub(crate) compiled: Arc<Compiled>,
    pub(crate) payloads: BTreeMap<PayloadKey, Payload>,
}

/// Reports a saga that can't be read: it is left alone, the others run.
pub(crate) fn report_unreadable(key: &SagaKey, error: &RequestError) {
    tracing::error!(saga = %key, %error, "a saga can't be read; it is left alone, the others run");
}

/// A whole saga.
pub(crate) async fn revive(definitions: &Definitions, stored: StoredSaga) -> Result<Revived, RequestError> {
    let (saga, compiled) = revive_state(definitions, &stored.key, stored.revision, &stored.state).await?;
    let payloads: BTreeMap<PayloadKey, Payload> = stored.payloads.into_iter().collect();
    match damaged(&saga, &payloads) {
        None => Ok(Revived { saga, compiled, payloads }),
        Some(key) => {
            let why = format!("its payload {key:?} is missing or is not what was committed");
            Err(UnreadableSaga { key: stored.key, revision: stored.revision, why }.into())
        }
    }
}

/// A saga without its payloads, for lists.
pub(crate) async fn revive_state(
    definitions: &Definitions,
    key: &SagaKey,
    revision: u64,
    state: &[u8],
) -> Result<(Saga, Arc<Compiled>), RequestError> {
    let unreadable = |why: String| UnreadableSaga { key: key.clone(), revision, why };
    let state = record::decode_state(state).map_err(|error| unreadable(with_sources(&error)))?;
    let (name, version) = (&state.head.definition, state.head.version);
    let compiled = match definitions.get(&key.namespace, name, version).await {
        Ok(compiled) => compiled,
        // That says nothing about the saga.
        Err(error @ RequestError::Unavailable(_)) => return Err(error),
        Err(error) => return Err(unreadable(error.to_string()).into()),
    };
    let saga = Saga::resume(state, compiled.engine().clone()).map_err(|error| unreadable(error.to_string()))?;
    Ok((saga, compiled))
}

/// The first payload that isn't what the state says it is.
fn damaged(saga: &Saga, payloads: &BTreeMap<PayloadKey, Payload>) -> Option<PayloadKey> {
    let mut expected: Vec<(PayloadKey, Digest)> = vec![(PayloadKey::Input, saga.state.head.input)];
    for step in saga.definition.indices() {
        for operation in [Operation::Action, Operation::Compensate, Operation::Confirm, Operation::Query] {
            let state = saga.operation(step, operation);
            expected.extend(state.request.map(|digest| (PayloadKey::Request(step, operation), digest)));
            expected.extend(state.output.map(|digest| (PayloadKey::Output(step, operation), digest)));
        }
    }
    let intact =
        |key: &PayloadKey, digest: &Digest| payloads.get(key).is_some_and(|payload| payload.digest() == *digest);
    expected.into_iter().find(|(key, digest)| !intact(key, digest)).map(|(key, _)| key)
}

//! Judges what is left at the end of a run by the checker's rules: the store, the participants' ledgers, and the one against the other.
//!
//! Everything is read from the databases, nothing from answers, while no coordinator runs. Invariant: every accepted saga is judged.

use std::collections::BTreeMap;
use std::sync::Arc;

use amends_checker::{EffectSeen, Ended, Intents, check_accounted, check_effects, check_ended, check_state};
use amends_engine::ids::{Namespace, Operation, SagaId, SagaKey, StepName};
use amends_engine::saga::{Phase, Saga};
use amends_participant::database::Place;
use amends_runtime::definitions::Definitions;
use amends_store::{Finding, Severity, Store, record};
use rusqlite::{Connection, OpenFlags};

/// The step that waits for a payer.
const CODE: &str = "pay-by-qr";

/// Of the store's own warnings, those that the laboratory earns and not the product: its Redis has no user but the default one.
const EXPECTED: &[&str] = &["our user may run FLUSHALL"];

/// All that a run has left, as it was read.
#[derive(Clone)]
pub(super) struct Evidence {
    /// The sagas whose start was acknowledged.
    pub(super) accepted: Vec<SagaKey>,
    pub(super) sagas: BTreeMap<SagaKey, Saga>,
    /// What took effect, in the order in which each participant logged it.
    pub(super) effects: Vec<EffectSeen>,
    /// What can't be read, and what the store says of itself.
    damage: Vec<String>,
}

impl Evidence {
    pub(super) async fn gather(store: Arc<dyn Store>, places: &[Place], accepted: &[String]) -> Self {
        let accepted: Vec<SagaKey> = accepted.iter().map(|id| key("default", id)).collect();
        let mut damage = Vec::new();
        let sagas = load(&store, &accepted, &mut damage).await;
        let effects = places.iter().flat_map(read).collect();
        match store.check().await {
            Ok(findings) => {
                let is_bad = |it: &&Finding| {
                    let is_expected = EXPECTED.iter().any(|words| it.message.contains(words));
                    it.severity == Severity::Error || (it.severity == Severity::Warning && !is_expected)
                };
                damage.extend(findings.iter().filter(is_bad).map(|finding| format!("the store: {finding:?}")));
            }
            Err(error) => damage.push(format!("the store can't be examined: {error}")),
        }
        Self { accepted, sagas, effects, damage }
    }

    /// All violations, in words.
    pub(super) fn judge(&self) -> Vec<String> {
        let mut violations = self.damage.clone();
        let mut effects: BTreeMap<&SagaKey, Vec<EffectSeen>> = BTreeMap::new();
        for effect in &self.effects {
            effects.entry(&effect.saga).or_default().push(effect.clone());
        }
        for (key, saga) in &self.sagas {
            violations.extend(one(saga, effects.remove(key).unwrap_or_default()));
        }
        // Every start is asked for until it is acknowledged: what is left was asked for by nobody, or was acknowledged and is gone.
        violations.extend(effects.keys().map(|key| format!("{key} took effect, and there is no such saga")));
        let found: Vec<Saga> = self.sagas.values().cloned().collect();
        violations.extend(check_accounted(&self.accepted, &found).iter().map(ToString::to_string));
        violations
    }
}

/// What is wrong with one saga.
fn one(saga: &Saga, effects: Vec<EffectSeen>) -> Vec<String> {
    let seen = without_voided(saga, effects);
    let ended: Vec<Ended> = Ended::of(saga).into_iter().collect();
    let found = [check_effects(&seen), check_ended(&seen, &ended), intents(saga, &seen)];
    let mut violations: Vec<String> = found.into_iter().flatten().map(|violation| violation.to_string()).collect();
    violations.extend(check_state(saga).err().map(|violation| violation.to_string()));
    violations.extend((!saga.state.phase.is_terminal()).then(|| format!("{} is open", saga.state.head.key)));
    violations
}

fn key(namespace: &str, id: &str) -> SagaKey {
    let namespace = Namespace::parse(namespace).expect("a stored name");
    SagaKey { namespace, id: SagaId::parse(id).expect("a stored name") }
}

async fn load(store: &Arc<dyn Store>, keys: &[SagaKey], violations: &mut Vec<String>) -> BTreeMap<SagaKey, Saga> {
    let definitions = Definitions::new(store.clone());
    let mut sagas = BTreeMap::new();
    for key in keys {
        // One that isn't there is `check_accounted`'s to say.
        let Some(stored) = store.get(key).await.expect("a store that can be read") else { continue };
        let state = match record::decode_state(&stored.state) {
            Ok(state) => state,
            Err(error) => {
                violations.push(format!("{key} can't be read: {error}"));
                continue;
            }
        };
        let (name, version) = (&state.head.definition, state.head.version);
        let compiled = definitions.get(&key.namespace, name, version).await.expect("its definition");
        sagas.insert(key.clone(), Saga::resume(state, compiled.engine().clone()).expect("its own definition"));
    }
    sagas
}

/// Whatever took effect was asked for by something durable.
fn intents(saga: &Saga, effects: &[EffectSeen]) -> Vec<amends_checker::Violation> {
    let mut intents = Intents::new();
    let mut violations: Vec<_> = intents.committed(&saga.state).err().into_iter().collect();
    for effect in effects {
        // A step that isn't in the definition is `check_ended`'s to say.
        let Some(step) = saga.definition.find(&effect.step) else { continue };
        violations.extend(intents.saw_call(&effect.saga, step, effect.operation, 1).err());
    }
    violations
}

/// The payment service logs a payment by code when it is paid, and the end of a code when it is cancelled, paid or not. The one
/// cancellation in a compensated saga whose code nobody has ever paid undoes nothing, and isn't counted. Any other is.
fn without_voided(saga: &Saga, mut effects: Vec<EffectSeen>) -> Vec<EffectSeen> {
    let paid = effects.iter().any(|it| it.step.as_str() == CODE && it.operation == Operation::Action);
    if paid || saga.state.phase != Phase::Compensated {
        return effects;
    }
    let voided = effects.iter().position(|it| it.step.as_str() == CODE && it.operation == Operation::Compensate);
    voided.map(|place| effects.remove(place));
    effects
}

/// The effects in a participant's own log, in the order in which they took place.
fn read(place: &Place) -> Vec<EffectSeen> {
    let Place::File(file) = place else { panic!("{place} is no file") };
    let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE).expect("a database");
    let mut rows = database
        .prepare("SELECT namespace, saga_id, step, operation FROM effect_log ORDER BY effect_id")
        .expect("an effect log");
    let effect = |row: &rusqlite::Row<'_>| {
        let text = |column: usize| row.get::<_, String>(column);
        let (namespace, id, step, operation) = (text(0)?, text(1)?, text(2)?, text(3)?);
        let operations = [Operation::Action, Operation::Compensate, Operation::Confirm, Operation::Query];
        let operation = operations.into_iter().find(|it| it.as_str() == operation).expect("an operation's word");
        let step = StepName::parse(&step).expect("a stored name");
        Ok(EffectSeen { saga: key(&namespace, &id), step, operation })
    };
    rows.query_map([], effect).expect("rows").map(|row| row.expect("a row")).collect()
}

/// What a participant says of its own books, by kind.
pub(super) fn books(place: &Place) -> BTreeMap<String, i64> {
    let Place::File(file) = place else { panic!("{place} is no file") };
    let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE).expect("a database");
    let mut rows = database.prepare("SELECT kind, amount FROM conservation").expect("sums");
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    rows.map(|row| row.expect("a row")).collect()
}

//! Barrier rows as columns: taking a row apart, putting it together, and noticing what makes no sense.
//!
//! No statements here; `rows.rs` has those. Invariant: what [`Columns::of`] takes apart, [`Stored::row`] puts together again;
//! columns that contradict each other are a [`RunError::Corrupt`], never a guess. The tables are in `schema.sqlite.sql`
//! and `schema.postgres.sql`.

use super::connection::Value;
use super::run::RunError;
use crate::answer::Refusal;
use crate::barrier::row::{Digest, Ending, Leg, Row};
use crate::key::StepKey;

/// What a query of the barrier gave; a column that it didn't ask for is `None`, as is one without a value.
#[doc(hidden)]
#[derive(Debug, Default, sqlx::FromRow)]
#[sqlx(default)]
pub struct Stored {
    /// A number that was asked for alone: an epoch, a count.
    pub(crate) number: Option<i64>,
    status: Option<String>,
    action_digest: Option<Vec<u8>>,
    action_reply: Option<Vec<u8>>,
    refusal_reason: Option<String>,
    refusal_message: Option<String>,
    ending: Option<String>,
    ending_digest: Option<Vec<u8>>,
    ending_reply: Option<Vec<u8>>,
}

impl Stored {
    /// The step's row.
    pub(super) fn row(self, key: &StepKey) -> Result<Row, RunError> {
        let corrupt = |what: &str| RunError::Corrupt { key: key.clone(), what: what.to_owned() };
        let given = |bytes: Option<Vec<u8>>, column: &str| bytes.ok_or_else(|| corrupt(column));
        let text = |text: Option<String>, column: &str| text.ok_or_else(|| corrupt(column));
        let digest = |bytes: Option<Vec<u8>>, column: &str| {
            given(bytes, column).and_then(|bytes| Digest::try_from(bytes).map_err(|_| corrupt(column)))
        };
        let action = |bytes| digest(bytes, "action_digest");
        let leg_pending = |bytes| Ok::<_, RunError>(Leg::Pending { digest: digest(bytes, "ending_digest")? });
        let leg_done = |bytes, reply| -> Result<Leg, RunError> {
            Ok(Leg::Done { digest: digest(bytes, "ending_digest")?, reply: given(reply, "ending_reply")? })
        };
        let Some(status) = self.status else { return Ok(Row::Absent) };
        if let ("sealed", None) = (status.as_str(), &self.ending) {
            return Ok(Row::Sealed { compensate: digest(self.ending_digest, "ending_digest")? });
        }
        let ending = match self.ending.as_deref() {
            None => None,
            Some("confirming") => Some(Ending::Confirm(leg_pending(self.ending_digest)?)),
            Some("confirmed") => Some(Ending::Confirm(leg_done(self.ending_digest, self.ending_reply)?)),
            Some("compensating") => Some(Ending::Compensate(leg_pending(self.ending_digest)?)),
            Some("compensated") => Some(Ending::Compensate(leg_done(self.ending_digest, self.ending_reply)?)),
            Some(other) => return Err(corrupt(&format!("ending {other:?}"))),
        };
        match (status.as_str(), ending) {
            ("absent", None) => Ok(Row::Absent),
            ("refused", None) => {
                let (reason, message) = (self.refusal_reason, self.refusal_message);
                let refusal =
                    Refusal { reason: text(reason, "refusal_reason")?, message: text(message, "refusal_message")? };
                Ok(Row::Refused { action: action(self.action_digest)?, refusal })
            }
            ("pending", None) => Ok(Row::Pending { action: action(self.action_digest)?, compensate: None }),
            ("pending", Some(Ending::Compensate(leg))) => {
                Ok(Row::Pending { action: action(self.action_digest)?, compensate: Some(leg) })
            }
            ("succeeded", ending) => {
                let reply = given(self.action_reply, "action_reply")?;
                Ok(Row::Succeeded { action: action(self.action_digest)?, reply, ending })
            }
            (other, _) => Err(corrupt(&format!("status {other:?}"))),
        }
    }
}

/// A row taken apart into columns.
#[derive(Default)]
pub(super) struct Columns<'r> {
    status: &'static str,
    action_digest: Option<&'r [u8]>,
    action_reply: Option<&'r [u8]>,
    refusal: Option<&'r Refusal>,
    ending: Option<&'static str>,
    ending_digest: Option<&'r [u8]>,
    ending_reply: Option<&'r [u8]>,
}

impl<'r> Columns<'r> {
    /// `None` for the row that isn't there.
    pub(super) fn of(row: &'r Row) -> Option<Self> {
        let columns = match row {
            Row::Absent => return None,
            Row::Sealed { compensate } => Self { status: "sealed", ending_digest: Some(compensate), ..Self::default() },
            Row::Refused { action, refusal } => {
                Self { status: "refused", action_digest: Some(action), refusal: Some(refusal), ..Self::default() }
            }
            Row::Pending { action, compensate } => {
                let columns = Self { status: "pending", action_digest: Some(action), ..Self::default() };
                columns.ending(compensate.as_ref().map(|leg| (leg, "compensating", "compensated")))
            }
            Row::Succeeded { action, reply, ending } => {
                let columns = Self {
                    status: "succeeded",
                    action_digest: Some(action),
                    action_reply: Some(reply),
                    ..Self::default()
                };
                columns.ending(ending.as_ref().map(|ending| match ending {
                    Ending::Confirm(leg) => (leg, "confirming", "confirmed"),
                    Ending::Compensate(leg) => (leg, "compensating", "compensated"),
                }))
            }
        };
        Some(columns)
    }

    fn ending(mut self, ending: Option<(&'r Leg, &'static str, &'static str)>) -> Self {
        if let Some((leg, begun, done)) = ending {
            self.ending_digest = Some(leg.digest());
            (self.ending, self.ending_reply) = match leg {
                Leg::Pending { .. } => (Some(begun), None),
                Leg::Done { reply, .. } => (Some(done), Some(reply.as_slice())),
            };
        }
        self
    }

    /// In the order of the table's columns, after the key.
    pub(super) fn values(&self) -> [Value<'r>; 8] {
        [
            Value::Text(Some(self.status)),
            Value::Bytes(self.action_digest),
            Value::Bytes(self.action_reply),
            Value::Text(self.refusal.map(|refusal| refusal.reason.as_str())),
            Value::Text(self.refusal.map(|refusal| refusal.message.as_str())),
            Value::Text(self.ending),
            Value::Bytes(self.ending_digest),
            Value::Bytes(self.ending_reply),
        ]
    }
}

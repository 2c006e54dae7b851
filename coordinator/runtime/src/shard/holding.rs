//! Sagas of paused definitions: they wait outside memory, and are looked at again when their definition is resumed.
//!
//! What is held and who is told is said by [`crate::holds`]. Invariant: a saga that waits for nothing but its definition needs no
//! timer; deadlines that pass meanwhile act when it is looked at next, at the resume at the latest.

use amends_engine::event::Event;
use amends_engine::ids::SagaKey;

use super::owner::Owner;
use super::resident::Work;

impl Owner<'_> {
    /// The definition of a saga isn't paused any more. What the saga waits for is due now, or has its own timer once it is read.
    pub(super) fn released(&mut self, key: &SagaKey) {
        if self.leaving.is_some() {
            return;
        }
        if let Some(resident) = self.residents.get_mut(key) {
            resident.admissions.go_on();
        }
        self.work(key, Work::event(Event::Due));
    }
}

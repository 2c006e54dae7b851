//! The documents of the memory store.
//!
//! Invariant: every put gets a revision that no document had before.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use crate::contract::Document;
use crate::error::StoreError;
use crate::transfer::TransferError;

/// All documents, by kind and id.
#[derive(Debug, Clone, Default)]
pub(super) struct Documents {
    by_id: BTreeMap<(String, String), Document>,
    revision: u64,
}

impl Documents {
    fn expect(&self, kind: &str, id: &str, expected: Option<u64>) -> Result<(), StoreError> {
        let found = self.get(kind, id).map_or(0, |document| document.revision);
        match expected.filter(|expected| *expected != found) {
            Some(expected) => Err(StoreError::Conflict { expected, found }),
            None => Ok(()),
        }
    }

    /// See [`crate::Store::put_document`].
    pub(super) fn put(&mut self, kind: &str, id: &str, body: Bytes, expected: Option<u64>) -> Result<u64, StoreError> {
        self.expect(kind, id, expected)?;
        self.revision += 1;
        let document = Document { kind: kind.to_owned(), id: id.to_owned(), revision: self.revision, body };
        self.by_id.insert((kind.to_owned(), id.to_owned()), document);
        Ok(self.revision)
    }

    /// See [`crate::Store::get_document`].
    pub(super) fn get(&self, kind: &str, id: &str) -> Option<&Document> {
        self.by_id.get(&(kind.to_owned(), id.to_owned()))
    }

    /// See [`crate::Store::list_documents`].
    pub(super) fn list(&self, kind: &str, after: Option<&str>, limit: usize) -> Vec<Document> {
        let from = match after {
            Some(after) => Bound::Excluded((kind.to_owned(), after.to_owned())),
            None => Bound::Included((kind.to_owned(), String::new())),
        };
        let of_kind = self.by_id.range((from, Bound::Unbounded)).take_while(|((of, _), _)| of == kind);
        of_kind.take(limit).map(|(_, document)| document.clone()).collect()
    }

    /// See [`crate::transfer::Export::document_kinds`].
    pub(super) fn kinds(&self) -> Vec<String> {
        let mut kinds: Vec<String> = self.by_id.keys().map(|(kind, _)| kind.clone()).collect();
        kinds.dedup();
        kinds
    }

    /// See [`crate::transfer::Import::put_documents`].
    pub(super) fn import(&mut self, documents: Vec<Document>) -> Result<(), TransferError> {
        let differs = |it: &&Document| self.get(&it.kind, &it.id).is_some_and(|there| there != *it);
        if let Some(Document { kind, id, .. }) = documents.iter().find(differs) {
            return Err(TransferError::Differs { what: format!("{kind} document {id}") });
        }
        for it in documents {
            self.revision = self.revision.max(it.revision);
            self.by_id.insert((it.kind.clone(), it.id.clone()), it);
        }
        Ok(())
    }

    /// See [`crate::Store::delete_document`].
    pub(super) fn delete(&mut self, kind: &str, id: &str, expected: Option<u64>) -> Result<bool, StoreError> {
        self.expect(kind, id, expected)?;
        Ok(self.by_id.remove(&(kind.to_owned(), id.to_owned())).is_some())
    }
}

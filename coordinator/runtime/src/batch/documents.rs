//! Reads and writes a batch's documents; see `record.rs` for their names.
//!
//! Invariants: a head and a part are changed by compare-and-set only; whoever loses drops what it had.

use std::sync::Arc;

use amends_engine::ids::Namespace;
use amends_store::{Document, Store, StoreError};
use bytes::Bytes;
use prost::Message;

use super::error::BatchError;
use super::mark::is_id;
use super::record::{Count, Head, Part, decode, encode};

const HEAD: &str = "batch";
const PART: &str = "batch-part";
const RUNNING: &str = "batch-running";
/// Documents per page of a list.
const PAGE: usize = 256;
/// How often a change of a head is tried while others change it too.
const TRIES: usize = 8;

/// The documents of all batches. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Documents {
    store: Arc<dyn Store>,
}

/// Which batch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) namespace: Namespace,
    pub(crate) id: String,
}

impl Name {
    /// `None`: no batch can have this id.
    pub(crate) fn new(namespace: &Namespace, id: &str) -> Option<Self> {
        is_id(id).then(|| Self { namespace: namespace.clone(), id: id.to_owned() })
    }

    fn of(text: &str) -> Option<Self> {
        let (namespace, id) = text.split_once(',')?;
        Self::new(&Namespace::parse(namespace).ok()?, id)
    }

    pub(crate) fn text(&self) -> String {
        format!("{},{}", self.namespace, self.id)
    }

    fn parts(&self) -> String {
        format!("{},i,", self.text())
    }

    fn part(&self, shard: u32, part: u32) -> String {
        format!("{}{shard:05},{part:05}", self.parts())
    }

    fn counts(&self) -> String {
        format!("{},p,", self.text())
    }
}

impl Documents {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// A batch's head with its revision.
    pub(crate) async fn head(&self, name: &Name) -> Result<Option<(u64, Head)>, BatchError> {
        let Some(document) = self.store.get_document(HEAD, &name.text()).await? else { return Ok(None) };
        let head = decode(&document.body).map_err(|why| BatchError::Unreadable { id: name.id.clone(), why })?;
        Ok(Some((document.revision, head)))
    }

    /// Makes a head that isn't there yet.
    pub(crate) async fn add_head(&self, name: &Name, head: &Head) -> Result<(), BatchError> {
        self.store.put_document(HEAD, &name.text(), encode(head), Some(0)).await?;
        Ok(())
    }

    /// Changes a head; `change` is asked again where somebody else was first. Gives the head after it.
    pub(crate) async fn change_head(
        &self,
        name: &Name,
        mut change: impl FnMut(&mut Head) -> Result<(), BatchError> + Send,
    ) -> Result<Head, BatchError> {
        for _ in 0..TRIES {
            let found = self.head(name).await?;
            let (revision, mut head) = found.ok_or_else(|| BatchError::NoSuchBatch(name.id.clone()))?;
            let before = head.clone();
            change(&mut head)?;
            if head == before {
                return Ok(head);
            }
            match self.store.put_document(HEAD, &name.text(), encode(&head), Some(revision)).await {
                Ok(_) => return Ok(head),
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(BatchError::Contended(name.id.clone()))
    }

    /// Heads of a tenant, or of all, after this id, and whether there may be more. One that can't be read is left out.
    pub(crate) async fn heads(
        &self,
        namespace: Option<&Namespace>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(Name, Result<Head, String>)>, BatchError> {
        let prefix = namespace.map(|namespace| format!("{namespace},")).unwrap_or_default();
        let after = after.map_or_else(|| prefix.clone(), |after| format!("{prefix}{after}"));
        let found = self.store.list_documents(HEAD, Some(&after), limit).await?;
        let here = found.into_iter().take_while(|document| document.id.starts_with(&prefix));
        Ok(here.filter_map(|it| Some((Name::of(&it.id)?, decode(&it.body)))).collect())
    }

    /// A part with its revision.
    pub(crate) async fn part(&self, name: &Name, shard: u32, part: u32) -> Result<Option<(u64, Part)>, BatchError> {
        let Some(document) = self.store.get_document(PART, &name.part(shard, part)).await? else { return Ok(None) };
        Ok(Some((document.revision, read(name, &document.body)?)))
    }

    /// Writes a part at the revision that it was read at; 0: it isn't there yet. Gives its new revision, `None` where somebody else
    /// has written it.
    pub(crate) async fn put_part(
        &self,
        name: &Name,
        (shard, number): (u32, u32),
        part: &Part,
        revision: u64,
    ) -> Result<Option<u64>, BatchError> {
        let body = Bytes::from(part.encode_to_vec());
        match self.store.put_document(PART, &name.part(shard, number), body, Some(revision)).await {
            Ok(revision) => Ok(Some(revision)),
            Err(StoreError::Conflict { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// How far each shard is, as far as anything was settled there.
    pub(crate) async fn counts(&self, name: &Name) -> Result<Vec<(u32, Count)>, BatchError> {
        let found = self.with_prefix(&name.counts()).await?;
        let counts = found.into_iter().map(|document| {
            let shard = document.id.rsplit(',').next().and_then(|shard| shard.parse().ok()).unwrap_or(u32::MAX);
            Ok((shard, read(name, &document.body)?))
        });
        counts.collect()
    }

    /// Says how far a shard is: the last word counts, since each is the sum of all its parts.
    pub(crate) async fn put_count(&self, name: &Name, shard: u32, count: Count) -> Result<(), BatchError> {
        let id = format!("{}{shard:05}", name.counts());
        self.store.put_document(PART, &id, count.encode_to_vec().into(), None).await?;
        Ok(())
    }

    /// All that are marked as running, with the revisions of their marks.
    pub(crate) async fn running(&self) -> Result<Vec<(Name, u64)>, BatchError> {
        let found = self.store.list_documents(RUNNING, None, PAGE).await?;
        Ok(found.iter().filter_map(|document| Some((Name::of(&document.id)?, document.revision))).collect())
    }

    /// Marks a batch as running.
    pub(crate) async fn mark(&self, name: &Name) -> Result<(), BatchError> {
        self.store.put_document(RUNNING, &name.text(), Bytes::new(), None).await?;
        Ok(())
    }

    /// The revision of its mark; 0: it has none.
    pub(crate) async fn marked(&self, name: &Name) -> Result<u64, BatchError> {
        Ok(self.store.get_document(RUNNING, &name.text()).await?.map_or(0, |document| document.revision))
    }

    /// Takes a mark away unless it was made anew since.
    pub(crate) async fn unmark(&self, name: &Name, revision: u64) -> Result<(), BatchError> {
        match self.store.delete_document(RUNNING, &name.text(), Some(revision)).await {
            Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes all of a batch, its head last, so that what was broken off is found again.
    pub(crate) async fn remove(&self, name: &Name) -> Result<(), BatchError> {
        loop {
            let prefix = format!("{},", name.text());
            let found = self.store.list_documents(PART, Some(&prefix), PAGE).await?;
            let here: Vec<Document> = found.into_iter().take_while(|it| it.id.starts_with(&prefix)).collect();
            if here.is_empty() {
                break;
            }
            for document in here {
                self.store.delete_document(PART, &document.id, None).await?;
            }
        }
        self.store.delete_document(RUNNING, &name.text(), None).await?;
        self.store.delete_document(HEAD, &name.text(), None).await?;
        Ok(())
    }

    async fn with_prefix(&self, prefix: &str) -> Result<Vec<Document>, BatchError> {
        let mut all: Vec<Document> = Vec::new();
        loop {
            let after = all.last().map_or(prefix, |last| last.id.as_str()).to_owned();
            let found = self.store.list_documents(PART, Some(&after), PAGE).await?;
            let (is_page, before) = (found.len() == PAGE, all.len());
            all.extend(found.into_iter().take_while(|document| document.id.starts_with(prefix)));
            if !is_page || all.len() - before < PAGE {
                return Ok(all);
            }
        }
    }
}

fn read<M: Message + Default>(name: &Name, body: &[u8]) -> Result<M, BatchError> {
    M::decode(body).map_err(|error| BatchError::Unreadable { id: name.id.clone(), why: error.to_string() })
}

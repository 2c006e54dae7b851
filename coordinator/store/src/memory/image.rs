//! The whole of a memory store at one moment, and a store that falls back to it: a fail-over that loses what came later.
//!
//! For simulations: a replica that is promoted has what it had been sent, and nothing else. Invariant: nothing of what came after
//! an image is left once the store has fallen back to it, neither sagas nor epochs, logs or documents.

use std::fmt;

use super::{Inner, MemoryStore};

/// What was in a store at one moment.
#[derive(Clone)]
pub struct Image(Inner);

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({} sagas)", self.0.sagas.len())
    }
}

impl MemoryStore {
    /// What is in it now.
    pub fn image(&self) -> Image {
        Image(self.lock().clone())
    }

    /// Forgets everything that came after that.
    pub fn fall_back(&self, image: &Image) {
        *self.lock() = image.0.clone();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use amends_engine::time::Timestamp;

    use super::*;
    use crate::{Nonce, ShardId, Store};

    #[tokio::test]
    async fn what_came_after_an_image_is_gone() {
        let store = MemoryStore::new(1, Arc::new(|| Timestamp(1_000)));
        let image = store.image();
        store.acquire(ShardId(0), "a", Nonce(1), Duration::from_secs(5)).await.unwrap();
        store.put_document("kind", "id", bytes::Bytes::new(), None).await.unwrap();
        store.fall_back(&image);
        assert_eq!(store.tenures().await.unwrap(), []);
        assert!(store.get_document("kind", "id").await.unwrap().is_none());
    }
}

//! Documents: compared and set, listed by kind and id, with revisions that only rise.

use bytes::Bytes;

use crate::contract::*;
use crate::error::StoreError;

async fn put(store: &dyn Store, id: &str, body: &'static str, expected: Option<u64>) -> Result<u64, StoreError> {
    store.put_document("batch", id, Bytes::from(body), expected).await
}

async fn body(store: &dyn Store, id: &str) -> Option<(u64, String)> {
    let found = store.get_document("batch", id).await.expect("readable");
    found.map(|document| (document.revision, String::from_utf8_lossy(&document.body).into_owned()))
}

/// Of two who change one document from one revision, one does.
pub async fn documents_are_compared_and_set(store: &dyn Store) {
    let first = put(store, "plan-1", "planned", Some(0)).await.expect("it isn't there");
    assert_eq!(body(store, "plan-1").await, Some((first, "planned".to_owned())));
    let again = put(store, "plan-1", "other", Some(0)).await;
    assert!(matches!(again, Err(StoreError::Conflict { expected: 0, found }) if found == first), "{again:?}");
    let (one, other) =
        futures::join!(put(store, "plan-1", "applied", Some(first)), put(store, "plan-1", "stopped", Some(first)));
    let (second, late, kept) = match (one, other) {
        (Ok(revision), Err(late)) => (revision, late, "applied"),
        (Err(late), Ok(revision)) => (revision, late, "stopped"),
        both => panic!("one of the two should have come too late: {both:?}"),
    };
    assert!(second > first);
    assert!(
        matches!(late, StoreError::Conflict { expected, found } if (expected, found) == (first, second)),
        "{late:?}"
    );
    assert_eq!(body(store, "plan-1").await, Some((second, kept.to_owned())), "the other one's is nowhere");
    let third = put(store, "plan-1", "whatever was there", None).await.expect("unconditional");
    assert!(third > second);
    let missing = put(store, "plan-2", "x", Some(third)).await;
    assert!(matches!(missing, Err(StoreError::Conflict { found: 0, .. })), "{missing:?}");
    assert_eq!(body(store, "plan-2").await, None);
}

/// A document that was deleted and made again isn't the one that somebody still has in hand.
pub async fn a_document_made_again_has_another_revision(store: &dyn Store) {
    let first = put(store, "shop", "paused", Some(0)).await.expect("it isn't there");
    assert!(store.delete_document("batch", "shop", Some(first)).await.expect("as expected"));
    assert_eq!(body(store, "shop").await, None);
    let again = put(store, "shop", "paused by another", Some(0)).await.expect("it isn't there");
    assert!(again > first);
    let late = store.delete_document("batch", "shop", Some(first)).await;
    assert!(
        matches!(late, Err(StoreError::Conflict { expected, found }) if (expected, found) == (first, again)),
        "{late:?}"
    );
    assert_eq!(body(store, "shop").await, Some((again, "paused by another".to_owned())));
    assert!(store.delete_document("batch", "shop", None).await.expect("unconditional"));
    assert!(!store.delete_document("batch", "shop", None).await.expect("it is gone"));
    assert!(!store.delete_document("batch", "shop", Some(0)).await.expect("it is gone, as expected"));
    let gone = store.delete_document("batch", "shop", Some(again)).await;
    assert!(matches!(gone, Err(StoreError::Conflict { found: 0, .. })), "{gone:?}");
}

/// By id, in pages, each kind for itself, whatever characters they have.
pub async fn documents_are_listed_by_kind(store: &dyn Store) {
    assert_eq!(store.list_documents("hold", None, 10).await.expect("readable"), []);
    let ids = ["", "a", "a,b", "a-b", "b", "c:1", "~", "ü"];
    for id in ids.iter().rev() {
        put(store, id, "x", None).await.expect("writable");
    }
    let of_other = store.put_document("batch-part", "a", Bytes::from("part"), Some(0)).await.expect("another kind");
    let (mut found, mut after): (Vec<String>, Option<String>) = (Vec::new(), None);
    loop {
        let page = store.list_documents("batch", after.as_deref(), 3).await.expect("readable");
        assert!(page.len() <= 3 && page.iter().all(|document| document.kind == "batch"), "{page:?}");
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        found.extend(page.into_iter().map(|document| document.id));
    }
    assert_eq!(found, ids);
    let expected =
        Document { kind: "batch-part".into(), id: "a".into(), revision: of_other, body: Bytes::from("part") };
    assert_eq!(store.list_documents("batch-part", None, 10).await.expect("readable"), [expected]);
    assert_eq!(store.list_documents("batch-part", Some("a"), 10).await.expect("readable"), []);
    assert_eq!(store.list_documents("batch", None, 0).await.expect("readable"), []);
}

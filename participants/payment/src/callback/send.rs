//! Goes on telling the coordinator what it is owed, until it has been told.
//!
//! Also after a restart: what is owed is in the database. Invariant: one message that can't be delivered holds up no other.

use std::time::Duration;

use amends_participant::service::Database;
use futures::StreamExt as _;

use super::client::Client;
use super::outbox::{Callback, Told, due, note};

/// How often to look for something to say.
const PAUSE: Duration = Duration::from_millis(50);
/// How long to wait when the database can't be read.
const BROKEN_PAUSE: Duration = Duration::from_secs(1);
/// Messages taken and sent at once.
const BATCH: i64 = 64;
const AT_ONCE: usize = 16;

/// Runs for as long as the service does.
pub(crate) async fn run(database: Database, client: Client) {
    loop {
        match due(&database, BATCH).await {
            Ok(callbacks) => {
                let told = futures::stream::iter(callbacks).map(|callback| tell(&database, &client, callback));
                told.buffer_unordered(AT_ONCE).collect::<()>().await;
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                tracing::error!(%error, "can't look for what the coordinator is owed");
                tokio::time::sleep(BROKEN_PAUSE).await;
            }
        }
    }
}

async fn tell(database: &Database, client: &Client, callback: Callback) {
    let told = client.tell(&callback).await;
    let (key, operation) = (callback.key.clone(), callback.operation);
    match &told {
        Told::Acknowledged(said) => tracing::info!(%key, %operation, said, "the coordinator has been told"),
        Told::Later(said, after) => tracing::warn!(%key, %operation, said, ?after, "the coordinator wasn't told yet"),
        Told::GivenUp(said) => tracing::error!(%key, %operation, said, "the coordinator can't be told any more"),
    }
    // Where this isn't noted it is said again, which is safe.
    match database.write(|db| Box::pin(async move { note(db, &callback, &told).await })).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%key, %error, "can't note what was told"),
        Err(error) => tracing::error!(%key, %error, "can't note what was told"),
    }
}

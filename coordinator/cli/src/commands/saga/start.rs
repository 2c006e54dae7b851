//! `amends saga start`: accept a saga, and wait for its end where that is asked for.
//!
//! Never starts a saga twice: without an id of the user's it makes a request id, names it when the answer is lost, and
//! waits by repeating the same request.

use std::time::{Duration, Instant};

use amends_proto::v1::{Saga, SagaStatus, StartSagaRequest};
use clap::Args;
use uuid::Uuid;

use super::row;
use crate::args::Common;
use crate::connect::{Connection, request_within};
use crate::exit::{Exit, Failure};
use crate::input::{JsonArgument, duration, key_value};
use crate::payload::saga_to_json;

/// The coordinator holds a Start no longer than this.
const WAIT_ONCE_MAX: Duration = Duration::from_secs(60);

/// The flags of `saga start`.
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// The definition's name
    definition: String,
    /// Your own id for it, such as an order number; the same id never starts twice
    #[arg(long, value_name = "ID", conflicts_with = "request_id")]
    id: Option<String>,
    /// The request id of an earlier try, to repeat it
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// The version to run instead of the newest
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    version: u32,
    /// The input: JSON, a file, or - for stdin
    #[arg(long, short, value_name = "JSON|FILE|-", default_value = "{}")]
    input: JsonArgument,
    /// A label to find it by; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    labels: Vec<(String, String)>,
    /// Wait until it has ended or is stuck, or for this time; exit code 5 unless it completed
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, value_parser = duration)]
    wait: Option<Option<Duration>>,
}

impl Start {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let message = self.message(common)?;
        let connection = Connection::open(&common.address).await?;
        let saga = match self.wait {
            None => start(&connection, message, Duration::ZERO).await?,
            Some(limit) => start_and_wait(&connection, message, limit).await?,
        };
        common.output.print(|| saga_to_json(&saga), || row::sagas(std::slice::from_ref(&saga)))?;
        if self.wait.is_some() && saga.status() != SagaStatus::Completed {
            return Err(Failure::NotCompleted { id: saga.id.clone(), standing: row::status(&saga) });
        }
        Ok(())
    }

    fn message(&self, common: &Common) -> Result<StartSagaRequest, Failure> {
        let request_id = match (&self.id, &self.request_id) {
            (Some(_), _) => String::new(),
            (None, Some(given)) => given.clone(),
            (None, None) => Uuid::now_v7().to_string(),
        };
        Ok(StartSagaRequest {
            namespace: common.namespace.clone(),
            saga_id: self.id.clone().unwrap_or_default(),
            request_id,
            definition: self.definition.clone(),
            version: self.version,
            input: Some(self.input.read()?),
            labels: self.labels.iter().cloned().collect(),
            wait: None,
        })
    }
}

/// The same Start gives the same saga, so that it can be asked again and again how it stands.
async fn start_and_wait(
    connection: &Connection,
    message: StartSagaRequest,
    limit: Option<Duration>,
) -> Result<Saga, Failure> {
    let begun = Instant::now();
    let mut left = limit.unwrap_or(Duration::MAX);
    loop {
        let saga = start(connection, message.clone(), left.min(WAIT_ONCE_MAX)).await?;
        let is_settled = saga.end_time.is_some() || saga.status() == SagaStatus::Stuck;
        left = limit.unwrap_or(Duration::MAX).saturating_sub(begun.elapsed());
        if is_settled || left.is_zero() {
            return Ok(saga);
        }
    }
}

async fn start(connection: &Connection, mut message: StartSagaRequest, wait: Duration) -> Result<Saga, Failure> {
    let repeat = match message.saga_id.as_str() {
        "" => format!("--request-id {}", message.request_id),
        id => format!("--id {id}"),
    };
    message.wait = (!wait.is_zero()).then(|| wait.into());
    match connection.sagas().start(request_within(message, wait)).await {
        Ok(answer) => Ok(answer.into_inner()),
        Err(status) => {
            let failure = Failure::from(status);
            if failure.exit() == Exit::Unavailable {
                return Err(Failure::MaybeAccepted { repeat, source: Box::new(failure) });
            }
            Err(failure)
        }
    }
}

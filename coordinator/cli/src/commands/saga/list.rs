//! `amends saga list`: the sagas that match, with the reason where one is stuck or waits.

use amends_proto::v1::{ListSagasRequest, Saga, SagaStatus, StuckReason};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::row;
use crate::args::Common;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::input::key_value;
use crate::payload::saga_to_json;

const PAGE_SIZE_MAX: usize = 1000;

/// The flags of `saga list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only with one of these statuses
    #[arg(long, value_name = "STATUS", value_delimiter = ',')]
    status: Vec<StatusArgument>,
    /// Only stuck for this reason
    #[arg(long, value_name = "REASON", value_parser = stuck_reason)]
    stuck_reason: Option<StuckReason>,
    /// Only of this definition
    #[arg(long, value_name = "NAME")]
    definition: Option<String>,
    /// Only with this label; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    labels: Vec<(String, String)>,
    /// At most so many; 0: all
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: usize,
}

/// A status that can be named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum StatusArgument {
    Running,
    Confirming,
    Compensating,
    Stuck,
    Paused,
    Completed,
    Compensated,
    ForceStopped,
}

impl From<StatusArgument> for SagaStatus {
    fn from(argument: StatusArgument) -> Self {
        match argument {
            StatusArgument::Running => Self::Running,
            StatusArgument::Confirming => Self::Confirming,
            StatusArgument::Compensating => Self::Compensating,
            StatusArgument::Stuck => Self::Stuck,
            StatusArgument::Paused => Self::Paused,
            StatusArgument::Completed => Self::Completed,
            StatusArgument::Compensated => Self::Compensated,
            StatusArgument::ForceStopped => Self::ForceStopped,
        }
    }
}

/// The word that a list shows, for clap.
fn stuck_reason(text: &str) -> Result<StuckReason, String> {
    StuckReason::from_str_name(&format!("STUCK_REASON_{}", text.to_ascii_uppercase()))
        .filter(|reason| *reason != StuckReason::Unspecified)
        .ok_or_else(|| "no such reason; `amends saga list --status stuck` shows those that occur".to_owned())
}

impl List {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let mut sagas = Vec::new();
        let mut message = self.first_page(common);
        let mut client = Connection::open(&common.address).await?.sagas();
        loop {
            message.page_size = self.page_size(sagas.len());
            let page = client.list(request(message.clone())).await?.into_inner();
            sagas.extend(page.sagas);
            message.page_token = page.next_page_token;
            if message.page_token.is_empty() || self.left(sagas.len()) == Some(0) {
                break;
            }
        }
        if !message.page_token.is_empty() {
            eprintln!("amends: more sagas match; see them with --limit");
        }
        print(common, &sagas)
    }

    fn first_page(&self, common: &Common) -> ListSagasRequest {
        ListSagasRequest {
            namespace: common.namespace.clone(),
            statuses: self.status.iter().map(|status| SagaStatus::from(*status).into()).collect(),
            definition: self.definition.clone().unwrap_or_default(),
            labels: self.labels.iter().cloned().collect(),
            stuck_reason: self.stuck_reason.unwrap_or_default().into(),
            ..ListSagasRequest::default()
        }
    }

    /// How many more to ask for; `None` when there is no limit.
    fn left(&self, have: usize) -> Option<usize> {
        (self.limit > 0).then(|| self.limit.saturating_sub(have))
    }

    fn page_size(&self, have: usize) -> i32 {
        let size = self.left(have).map_or(PAGE_SIZE_MAX, |left| left.min(PAGE_SIZE_MAX));
        i32::try_from(size).unwrap_or(i32::MAX)
    }
}

fn print(common: &Common, sagas: &[Saga]) -> Result<(), Failure> {
    let json = || Ok(json!({ "sagas": sagas.iter().map(saga_to_json).collect::<Result<Vec<_>, _>>()? }));
    common.output.print(json, || row::sagas(sagas))
}

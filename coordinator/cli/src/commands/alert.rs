//! `amends alert …`: the webhooks that are told what happens, and a test of one.
//!
//! What is told to whom stands in the server's configuration; nothing here changes it. Invariant: a test that wasn't delivered ends
//! with an error, so that a script notices.

use amends_proto::v1::{ListWebhooksRequest, TestWebhookRequest, TestWebhookResponse, Webhook};
use clap::{Args, Subcommand};

use crate::args::Common;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::output::{Tone, cell, harmless, table};
use crate::payload::to_json;
use crate::time::age;

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum AlertCommand {
    /// List the webhooks, and how their receivers do as the node that answers sees it
    List,
    /// Send a test message to a webhook, once, and say what came of it
    ///
    /// It is of type webhook.test, signed like any other; docs/alerts.md shows how it is checked.
    #[command(after_help = "Examples:\n  amends alert test pager")]
    Test(Test),
}

/// The flags of `alert test`.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// The webhook's name in the server's configuration
    webhook: String,
}

impl AlertCommand {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let mut client = Connection::open(&common.address).await?.alerts();
        match self {
            Self::List => {
                let answer = client.list_webhooks(request(ListWebhooksRequest {})).await?.into_inner();
                common.output.print(|| to_json(&answer), || rows(&answer.webhooks))
            }
            Self::Test(Test { webhook }) => {
                let asked = request(TestWebhookRequest { webhook: webhook.clone() });
                let answer = client.test_webhook(asked).await?.into_inner();
                if !answer.delivered {
                    let error = harmless(&answer.error);
                    return Err(Failure::Findings(format!("{webhook} was not reached from {}: {error}", answer.node)));
                }
                common.output.print(|| to_json(&answer), || delivered(&webhook, &answer))
            }
        }
    }
}

fn delivered(webhook: &str, answer: &TestWebhookResponse) -> String {
    format!("{webhook} took the message from {}\n", answer.node)
}

fn rows(webhooks: &[Webhook]) -> String {
    let rows = webhooks.iter().map(|webhook| {
        let (state, tone) = match webhook.failures {
            0 => ("takes messages".to_owned(), Tone::Good),
            failures => (format!("failed {failures} times: {}", harmless(&webhook.last_error)), Tone::Bad),
        };
        vec![
            cell(&webhook.name, Tone::Plain),
            cell(webhook.address.as_str(), Tone::Plain),
            cell(webhook.events.join(","), Tone::Plain),
            cell(age(webhook.delivered_time.as_ref()), Tone::Plain),
            cell(age(webhook.oldest_undelivered_time.as_ref()), Tone::Plain),
            cell(state, tone),
        ]
    });
    table(&["NAME", "ADDRESS", "EVENTS", "DELIVERED", "OLDEST WAITING", "STATE"], rows)
}

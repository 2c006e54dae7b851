//! Tells others what happens: signed webhooks, for pagers and for other systems. For users: `docs/alerts.md`.
//!
//! ```text
//!   owner ── news? ──► outbox entry in the commit of the change ──► confirmed
//!                                                                      │ one lane for each webhook and shard
//!   notices (frozen shard, unsafe store) ──────────────► channel ◄─────┘ reads, folds, saves its position, trims
//!                                                          └── post: one attempt, signed, egress checked
//! ```
//!
//! `event.rs` what can be told, `news.rs` what a change is, `message.rs` what is sent, `webhook.rs` to whom, `outbox.rs` the owner's
//! side, `lane.rs` the reader's, `folds.rs` how ten thousand become few, `channel.rs` sends, `notices.rs` tells of the store.
//! Invariants: what a saga's change is news of is committed with it, and reaches each webhook that asked at least once and in
//! order, or is dropped by a stated bound, counted and logged; a dead webhook holds up neither another one nor a saga.

mod channel;
mod event;
mod folds;
mod lane;
mod message;
mod news;
mod notices;
mod outbox;
mod post;
mod webhook;

use std::sync::Arc;

use amends_engine::time::Timestamp;

use crate::seam::{Running, Seams};
use crate::telemetry::{Sample, Source, Telemetry, names};

use channel::{Channel, Common, Parcel};
use message::{Message, VERSION, time};

pub use channel::WebhookState;
pub use event::EventType;
pub(crate) use notices::watch_over;
pub(crate) use outbox::{Change, Outbox, Written};
pub use post::{Post, Posted};
pub use webhook::{Settings, Target, Webhook};

/// All that tells others what happens on this node.
#[derive(Debug)]
pub struct Alerts {
    common: Arc<Common>,
    channels: Vec<Arc<Channel>>,
    _folds: Vec<Running>,
}

impl Alerts {
    /// `None` where nobody is to be told of anything.
    pub fn new(
        settings: Settings,
        node: &str,
        post: Arc<dyn Post>,
        seams: Seams,
        telemetry: Arc<Telemetry>,
    ) -> Option<Arc<Self>> {
        if settings.webhooks.is_empty() {
            return None;
        }
        let webhooks = settings.webhooks.clone();
        let common = Arc::new(Common { settings, node: node.to_owned(), post, seams, telemetry });
        let channel = |webhook| Arc::new(Channel::new(webhook, common.clone()));
        let channels: Vec<Arc<Channel>> = webhooks.into_iter().map(channel).collect();
        let folds = channels.iter().map(|channel| Running::spawn(channel.clone().send_folds())).collect();
        Some(Arc::new(Self { common, channels, _folds: folds }))
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn channels(&self) -> &[Arc<Channel>] {
        &self.channels
    }

    /// Whether anybody is to be told of this.
    fn wants(&self, event: EventType, namespace: &str, definition: &str) -> bool {
        self.channels.iter().any(|channel| channel.webhook.wants(event, namespace, definition))
    }

    /// Whether what happens to sagas is told at all.
    pub(crate) fn tells_of_sagas(&self) -> bool {
        self.channels.iter().any(|channel| channel.webhook.events.iter().any(|event| event.is_of_saga()))
    }

    /// How each webhook stands, as this node sees it.
    pub fn states(&self) -> Vec<WebhookState> {
        self.channels.iter().map(|channel| channel.state()).collect()
    }

    /// Sends a message of type `webhook.test` to a webhook, once; `None`: there is no such webhook.
    pub async fn test(&self, name: &str, principal: &str) -> Option<Posted> {
        let channel = self.channels.iter().find(|channel| channel.webhook.name == name)?;
        let id = self.common.new_id();
        let data = serde_json::json!({ "webhook": name, "requested_by": principal });
        let timestamp = time(self.common.seams.now());
        let node = self.common.node.clone();
        let message = Message { version: VERSION, kind: "webhook.test", id: id.clone(), timestamp, node, data };
        Some(self.common.post.post(&channel.webhook.target, &id, &message.encode()).await)
    }

    /// Sends news of the store to whoever asked for them. It doesn't wait.
    fn notice(&self, event: EventType, id: String, at: Timestamp, data: message::StoreData) {
        let (node, timestamp) = (self.common.node.clone(), time(at));
        let message = Message { version: VERSION, kind: event.as_str(), id: id.clone(), timestamp, node, data };
        let parcel = Parcel { id, at, body: message.encode() };
        for channel in self.channels.iter().filter(|channel| channel.webhook.events.contains(&event)) {
            let (channel, parcel) = (channel.clone(), parcel.clone());
            crate::seam::spawn(async move { channel.notice(&parcel).await });
        }
    }
}

impl Source for Alerts {
    fn samples(&self) -> Vec<Sample> {
        let now = self.common.seams.now();
        let age = |channel: &Arc<Channel>| {
            let oldest = channel.oldest().map_or(0.0, |at| now.since(at).as_secs_f64());
            Sample::new(names::WEBHOOK_OLDEST, &[&channel.webhook.name], oldest)
        };
        self.channels.iter().map(age).collect()
    }
}

//! Shows what happens to the saga, one line for each change that a person wants to see.
//!
//! Decides nothing. Invariant: lines come from the saga's history, in its order; the code is what the payment service shows.

use std::io::{self, Write as _};

use amends_client::Client;
use amends_client::v1::{self, HistoryEntry, HistoryKind, Operation, OutcomeKind};
use amends_payment::proto::{GetQrPaymentRequest, QrPayment};
use futures::StreamExt as _;
use tokio::task::JoinHandle;

use crate::Failure;
use crate::code::{draw, money};
use crate::wallet::{Patience, Wallet};
use crate::world::World;

/// Follows one saga.
#[derive(Debug)]
pub(crate) struct Follower {
    client: Client,
    world: World,
    wallet: Wallet,
    /// The wallet, from when it has seen the code until it has its answer.
    paying: Option<JoinHandle<String>>,
    has_shown: bool,
}

impl Follower {
    pub(crate) fn new(client: Client, world: World, wallet: Wallet) -> Self {
        Self { client, world, wallet, paying: None, has_shown: false }
    }

    /// Until the saga has ended, and a wallet that will pay has its answer.
    pub(crate) async fn follow(mut self, saga_id: &str) -> Result<(), Failure> {
        let mut changes = std::pin::pin!(self.client.watch(saga_id, 0));
        let mut last = v1::Saga::default();
        loop {
            tokio::select! {
                biased;
                answer = answer(&mut self.paying) => self.show_wallet(&answer)?,
                change = changes.next() => {
                    let Some(change) = change else { break };
                    let v1::WatchSagaResponse { saga, entries } = change?;
                    for entry in entries {
                        self.show(saga_id, &entry).await?;
                    }
                    last = saga.unwrap_or_default();
                }
            }
        }
        if self.paying.is_some() && matches!(self.wallet.patience, Patience::For(_)) {
            let late = answer(&mut self.paying).await;
            self.show_wallet(&late)?;
        }
        self.sum_up(&last).await
    }

    fn show_wallet(&mut self, answer: &str) -> Result<(), io::Error> {
        self.paying = None;
        line(&format!("{}'s wallet", self.wallet.owner), answer)
    }

    async fn show(&mut self, saga_id: &str, entry: &HistoryEntry) -> Result<(), Failure> {
        let (step, said) = (entry.step.as_str(), said(entry));
        match (entry.kind(), entry.operation(), entry.outcome()) {
            (HistoryKind::AttemptEnded, Operation::Action, OutcomeKind::Pending) => self.show_code(saga_id).await?,
            (HistoryKind::AttemptEnded, Operation::Action, OutcomeKind::Succeeded) => line(step, "done")?,
            (HistoryKind::CalledBack, Operation::Action, OutcomeKind::Succeeded) => line(step, "paid")?,
            (HistoryKind::AttemptEnded | HistoryKind::CalledBack, Operation::Action, OutcomeKind::Rejected) => {
                line(step, &format!("refused: {said}"))?;
            }
            // The first three, then fewer and fewer: it may go on for hours.
            (HistoryKind::AttemptEnded, Operation::Action, OutcomeKind::Unknown | OutcomeKind::NotSent)
                if entry.attempt <= 3 || entry.attempt.is_power_of_two() =>
            {
                line(step, &format!("attempt {}: {said}; it is tried again", entry.attempt))?;
            }
            (HistoryKind::AttemptEnded | HistoryKind::CalledBack, Operation::Compensate, OutcomeKind::Succeeded) => {
                line(step, "undone")?;
            }
            (HistoryKind::PendingExpired, ..) => line(step, "nothing was heard in this step's time")?,
            (HistoryKind::CompensationDecided, ..) => line("", "turning back")?,
            (HistoryKind::Late, ..) => line("", "late: the saga's time is over, and it goes on")?,
            (HistoryKind::Stuck, ..) => line(step, &format!("stuck: {said}; an operator is needed"))?,
            _ => {}
        }
        Ok(())
    }

    /// Once: a step that is sent again may be pending again, and it is one code all the same.
    async fn show_code(&mut self, saga_id: &str) -> Result<(), Failure> {
        if std::mem::replace(&mut self.has_shown, true) {
            return Ok(());
        }
        let request = GetQrPaymentRequest { payment_id: saga_id.to_owned() };
        let code: QrPayment = self.world.payment.clone().get_qr_payment(request).await?.into_inner();
        let mut screen = io::stdout().lock();
        writeln!(screen, "\n{}\n\n  {}\n", draw(&code.qr_payload)?, code.qr_payload)?;
        let (owner, price) = (&self.wallet.owner, money(code.amount_minor));
        match self.wallet.patience {
            Patience::UntilEnter => writeln!(screen, "  Press Enter to pay {price} with {owner}'s wallet, or wait.\n")?,
            Patience::For(time) => writeln!(screen, "  {owner}'s wallet pays {price} in {} s.\n", time.as_secs())?,
            Patience::ForEver => writeln!(screen, "  {owner} doesn't pay.\n")?,
        }
        self.paying = Some(tokio::spawn(self.wallet.clone().pay(code)));
        Ok(())
    }

    async fn sum_up(&self, saga: &v1::Saga) -> Result<(), Failure> {
        let ended = saga.status().as_str_name().trim_start_matches("SAGA_STATUS_").to_lowercase();
        let points = self.world.points(&self.wallet.owner).await?;
        writeln!(io::stdout(), "\n{}: {ended}; {} has {points} points", saga.id, self.wallet.owner)?;
        Ok(())
    }
}

/// What the wallet is told; never, where nobody is paying.
async fn answer(paying: &mut Option<JoinHandle<String>>) -> String {
    match paying {
        Some(paying) => paying.await.unwrap_or_else(|error| error.to_string()),
        None => std::future::pending().await,
    }
}

fn line(step: &str, what: &str) -> Result<(), io::Error> {
    writeln!(io::stdout(), "  {step:<16} {what}")
}

fn said(entry: &HistoryEntry) -> String {
    match (entry.code.as_str(), entry.message.as_str()) {
        (code, "") => code.to_owned(),
        ("", message) => message.to_owned(),
        (code, message) => format!("{code}, {message}"),
    }
}

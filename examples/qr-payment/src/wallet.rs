//! The payer's wallet: reads what the code says, and pays when its owner says so.
//!
//! Not a step of the saga: it calls the payment service as a wallet would. Invariant: the same confirmation id however often
//! it asks, so that a lost answer can't make it pay twice.

use std::time::Duration;

use amends_payment::proto::payment_client::PaymentClient;
use amends_payment::proto::{ConfirmQrPaymentRequest, QrPayment};
use tokio::sync::oneshot;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// When the payer pays.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    /// When somebody presses Enter.
    UntilEnter,
    /// After this time.
    For(Duration),
    /// Never.
    ForEver,
}

/// One payer's wallet.
#[derive(Debug, Clone)]
pub(crate) struct Wallet {
    payment: PaymentClient<Channel>,
    pub(crate) owner: String,
    pub(crate) patience: Patience,
}

impl Wallet {
    pub(crate) fn new(payment: PaymentClient<Channel>, owner: String, patience: Patience) -> Self {
        Self { payment, owner, patience }
    }

    /// Waits as long as its owner does, then pays. What comes of it, in words.
    pub(crate) async fn pay(self, code: QrPayment) -> String {
        match self.patience {
            Patience::UntilEnter => enter().await,
            Patience::For(time) => tokio::time::sleep(time).await,
            Patience::ForEver => std::future::pending().await,
        }
        let request = ConfirmQrPaymentRequest {
            confirmation_id: format!("{}-{}", self.owner, code.payment_id),
            payment_id: code.payment_id,
            wallet_id: self.owner,
            amount_minor: code.amount_minor,
        };
        loop {
            match self.payment.clone().confirm_qr_payment(request.clone()).await {
                Ok(_) => return "paid".to_owned(),
                Err(status) if is_unsure(&status) => tokio::time::sleep(Duration::from_millis(300)).await,
                Err(status) => return format!("can't pay: {}", said(&status)),
            }
        }
    }
}

/// Whether asking again may tell more.
fn is_unsure(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::Internal | Code::Unknown | Code::Cancelled
    )
}

fn said(status: &Status) -> String {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    format!("{reason}, {}", status.message())
}

/// Returns when a line has been read. The thread stays behind when nobody presses Enter; the process doesn't wait for it.
async fn enter() {
    let (pressed, was_pressed) = oneshot::channel();
    std::thread::spawn(move || {
        // At the end of the input nobody can press Enter any more: that isn't a yes.
        if std::io::stdin().read_line(&mut String::new()).is_ok_and(|length| length > 0) {
            pressed.send(()).ok();
        } else {
            std::thread::park();
        }
    });
    if was_pressed.await.is_err() {
        std::future::pending().await
    }
}

//! The process `amends-payment`: flags, log, runtime; everything else is in the library.

use std::process::ExitCode;

use amends_participant::service::{ServiceFlags, exit_code, install_tls, log_to_stderr};

#[tokio::main]
async fn main() -> ExitCode {
    install_tls();
    let (flags, own) = ServiceFlags::parse_with("amends-payment", amends_payment::DEFAULT_ADDR);
    log_to_stderr();
    exit_code(amends_payment::run(&flags, &own).await)
}

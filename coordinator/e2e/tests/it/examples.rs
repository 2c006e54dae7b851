//! The examples' `run.sh`, as a newcomer runs them.

use std::process::{Command, Stdio};

use crate::process::{program, root};

/// Runs an example and gives what it showed; fails the test when it failed.
fn run(example: &str, options: &[&str], environment: &[(&str, &str)]) -> String {
    let programs = program("amends").parent().expect("a folder").to_owned();
    let output = Command::new("bash")
        .arg(root().join("examples").join(example).join("run.sh"))
        .args(options)
        .env("AMENDS_BIN", programs)
        .env("AMENDS__LOG__FILTER", "error")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("bash");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{example} failed: {}\n{shown}", output.status);
    shown
}

#[test]
fn transfer_example_runs_as_the_readme_says() {
    let shown = run("transfer-tcc", &["--transfers", "200"], &[]);
    assert!(shown.contains("the total is what it was, and nobody is below the floor"), "{shown}");
    assert!(shown.contains("completed") && shown.contains("compensated: INSUFFICIENT_FUNDS"), "{shown}");
}

/// Fault rules, environment, and what must be shown.
type Path = (&'static [&'static str], &'static [(&'static str, &'static str)], &'static [&'static str]);

#[test]
fn checkout_example_takes_the_path_that_it_is_sent() {
    let paths: [Path; 6] = [
        (&[], &[], &["order-1  COMPLETED", "sold 1", "charged 2500"]),
        (&[], &[("QUANTITY", "1000000")], &["order-1  COMPENSATED", "OUT_OF_STOCK", "payment    nothing happened"]),
        (&["Charge:reject"], &[], &["order-1  COMPENSATED", "FAULT_INJECTED", "balance 1000000,"]),
        (&["Charge:timeout-after-commit"], &[], &["order-1  COMPLETED", "query", "charged 2500"]),
        (
            &["Reserve:slow:delay_ms=1900"],
            &[("CANCEL_AFTER", "1")],
            &["order-1  COMPENSATED", "the customer changed their mind", "balance 1000000,"],
        ),
        (&["Charge:reject", "Release:reject"], &[], &["order-1  STUCK", "compensation_refused", "sold 1"]),
    ];
    for (faults, environment, expected) in paths {
        let shown = run("checkout", faults, environment);
        for words in expected {
            assert!(shown.contains(words), "{faults:?} {environment:?}: {words} is missing:\n{shown}");
        }
    }
}

#[test]
fn qr_example_shows_the_code_and_sells() {
    let shown = run("qr-payment", &["--pay-after", "1"], &[("MERCHANT_FAILS", "1")]);
    for words in ["█████", "amendspay:pay?id=order-", "503", "completed; ada has 19 points", "\"paid_by\": \"ada\""]
    {
        assert!(shown.contains(words), "{words} is missing:\n{shown}");
    }
}

#[test]
fn qr_example_turns_a_wallet_away_that_is_too_late() {
    let shown = run("qr-payment", &["--expires", "1", "--pay-after", "3"], &[]);
    assert!(shown.contains("can't pay: QR_EXPIRED") && shown.contains("compensated"), "{shown}");
}

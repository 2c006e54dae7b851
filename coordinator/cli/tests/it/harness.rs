//! Runs the binary, and compares what it printed with a golden file.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::fake::Fake;

/// What came of one run.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `amends` without a coordinator.
pub(crate) fn amends(arguments: &[&str]) -> Run {
    amends_with_input(arguments, "")
}

/// The same, with something on stdin.
pub(crate) fn amends_with_input(arguments: &[&str], stdin: &str) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_amends"))
        .args(arguments)
        .env_remove("AMENDS_ADDRESS")
        .env("AMENDS_PROFILES", "/nonexistent/profiles.yaml")
        .env_remove("AMENDS_PROFILE")
        .env_remove("AMENDS_TOKEN")
        .env_remove("AMENDS_TOKEN_FILE")
        .env_remove("COLUMNS")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut pipe = child.stdin.take().expect("piped");
    // A command that doesn't read its stdin closes it; that is not what is tested.
    let _ = pipe.write_all(stdin.as_bytes());
    drop(pipe);
    let output = child.wait_with_output().expect("the binary ends");
    Run {
        code: output.status.code().expect("it ends by itself"),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

/// Runs `amends` against a fresh fake coordinator and compares arguments, exit code, both outputs, and the requests that
/// the coordinator saw.
pub(crate) fn check(golden: &str, arguments: &[&str]) {
    let fake = Fake::start();
    let address = fake.address().to_owned();
    let mut with_address = arguments.to_vec();
    with_address.extend(["--address", &address]);
    let run = amends(&with_address);
    let mut text = format!("$ amends {}\nexit {}\n", arguments.join(" "), run.code);
    for (name, part) in [("stdout", run.stdout), ("stderr", run.stderr), ("requests", fake.requests())] {
        if !part.is_empty() {
            text += &format!("--- {name}\n{part}");
        }
    }
    compare(golden, &text.replace(&address, "http://coordinator"));
}

/// Compares a text with `golden/<name>.txt`, or writes it there if `UPDATE_GOLDEN` is set.
pub(crate) fn compare(name: &str, text: &str) {
    let text = without_instants(text);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden").join(name).with_extension("txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).expect("golden file is written");
        return;
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == golden, "{} differs; it should be\n{golden}\nbut is\n{text}", path.display());
}

/// Zeroes in place of the digits of each `2026-11-21T03:04:05`.
fn without_instants(text: &str) -> String {
    const SHAPE: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let mut bytes = text.as_bytes().to_vec();
    for start in 0..bytes.len().saturating_sub(SHAPE.len() - 1) {
        let window = &mut bytes[start..start + SHAPE.len()];
        if window
            .iter()
            .zip(SHAPE)
            .all(|(byte, shape)| if *shape == b'd' { byte.is_ascii_digit() } else { byte == shape })
        {
            window.iter_mut().filter(|byte| byte.is_ascii_digit()).for_each(|byte| *byte = b'0');
        }
    }
    String::from_utf8(bytes).expect("digits for digits")
}

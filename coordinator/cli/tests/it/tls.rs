//! The page on TLS, `coordinator/docs/tls.md`: its certificates, made as it says, work for a coordinator and the command line.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The first block of commands of the page.
fn commands() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tls.md");
    let page = std::fs::read_to_string(page).expect("the page");
    page.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of commands").to_owned()
}

struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn amends() -> Command {
    Command::new(env!("CARGO_BIN_EXE_amends"))
}

#[test]
fn certificates_made_as_the_page_says_work_on_both_sides() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = Command::new("sh").arg("-euc").arg(commands()).current_dir(&folder).output().expect("a shell");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let file = |name: &str| folder.path().join("tls").join(name);
    let mut serve = amends();
    serve.args(["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--store", "memory", "--node", "tls"]);
    serve
        .env("AMENDS__TLS__CERTIFICATE_FILE", file("coordinator.pem"))
        .env("AMENDS__TLS__KEY_FILE", file("coordinator.key"));
    serve.env("AMENDS__TLS__CLIENT_CA_FILE", file("ca.pem")).current_dir(&folder);
    let mut serving = Serving(serve.stderr(Stdio::piped()).spawn().expect("the coordinator"));
    let said = BufReader::new(serving.0.stderr.take().expect("its words"));
    let mut lines = said.lines().map(|line| line.expect("a line"));
    let line = lines.find(|line| line.contains("serving gRPC on ")).expect("it serves");
    // Read on, or it would wait for us at some time.
    std::thread::spawn(move || lines.for_each(drop));
    let address = line.split("serving gRPC on ").nth(1).and_then(|rest| rest.split(',').next()).expect("an address");
    let ask = |address: &str, files: &[(&str, &str)]| {
        let mut command = amends();
        command.args(["--address", address, "cluster", "nodes"]);
        files.iter().for_each(|(name, value)| {
            command.env(name, file(value));
        });
        let output = command.output().expect("the command");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let all = [("AMENDS_TLS_CA", "ca.pem"), ("AMENDS_TLS_CERT", "operator.pem"), ("AMENDS_TLS_KEY", "operator.key")];
    let (code, text) = ask(&format!("https://{address}"), &all);
    assert!(code == Some(0) && text.contains("tls"), "{text}");
    for (scheme, files) in [("https", &all[..1]), ("https", &[]), ("http", &[])] {
        let (code, text) = ask(&format!("{scheme}://{address}"), files);
        assert_ne!(code, Some(0), "{scheme} {files:?}: {text}");
    }
}

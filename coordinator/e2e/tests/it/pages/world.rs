//! Where a page's commands run: a folder like a fresh clone whose build is done, and a network of its own.
//!
//! Invariants: nothing is written into the repository; everything that the commands start ends with them; no other network is there.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use super::page::Block;
use crate::process::{program, root};

/// Seconds that only a hang takes; then bash and all that it has started are ended.
const HANG: &str = "240";
/// What commands may write beside, or change.
const COPIED: [&str; 4] = ["examples", "coordinator/docs", "deploy", "participants/README.md"];
/// What they only read.
const LINKED: [&str; 3] = ["Makefile", "proto", "README.md"];
/// What a page's hidden blocks may call.
const HELPERS: &str = r#"
listening() { # port …: until something listens on each
  local port; for port in "$@"; do
    for _ in $(seq 600); do (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null && continue 2; sleep 0.1; done
    echo "nothing listens on $port"; return 1
  done
}
services() { # the three example services; arguments are flags of inventory's and payment's
  amends-account --data . --open ada=1000000 > account.log &
  amends-inventory --data . --stock teapot=100 $1 > inventory.log &
  amends-payment --data . $2 > payment.log 2>&1 &
  listening 7501 7502 7503
}
shop() { # the same, and a coordinator that knows them
  services "$@"
  amends serve --data amends-data > amends.log &
  listening 7400 7480
  local it; for it in account:7501 inventory:7502 payment:7503; do
    amends participant register ${it%:*} --endpoint http://127.0.0.1:${it#*:} --refusals-final
  done
}
incident() { # the same, with a stuck saga, and what runbooks name
  shop '--allow-faults --fault Release:reject:next=2' '--allow-faults --fault Charge:reject'
  sed 's/max_attempts: 8, initial: 200ms, max: 2s/max_attempts: 2, initial: 50ms, max: 50ms/' \
    examples/checkout/checkout.saga.yaml > checkout.saga.yaml
  amends definition register checkout.saga.yaml
  amends saga start checkout --id order-7 --wait=10s \
    --input '{"order_id":"order-7","sku":"teapot","quantity":1,"account_id":"ada","amount_minor":2500}' || true
  SAGA=order-7 PARTICIPANT=inventory DEFINITION=checkout CERTIFICATE=$PWD/cert.pem
  openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=try -keyout cert.key -out cert.pem 2>/dev/null
}
"#;

/// What a page expects beside the sources: the binaries.
pub(super) fn fresh_clone() -> tempfile::TempDir {
    let clone = tempfile::tempdir().expect("a folder");
    let root = root().canonicalize().expect("the repository");
    for name in COPIED.iter().filter(|name| root.join(name).exists()) {
        let to = clone.path().join(name);
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        let copied = Command::new("cp").arg("-r").arg(root.join(name)).arg(to).status().expect("cp");
        assert!(copied.success(), "{name} can't be copied");
    }
    for name in LINKED {
        symlink(root.join(name), clone.path().join(name)).expect("a link");
    }
    std::fs::create_dir(clone.path().join("target")).expect("a folder");
    for (name, to) in [("debug", binaries()), ("venv", root.join("target/venv")), ("tools", root.join("target/tools"))]
    {
        symlink(to, clone.path().join("target").join(name)).expect("a link");
    }
    clone
}

fn binaries() -> std::path::PathBuf {
    program("amends").parent().expect("target/debug").to_owned()
}

/// What each block says that is run.
pub(super) fn run(blocks: &[Block], clone: &Path) -> Vec<String> {
    let mut script = "set -eo pipefail\nexec 2>&1\nip link set lo up\n".to_owned() + HELPERS;
    script += "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n";
    for (number, block) in blocks.iter().filter(|block| block.not_run.is_none()).enumerate() {
        script += &format!("echo '=== {number}'\n{}", block.commands);
    }
    let output = Command::new("timeout")
        // A PID namespace ends all that was started, also what left its session.
        .args([HANG, "unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", &script])
        .current_dir(clone)
        // `make build` only says what it would do, and pip finds what is installed already.
        .env("MAKEFLAGS", "n")
        .env("PYTHONPATH", packages())
        .env("PATH", path(clone))
        .env("GOFLAGS", "-mod=mod")
        .env("GOPROXY", "off")
        .stdin(Stdio::null())
        .output()
        .expect("timeout, unshare and bash");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}:\n{said}{}", output.status, String::from_utf8_lossy(&output.stderr));
    said.split("=== ").skip(1).map(str::to_owned).collect()
}

/// The binaries as a reader has them who installed them, then what the tests need.
fn path(clone: &Path) -> String {
    let target = clone.join("target");
    let own = ["debug", "venv/bin", "tools"].map(|name| target.join(name).display().to_string());
    own.join(":") + ":" + &std::env::var("PATH").unwrap_or_default()
}

fn packages() -> std::path::PathBuf {
    let lib = root().join("target/venv/lib");
    let python = std::fs::read_dir(lib).expect("run `make tools`").next().expect("one Python").expect("lib").path();
    python.join("site-packages")
}

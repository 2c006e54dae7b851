//! The processes that are measured: started on addresses of their own, and ended with the value that holds them.
//!
//! Invariant: only what was started here is ever ended.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::exit::Failure;

/// How long a process may take until it listens.
const START_MAX: Duration = Duration::from_secs(30);

/// An address of this machine that nobody listens on.
pub(super) fn free_address() -> Result<SocketAddr, Failure> {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).map_err(Failure::Process)
}

/// This program once more, with other arguments.
pub(super) fn own() -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe().map_err(Failure::Process)?);
    command.env("AMENDS__LOG__FILTER", "error");
    Ok(command)
}

/// Another program, which is to say nothing here.
pub(super) fn silent(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdout(Stdio::null());
    command
}

/// Starts a process and waits until it listens there. It ends when the value is dropped.
pub(super) async fn launch(mut command: Command, address: SocketAddr) -> Result<Child, Failure> {
    let mut child = command.stdin(Stdio::null()).kill_on_drop(true).spawn().map_err(Failure::Process)?;
    let failed = |what: String| Failure::Process(std::io::Error::other(what));
    let listening = async {
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = child.try_wait().map_err(Failure::Process)? {
                return Err(failed(format!("a process ended before it listened on {address}: {status}")));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    let late = |_| failed(format!("nothing listens on {address}"));
    tokio::time::timeout(START_MAX, listening).await.map_err(late)??;
    Ok(child)
}

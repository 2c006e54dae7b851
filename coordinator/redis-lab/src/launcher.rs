//! Starts every server from one thread that lives as long as the process.
//!
//! The kernel kills a server when the *thread* that started it ends (`PR_SET_PDEATHSIG`), and a test's thread ends before a server
//! that several tests share. Invariant: a server started here ends when this process does, however it ends.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};

use crate::programs;

type Order = (Command, Sender<io::Result<Child>>);

/// A command that is killed when the launcher ends; the caller adds program and arguments.
pub(crate) fn command() -> Command {
    let mut command = Command::new(programs::find("setpriv"));
    // It becomes the program that it starts, so that the child's id is the server's.
    command.args(["--pdeathsig", "KILL", "--"]);
    command
}

pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    static LAUNCHER: OnceLock<Sender<Order>> = OnceLock::new();
    let launcher = LAUNCHER.get_or_init(|| {
        let (orders, incoming) = mpsc::channel::<Order>();
        let work = move || {
            for (mut command, answer) in incoming {
                // Whoever ordered it may have gone: then nobody could end it but its own drop, which `Child` has not.
                if let Err(mpsc::SendError(Ok(mut child))) = answer.send(command.spawn()) {
                    child.kill().ok();
                }
            }
        };
        std::thread::Builder::new().name("launcher".to_owned()).spawn(work).expect("a thread");
        orders
    });
    let (answer, child) = mpsc::channel();
    launcher.send((command, answer)).map_err(io::Error::other)?;
    child.recv().map_err(io::Error::other)?
}

//! `amends participant pause` and `resume`: call a participant no more for a while, and go on at the pace of a recovery.
//!
//! Everything else of its limits stays. Invariant: what waits meanwhile uses up no attempt.

use amends_proto::v1::{PauseParticipantRequest, ResumeParticipantRequest};
use clap::Args;

use crate::args::Common;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::payload::to_json;

/// The flags of `participant pause` and `resume`.
#[derive(Debug, Args)]
#[command(after_help = "\
Nothing that waits meanwhile uses up an attempt. After a resume calls come back at a bounded rate.

Examples:
  amends participant pause payment --reason 'its database is moved'
  amends participant resume payment --reason 'moved'")]
pub(crate) struct Pausing {
    /// The participant
    name: String,
    /// Why; recorded with your name and the time
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Act only if its registration is still at this revision
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "NUMBER")]
    expected_revision: u64,
}

impl Pausing {
    pub(super) async fn pause(self, common: &Common) -> Result<(), Failure> {
        let mut client = Connection::open(&common.address).await?.participants();
        let message = PauseParticipantRequest {
            namespace: common.namespace.clone(),
            name: self.name,
            reason: self.reason,
            expected_revision: self.expected_revision,
        };
        let participant = client.pause(request(message)).await?.into_inner();
        eprintln!("amends: {} isn't called until it is resumed; what waits uses up no attempt", participant.name);
        common.output.print(|| to_json(&participant), || super::describe(&participant))
    }

    pub(super) async fn resume(self, common: &Common) -> Result<(), Failure> {
        let mut client = Connection::open(&common.address).await?.participants();
        let message = ResumeParticipantRequest {
            namespace: common.namespace.clone(),
            name: self.name,
            reason: self.reason,
            expected_revision: self.expected_revision,
        };
        let participant = client.resume(request(message)).await?.into_inner();
        eprintln!("amends: {} is called again, a few calls first", participant.name);
        common.output.print(|| to_json(&participant), || super::describe(&participant))
    }
}

//! `amends definition pause` and `resume`: hold back all sagas of a definition, in all its versions, and let them go on.
//!
//! New sagas are taken all the same. Invariant: whatever changes has a reason.

use amends_proto::v1::{PauseDefinitionRequest, ResumeDefinitionRequest};
use clap::Args;

use crate::args::Common;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::payload::to_json;

/// The flags of `definition pause` and `resume`.
#[derive(Debug, Args)]
#[command(after_help = "\
New sagas are taken and wait; open ones start nothing more, compensations neither. Answers are recorded, and deadlines run on.

Examples:
  amends definition pause checkout --reason 'it orders twice, being looked at'
  amends definition resume checkout --reason 'version 4 is registered'")]
pub(crate) struct Pausing {
    /// The definition
    name: String,
    /// Why; recorded with your name and the time
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl Pausing {
    pub(super) async fn pause(self, common: &Common) -> Result<(), Failure> {
        let mut client = Connection::open(&common.address).await?.definitions();
        let message =
            PauseDefinitionRequest { namespace: common.namespace.clone(), name: self.name, reason: self.reason };
        let definition = client.pause(request(message)).await?.into_inner();
        eprintln!("amends: sagas of {} start nothing more until it is resumed", definition.name);
        common.output.print(|| to_json(&definition), || super::rows(std::slice::from_ref(&definition)))
    }

    pub(super) async fn resume(self, common: &Common) -> Result<(), Failure> {
        let mut client = Connection::open(&common.address).await?.definitions();
        let message =
            ResumeDefinitionRequest { namespace: common.namespace.clone(), name: self.name, reason: self.reason };
        let definition = client.resume(request(message)).await?.into_inner();
        eprintln!("amends: sagas of {} go on", definition.name);
        common.output.print(|| to_json(&definition), || super::rows(std::slice::from_ref(&definition)))
    }
}

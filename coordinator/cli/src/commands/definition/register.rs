//! `amends definition register`: let the coordinator check a definition against its participants, and keep it.

use std::path::PathBuf;

use amends_proto::v1::{Finding, RegisterDefinitionRequest, Severity, SourceFormat};
use bytes::Bytes;
use clap::Args;

use super::{is_json, rows};
use crate::args::Common;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::input::{key_value, read_file, read_text};
use crate::payload::to_json;

/// The flags of `definition register`.
#[derive(Debug, Args)]
pub(crate) struct Register {
    /// The definition, YAML or JSON
    file: PathBuf,
    /// Let the coordinator check it against the participants, and register nothing
    #[arg(long)]
    dry_run: bool,
    /// A FileDescriptorSet for a participant that serves no reflection; may be repeated
    #[arg(long, value_name = "PARTICIPANT=FILE", value_parser = key_value)]
    descriptors: Vec<(String, String)>,
}

impl Register {
    pub(super) async fn run(self, common: &Common) -> Result<(), Failure> {
        let mut message = RegisterDefinitionRequest {
            namespace: common.namespace.clone(),
            source: read_text(&self.file)?,
            format: if is_json(&self.file) { SourceFormat::Json } else { SourceFormat::Yaml }.into(),
            dry_run: self.dry_run,
            ..RegisterDefinitionRequest::default()
        };
        for (participant, file) in &self.descriptors {
            let descriptors = Bytes::from(read_file(file.as_ref())?);
            message.descriptor_sets.insert(participant.clone(), descriptors);
        }
        let mut client = Connection::open(&common.address).await?.definitions();
        let answer = client.register(request(message)).await?.into_inner();
        for finding in &answer.findings {
            eprintln!("{}", self.line(finding));
        }
        let table = || answer.definition.as_ref().map(|one| rows(std::slice::from_ref(one))).unwrap_or_default();
        common.output.print(|| to_json(&answer), table)?;
        match (&answer.definition, self.dry_run, answer.created) {
            (Some(_), true, _) => eprintln!("amends: a dry run: nothing was registered"),
            (Some(same), false, false) => eprintln!("amends: version {} has the same content already", same.version),
            _ => {}
        }
        let errors = answer.findings.iter().filter(|finding| finding.severity() == Severity::Error).count();
        super::fail_on(errors, &self.file)
    }

    fn line(&self, finding: &Finding) -> String {
        let severity = if finding.severity() == Severity::Error { "error" } else { "warning" };
        let place = match finding.line {
            0 => String::new(),
            line => format!(":{line}:{}", finding.column),
        };
        let mut text = format!("{}{place}: {severity}[{}]: {}", self.file.display(), finding.rule, finding.message);
        if !finding.help.is_empty() {
            text += &format!(" — {}", finding.help);
        }
        text
    }
}

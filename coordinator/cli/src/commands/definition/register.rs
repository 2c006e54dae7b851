//! `amends definition register`: let the coordinator check a definition against its participants, and keep it.

use std::path::PathBuf;

use amends_proto::v1::{RegisterDefinitionRequest, Severity, SourceFormat};
use bytes::Bytes;
use clap::Args;

use super::report::{Source, render};
use super::{is_json, rows};
use crate::args::Common;
use crate::connect::{Connection, request};
use crate::exit::Failure;
use crate::input::{key_value, read_file, read_text};
use crate::output::Stream;
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
        let source = read_text(&self.file)?;
        let mut message = RegisterDefinitionRequest {
            namespace: common.namespace.clone(),
            source: source.clone(),
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
        let source = Source { file: self.file.display().to_string(), text: &source };
        for finding in &answer.findings {
            eprint!("{}", render(&finding.into(), &source, Stream::Stderr));
        }
        let table = || answer.definition.as_ref().map(|one| rows(std::slice::from_ref(one))).unwrap_or_default();
        common.output.print(|| to_json(&answer), table)?;
        match (&answer.definition, self.dry_run, answer.created) {
            (Some(_), true, _) => eprintln!("amends: a dry run: nothing was registered"),
            (Some(same), false, false) => eprintln!("amends: version {} has the same content already", same.version),
            _ => {}
        }
        if let Some((version, why)) =
            answer.definition.as_ref().and_then(|it| Some((it.version, it.deprecation.as_ref()?)))
        {
            eprintln!(
                "amends: version {version} is deprecated ({}): no saga starts on it; undeprecate it first",
                why.reason
            );
        }
        let errors = answer.findings.iter().filter(|finding| finding.severity() == Severity::Error).count();
        super::fail_on(errors, &self.file.display().to_string())
    }
}

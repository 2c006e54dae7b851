//! Logs, to stderr: for people or for machines.
//!
//! As JSON, every line has `timestamp`, `level`, `target`, `node` and `message`; lines about a saga have `saga`, and where they
//! are known `shard`, `epoch` and `trace_id` (docs/logs.md). Payloads never get here: their types print length and digest
//! only. Invariant: stdout stays free for data.

use std::fmt;
use std::io::IsTerminal as _;

use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{LogFormat, ServerConfig};
use crate::error::Error;

/// Begins logging for the whole process; once.
pub fn init(config: &ServerConfig) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&config.log.filter).map_err(|error| Error::Log(error.into()))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log.format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => log.fmt_fields(JsonFields::new()).event_format(json(&config.node)).try_init(),
    }
    .map_err(Error::Log)
}

fn json(node: &str) -> OfNode {
    let node = serde_json::Value::String(node.to_owned()).to_string();
    OfNode { node, inner: Format::default().json().flatten_event(true) }
}

/// JSON lines that begin with the node's name.
struct OfNode {
    /// As JSON.
    node: String,
    inner: Format<Json>,
}

impl<S, N> FormatEvent<S, N> for OfNode
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            Some(rest) => write!(to, "{{\"node\":{},{rest}", self.node),
            None => to.write_str(&line),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_names_its_node_and_its_saga() {
        let lines = Lines::default();
        let writer = {
            let lines = lines.clone();
            move || lines.clone()
        };
        let log = tracing_subscriber::fmt().with_writer(writer).fmt_fields(JsonFields::new());
        tracing::subscriber::with_default(log.event_format(json("node \"a\"")).finish(), || {
            tracing::warn!(shard = 3, saga = "default/order-1", trace_id = "4bf9", "saga stuck");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        for (field, value) in [("node", "node \"a\""), ("saga", "default/order-1"), ("trace_id", "4bf9")] {
            assert_eq!(line[field], value, "{text}");
        }
        assert_eq!(
            (&line["message"], &line["level"], &line["shard"]),
            (&"saga stuck".into(), &"WARN".into(), &3.into())
        );
    }
}

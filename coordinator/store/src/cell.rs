//! A cell: all sagas that an index can't tell apart, and the text by which backends name it.
//!
//! A saga is in exactly one cell, so that a commit that moves it costs one entry, counts cost nothing to read, and a list by any
//! filter is a merge of cells. Invariants: the text of a cell is part of every backend's format and never changes; where a saga
//! isn't held up and nobody has acknowledged it, it is the text of the formats before there was either.

use amends_engine::ids::{DefinitionName, Namespace, ParticipantName, Version};

use crate::contract::{Filter, IndexRow, SagaKind};
use crate::narrow::Narrow;
use crate::transfer::IndexRecord;

/// What lists filter by, but for labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    pub(crate) namespace: Namespace,
    pub(crate) definition: DefinitionName,
    pub(crate) version: Version,
    pub(crate) status: String,
    pub(crate) stuck: Option<String>,
    pub(crate) held_up_at: Option<ParticipantName>,
    pub(crate) acknowledged: bool,
    pub(crate) open: bool,
}

impl Cell {
    /// The cell of a saga, as text: `<ns>,<definition>,<version>,<status>,<stuck>[:<held up at>[:a]],<open>`. No name has a colon.
    pub(crate) fn text(namespace: &Namespace, row: &IndexRow) -> String {
        let IndexRow { status, stuck, definition, version, open, held_up_at, acknowledged, .. } = row;
        text(
            namespace,
            definition,
            *version,
            (status, stuck.unwrap_or_default()),
            place(held_up_at, *acknowledged),
            *open,
        )
    }

    /// The same of a saga of another store.
    pub(crate) fn text_of(namespace: &Namespace, row: &IndexRecord) -> String {
        let IndexRecord { status, stuck, definition, version, open, held_up_at, acknowledged, .. } = row;
        let words = (status.as_str(), stuck.as_deref().unwrap_or_default());
        text(namespace, definition, *version, words, place(held_up_at, *acknowledged), *open)
    }

    /// `None` for what is no cell, as the member that never goes.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        let mut next = || parts.next();
        let (namespace, definition) = (Namespace::parse(next()?).ok()?, DefinitionName::parse(next()?).ok()?);
        let (version, status) = (Version(next()?.parse().ok()?), next()?.to_owned());
        let mut place = next()?.splitn(3, ':');
        let stuck = place.next().filter(|stuck| !stuck.is_empty()).map(str::to_owned);
        let held_up_at = match place.next() {
            None | Some("") => None,
            Some(participant) => Some(ParticipantName::parse(participant).ok()?),
        };
        let acknowledged = place.next() == Some("a");
        let open = next()? == "1";
        parts.next().is_none().then_some(Self {
            namespace,
            definition,
            version,
            status,
            stuck,
            held_up_at,
            acknowledged,
            open,
        })
    }

    /// Whether its sagas pass a filter, as far as their labels and states do.
    pub(crate) fn matches(&self, filter: &Filter) -> bool {
        filter.namespace.as_ref().is_none_or(|namespace| *namespace == self.namespace)
            && (filter.statuses.is_empty() || filter.statuses.contains(&self.status))
            && filter.definition.as_ref().is_none_or(|definition| *definition == self.definition)
            && filter.version.is_none_or(|version| version == self.version)
            && filter.stuck.as_ref().is_none_or(|stuck| Some(stuck) == self.stuck.as_ref())
            && filter.held_up_at.as_ref().is_none_or(|participant| Some(participant) == self.held_up_at.as_ref())
            && !(filter.unacknowledged && self.acknowledged)
            && (self.open || Narrow::of(filter).is_none())
    }

    /// By what its sagas are counted.
    pub(crate) fn kind(&self) -> SagaKind {
        let Self { definition, version, status, stuck, held_up_at, .. } = self.clone();
        SagaKind { definition, version, status, stuck, held_up_at }
    }
}

fn place(held_up_at: &Option<ParticipantName>, acknowledged: bool) -> String {
    match (held_up_at, acknowledged) {
        (None, false) => String::new(),
        (Some(participant), false) => format!(":{participant}"),
        (None, true) => "::a".to_owned(),
        (Some(participant), true) => format!(":{participant}:a"),
    }
}

fn text(
    namespace: &Namespace,
    definition: &DefinitionName,
    version: Version,
    (status, stuck): (&str, &str),
    place: String,
    open: bool,
) -> String {
    format!("{namespace},{definition},{version},{status},{stuck}{place},{}", u8::from(open))
}

#[cfg(test)]
mod tests {
    use amends_engine::time::Timestamp;

    use super::*;

    fn row() -> IndexRow {
        IndexRow {
            status: "stuck",
            stuck: Some("poison"),
            definition: DefinitionName::parse("checkout").unwrap(),
            version: Version(7),
            labels: Vec::new(),
            started_at: Timestamp(1),
            open: true,
            held_up_at: None,
            acknowledged: false,
        }
    }

    #[test]
    fn a_cell_is_read_as_it_was_written() {
        let namespace = Namespace::default_namespace();
        let payment = Some(ParticipantName::parse("payment").unwrap());
        for (row, expected) in [
            (row(), "default,checkout,7,stuck,poison,1"),
            (IndexRow { held_up_at: payment.clone(), ..row() }, "default,checkout,7,stuck,poison:payment,1"),
            (
                IndexRow { held_up_at: payment.clone(), acknowledged: true, ..row() },
                "default,checkout,7,stuck,poison:payment:a,1",
            ),
            (IndexRow { acknowledged: true, ..row() }, "default,checkout,7,stuck,poison::a,1"),
            (IndexRow { held_up_at: payment, stuck: None, ..row() }, "default,checkout,7,stuck,:payment,1"),
            (IndexRow { stuck: None, open: false, ..row() }, "default,checkout,7,stuck,,0"),
        ] {
            let text = Cell::text(&namespace, &row);
            assert_eq!(text, expected);
            assert_eq!(Cell::text_of(&namespace, &IndexRecord::from(&row)), expected);
            let cell = Cell::read(&text).unwrap();
            let read = (cell.stuck.as_deref(), cell.held_up_at, cell.acknowledged, cell.open);
            assert_eq!(read, (row.stuck, row.held_up_at, row.acknowledged, row.open));
        }
        for no_cell in ["~", "default,checkout,x,stuck,,1", "a,b,1,c,,1,d", "a,b,1,c,:no name,1"] {
            assert_eq!(Cell::read(no_cell), None, "{no_cell}");
        }
    }
}

//! The definitions that are run: real YAML through the real reader, each with its own shape of risk.
//!
//! They are put together here so that limits and requests are the same everywhere and only the shapes differ. Nothing in them
//! is simulated: `library.rs` compiles them as a team's. Invariant: two versions of one have the same steps, so that a saga may
//! move from one to the other at any time.

/// Who takes part. One is called by several steps, so that limits and rows per participant are shared.
pub(crate) const PARTICIPANTS: [&str; 3] = ["stock", "funds", "courier"];

const INPUT: &str = "{ type: object, required: [refuse, express], properties: \
                     { refuse: { type: string }, express: { type: boolean } } }";
const REQUEST: &str = r#"saga: "${saga.id}", refuse: "${input.refuse}""#;
/// An action gives up within a few seconds, so that runs see both the retry and the end of retries.
const ACTION: &str = "timeout: 2s, retry: { max_attempts: 4, initial: 100ms, max: 1s }";
/// What must happen in the end is tried for longer than the faults of a run usually last.
const FINISHING: &str = "timeout: 2s, retry: { max_attempts: 16, initial: 100ms, max: 4s }";

/// A definition to run.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The definition's name.
    pub name: String,
    source: String,
}

impl Scenario {
    fn new(name: &str, timeout: &str) -> Self {
        let source = format!("saga: {name}\ntimeout: {timeout}\ninput: {INPUT}\nsteps:\n");
        Self { name: name.to_owned(), source }
    }

    /// Its source in each version: the second gives up sooner.
    pub(crate) fn versions(&self) -> [String; 2] {
        [self.source.clone(), self.source.replace("max_attempts: 16", "max_attempts: 12")]
    }

    /// Adds a step: its participant, its other fields (`after: [a]`), and its operations.
    fn step(mut self, name: &str, participant: &str, fields: &[&str], operations: &[String]) -> Self {
        self.source += &format!("  - step: {name}\n    participant: {participant}\n");
        for field in fields.iter().copied().chain(operations.iter().map(String::as_str)) {
            self.source += &format!("    {field}\n");
        }
        self
    }

    /// So many undoable steps one after the other, and nothing else.
    pub fn sequence(length: usize) -> Self {
        (1..=length).fold(Self::new(&format!("sequence-{length}"), "2m"), |scenario, number| {
            scenario.step(&format!("s{number}"), PARTICIPANTS[number % 3], &[], &undoable())
        })
    }

    /// One step at somebody who is always there, one at a participant that will be away, and one that may be refused; with time
    /// to wait for hours.
    pub(crate) fn outage(away: &str) -> Self {
        Self::new("outage", "6h").step("reserve", "stock", &[], &undoable()).step("hold", away, &[], &undoable()).step(
            "ship",
            "courier",
            &[],
            &undoable(),
        )
    }

    /// So many steps that are tried and confirmed, one after the other.
    pub fn tried(length: usize) -> Self {
        (1..=length).fold(Self::new(&format!("tried-{length}"), "2m"), |scenario, number| {
            scenario.step(&format!("s{number}"), PARTICIPANTS[number % 3], &[], &tried())
        })
    }
}

fn operation(word: &str, method: &str, limits: &str) -> String {
    format!("{word}: {{ call: sim.v1.Desk/{method}, {limits}, request: {{ {REQUEST} }} }}")
}

fn undoable() -> Vec<String> {
    vec![operation("action", "Act", ACTION), operation("compensate", "Undo", FINISHING)]
}

fn tried() -> Vec<String> {
    vec![
        operation("try", "Act", ACTION),
        operation("confirm", "Confirm", FINISHING),
        operation("cancel", "Undo", FINISHING),
    ]
}

fn asked() -> String {
    operation("query", "Ask", "timeout: 1s, retry: { max_attempts: 3, initial: 100ms, max: 500ms }")
}

/// Every shape that the random runs draw from.
pub fn scenarios() -> Vec<Scenario> {
    let passes_on = REQUEST.to_owned() + r#", reference: "${steps.reserve.number}""#;
    let with_reference = undoable().iter().map(|text| text.replace(REQUEST, &passes_on)).collect::<Vec<_>>();
    let asked_and_undoable = [undoable(), vec![asked()]].concat();
    vec![
        Scenario::new("chain", "2m")
            .step("reserve", "stock", &[], &undoable())
            .step("hold", "funds", &[], &with_reference)
            .step("ship", "courier", &[], &undoable()),
        // Two beside each other between two; one that nobody waits for; little time.
        Scenario::new("diamond", "5s")
            .step("top", "stock", &[], &undoable())
            .step("left", "funds", &["after: [top]"], &undoable())
            .step("right", "courier", &["after: [top]"], &undoable())
            .step("bottom", "stock", &["after: [left, right]"], &undoable())
            .step("aside", "courier", &["after: []"], &undoable()),
        // Tried and confirmed steps around one with a plain compensation.
        Scenario::new("mixed", "2m")
            .step("points", "funds", &[], &tried())
            .step("reserve", "stock", &["after: []"], &undoable())
            .step("money", "funds", &["after: [points, reserve]"], &tried()),
        // A charge that can't be taken back but can be asked about; then only forward.
        Scenario::new("pivot", "5s")
            .step("reserve", "stock", &[], &undoable())
            .step("charge", "funds", &["pivot: true", "within: 4s"], &[operation("action", "Act", ACTION), asked()])
            .step("ship", "courier", &[], &[operation("action", "Act", FINISHING)]),
        // A pivot that can't be asked about, with something to confirm behind it.
        Scenario::new("blind", "2m").step("hold", "funds", &[], &tried()).step(
            "charge",
            "courier",
            &["pivot: true", "within: 30s"],
            &[operation("action", "Act", ACTION)],
        ),
        // Steps that may answer later, with and without a query.
        Scenario::new("slow", "2m")
            .step("reserve", "stock", &["within: 6s"], &undoable())
            .step("transfer", "funds", &["within: 6s"], &asked_and_undoable)
            .step("ship", "courier", &[], &undoable()),
        // Steps that answer later than anybody waits, where nobody can be asked.
        Scenario::new("late", "2m")
            .step("reserve", "stock", &[], &undoable())
            .step("transfer", "funds", &["within: 200ms"], &undoable())
            .step("ship", "courier", &[], &undoable()),
        // A step that only some sagas need, and one behind it.
        Scenario::new("conditional", "2m")
            .step("reserve", "stock", &[], &undoable())
            .step("express", "courier", &[r#"when: "${input.express}""#], &undoable())
            .step("hold", "funds", &[], &undoable()),
    ]
}

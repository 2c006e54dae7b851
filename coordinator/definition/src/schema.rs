//! The language as JSON Schemas (draft 2020-12), so that editors complete, explain and check what a team writes.
//!
//! They are the files in `schema/`; the coordinator never judges by them, [`crate::parse`] does. Invariant: they know the
//! same fields as the readers (a test compares them); what they refuse, the readers refuse too.

/// Of definitions.
pub const DEFINITION: &str = include_str!("../schema/amends-definition.schema.json");
/// Of files of scenarios.
pub const SCENARIOS: &str = include_str!("../schema/amends-scenarios.schema.json");

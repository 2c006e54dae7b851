//! Evaluates a CEL tree within a budget, and says in our words what went wrong.
//!
//! CEL has no budget of its own, so the most that a tree can do with the values it reads is estimated first, roughly and too
//! high. Its error texts hold operand values; none of them is passed on. Invariant: no panic of CEL leaves this file.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, OnceLock};

use cel::common::types::CelBool;
use cel::common::types::CelString;
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, Env, ExecutionError};
use serde_json::Value;

use super::absent;
use super::rewrite::Tree;
use super::value::{to_cel, to_json};
use super::variables::{Found, Variables};

/// Most node evaluations of one expression, estimated.
const WORK_MAX: u64 = 4_000_000;
/// What a pattern can cost for each byte of the text.
const PATTERN_WORK: u64 = 16;
/// Most bytes that one expression may build, estimated.
const SIZE_MAX: u64 = 512 << 20;

/// CEL's functions. Building them takes 12 µs, so that it is done once; evaluations share them.
static FUNCTIONS: LazyLock<Arc<Env>> =
    LazyLock::new(|| Arc::new(Env::default().with_optional_support(false).with_stdlib()));

/// The value of a tree, or what went wrong.
pub(super) fn evaluate(tree: &Tree, source: &str, variables: &Variables<'_>) -> Result<Value, String> {
    check_budget(tree, source, variables)?;
    let resolver = Resolver { tree, variables, values: tree.paths.iter().map(|_| OnceLock::new()).collect() };
    let evaluated = catch_unwind(AssertUnwindSafe(|| {
        let mut context = Context::with_env(Arc::clone(&FUNCTIONS));
        context.set_variable_resolver(&resolver);
        let value = cel::Value::resolve_val(&tree.root, &context).map_err(|error| describe(&error, tree, variables))?;
        to_json(value.as_ref()).map_err(|kind| format!("it gives {kind}"))
    }));
    let result = evaluated.unwrap_or_else(|_| Err("evaluating it failed inside".to_owned()));
    result.map_err(|message| format!("`{source}`: {message}"))
}

/// Looks the numbered variables up; each value is converted at most once per evaluation.
struct Resolver<'a> {
    tree: &'a Tree,
    variables: &'a Variables<'a>,
    values: Vec<OnceLock<Box<dyn Val + 'a>>>,
}

impl VariableResolver for Resolver<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        if let Some(number) = variable.strip_prefix('?') {
            let path = self.tree.tests.get(number.parse::<usize>().ok()?)?;
            return self.variables.has(path).ok().map(|there| CowVal::owned(CelBool::from(there)));
        }
        let number = variable.strip_prefix('$')?.parse::<usize>().ok()?;
        let cell = self.values.get(number)?;
        if cell.get().is_none() {
            let value: Box<dyn Val> = match self.variables.find(self.tree.paths.get(number)?).ok()? {
                Found::Json(value) => to_cel(value),
                Found::Text(text) => Box::new(CelString::from(text)),
            };
            let _ = cell.set(value);
        }
        cell.get().map(|value| CowVal::Borrowed(value.as_ref()))
    }
}

/// Refuses what could take too long or grow too large with these values.
fn check_budget(tree: &Tree, source: &str, variables: &Variables<'_>) -> Result<(), String> {
    if tree.loops == 0 && tree.additions == 0 && tree.patterns == 0 {
        return Ok(());
    }
    let mut measure = Measure { bytes: source.len() as u64, longest: tree.longest_list };
    for path in &tree.paths {
        match variables.find(path) {
            Ok(Found::Json(value)) => measure.add(value),
            Ok(Found::Text(text)) => measure.bytes += text.len() as u64,
            Err(_) => {}
        }
    }
    let grown = tree.additions + 1;
    let rounds = (measure.longest.max(1) * grown).saturating_pow(tree.loops);
    let searched = tree.patterns.saturating_mul(measure.bytes).saturating_mul(PATTERN_WORK);
    let work = rounds.saturating_mul(tree.nodes.saturating_add(searched));
    let size = rounds.saturating_mul(measure.bytes).saturating_mul(grown);
    if work > WORK_MAX || size > SIZE_MAX {
        return Err("it is too much work for lists and texts of this size".to_owned());
    }
    Ok(())
}

struct Measure {
    bytes: u64,
    longest: u64,
}

impl Measure {
    fn add(&mut self, value: &Value) {
        self.bytes += 8;
        match value {
            Value::String(text) => self.bytes += text.len() as u64,
            Value::Array(items) => {
                self.longest = self.longest.max(items.len() as u64);
                items.iter().for_each(|item| self.add(item));
            }
            Value::Object(entries) => {
                self.longest = self.longest.max(entries.len() as u64);
                entries.values().for_each(|item| self.add(item));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Our words for an error of CEL: kinds and names only, no operand.
fn describe(error: &ExecutionError, tree: &Tree, variables: &Variables<'_>) -> String {
    match error {
        ExecutionError::UndeclaredReference(name) => missing_path(name, tree, variables),
        ExecutionError::NoSuchOverload(overload) => overload.to_string(),
        ExecutionError::UnexpectedType { got, want } => format!("it needs {want} and has {got}"),
        ExecutionError::UnsupportedBinaryOperator(operator, left, right) => {
            format!("`{operator}` doesn't work on {} and {}", kind(left), kind(right))
        }
        ExecutionError::ValuesNotComparable(left, right) => {
            format!("{} can't be compared with {}", kind(left), kind(right))
        }
        ExecutionError::NoSuchKey(_) => "a key that it looks up isn't there".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "an index is outside its list".to_owned(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "it divides by zero".to_owned(),
        ExecutionError::Overflow(..) => "a result has more than 64 bits".to_owned(),
        ExecutionError::FunctionError { function, .. } => format!("`{function}` can't take this value"),
        _ => "it has no value".to_owned(),
    }
}

fn kind(value: &cel::Value) -> &'static str {
    match value {
        cel::Value::List(_) => "list",
        cel::Value::Map(_) => "map",
        cel::Value::Int(_) => "int",
        cel::Value::UInt(_) => "uint",
        cel::Value::Float(_) => "double",
        cel::Value::String(_) => "string",
        cel::Value::Bytes(_) => "bytes",
        cel::Value::Bool(_) => "bool",
        cel::Value::Null => "null",
        _ => "value",
    }
}

/// CEL only knows the number of the variable that it missed.
fn missing_path(name: &str, tree: &Tree, variables: &Variables<'_>) -> String {
    let (paths, number) = match (name.strip_prefix('$'), name.strip_prefix('?')) {
        (Some(number), _) => (&tree.paths, number),
        (_, Some(number)) => (&tree.tests, number),
        _ => return format!("there is no `{name}`"),
    };
    match number.parse::<usize>().ok().and_then(|number| paths.get(number)) {
        Some(path) => absent(path, variables.find(path).err().unwrap_or(0)),
        None => "something that it looks up isn't there".to_owned(),
    }
}

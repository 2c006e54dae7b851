//! A parsed CEL tree made safe to evaluate: limited, known by name, its lookups numbered.
//!
//! Every lookup (`input.lines[0].sku`) is replaced by a numbered variable: evaluation converts only what is looked up, errors
//! name the whole path, and the lint knows what is read. Invariant: a tree that leaves here is at most [`TREE_DEPTH_MAX`]
//! deep, nests at most [`LOOPS_MAX`] loops, and calls only known functions on known names.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};

use super::foreign;
use super::parse::{Trouble, trouble};
use super::path::{Path, Root, Segment};
use super::variables::SAGA_FACTS;
use crate::finding::{did_you_mean, nearest, shown};

/// Deepest tree; every part of a `+` chain is one level. CEL's evaluation takes up to 30 KB of stack per level (measured), and
/// must fit on a server's worker thread of 2 MiB with room to spare.
const TREE_DEPTH_MAX: usize = 20;
/// Most loops (`all`, `exists`, `map` …) inside one another.
const LOOPS_MAX: u32 = 2;

/// Largest compiled pattern of a `matches`, in bytes. Compiling one takes half a millisecond.
const PATTERN_SIZE_MAX: usize = 64 << 10;
/// What a `matches` counts for: its pattern is compiled at every evaluation.
const MATCHES_NODES: u64 = 20_000;

/// Functions of CEL that exist here. Those for dates and durations don't: they would pull in a second time library.
const FUNCTIONS: [&str; 13] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "bool",
    "dyn",
    "type",
];
const MACROS: [&str; 6] = ["has", "all", "exists", "exists_one", "map", "filter"];
const TYPES: [&str; 9] = ["int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type"];

/// A tree in which lookups are numbered variables: `$0` is the value of `paths[0]`, `?0` whether `tests[0]` is there.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    pub(super) root: IdedExpr,
    pub(super) paths: Vec<Path>,
    pub(super) tests: Vec<Path>,
    /// Nodes in it; costly ones count for more.
    pub(super) nodes: u64,
    /// Additions in it: what makes texts and lists grow.
    pub(super) additions: u64,
    /// Calls of `matches` in it.
    pub(super) patterns: u64,
    /// Most loops inside one another.
    pub(super) loops: u32,
    /// Longest list written out in it.
    pub(super) longest_list: u64,
}

/// Rewrites a parsed expression. Must run on a big stack: the tree may be as deep as its text is long.
pub(super) fn rewrite(mut root: IdedExpr, known: &[Root]) -> Result<Tree, Trouble> {
    let mut rewriter = Rewriter { known, bound: Vec::new(), loops: 0, tree: Tree::default() };
    rewriter.rewrite(&mut root, 0)?;
    Ok(Tree { root, ..rewriter.tree })
}

struct Rewriter<'k> {
    known: &'k [Root],
    /// Variables of the loops around the node.
    bound: Vec<String>,
    loops: u32,
    tree: Tree,
}

impl Rewriter<'_> {
    fn rewrite(&mut self, node: &mut IdedExpr, depth: usize) -> Result<(), Trouble> {
        if depth > TREE_DEPTH_MAX {
            return Err(trouble(
                format!("the expression is more than {TREE_DEPTH_MAX} levels deep"),
                "join texts with `${a}${b}` instead of `+`, or compute it before",
            ));
        }
        self.tree.nodes += 1;
        if let Some(lookup) = self.lookup(&node.expr)? {
            node.expr = Expr::Ident(lookup);
            return Ok(());
        }
        match &mut node.expr {
            Expr::Ident(name) => self.check_name(name),
            Expr::Literal(_) => Ok(()),
            Expr::Select(select) => self.rewrite(&mut select.operand, depth + 1),
            Expr::Call(call) => self.call(call, depth),
            Expr::List(list) => {
                self.tree.longest_list = self.tree.longest_list.max(list.elements.len() as u64);
                list.elements.iter_mut().try_for_each(|element| self.rewrite(element, depth + 1))
            }
            Expr::Map(map) => map.entries.iter_mut().try_for_each(|entry| match &mut entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.rewrite(&mut entry.key, depth + 1)?;
                    self.rewrite(&mut entry.value, depth + 1)
                }
                EntryExpr::StructField(field) => self.rewrite(&mut field.value, depth + 1),
            }),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, depth),
            Expr::Struct(_) => {
                Err(trouble("messages can't be built in an expression", "write the fields out in the request"))
            }
            Expr::Unspecified => Err(trouble("the expression can't be read", "check it for something left out")),
        }
    }

    fn call(&mut self, call: &mut CallExpr, depth: usize) -> Result<(), Trouble> {
        let operator = call.func_name.contains(['_', '@', '!']) && !MACROS.contains(&call.func_name.as_str());
        if !operator && !FUNCTIONS.contains(&call.func_name.as_str()) {
            let known = FUNCTIONS.into_iter().chain(MACROS);
            let message = format!("there is no function `{}` with these arguments", shown(&call.func_name));
            let mend = foreign::mend_of_function(&call.func_name).map(str::to_owned);
            return Err(trouble(message, mend.unwrap_or_else(|| did_you_mean(&call.func_name, known))));
        }
        self.tree.additions += u64::from(call.func_name == operators::ADD);
        if call.func_name == "matches" {
            self.tree.nodes += MATCHES_NODES;
            self.tree.patterns += 1;
            check_pattern(call.args.last())?;
        }
        if let Some(target) = &mut call.target {
            self.rewrite(target, depth + 1)?;
        }
        call.args.iter_mut().try_for_each(|argument| self.rewrite(argument, depth + 1))
    }

    fn comprehension(&mut self, comprehension: &mut ComprehensionExpr, depth: usize) -> Result<(), Trouble> {
        self.rewrite(&mut comprehension.iter_range, depth + 1)?;
        self.rewrite(&mut comprehension.accu_init, depth + 1)?;
        self.loops += 1;
        self.tree.loops = self.tree.loops.max(self.loops);
        if self.loops > LOOPS_MAX {
            let message = format!("more than {LOOPS_MAX} loops inside one another");
            return Err(trouble(message, "prepare the data so that one loop is enough"));
        }
        let outer = self.bound.len();
        self.bound.extend([comprehension.iter_var.clone(), comprehension.accu_var.clone()]);
        self.bound.extend(comprehension.iter_var2.clone());
        for part in [&mut comprehension.loop_cond, &mut comprehension.loop_step, &mut comprehension.result] {
            self.rewrite(part, depth + 1)?;
        }
        self.bound.truncate(outer);
        self.loops -= 1;
        Ok(())
    }

    fn check_name(&self, name: &str) -> Result<(), Trouble> {
        if self.bound.iter().any(|bound| bound == name) || TYPES.contains(&name) {
            return Ok(());
        }
        let message = format!("`{}` is not known here", shown(name));
        let known = self.known.iter().map(|root| root.as_str());
        let mend = match nearest(name, known.clone()) {
            Some(_) => None,
            None => foreign::mend_of_name(name, self.known),
        };
        Err(trouble(message, mend.unwrap_or_else(|| did_you_mean(name, known))))
    }

    /// The numbered variable that stands for this node, if it is a lookup or a test for one.
    fn lookup(&mut self, expr: &Expr) -> Result<Option<String>, Trouble> {
        if let Some(path) = self.test_path(expr) {
            self.tree.tests.push(path);
            return Ok(Some(format!("?{}", self.tree.tests.len() - 1)));
        }
        let Some(path) = self.path(expr) else { return Ok(None) };
        check_path(&path)?;
        self.tree.paths.push(path);
        Ok(Some(format!("${}", self.tree.paths.len() - 1)))
    }

    /// `has(a.b)`, or `'name' in steps`.
    fn test_path(&self, expr: &Expr) -> Option<Path> {
        let (mut path, key) = match expr {
            Expr::Select(select) if select.test => (self.path(&select.operand.expr)?, select.field.clone()),
            Expr::Call(call) if call.func_name == operators::IN => match call.args.as_slice() {
                [name, steps] => (self.path(&steps.expr).filter(is_all_steps)?, literal_text(&name.expr)?),
                _ => return None,
            },
            _ => return None,
        };
        path.segments.push(Segment::Key(key));
        Some(path)
    }

    fn path(&self, expr: &Expr) -> Option<Path> {
        let (mut expr, mut segments) = (expr, Vec::new());
        loop {
            match expr {
                Expr::Ident(name) if !self.bound.contains(name) => {
                    segments.reverse();
                    return Some(Path { root: Root::find(name, self.known)?, segments });
                }
                Expr::Select(select) if !select.test => {
                    segments.push(Segment::Key(select.field.clone()));
                    expr = &select.operand.expr;
                }
                Expr::Call(call) if call.func_name == operators::INDEX => {
                    let [operand, index] = call.args.as_slice() else { return None };
                    segments.push(literal_segment(&index.expr)?);
                    expr = &operand.expr;
                }
                _ => return None,
            }
        }
    }
}

/// Refuses a path that can't lead anywhere.
pub(super) fn check_path(path: &Path) -> Result<(), Trouble> {
    match (path.root, path.segments.as_slice()) {
        (Root::Steps, [] | [Segment::Index(_), ..]) => {
            Err(trouble("`steps` alone has no value", "name a step: `steps['name'].field`, or `'name' in steps`"))
        }
        (Root::Saga, [Segment::Key(fact)]) if SAGA_FACTS.contains(&fact.as_str()) => Ok(()),
        (Root::Saga, [Segment::Key(fact), ..]) => {
            let mend = match fact.as_str() {
                "input" | "steps" => format!("write `{fact}` without `saga.`"),
                _ => did_you_mean(fact, SAGA_FACTS),
            };
            Err(trouble(format!("`saga` has no `{fact}`"), mend))
        }
        (Root::Saga, _) => {
            Err(trouble("`saga` alone has no value", "use `saga.id`, `saga.namespace` or `saga.definition`"))
        }
        _ => Ok(()),
    }
}

/// A pattern is compiled at every evaluation, so that it must be known and small.
fn check_pattern(pattern: Option<&IdedExpr>) -> Result<(), Trouble> {
    match pattern.and_then(|pattern| literal_text(&pattern.expr)) {
        Some(pattern) => match crate::input::trouble_with(&pattern, PATTERN_SIZE_MAX) {
            Some((message, mend)) => Err(trouble(format!("`matches`: {message}"), mend)),
            None => Ok(()),
        },
        None => {
            Err(trouble("the pattern of `matches` is not written out", "write it as a text: `.matches('^[a-z]+$')`"))
        }
    }
}

fn is_all_steps(path: &Path) -> bool {
    path.root == Root::Steps && path.segments.is_empty()
}

fn literal_text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner().to_owned()),
        _ => None,
    }
}

fn literal_segment(expr: &Expr) -> Option<Segment> {
    match expr {
        Expr::Literal(LiteralValue::Int(index)) => usize::try_from(*index.inner()).ok().map(Segment::Index),
        _ => literal_text(expr).map(Segment::Key),
    }
}

//! How a page is read.
//!
//! ````text
//!   ```sh                          run, as a reader would paste it
//!   ```text  right after it        what it says: these lines come in this order, others may stand between; `…` ends a beginning
//!   <!-- run … -->                 run too, without a reader's eyes: waiting for a server, what the page takes for granted
//!   <!-- not run: why -->          before a fence: that one isn't run
//! ````

use std::path::Path;

/// How fences of commands are marked.
const SHELL: [&str; 4] = ["sh", "bash", "shell", "console"];

/// The commands of one page.
pub(super) struct Page {
    pub(super) blocks: Vec<Block>,
}

/// Commands and what they are to say.
#[derive(Default)]
pub(super) struct Block {
    pub(super) line: usize,
    pub(super) commands: String,
    pub(super) shown: Vec<String>,
    /// In a comment of the page.
    pub(super) hidden: bool,
    pub(super) not_run: Option<String>,
}

impl Page {
    pub(super) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { blocks: blocks(&text) }
    }
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut not_run, mut after_commands) = (None, false);
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let mut until = |end: &str| {
            let body: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != end).collect();
            body.join("\n") + "\n"
        };
        if let Some(why) = line.trim_start().strip_prefix("<!-- not run: ") {
            not_run = why.strip_suffix(" -->").map(str::to_owned);
            assert!(not_run.is_some(), "line {}: the reason isn't closed", number + 1);
        } else if line.trim() == "<!-- run" {
            blocks.push(Block { line: number + 1, commands: until("-->"), hidden: true, ..Block::default() });
        } else if line.trim_start().starts_with("```") {
            let kind = line.trim().trim_start_matches('`');
            let body = until(&"`".repeat(line.trim().len() - kind.len()));
            if SHELL.contains(&kind) {
                blocks.push(Block { line: number + 1, commands: body, not_run: not_run.take(), ..Block::default() });
            } else if let ("text", true, Some(block)) = (kind, after_commands, blocks.last_mut()) {
                block.shown = body.lines().map(str::to_owned).collect();
            }
            after_commands = SHELL.contains(&kind);
        }
    }
    blocks
}

/// Words, with moments and spans of time as `~`, since those are never the same twice.
pub(super) fn normal(line: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(['(', ')', ';', ',']);
        let is_time = bare.starts_with(|first: char| first.is_ascii_digit()) && bare.ends_with(['s', 'Z']);
        if is_time { word.replace(bare, "~") } else { word.to_owned() }
    };
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// A line that ends in `…` shows only its beginning.
pub(super) fn matches(line: &str, shown: &str) -> bool {
    shown.strip_suffix('…').map_or(line == shown, |beginning| line.starts_with(beginning.trim_end()))
}

#[test]
fn page_is_read() {
    let blocks = blocks(
        "# A\n```text\na picture\n```\n```sh\none\ntwo\n```\nsays\n\n```text\n1\n2\n```\n```text\nfree\n```\n\
         <!-- run\nwait\n-->\n<!-- not run: a cloud is needed -->\n```sh\nthree\n```\n````sh\n```sh\n````\n",
    );
    let [first, hidden, not_run, nested] = &blocks[..] else { panic!("{}", blocks.len()) };
    assert_eq!((&*first.commands, first.line), ("one\ntwo\n", 5));
    assert_eq!(first.shown, ["1", "2"]);
    assert!(hidden.hidden && hidden.commands == "wait\n" && hidden.not_run.is_none());
    assert_eq!(not_run.not_run.as_deref(), Some("a cloud is needed"));
    assert_eq!((&*nested.commands, nested.not_run.is_none()), ("```sh\n", true));
    assert!(matches("took ~ for 3", "took ~ …") && !matches("took", "took ~"));
    assert_eq!(normal("a  (1.2s), 2026-01-01T00:00:00Z b"), "a (~), ~ b");
}

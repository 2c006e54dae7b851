//! The repository's pages: every link between them leads somewhere.
//!
//! Links to the web are not followed. Invariant: a file or a heading that is renamed can't leave a dead link behind.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[test]
fn every_link_between_the_pages_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository");
    let mut pages = Vec::new();
    find_pages(&root, &mut pages);
    assert!(pages.len() > 60, "only {} pages", pages.len());
    let (mut links, mut dead) = (0, Vec::new());
    for page in &pages {
        let text = prose(page);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.contains(' ') {
                continue;
            }
            links += 1;
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.clone() } else { page.with_file_name("").join(path) };
            let found = target.exists() && (heading.is_empty() || headings(&target).contains(heading));
            if !found {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(links > 80, "only {links} links");
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
}

fn find_pages(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let is_built = name == "target" || name == "node_modules" || name.starts_with('.');
        if path.is_dir() && !is_built && !path.is_symlink() {
            find_pages(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
}

/// A page without its code.
fn prose(page: &Path) -> String {
    let text = std::fs::read_to_string(page).expect("a page");
    text.split("```").step_by(2).collect()
}

/// The headings of a page as links name them.
fn headings(page: &Path) -> BTreeSet<String> {
    let prose = prose(page);
    let headings = prose
        .lines()
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
    let anchor = |heading: &str| {
        let kept = heading.trim().chars().filter(|it| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_'));
        kept.map(|it| if it == ' ' { '-' } else { it }).flat_map(char::to_lowercase).collect()
    };
    headings.map(anchor).collect()
}

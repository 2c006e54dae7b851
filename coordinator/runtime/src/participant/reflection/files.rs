//! The files that a conversation has brought so far, and what they still lack.
//!
//! It looks at names and imports only and keeps the rest as bytes, so that options and syntaxes that this program doesn't know
//! aren't lost. Invariant: a file is held once, and all of them stay within the bounds of [`super`].

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message;

use super::{BYTES_MAX, FILES_MAX, Problem, Question};

/// As much of a `google.protobuf.FileDescriptorProto` as is needed here; the rest is passed on as bytes.
#[derive(Clone, PartialEq, Message)]
struct Head {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, repeated, tag = "3")]
    imports: Vec<String>,
}

/// A `google.protobuf.FileDescriptorSet` of files that aren't looked into, so that nothing in them is lost.
#[derive(Clone, PartialEq, Message)]
struct FileSet {
    #[prost(bytes = "vec", repeated, tag = "1")]
    files: Vec<Vec<u8>>,
}

/// The files so far, by name.
#[derive(Debug, Default)]
pub(super) struct Files {
    by_name: BTreeMap<String, (Vec<String>, Vec<u8>)>,
    bytes: usize,
}

impl Files {
    /// Takes in what a question brought. Servers may repeat files, and may send imports unasked.
    pub(super) fn take(&mut self, question: &Question, found: Vec<Vec<u8>>) -> Result<(), Problem> {
        for file in found {
            let head = Head::decode(file.as_slice()).map_err(|error| Problem::Unreadable(error.to_string()))?;
            if self.by_name.contains_key(&head.name) {
                continue;
            }
            self.bytes += file.len();
            if self.bytes > BYTES_MAX || self.by_name.len() == FILES_MAX {
                return Err(Problem::TooLarge);
            }
            self.by_name.insert(head.name, (head.imports, file));
        }
        match question {
            // Else it would be asked for again, for ever.
            Question::File(name) if !self.by_name.contains_key(name) => {
                Err(Problem::Unreadable(format!("another file than {name:?}")))
            }
            Question::File(_) | Question::Service(_) => Ok(()),
        }
    }

    /// What is imported and not there yet.
    pub(super) fn missing(&self) -> Result<BTreeSet<String>, Problem> {
        let imports = self.by_name.values().flat_map(|(imports, _)| imports);
        let missing: BTreeSet<String> = imports.filter(|name| !self.by_name.contains_key(*name)).cloned().collect();
        if self.by_name.len() + missing.len() > FILES_MAX {
            return Err(Problem::TooLarge);
        }
        Ok(missing)
    }

    /// Imports first, otherwise by name. A file that imports itself in a circle, which no compiler makes, is there once.
    pub(super) fn into_set(mut self) -> Bytes {
        let mut files = Vec::with_capacity(self.by_name.len());
        while let Some(name) = self.by_name.keys().next().cloned() {
            self.move_with_imports(name, &mut files);
        }
        FileSet { files }.encode_to_vec().into()
    }

    fn move_with_imports(&mut self, name: String, files: &mut Vec<Vec<u8>>) {
        // A stack of our own: the depth is the participant's choice.
        let mut open = vec![(name, false)];
        let mut entered = BTreeSet::new();
        while let Some((name, imports_done)) = open.pop() {
            if imports_done {
                files.extend(self.by_name.remove(&name).map(|(_, file)| file));
            } else if let Some((imports, _)) = self.by_name.get(&name)
                && entered.insert(name.clone())
            {
                let imports = imports.iter().rev().map(|import| (import.clone(), false));
                open.push((name, true));
                open.extend(imports);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, imports: &[&str]) -> Vec<u8> {
        let imports = imports.iter().map(|import| (*import).to_owned()).collect();
        Head { name: name.to_owned(), imports }.encode_to_vec()
    }

    fn names(set: &Bytes) -> Vec<String> {
        let files = FileSet::decode(set.as_ref()).unwrap().files;
        files.iter().map(|file| Head::decode(file.as_slice()).unwrap().name).collect()
    }

    fn ask(name: &str) -> Question {
        Question::File(name.to_owned())
    }

    #[test]
    fn imports_come_first_and_the_order_doesnt_depend_on_the_answers() {
        let all = [file("a", &["c", "b"]), file("b", &["d"]), file("c", &[]), file("d", &[])];
        let mut sets = Vec::new();
        for turn in 0..all.len() {
            let mut files = Files::default();
            let mut turned = all.to_vec();
            turned.rotate_left(turn);
            files.take(&ask("a"), turned).unwrap();
            assert!(files.missing().unwrap().is_empty());
            sets.push(files.into_set());
        }
        assert_eq!(names(&sets[0]), ["c", "d", "b", "a"]);
        assert!(sets.iter().all(|set| *set == sets[0]));
    }

    #[test]
    fn a_circle_of_imports_ends() {
        let mut files = Files::default();
        files.take(&ask("a"), vec![file("a", &["b"]), file("b", &["a", "b"])]).unwrap();
        assert!(files.missing().unwrap().is_empty());
        assert_eq!(names(&files.into_set()).len(), 2);
    }

    #[test]
    fn a_server_cant_keep_us_asking() {
        let mut files = Files::default();
        assert!(matches!(files.take(&ask("a"), vec![]), Err(Problem::Unreadable(_))));
        assert!(matches!(files.take(&ask("a"), vec![file("b", &[])]), Err(Problem::Unreadable(_))));
        let many: Vec<String> = (0..=FILES_MAX).map(|number| format!("f{number}")).collect();
        let imports: Vec<&str> = many.iter().map(String::as_str).collect();
        files.take(&ask("a"), vec![file("a", &imports)]).unwrap();
        assert!(matches!(files.missing(), Err(Problem::TooLarge)));
        let one_by_one = many.iter().map(|name| file(name, &[])).collect();
        assert!(matches!(files.take(&ask("a"), one_by_one), Err(Problem::TooLarge)));
    }
}

//! What the .proto files say beside their fields and methods, as text for a description.
//!
//! Invariant: the words are the file's; only line breaks within a paragraph go.

use prost_reflect::{EnumDescriptor, EnumValueDescriptor, FieldDescriptor, FileDescriptor, MessageDescriptor};
use prost_reflect::{MethodDescriptor, ServiceDescriptor};

/// Something that has a comment.
pub(super) trait Commented {
    fn file(&self) -> FileDescriptor;
    fn location(&self) -> &[i32];

    /// Its comment in paragraphs; empty where there is none.
    fn comment(&self) -> String {
        let file = self.file();
        let info = file.file_descriptor_proto().source_code_info.as_ref();
        let place = info.and_then(|info| info.location.iter().find(|place| place.path == self.location()));
        place.map(|place| paragraphs(place.leading_comments())).unwrap_or_default()
    }
}

macro_rules! commented {
    ($($of:ty)*) => {$(
        impl Commented for $of {
            fn file(&self) -> FileDescriptor {
                self.parent_file()
            }

            fn location(&self) -> &[i32] {
                self.path()
            }
        }
    )*};
}

commented! { EnumDescriptor EnumValueDescriptor MessageDescriptor MethodDescriptor ServiceDescriptor }

impl Commented for FieldDescriptor {
    fn file(&self) -> FileDescriptor {
        self.parent_message().parent_file()
    }

    fn location(&self) -> &[i32] {
        self.path()
    }
}

/// The first sentence, and all that comes after it.
pub(super) fn summary(comment: &str) -> (&str, &str) {
    let first = comment.split("\n\n").next().unwrap_or_default();
    let end = first.find(". ").map_or(first.len(), |at| at + 1);
    (comment[..end].trim_end_matches('.'), comment[end..].trim())
}

fn paragraphs(comment: &str) -> String {
    let mut text = String::new();
    for line in comment.lines().map(str::trim) {
        match (line.is_empty(), text.is_empty() || text.ends_with("\n\n")) {
            (true, false) => text.push_str("\n\n"),
            (true, true) => {}
            (false, true) => text.push_str(line),
            (false, false) => text.extend([" ", line]),
        }
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_paragraphs_with_a_summary() {
        let text = paragraphs(" One saga as\n it stands. More.\n\n Errors: none.\n");
        assert_eq!(text, "One saga as it stands. More.\n\nErrors: none.");
        assert_eq!(summary(&text), ("One saga as it stands", "More.\n\nErrors: none."));
        assert_eq!(summary("Only this"), ("Only this", ""));
    }
}

//! Inputs and outputs as text.
//!
//! Invariant: a payload is only ever text; what is no JSON is shown by its size and beginning.

use amends_proto::v1;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes of which more aren't shown: nobody reads them, and a page has to be sent.
const BYTES_MAX: usize = 64 * 1024;

/// What a page shows of a payload.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) text: String,
    /// What it is, in words.
    pub(super) kind: String,
}

/// `None` where there is none, or none for this person.
pub(super) fn shown(payload: Option<&v1::Payload>) -> Option<Shown> {
    let payload = payload?;
    let size = payload.data.len();
    let text = match payload.encoding() {
        v1::payload::Encoding::Json | v1::payload::Encoding::Unspecified => indented(&payload.data),
        v1::payload::Encoding::Protobuf => None,
    };
    Some(match text {
        Some(text) => Shown { text: cut(text), kind: format!("JSON, {size} bytes") },
        None => Shown { text: cut(STANDARD.encode(&payload.data)), kind: format!("protobuf in base64, {size} bytes") },
    })
}

/// Numbers and the order of members stay as they were sent.
fn indented(data: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(data).ok()?;
    let value: Box<serde_json::value::RawValue> = serde_json::from_str(text).ok()?;
    Some(indent(value.get()))
}

/// Lays out what is known to be JSON, character by character: a number read as a double would no longer be what was sent.
fn indent(json: &str) -> String {
    let (mut text, mut depth, mut quoted, mut escaped) = (String::new(), 0_usize, false, false);
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.push_str(&"  ".repeat(depth));
    };
    let mut letters = json.chars().peekable();
    while let Some(letter) = letters.next() {
        if quoted {
            text.push(letter);
            quoted = letter != '"' || escaped;
            escaped = letter == '\\' && !escaped;
            continue;
        }
        match letter {
            '"' => {
                quoted = true;
                text.push(letter);
            }
            '{' | '[' => {
                text.push(letter);
                while letters.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                match letters.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => text.push(end),
                    None => {
                        depth += 1;
                        line(&mut text, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(letter);
            }
            ',' => {
                text.push(letter);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            letter if letter.is_ascii_whitespace() => {}
            letter => text.push(letter),
        }
    }
    text
}

fn cut(mut text: String) -> String {
    if text.len() > BYTES_MAX {
        let at = text.floor_char_boundary(BYTES_MAX);
        text.truncate(at);
        text.push_str("\n… and more: `amends saga show --payloads` has all of it");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_laid_out_and_not_changed() {
        let json = r#"{"amount":9007199254740993,"to":[ ],"text":"a,\"{b}: <script>","of":[1.10,{"x":null}]}"#;
        let payload = v1::Payload { encoding: 1, data: json.into() };
        let shown = shown(Some(&payload)).unwrap();
        let expected = "{\n  \"amount\": 9007199254740993,\n  \"to\": [],\n  \"text\": \"a,\\\"{b}: <script>\",\n  \"of\": [\n    \
                        1.10,\n    {\n      \"x\": null\n    }\n  ]\n}";
        assert_eq!(shown.text, expected);
    }

    #[test]
    fn what_is_no_json_is_shown_as_bytes() {
        let payload = v1::Payload { encoding: 2, data: vec![0, 255].into() };
        assert_eq!(shown(Some(&payload)).unwrap().text, "AP8=");
        assert_eq!(shown(None), None);
    }
}

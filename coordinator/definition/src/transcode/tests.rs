//! Tests of the conversion both ways: exact, in one order, and without showing values.

use prost_reflect::DescriptorPool;
use serde_json::json;

use super::*;

const PROTO: &str = r#"
syntax = "proto3";
package t.v1;
import "google/protobuf/timestamp.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/wrappers.proto";
enum Mood { MOOD_UNSPECIFIED = 0; MOOD_GOOD = 1; }
message Inner { string name = 1; map<string, int64> counts = 2; }
message All {
  int64 big = 1; uint64 huge = 2; int32 small = 3; uint32 tiny = 4; double d = 5; float f = 6; bool b = 7; string s = 8;
  bytes raw = 9; Mood mood = 10; Inner inner = 11; repeated int64 list = 12; repeated Inner inners = 13;
  map<int32, Inner> by_number = 14; oneof one { string left = 15; int64 right = 16; }
  google.protobuf.Timestamp at = 17; google.protobuf.Struct any = 18; google.protobuf.Int64Value wrapped = 19;
  optional int64 maybe = 20; sint64 zig = 21; fixed64 fixed = 22; string camelCase = 23;
}
message Plain { int64 amount_minor = 1; string currency = 2; Inner2 inner = 3; }
message Inner2 { int64 n = 1; }
"#;

fn descriptor(name: &str) -> MessageDescriptor {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(folder.path().join("t.proto"), PROTO).expect("proto");
    let set = protox::compile(["t.proto"], [folder.path()]).expect("protox");
    let pool = DescriptorPool::from_file_descriptor_set(set).expect("pool");
    pool.get_message_by_name(name).expect("message")
}

fn round_trip(name: &str, value: &Value) -> Result<Value, String> {
    let descriptor = descriptor(name);
    let message = to_message(&descriptor, value).map_err(|error| {
        format!("{}: {} — {}", crate::expression::path::dotted(&error.path()), error.message, error.mend)
    })?;
    let bytes = encode(&message, true);
    let plain = prost::Message::encode_to_vec(&message);
    let decode = |bytes: &[u8]| DynamicMessage::decode(descriptor.clone(), bytes).expect("decode");
    assert!(decode(&bytes) == decode(&plain), "the sorted bytes are another message");
    let json = to_json(&descriptor, true, &bytes).expect("json");
    Ok(serde_json::from_slice(&json).expect("json"))
}

#[test]
fn sixty_four_bits_stay_exact_both_ways() {
    for number in [0, 1, -1, 9_007_199_254_740_993, i64::MAX, i64::MIN] {
        let back = round_trip("t.v1.All", &json!({"big": number, "zig": number, "wrapped": number, "list": [number]}))
            .expect("ok");
        assert_eq!(
            (&back["big"], &back["zig"], &back["wrapped"], &back["list"][0]),
            (&json!(number), &json!(number), &json!(number), &json!(number))
        );
    }
    let back = round_trip("t.v1.All", &json!({"huge": u64::MAX, "fixed": u64::MAX, "big": "9223372036854775807"}))
        .expect("ok");
    assert_eq!(back["huge"].to_string(), "18446744073709551615");
    assert_eq!(back["fixed"].to_string(), "18446744073709551615");
    assert_eq!(back["big"], json!(i64::MAX));
}

#[test]
fn every_kind_goes_through() {
    let value = json!({
        "small": -5, "tiny": 5, "d": 1.5, "f": 0.5, "b": true, "s": "ä", "raw": "AAE=", "mood": "MOOD_GOOD",
        "inner": {"name": "n", "counts": {"b": 2, "a": 1}}, "inners": [{"name": "x"}], "by_number": {"-3": {"name": "m"}},
        "right": 7, "at": "2026-01-02T03:04:05Z", "any": {"k": [1, "x", null]}, "maybe": 0, "camelCase": "c"
    });
    let back = round_trip("t.v1.All", &value).expect("ok");
    for (name, expected) in value.as_object().expect("object") {
        let expected = match name.as_str() {
            "inners" => json!([{"name": "x", "counts": {}}]),
            "by_number" => json!({"-3": {"name": "m", "counts": {}}}),
            "any" => json!({"k": [1.0, "x", null]}),
            _ => expected.clone(),
        };
        assert_eq!(back[name], expected, "{name}");
    }
    assert!(back.get("left").is_none(), "an unset oneof field isn't there");
}

#[test]
fn defaults_are_written_out_and_unset_messages_are_not_there() {
    let back = round_trip("t.v1.All", &json!({})).expect("ok");
    assert_eq!(
        (&back["big"], &back["s"], &back["list"], &back["mood"]),
        (&json!(0), &json!(""), &json!([]), &json!("MOOD_UNSPECIFIED"))
    );
    for absent in ["inner", "at", "maybe", "wrapped", "left"] {
        assert!(back.get(absent).is_none(), "{absent}: {back}");
    }
}

#[test]
fn what_does_not_fit_is_named_by_path_and_type_and_never_shown() {
    for (value, message) in [
        (
            json!({"big": 1.0}),
            "big: it must be an int64 and is a number with a fraction or exponent — use a whole number: money is whole minor units",
        ),
        (
            json!({"big": "4111x"}),
            "big: it must be an int64 and is a text that isn't one — correct the value or the field",
        ),
        (
            json!({"big": u64::MAX}),
            "big: it must be an int64 and is an integer out of its range — correct the value or the field",
        ),
        (
            json!({"small": 4_111_111_111_u64}),
            "small: it must be an int32 and is an integer out of its range — correct the value or the field",
        ),
        (
            json!({"d": 9_007_199_254_740_993_i64}),
            "d: it must be a double and is an integer out of its range — correct the value or the field",
        ),
        (
            json!({"inner": {"name": 4111}}),
            "inner.name: it must be a text and is an integer — correct the value or the field",
        ),
        (
            json!({"list": [1, "4111x"]}),
            "list[1]: it must be an int64 and is a text that isn't one — correct the value or the field",
        ),
        (json!({"raw": "4111!"}), "raw: it must be base64 and is another text — encode it"),
        (json!({"by_number": {"4111x": {}}}), "by_number['4111x']: this key has the wrong type — correct it"),
        (json!({"bigg": 1}), "bigg: `t.v1.All` has no field `bigg` — did you mean `big`?"),
        (json!({"left": "4111", "right": 1}), "right: it can't be set beside `left` — keep one of them"),
        (json!({"mood": "4111"}), "mood: `t.v1.Mood` has no such word — use `MOOD_UNSPECIFIED`, `MOOD_GOOD`"),
        (
            json!({"at": "4111"}),
            "at: it can't become a google.protobuf.Timestamp — see the JSON form of this message type",
        ),
        (
            json!({"any": {"n": 9_007_199_254_740_993_i64}}),
            "any: an integer of more than 53 bits would lose digits in a google.protobuf.Value — send it as a text",
        ),
        (json!([1]), ": it must be a All and is a list — correct the value or the field"),
    ] {
        assert_eq!(round_trip("t.v1.All", &value).expect_err("mismatch"), message);
    }
}

#[test]
fn maps_have_one_order_in_bytes_and_in_json() {
    let descriptor = descriptor("t.v1.All");
    let entries: serde_json::Map<String, Value> = (0..50).map(|n| (n.to_string(), json!({"name": "x"}))).collect();
    let value = json!({ "by_number": entries, "inner": {"counts": {"z": 1, "a": 2, "m": 3}} });
    let make = || encode(&to_message(&descriptor, &value).expect("ok"), true);
    let first = make();
    let json = to_json(&descriptor, true, &first).expect("json");
    for _ in 0..20 {
        assert_eq!(make(), first);
        assert_eq!(to_json(&descriptor, true, &first).expect("json"), json);
    }
}

#[test]
fn without_maps_the_plain_encoder_gives_the_same_bytes() {
    let descriptor = descriptor("t.v1.Plain");
    let message =
        to_message(&descriptor, &json!({"amount_minor": 5, "currency": "EUR", "inner": {"n": 0}})).expect("ok");
    assert_eq!(encode(&message, true), encode(&message, false));
}

#[test]
fn a_damaged_reply_is_an_error() {
    assert!(matches!(to_json(&descriptor("t.v1.Plain"), false, &[0x08]), Err(UnreadableReply::Undecodable(..))));
}

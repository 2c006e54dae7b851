//! JSON to CEL values and back, without losing a digit.
//!
//! A JSON integer becomes CEL's int wherever it fits, else its uint: CEL refuses to add the two, and serde would make every
//! positive number a uint, so that `input.amount + 1` would fail. Texts are borrowed. Invariant: what goes in and comes
//! out again is the same JSON; map keys come out sorted, since CEL keeps maps in hash order.

use std::collections::{BTreeMap, HashMap};

use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;
use serde_json::{Number, Value};

/// A JSON value as CEL sees it; texts stay borrowed.
pub(super) fn to_cel<'v>(value: &'v Value) -> Box<dyn Val + 'v> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(value) => Box::new(CelBool::from(*value)),
        Value::Number(number) => number_to_cel(number),
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Array(items) => Box::new(CelList::from(items.iter().map(to_cel).collect::<Vec<Box<dyn Val + 'v>>>())),
        Value::Object(entries) => {
            let entries =
                entries.iter().map(|(key, value)| (CelMapKey::String(CelString::from(key.as_str())), to_cel(value)));
            Box::new(CelMap::from(entries.collect::<HashMap<CelMapKey<'v>, Box<dyn Val + 'v>>>()))
        }
    }
}

fn number_to_cel<'v>(number: &Number) -> Box<dyn Val + 'v> {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(int), _, _) => Box::new(CelInt::from(int)),
        (_, Some(uint), _) => Box::new(CelUInt::from(uint)),
        (_, _, double) => Box::new(CelDouble::from(double.unwrap_or(f64::NAN))),
    }
}

/// A result as JSON. The error says what kind of result has no JSON form; it never holds the value.
pub(super) fn to_json(value: &dyn Val) -> Result<Value, &'static str> {
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        return Ok(Value::String(text.inner().to_owned()));
    }
    if let Some(int) = value.downcast_ref::<CelInt>() {
        return Ok((*int.inner()).into());
    }
    if let Some(uint) = value.downcast_ref::<CelUInt>() {
        return Ok((*uint.inner()).into());
    }
    if let Some(bool) = value.downcast_ref::<CelBool>() {
        return Ok((*bool.inner()).into());
    }
    if let Some(double) = value.downcast_ref::<CelDouble>() {
        return Number::from_f64(*double.inner()).map(Value::Number).ok_or("a number that JSON doesn't have");
    }
    if value.downcast_ref::<CelNull>().is_some() {
        return Ok(Value::Null);
    }
    if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        return list.inner().iter().map(|item| to_json(item.as_ref())).collect();
    }
    if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        let entries = map.inner().iter().map(|(key, value)| Ok((key_text(key)?, to_json(value.as_ref())?)));
        let sorted: BTreeMap<String, Value> = entries.collect::<Result<_, &'static str>>()?;
        return Ok(Value::Object(sorted.into_iter().collect()));
    }
    if value.downcast_ref::<CelBytes<'_>>().is_some() {
        return Err("bytes: leave them as the text that they came as");
    }
    Err("something that JSON doesn't have")
}

fn key_text(key: &CelMapKey<'_>) -> Result<String, &'static str> {
    match key {
        CelMapKey::String(text) => Ok(text.inner().to_owned()),
        CelMapKey::Int(int) => Ok(int.inner().to_string()),
        CelMapKey::UInt(uint) => Ok(uint.inner().to_string()),
        CelMapKey::Bool(bool) => Ok(bool.inner().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_json_comes_back_as_it_went_in() {
        let value = json!({
            "least": i64::MIN, "most": u64::MAX, "odd": 9_007_199_254_740_993_i64, "half": 0.5, "none": null,
            "text": "ä", "list": [true, [], {}]
        });
        let cel = to_cel(&value);
        let mut back = to_json(cel.as_ref()).expect("json");
        let mut value = value.clone();
        value.sort_all_objects();
        back.sort_all_objects();
        assert_eq!(back, value);
        assert_eq!(back["most"].to_string(), "18446744073709551615");
    }

    #[test]
    fn what_json_does_not_have_is_refused_without_showing_it() {
        assert!(to_json(&CelDouble::from(f64::NAN)).is_err());
        assert!(to_json(&CelBytes::from(vec![1, 2])).is_err());
    }
}

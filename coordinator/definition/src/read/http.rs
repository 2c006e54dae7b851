//! `http:` and `headers:` of an operation.
//!
//! Invariant: what leaves here has no host, no header of ours and no constant value that couldn't be sent.

use super::Reader;
use super::fields::Fields;
use super::step::STEP_ROOTS;
use crate::document::CallText;
use crate::finding::Place;
use crate::http::{HEADERS_MAX, HttpText, Refused, Route, check_name, check_value, is_one_value};
use crate::rules;
use crate::template::{Kind, Template};
use crate::tree::{Key, Node, NodeValue};

impl Reader {
    /// Reads an operation that has `http` or `headers`.
    pub(super) fn http(&mut self, fields: &Fields<'_>) -> Option<CallText> {
        if let Some((key, _)) = fields.key_and_value("call") {
            let (message, mend) = match fields.get("http") {
                Some(_) => ("an operation is one call: `call` (gRPC) or `http`", "keep one of them"),
                None => (
                    "`headers` belong to `http`; a gRPC call has none",
                    "leave them out, or write fields of the request",
                ),
            };
            self.findings.error(rules::MIXED_PROTOCOLS, key.place, message, mend);
            return None;
        }
        let node = self.required(fields, "http", "http: \"POST /orders/${input.order_id}/paid\"")?;
        self.text(node, "`http`")?;
        let text = Template::read(node, STEP_ROOTS, &mut self.findings);
        let route = text.and_then(|text| Route::read(text, &mut self.findings));
        let headers = self.optional(fields, "headers", Self::headers);
        let route = route?;
        let request = fields.key_and_value("request");
        if let Some((key, _)) = request.filter(|_| route.method == "GET") {
            let mend = "put the values into the path: `GET /orders/${input.order_id}`";
            self.findings.error(rules::BAD_ROUTE, key.place, "a GET has no body", mend);
            return None;
        }
        let http = HttpText { route, headers: headers?.unwrap_or_default(), has_body: request.is_some() };
        Some(CallText::Http(Box::new(http)))
    }

    fn headers(&mut self, node: &Node) -> Option<Vec<(Key, Template)>> {
        let NodeValue::Map(entries) = &node.value else {
            return self.wrong_kind(node, "`headers`", "a map", "headers: { x-shop: \"${input.shop}\" }");
        };
        if entries.len() > HEADERS_MAX {
            let message = format!("{} headers: at most {HEADERS_MAX} are allowed", entries.len());
            self.findings.error(rules::OUT_OF_RANGE, node.place, message, "send them in the body");
        }
        let headers: Vec<_> = entries.iter().map(|(key, value)| self.header(key, value)).collect();
        let headers: Vec<_> = headers.into_iter().collect::<Option<_>>()?;
        for (place, (key, _)) in headers.iter().enumerate() {
            if headers[..place].iter().any(|(before, _)| before.text.eq_ignore_ascii_case(&key.text)) {
                let message = format!("the header `{}` stands twice here", key.text);
                self.findings.error(rules::DUPLICATE_KEY, key.place, message, "keep one of them");
            }
        }
        Some(headers)
    }

    fn header(&mut self, key: &Key, value: &Node) -> Option<(Key, Template)> {
        let name = self.unless_refused(key.place, check_name(&key.text));
        let value = Template::read(value, STEP_ROOTS, &mut self.findings)?;
        if !is_one_value(&value) {
            let message = format!("the header `{}` must be a text, an integer, or true or false", key.text);
            self.findings.error(rules::WRONG_SHAPE, value.place, message, "write x-shop: \"${input.shop}\"");
            return None;
        }
        if let Kind::Constant(serde_json::Value::String(text)) = &value.kind {
            self.unless_refused(value.place, check_value(text))?;
        }
        name?;
        Some((key.clone(), value))
    }

    fn unless_refused(&mut self, place: Place, checked: Result<(), Refused>) -> Option<()> {
        checked.map_err(|refused| self.findings.error(rules::BAD_HEADER, place, refused.message, refused.mend)).ok()
    }
}

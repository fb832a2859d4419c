//! Checking values against JSON schemas.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// What checks values against a schema, if it is one that can be understood.
///
/// A schema may come from a file or a server, and the value from a model. So nothing is fetched to understand it: with `$ref` to another
/// address, or with a pattern that needs to look back, it is not understood. A pattern takes time linear in the text.
pub(crate) fn validator(schema: &Value) -> Option<Validator> {
    // The crate is built without what fetches.
    let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
    options.build(schema).ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use serde_json::json;

    use super::*;

    #[test]
    fn t4_nothing_is_fetched_to_understand_a_schema() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        server.set_nonblocking(true).unwrap();
        let url = format!("http://{}/schema.json", server.local_addr().unwrap());
        for place in [&*url, "file:///etc/hostname"] {
            assert!(validator(&json!({"properties": {"a": {"$ref": place}}})).is_none());
        }
        assert!(server.accept().is_err(), "somebody asked");
    }

    #[test]
    fn t4_a_schema_may_refer_to_itself() {
        let list = validator(&json!({
            "$ref": "#/$defs/list",
            "$defs": {"list": {"type": "object", "properties": {"next": {"$ref": "#/$defs/list"}}, "required": ["value"]}},
        }));
        let list = list.unwrap();
        let mut value = json!({"value": 1});
        for _ in 0..60 {
            value = json!({"value": 1, "next": value});
        }
        assert!(list.is_valid(&value));
        assert!(!list.is_valid(&json!({"value": 1, "next": {}})));
    }

    #[test]
    fn t4_a_pattern_takes_time_linear_in_the_text() {
        // Backtracking would take 2 to the 40th steps, or give up and find the text invalid for that reason.
        let pattern = validator(&json!({"pattern": "^(a+)+$"})).unwrap();
        assert!(pattern.is_valid(&json!("a".repeat(100_000))));
        assert!(!pattern.is_valid(&json!("a".repeat(100_000) + "!")));
        assert!(validator(&json!({"pattern": "(?<=a)b"})).is_none());
    }
}

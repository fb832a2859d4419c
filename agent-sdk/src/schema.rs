//! Checking values against JSON schemas.

use jsonschema::{PatternOptions, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::Value;

/// How many patterns of a schema may be left out. One with more of them is not understood.
const MAX_LEFT_OUT: usize = 16;

/// The most of a pattern that is told, in bytes.
const MAX_TOLD_BYTES: usize = 200;

/// What checks values against a schema, if it is one that can be understood. `of` says whose it is, for the log.
///
/// A schema may come from a file or a server, and the value from a model. So nothing is fetched to understand it: with `$ref` to another
/// address it is not understood. A pattern takes time linear in the text: one that needs to look around or to look back is left
/// out, and everything else is checked. Where a value could be wrong for what is left out (`not`, `oneOf`, `if`, `maxContains`,
/// `patternProperties`), nothing is checked. Either is told in the log, when the schema is read.
pub(crate) fn validator(schema: &Value, of: &str) -> Option<Validator> {
    // The crate is built without what fetches.
    let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
    let mut error = match options.build(schema) {
        Ok(validator) => return Some(validator),
        Err(error) => error.to_owned(),
    };
    let mut looser = schema.clone();
    let is_monotone = !turns(schema);
    for _ in 0..MAX_LEFT_OUT {
        let pattern = pattern_of(&error)?;
        let is_left_out = is_monotone && leave_out(&mut looser, error.schema_path().as_str());
        if !is_left_out {
            tracing::warn!(
                schema = of,
                pattern,
                "a pattern is none that takes linear time: nothing is checked against this schema"
            );
            return None;
        }
        tracing::warn!(
            schema = of,
            pattern,
            "a pattern is none that takes linear time: it is not checked, the rest of the schema is"
        );
        error = match options.build(&looser) {
            Ok(validator) => return Some(validator),
            Err(error) => error.to_owned(),
        };
    }
    tracing::warn!(
        schema = of,
        "more than {MAX_LEFT_OUT} patterns take no linear time: nothing is checked against this schema"
    );
    None
}

/// The pattern that cannot be used, where a schema is not understood for that reason; no more of it than is told.
fn pattern_of<'a>(error: &'a ValidationError<'_>) -> Option<&'a str> {
    match error.kind() {
        ValidationErrorKind::Format { format } if format == "regex" => {}
        _ => return None,
    }
    let pattern = error.instance().as_str()?;
    pattern.get(..pattern.floor_char_boundary(MAX_TOLD_BYTES))
}

/// Removes the `pattern` at this place; answers whether there was one.
fn leave_out(schema: &mut Value, place: &str) -> bool {
    let around = place.strip_suffix("/pattern");
    let around = around.and_then(|around| schema.pointer_mut(around));
    around
        .and_then(Value::as_object_mut)
        .and_then(|around| around.remove("pattern"))
        .is_some()
}

/// Whether a schema that allows more inside may allow less: then nothing may be left out of it.
fn turns(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => members.iter().any(|(key, inside)| {
            matches!(&**key, "not" | "oneOf" | "if" | "maxContains") || turns(inside)
        }),
        Value::Array(elements) => elements.iter().any(turns),
        _ => false,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{
        fmt::Debug,
        net::TcpListener,
        sync::{Arc, Mutex},
    };

    use serde_json::json;
    use tracing::{
        Event, Subscriber,
        field::{Field, Visit},
    };
    use tracing_subscriber::{
        Layer,
        layer::{Context, SubscriberExt},
    };

    use super::*;

    #[test]
    fn t4_nothing_is_fetched_to_understand_a_schema() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        server.set_nonblocking(true).unwrap();
        let url = format!("http://{}/schema.json", server.local_addr().unwrap());
        for place in [&*url, "file:///etc/hostname"] {
            assert!(validator(&json!({"properties": {"a": {"$ref": place}}}), "a").is_none());
        }
        assert!(server.accept().is_err(), "somebody asked");
    }

    #[test]
    fn t4_a_schema_may_refer_to_itself() {
        let list = validator(
            &json!({
                "$ref": "#/$defs/list",
                "$defs": {"list": {"type": "object", "properties": {"next": {"$ref": "#/$defs/list"}}, "required": ["value"]}},
            }),
            "a",
        );
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
        let pattern = validator(&json!({"pattern": "^(a+)+$"}), "a").unwrap();
        assert!(pattern.is_valid(&json!("a".repeat(100_000))));
        assert!(!pattern.is_valid(&json!("a".repeat(100_000) + "!")));
    }

    /// What is warned of, a line each.
    #[derive(Clone, Default)]
    struct Warned(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Warned {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut line = Line::default();
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }
    }

    #[derive(Default)]
    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            self.0 = format!("{}{}={value:?} ", self.0, field.name());
        }
    }

    /// What the log is told while something is done, a line each.
    pub(crate) fn warned(work: impl FnOnce()) -> Vec<String> {
        let warned = Warned::default();
        let subscriber = tracing_subscriber::registry().with(warned.clone());
        tracing::subscriber::with_default(subscriber, work);
        let lines = warned.0.lock().unwrap();
        lines.clone()
    }

    #[test]
    fn t4_a_pattern_that_looks_around_is_left_out_and_told_and_the_rest_is_checked() {
        let schema = json!({
            "type": "object",
            "properties": {
                "name": {"type": "string", "pattern": "^(?!admin)", "maxLength": 5},
                "a/b": {"$ref": "#/$defs/twice"},
                "code": {"pattern": "^[a-z]+$"},
                "pattern": {"type": "integer"},
            },
            "required": ["name"],
            "$defs": {"twice": {"pattern": "(.)\\1"}},
        });
        let warned = warned(|| {
            let validator = validator(&schema, "tool `look`").unwrap();
            for good in [
                json!({"name": "admin"}),
                json!({"name": "x", "a/b": "ab", "code": "abc", "pattern": 1}),
            ] {
                assert!(validator.is_valid(&good), "{good}");
            }
            for bad in [
                json!({}),
                json!({"name": "longer"}),
                json!({"name": 1}),
                json!({"name": "x", "code": "1"}),
                json!({"name": "x", "pattern": "y"}),
            ] {
                assert!(!validator.is_valid(&bad), "{bad}");
            }
        });
        assert_eq!(warned.len(), 2, "{warned:?}");
        for pattern in [r#"pattern="^(?!admin)""#, r#"pattern="(.)\\1""#] {
            let told = warned.iter().filter(|line| line.contains(pattern));
            assert_eq!(told.count(), 1, "{warned:?}");
        }
        assert!(warned.iter().all(|line| line.contains("tool `look`")));
    }

    #[test]
    fn t4_where_a_looser_part_would_refuse_what_is_right_nothing_is_checked_and_that_is_told() {
        let around = json!({"pattern": "(?=a)"});
        for schema in [
            json!({"not": around}),
            json!({"oneOf": [around, {"type": "string"}]}),
            json!({"properties": {"a": {"if": around, "then": {"maxLength": 1}}}}),
            json!({"contains": around, "maxContains": 1}),
            json!({"not": {"$ref": "#/$defs/x"}, "$defs": {"x": around}}),
            json!({"patternProperties": {"(?=a)": {}}, "additionalProperties": false}),
        ] {
            let warned = warned(|| assert!(validator(&schema, "a").is_none(), "{schema}"));
            assert_eq!(warned.len(), 1, "{schema}: {warned:?}");
            assert!(warned[0].contains("nothing is checked"), "{warned:?}");
        }
    }

    #[test]
    fn t4_a_schema_of_nothing_but_such_patterns_is_given_up_soon() {
        let many: Vec<_> = (0..1_000)
            .map(|n| json!({"pattern": format!("(?=a{n})")}))
            .collect();
        let warned = warned(|| assert!(validator(&json!({"allOf": many}), "a").is_none()));
        assert_eq!(warned.len(), MAX_LEFT_OUT + 1);
    }

    #[test]
    fn a_schema_that_is_understood_warns_of_nothing() {
        let schema = json!({"properties": {"a": {"pattern": "^a$"}}, "not": {"pattern": "b"}});
        let warned = warned(|| drop(validator(&schema, "a").unwrap()));
        assert_eq!(warned, Vec::<String>::new());
    }
}

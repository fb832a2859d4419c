//! What `docs/plan-format.md` says of plans is so.

use serde_json::Value;

use crate::plan::{Open, Plan};

const DOCUMENT: &str = include_str!("../../../../docs/plan-format.md");

/// The examples of a language.
fn examples(language: &str) -> Vec<&'static str> {
    let begin = format!("\n```{language}\n");
    let examples = DOCUMENT.split(&*begin).skip(1);
    examples
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

fn plan(toml: &str) -> Plan {
    let plan = Plan::from_toml(toml).unwrap();
    plan.check(&Open).unwrap();
    plan
}

#[test]
fn the_examples_of_the_document_are_plans() {
    let plans: Vec<_> = examples("toml").into_iter().map(plan).collect();
    assert_eq!(plans.len(), 4);
    let [json] = examples("json")[..] else {
        panic!()
    };
    assert_eq!(Plan::from_json(json).unwrap(), plans[0]);
    let [drawing] = examples("text")[..] else {
        panic!()
    };
    assert_eq!(plans.last().unwrap().to_text(), drawing);
}

#[test]
fn the_document_names_every_key_and_every_word_of_the_schema() {
    let schema = Plan::json_schema();
    let mut open = vec![&schema];
    let mut keys = 0;
    while let Some(value) = open.pop() {
        let Value::Object(object) = value else {
            open.extend(value.as_array().into_iter().flatten());
            continue;
        };
        let properties = object.get("properties").and_then(Value::as_object);
        let mut words: Vec<&str> = properties
            .into_iter()
            .flat_map(|it| it.keys())
            .map(String::as_str)
            .collect();
        keys += words.len();
        // Words that stand for themselves.
        words.extend(object.get("const").and_then(Value::as_str));
        let many = object.get("enum").and_then(Value::as_array);
        words.extend(many.into_iter().flatten().filter_map(Value::as_str));
        for word in words {
            let is_named = ["`", "\"", "{ "].iter().any(|mark| {
                [
                    format!("{mark}{word}`"),
                    format!("{mark}{word}\""),
                    format!("{mark}{word} ="),
                ]
                .iter()
                .any(|text| DOCUMENT.contains(text))
            });
            assert!(is_named, "{word}");
        }
        open.extend(object.values());
    }
    assert!(keys > 40, "{keys}");
}

#[test]
fn the_defaults_of_the_document_are_so() {
    let plan = plan("name = 'p'\nsteps = [{ id = 's', agent = 'a' }]");
    let step = &plan.steps[0];
    assert_eq!((plan.version, plan.width().get()), (1, 64));
    assert_eq!((step.priority, step.retry.attempts.get()), (0, 1));
    let retry = serde_json::to_value(&step.retry).unwrap();
    for (key, default) in [
        ("backoff", "`1s`"),
        ("max_backoff", "`1m`"),
        ("factor", "2"),
        ("jitter", "0.5"),
    ] {
        let row = DOCUMENT
            .lines()
            .find(|line| line.starts_with(&format!("| `{key}` |")))
            .unwrap();
        let said = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        assert_eq!(said, default);
        let value = match &retry[key] {
            Value::String(text) => format!("`{text}`"),
            number => number.as_f64().unwrap().to_string(),
        };
        assert_eq!(value, default);
    }
}

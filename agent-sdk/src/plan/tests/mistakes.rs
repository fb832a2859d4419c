//! Every mistake in a plan, at once, with its place.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use crate::{
    plan::{Catalog, Open, Params, Plan, WorkKind},
    schema::tests::warned,
};

/// A registry of which everything is known.
struct Known;

impl Catalog for Known {
    fn names(&self, kind: WorkKind) -> Option<Vec<Arc<str>>> {
        Some(match kind {
            WorkKind::Agent => vec!["writer".into()],
            WorkKind::Tool => vec!["search".into()],
            _ => vec!["count".into()],
        })
    }

    fn input_schema(&self, kind: WorkKind, _: &str) -> Option<Arc<Value>> {
        match kind {
            WorkKind::Tool => Some(Arc::new(json!({
                "type": "object",
                "properties": {"query": {"type": "string"}, "most": {"type": "integer"}},
                "required": ["query"],
                "additionalProperties": false,
            }))),
            _ => None,
        }
    }

    fn output_schema(&self, kind: WorkKind, _: &str) -> Option<Arc<Value>> {
        match kind {
            WorkKind::Function => Some(Arc::new(json!({
                "type": "object",
                "properties": {"total": {"type": "integer"}, "words": {"type": "array", "items": {"type": "string"}}},
                "required": ["total"],
            }))),
            _ => None,
        }
    }
}

fn said(toml: &str, catalog: &dyn Catalog) -> Vec<String> {
    match Plan::from_toml(toml).unwrap().check(catalog) {
        Ok(()) => Vec::new(),
        Err(wrong) => wrong.problems().iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn p1_all_mistakes_are_said_before_anything_runs() {
    let said = said(
        r#"
name = "with/slash"
timeout = "0s"
output = "${steps.nobody}"
params.n = { type = "integer", default = "text" }
[[steps]]
id = "one"
agent = "writter"
depends_on = ["three"]
[[steps]]
id = "two"
tool = "search"
input = "${steps.one}"
retry = { attempts = 2, jitter = 2.0, factor = 0.5 }
[[steps]]
id = "three"
function = "count"
depends_on = ["two", "fuor"]
[[steps]]
id = "four"
agent = "writer"
input = "${item} ${params.m}"
when = "params.k == 1"
join = { quorum = 2 }
[[steps]]
id = "four"
agent = "writer"
depends_on = ["four"]
[[steps]]
id = "no good"
agent = "writer"
map = { over = 5 }
when = "1 +"
"#,
        &Known,
    );
    let places: Vec<_> = said
        .iter()
        .map(|said| said.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "name",
            "timeout",
            "params.n.default",
            "steps[4].id",
            "steps[5].when",
            "steps[2].depends_on[1]",
            "steps[0].agent",
            "steps[1].retry.jitter",
            "steps[1].retry.factor",
            "steps[3].join",
            "steps[3].input",
            "steps[3].input",
            "steps[3].when",
            "steps[5].id",
            "steps[5].map.over",
            "output",
            "steps[0]",
        ],
        "{said:#?}"
    );
    assert!(
        said.contains(
            &"steps[0].agent: there is no agent `writter`; is `writer` meant?".to_owned()
        )
    );
    assert!(
        said.contains(
            &"steps[2].depends_on[1]: there is no step `fuor`; is `four` meant?".to_owned()
        )
    );
    assert_eq!(
        said.last().unwrap(),
        "steps[0]: these wait for each other: one → two → three → one"
    );
}

#[test]
fn p1_an_empty_plan_and_a_step_that_waits_for_itself_are_refused() {
    assert_eq!(
        said("name = 'x'", &Open),
        ["steps: a plan has at least one step"]
    );
    let own = "name = 'x'\n[[steps]]\nid = 'a'\nagent = 'w'\ninput = '${steps.a}'";
    assert_eq!(said(own, &Open), ["steps[0]: `a` waits for itself"]);
}

#[test]
fn inputs_that_do_not_fit_what_is_known_are_said() {
    let said = said(
        r#"
name = "types"
[[steps]]
id = "count"
function = "count"
[[steps]]
id = "literal"
tool = "search"
input = { query = 5, other = 1 }
[[steps]]
id = "missing"
tool = "search"
[[steps]]
id = "number"
tool = "search"
input = { query = "${steps.count/total}", most = "${steps.count/words}" }
[[steps]]
id = "part"
agent = "writer"
input = "${steps.count/totl}"
[[steps]]
id = "fine"
tool = "search"
input = { query = "${steps.count/words/0}", most = "${steps.count/total}" }
"#,
        &Known,
    );
    assert_eq!(
        said,
        [
            "steps[1].input.query: 5 is not of type \"string\"",
            "steps[1].input: Additional properties are not allowed ('other' was unexpected)",
            "steps[2].input: \"query\" is a required property",
            "steps[3].input.most: ${steps.count/words} is of type array, and type integer is needed",
            "steps[3].input.query: ${steps.count/total} is of type integer, and type string is needed",
            "steps[4].input: ${steps.count/totl}: step `count` gives no `totl`; it gives `total`, `words`",
        ]
    );
}

#[test]
fn mistakes_inside_plans_inside_plans_have_their_place() {
    let said = said(
        r#"
name = "outer"
[[steps]]
id = "inner"
plan = { name = "inner", params = { x = {} }, steps = [{ id = "a", agent = "nobody", input = "${params.y}" }] }
input = { z = 1 }
[fallback]
name = "other"
params = { q = {} }
steps = [{ id = "a", agent = "writer" }]
"#,
        &Known,
    );
    assert_eq!(
        said,
        [
            "steps[0].plan.steps[0].input: there is no parameter `y`",
            "steps[0].plan.steps[0].agent: there is no agent `nobody`",
            "steps[0].input.z: there is no parameter `z`",
            "steps[0].input: plan `inner` needs parameter `x`",
            "fallback.params.q: the plan that it stands in for has no such parameter, and it has no default",
        ]
    );
}

#[test]
fn plans_that_are_too_deep_inside_each_other_are_refused() {
    let mut plan = json!({"name": "p", "steps": [{"id": "a", "agent": "w"}]});
    for _ in 0..9 {
        plan = json!({"name": "p", "steps": [{"id": "a", "plan": plan}]});
    }
    let plan = Plan::from_json(&plan.to_string()).unwrap();
    let wrong = plan.check(&Open).unwrap_err();
    assert!(
        wrong
            .to_string()
            .ends_with("plans are at most 8 deep inside each other"),
        "{wrong}"
    );
}

#[test]
fn parameters_are_filled_in_and_each_wrong_one_is_said() {
    let plan = Plan::from_toml("name = 'p'\nparams.a = { type = 'integer' }\nparams.b = { default = 1 }\nparams.c = {}\n[[steps]]\nid = 's'\nagent = 'w'").unwrap();
    let given = |pairs: Value| -> Params {
        let Value::Object(pairs) = pairs else {
            panic!()
        };
        pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .collect()
    };
    let filled = plan.fill(&given(json!({"a": 1, "c": null}))).unwrap();
    assert_eq!(filled, given(json!({"a": 1, "b": 1, "c": null})));
    let wrong = plan.fill(&given(json!({"a": "x", "d": 1}))).unwrap_err();
    let wrong: Vec<_> = wrong.problems().iter().map(ToString::to_string).collect();
    assert_eq!(
        wrong,
        [
            "params.a: must be of type integer",
            "params.c: must be given: it has no default",
            "params.d: is not a parameter of plan `p`, which has `a`, `b`, `c`",
        ]
    );
}

#[test]
fn an_action_is_a_member_of_what_a_tool_is_given() {
    struct Acting;
    impl Catalog for Acting {
        fn names(&self, _: WorkKind) -> Option<Vec<Arc<str>>> {
            None
        }

        fn input_schema(&self, kind: WorkKind, _: &str) -> Option<Arc<Value>> {
            (kind == WorkKind::Tool).then(|| {
                Arc::new(json!({
                    "type": "object",
                    "properties": {"action": {"enum": ["read", "write"]}, "text": {"type": "string"}},
                    "required": ["action"],
                }))
            })
        }

        fn output_schema(&self, _: WorkKind, _: &str) -> Option<Arc<Value>> {
            None
        }
    }
    let of_input = |action: &str, input: &str| {
        let plan = format!(
            "name = 'p'\n[[steps]]\nid = 'a'\nagent = 'w'\n[[steps]]\nid = 'b'\ntool = 't'\n{action}\n{input}"
        );
        said(&plan, &Acting)
    };
    for input in [
        "",
        "input = { text = 'x' }",
        "input = { text = '${steps.a}' }",
    ] {
        assert_eq!(of_input("action = 'read'", input), [""; 0], "{input}");
        assert_eq!(of_input("", input).len(), 1, "{input}");
    }
}

#[test]
fn p1_a_schema_is_asked_for_and_read_once_however_many_steps_are_held_against_it() {
    /// What it gives is new each time, and told when it is read: for its pattern.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Catalog for Counting {
        fn names(&self, _: WorkKind) -> Option<Vec<Arc<str>>> {
            None
        }

        fn input_schema(&self, _: WorkKind, name: &str) -> Option<Arc<Value>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let text = json!({"type": "string", "maxLength": 2, "pattern": "(?=a)"});
            Some(Arc::new(match name {
                "numbers" => json!({"type": "array", "items": {"type": "integer"}}),
                _ => json!({"type": "object", "properties": {"text": text, "n": {}}}),
            }))
        }

        fn output_schema(&self, _: WorkKind, _: &str) -> Option<Arc<Value>> {
            None
        }
    }

    let catalog = Counting::default();
    let step = |id: &str, work: &str, input: &str| {
        format!("[[steps]]\nid = '{id}'\n{work}\ninput = {input}\n")
    };
    let whole: String = [
        "name = 'p'\n".to_owned(),
        step("a", "tool = 'texts'", "{ text = 'long' }"),
        step("b", "tool = 'numbers'", "[1, 'two']"),
        step("c", "tool = 'texts'", "{ text = 'long' }"),
        // Of these a part is held against a part of the schema.
        step("d", "tool = 'texts'", "{ text = 'long', n = '${steps.a}' }"),
        step("e", "tool = 'texts'", "{ text = 'long', n = '${steps.a}' }"),
        "[[steps]]\nid = 'f'\n[steps.plan]\nname = 'inner'\n".to_owned(),
        step("g", "tool = 'numbers'", "['one']").replace("[[steps]]", "[[steps.plan.steps]]"),
    ]
    .concat();
    let mut wrong = Vec::new();
    let warned = warned(|| wrong = said(&whole, &catalog));
    let long = |at: &str| format!("steps[{at}].input.text: \"long\" is longer than 2 characters");
    assert_eq!(
        wrong,
        [
            long("0"),
            "steps[1].input.1: \"two\" is not of type \"integer\"".to_owned(),
            long("2"),
            long("3"),
            long("4"),
            "steps[5].plan.steps[0].input.0: \"one\" is not of type \"integer\"".to_owned(),
        ]
    );
    assert_eq!(catalog.0.load(Ordering::Relaxed), 2);
    // The whole and the part.
    assert_eq!(warned.len(), 2, "{warned:?}");
    assert!(warned.iter().all(|line| line.contains("texts")));
}

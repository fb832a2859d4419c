//! References and conditions.

use serde_json::{Value, json};

use crate::plan::{
    Params,
    condition::Condition,
    reference::{Scope, Template},
};

struct World {
    params: Params,
    given: Value,
    item: Value,
}

impl Scope for World {
    fn step(&self, id: &str) -> Option<&Value> {
        (id == "there").then_some(&self.given)
    }

    fn params(&self) -> &Params {
        &self.params
    }

    fn item(&self) -> Option<(&Value, usize)> {
        Some((&self.item, 3))
    }
}

fn world() -> World {
    World {
        params: Params::from([("n".into(), json!(5))]),
        given: json!({"a/b": [1, {"x": "text"}], "none": null}),
        item: json!({"url": "u"}),
    }
}

fn resolved(value: &Value) -> Result<Value, String> {
    let mut problems = Vec::new();
    let template = Template::parse(value, "input", &mut problems);
    assert_eq!(problems, []);
    template.resolve(&world())
}

#[test]
fn a_whole_reference_keeps_its_type_and_one_in_a_text_is_written_out() {
    let cases = [
        (json!("${steps.there/a~1b/1}"), json!({"x": "text"})),
        (json!("${steps.there/a~1b/1/x}!"), json!("text!")),
        (json!("${params.n}"), json!(5)),
        (
            json!("n is ${ params.n }, $${not} $$ {"),
            json!("n is 5, ${not} $$ {"),
        ),
        (
            json!(["${index}", {"k": "${item/url}", "plain": true}]),
            json!([3, {"k": "u", "plain": true}]),
        ),
        (json!("${steps.gone/anything}"), json!(null)),
        (json!("${steps.there/none}"), json!(null)),
        (
            json!("<${steps.there/a~1b/0}${steps.gone}>"),
            json!("<1null>"),
        ),
    ];
    for (value, expected) in cases {
        assert_eq!(resolved(&value), Ok(expected), "{value}");
    }
}

#[test]
fn a_reference_to_what_is_not_there_says_what_is() {
    let wrong = resolved(&json!("${steps.there/c}")).unwrap_err();
    assert_eq!(
        wrong,
        "${steps.there/c} refers to a part that is not there: it is an object with `a/b`, `none`"
    );
}

#[test]
fn what_is_no_reference_is_said_with_its_place() {
    let mut problems = Vec::new();
    Template::parse(
        &json!({"a": ["${step.x}", "${open"]}),
        "input",
        &mut problems,
    );
    let places: Vec<_> = problems.iter().map(|(place, _)| &**place).collect();
    assert_eq!(places, ["input.a[0]", "input.a[1]"]);
}

fn holds(text: &str) -> Result<bool, String> {
    let condition = Condition::parse(text)?;
    let world = world();
    let (points, list) = (json!({"points": 7, "name": "x"}), json!([1, 2]));
    condition.holds(&world.params, |id| match id {
        "score" => (Some(&points), "ok"),
        "list" => (Some(&list), "ok"),
        _ => (None, "skipped"),
    })
}

#[test]
fn conditions_compare_what_steps_gave_how_they_ended_and_parameters() {
    for (text, expected) in [
        ("steps.score.points > 5", true),
        ("steps.score.points == 7.0 && params.n < 6", true),
        ("status.other == 'skipped' && steps.other == null", true),
        ("steps['score'].name == \"x\"", true),
        ("size(steps.list) == 2 && steps.list.all(n, n > 1)", false),
        ("has(steps.score.nothing)", false),
        ("steps.list[1] == 2 ? true : false", true),
    ] {
        assert_eq!(holds(text), Ok(expected), "{text}");
    }
}

#[test]
fn a_condition_that_is_none_says_so_and_shows_no_value() {
    for (text, expected) in [
        ("steps.score.points >", "this is not CEL"),
        (
            "steps.score.missing == 1",
            "the condition has no value: there is no `missing`",
        ),
        ("steps.score.points", "the condition is a"),
        (
            "steps[params.n] == 1",
            "`steps[…]` needs a name that is written out",
        ),
        ("size(steps) == 1", "`steps` needs a name after it"),
        (
            "other == 1",
            "the condition has no value: there is no `other`; it may use `steps`, `status` and `params`",
        ),
        (
            "1 / 0 == 1",
            "the condition has no value: it divides by zero",
        ),
    ] {
        let wrong = holds(text).unwrap_err();
        assert!(wrong.starts_with(expected), "{text}: {wrong}");
        assert!(!wrong.contains('7'), "{text}: {wrong}");
    }
}

#[test]
fn no_condition_overflows_the_stack() {
    let sums = |text: &str| text.repeat(16);
    for (text, is_read) in [
        (format!("{}true{}", "(".repeat(8), ")".repeat(8)), true),
        (format!("{}true{}", "(".repeat(9), ")".repeat(9)), false),
        ("!".repeat(96) + "true", true),
        ("!".repeat(97) + "true", false),
        ("true ? true : ".repeat(80) + "true", true),
        ("true || ".repeat(40) + "true", true),
        (sums("1 + ") + "1 == 1", true),
        (sums("1 + ") + "1 + 1 == 1", false),
        (format!("params.a{} == 1", sums("[0]")), true),
        (format!("params.a{} == 1", ".b".repeat(90)), true),
        ("[".repeat(8) + &"]".repeat(8) + " == []", true),
        ("{'a':".repeat(8) + "1" + &"}".repeat(8) + " == {}", true),
        ("[1].all(x, ".repeat(7) + "true" + &")".repeat(7), true),
        (
            "(1 == ".repeat(8) + &sums("1 + ") + "1" + &")".repeat(8),
            true,
        ),
        ("(".repeat(2_000), false),
        ("a".repeat(3_000), false),
    ] {
        let condition = Condition::parse(&text);
        assert_eq!(condition.is_ok(), is_read, "{text}: {:?}", condition.err());
        let _ = condition.map(|condition| condition.holds(&Params::new(), |_| (None, "ok")));
    }
}

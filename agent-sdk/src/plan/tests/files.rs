//! Plans as TOML and JSON.

use std::time::Duration;

use serde_json::json;

use crate::plan::{Join, Plan, Retry, Step, Work, WorkKind};

const REVIEW: &str = r#"
name = "review"
description = "Reviews a change."
timeout = "10m"
concurrency = 3
on_failure = "stop"
output = { text = "${steps.report}" }

[params.change]
type = "string"
description = "the change"

[params.depth]
default = 2

[[steps]]
id = "security"
agent = "reviewer"
action = "Look for security holes."
input = "${params.change}"
retry = { attempts = 3, backoff = "250ms", on = ["rate_limit"] }
config = { model = "openai:gpt-4o-mini", max_turns = 4 }
fallback = { agent = "second" }

[[steps]]
id = "numbers"
function = "count"
map = { over = [1, 2, 3], concurrency = 2, join = { quorum = 2 } }
input = { n = "${item}", depth = "${params.depth}" }
timeout = "1m 30s"
priority = 5

[[steps]]
id = "inner"
plan = { name = "inner", params = { x = {} }, steps = [{ id = "only", tool = "look", input = { q = "${params.x}" } }] }
input = { x = "${steps.numbers/0}" }
when = "status.numbers == 'ok'"

[[steps]]
id = "report"
agent = "writer"
depends_on = ["inner"]
join = "any"
approval = "May it be written?"
input = ["${steps.security}"]
fallback = [{ function = "plain", input = "x" }, { tool = "other" }]

[fallback]
name = "short"
params = { change = {} }
steps = [{ id = "one", agent = "writer", input = "${params.change}" }]
"#;

#[test]
fn a_plan_in_toml_says_everything_and_reads_back_the_same_from_toml_and_json() {
    let plan = Plan::from_toml(REVIEW).unwrap();
    let step = plan.step("security").unwrap();
    let retry = Retry::attempts(3)
        .with_backoff(Duration::from_millis(250))
        .with_classes(["rate_limit"]);
    assert_eq!(step.retry, retry);
    assert_eq!(step.fallback[0].work, Work::agent("second"));
    assert_eq!(
        plan.step("numbers").unwrap().timeout,
        Some(Duration::from_secs(90))
    );
    assert_eq!(plan.step("inner").unwrap().work.kind(), WorkKind::Plan);
    assert_eq!(
        (plan.step("report").unwrap().join, plan.width().get()),
        (Join::Any, 3)
    );
    assert_eq!(Plan::from_toml(&plan.to_toml().unwrap()).unwrap(), plan);
    assert_eq!(
        Plan::from_json(&serde_json::to_string(&plan).unwrap()).unwrap(),
        plan
    );
    assert_eq!(
        serde_json::from_value::<Plan>(serde_json::to_value(&plan).unwrap()).unwrap(),
        plan
    );
}

#[test]
fn the_schema_takes_what_is_a_plan_and_refuses_what_is_none() {
    let schema = Plan::json_schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let plan = serde_json::to_value(Plan::from_toml(REVIEW).unwrap()).unwrap();
    let wrong: Vec<_> = validator
        .iter_errors(&plan)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
    assert!(!validator.is_valid(&json!({"name": "x", "steps": [{"id": 1}]})));
    assert!(!validator.is_valid(&json!({"name": "x", "steps": [{"id": "a", "wrong": 1}]})));
}

#[test]
fn what_a_file_says_wrong_is_said_for_each_step_with_its_place() {
    let wrong = Plan::from_toml(
        r#"
name = "x"
[[steps]]
id = "a"
[[steps]]
id = "b"
agent = "one"
tool = "two"
[[steps]]
id = "c"
agent = "one"
retry = { attempts = 0 }
[[steps]]
id = "d"
agent = "one"
timeout = "soon"
[[steps]]
id = "e"
tool = "t"
config = { max_turns = 1 }
[[steps]]
id = "f"
agent = "one"
retrys = 1
"#,
    )
    .unwrap_err();
    let said: Vec<_> = wrong.problems().iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "steps[0]: step `a`: it does nothing: give one of `agent`, `tool`, `function` and `plan`",
            "steps[1]: step `b`: it has more than one of `agent`, `tool`, `function` and `plan`",
            "steps[2].retry.attempts: invalid value: integer `0`, expected a nonzero u32",
            "steps[3].timeout: `soon` is no length of time; write for example `250ms`, `30s`, `5m` or `1h 30m`",
            "steps[4]: step `e`: `config` is for agents, and this is a tool",
            "steps[5].retrys: unknown field `retrys`, expected one of `id`, `description`, `agent`, `tool`, `function`, `plan`, `action`, `config`, `input`, `depends_on`, `join`, `when`, `approval`, `map`, `retry`, `timeout`, `fallback`, `priority`; is `retry` meant?",
        ]
    );
}

#[test]
fn a_newer_form_and_broken_text_are_refused_in_words() {
    let wrong = Plan::from_json(r#"{"version": 9, "name": "x"}"#).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "the plan is wrong: version: this plan is of version 9, and this library knows up to 1: use a newer one"
    );
    assert!(
        Plan::from_toml("name = ")
            .unwrap_err()
            .to_string()
            .contains("line 1")
    );
    assert!(Plan::from_json("[]").is_err());
}

#[test]
fn the_builder_makes_what_the_file_says() {
    let built = Plan::builder("two")
        .step(
            Step::agent("a", "writer")
                .action("Write.")
                .input("${params.topic}"),
        )
        .step(Step::tool("b", "save").input(json!({"text": "${steps.a}"})))
        .param("topic", crate::plan::Param::new())
        .build()
        .unwrap();
    let read = Plan::from_toml(
        "name = 'two'\nparams.topic = {}\n[[steps]]\nid = 'a'\nagent = 'writer'\naction = 'Write.'\ninput = '${params.topic}'\n[[steps]]\nid = 'b'\ntool = 'save'\ninput.text = '${steps.a}'",
    );
    assert_eq!(read.unwrap(), built);
}

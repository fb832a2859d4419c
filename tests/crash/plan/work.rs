//! The plan of these tests, and what the model says in it.

use std::{num::NonZeroU32, time::Duration};

use agent_sdk::plan::{Join, Map, Plan, Retry, Step, Work};
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::server::{Says, Server, call, calls_of, completion, text_of, turns};

/// How many steps it has.
pub(crate) const STEPS: usize = 12;
/// How many requests to the model it takes: two for each of three topics, three reviews, a failing one, one in the plan inside,
/// and two for the text.
pub(crate) const REQUESTS: usize = 13;
/// How often something takes effect that nobody may do twice: four functions, two tries of a tool, another tool, and the
/// calls of four agents.
pub(crate) const EFFECTS: usize = 11;

/// Twelve steps: a function, a map of agents with tools, tools, a fan-out of agents and a join of it, one that waits for any of
/// two, one that is tried again, one with a fallback, a plan inside, and an agent that joins them all.
pub(crate) fn plan(width: Option<u32>) -> Plan {
    let mut topics = Map::over("${steps.brief/topics}");
    topics.concurrency = NonZeroU32::new(2);
    let retry = Retry::attempts(2).with_backoff(Duration::from_millis(1));
    let inside = Plan::builder("inside")
        .step(Step::tool("seen", "look").input(json!({"for": "the appendix"})))
        .step(Step::agent("text", "reviewer").input("Appendix of ${steps.seen}"))
        .build();
    let review = |id: &str| {
        Step::agent(id, "reviewer")
            .action(format!("Review as {id}."))
            .input("${steps.research}")
    };
    let steps = [
        Step::function("brief", "brief"),
        Step::agent("research", "researcher")
            .map(topics)
            .input("${item}"),
        Step::tool("facts", "note").input(json!({"of": "${steps.brief/topics/0}"})),
        review("review-a"),
        review("review-b"),
        review("review-c"),
        Step::function("join", "count").input(json!([
            "${steps.review-a}",
            "${steps.review-b}",
            "${steps.review-c}",
        ])),
        Step::function("first", "count")
            .input(json!([1]))
            .after(["review-a", "review-b"])
            .join(Join::Any),
        Step::tool("flaky", "flaky").retry(retry).after(["brief"]),
        Step::agent("opinion", "broken")
            .input("What do you think?")
            .fallback_with(Work::function("none"), json!(null)),
        Step::plan("appendix", inside.unwrap()),
        Step::agent("write", "writer")
            .action("Write it.")
            .input(json!({
                "research": "${steps.research}",
                "facts": "${steps.facts}",
                "reviews": "${steps.join}",
                "first": "${steps.first}",
                "flaky": "${steps.flaky}",
                "opinion": "${steps.opinion}",
                "appendix": "${steps.appendix}",
            })),
    ];
    let plan = Plan::builder("report").steps(steps);
    match width {
        Some(width) => plan.concurrency(width),
        None => plan,
    }
    .build()
    .unwrap()
}

/// A model that says what its instructions and what it is asked are, and costs by their length.
pub(crate) fn server() -> Server {
    let says: Says = Box::new(|request| {
        let messages = request["messages"].as_array().unwrap();
        let text = |number: usize| messages[number]["content"].as_str().unwrap_or_default();
        let (role, asked) = (text(0), text(1));
        if role == "broken" {
            let error = json!({"message": "no", "type": "invalid_request_error", "code": "no"});
            return (StatusCode::BAD_REQUEST, json!({"error": error}));
        }
        let has_tools = request.get("tools").is_some();
        let message = if has_tools && turns(request) == 0 {
            let mut calls = vec![call("w", "note", r#"{"of":"it"}"#)];
            if role == "researcher" {
                calls.push(call("r", "look", r#"{"for":"it"}"#));
            }
            calls_of("", &calls)
        } else {
            text_of(&format!("<{role}: {asked}>"))
        };
        (StatusCode::OK, completion(&message, asked.len()))
    });
    Server::saying(says)
}

/// A report without what says how long things took.
pub(crate) fn timeless(report: &mut Value) {
    match report {
        Value::Object(members) => {
            for time in ["started_ms", "duration_ms", "work_ms", "critical_path_ms"] {
                members.remove(time);
            }
            members.values_mut().for_each(timeless);
        }
        Value::Array(elements) => elements.iter_mut().for_each(timeless),
        _ => {}
    }
}

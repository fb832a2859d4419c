//! `agent run --plan` and `--role`: goals that become plans, and agents as data.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic as tests do"
)]

mod support;

use support::{
    ended,
    plans::{CHAIN, asked, ends, pairs, plan, run},
    script::{Reply, Scripted},
};

#[test]
fn a_goal_becomes_a_plan_that_is_run() {
    let made = r#"{"name": "two steps", "steps": [
        {"id": "look", "agent": "researcher", "action": "Look."},
        {"id": "tell", "agent": "writer", "input": "${steps.look}"}]}"#;
    let says = Reply::says;
    let server = Scripted::new([says(made), says("seen"), says("told")]);
    let goal = [
        "run",
        "--plan",
        "Tell what is there.",
        "--id",
        "r",
        "--model",
        "openai:m",
        "--base-url",
        &server.url,
    ];
    // Nobody is there to agree.
    let (code, out, err) = run(server.agent(&goal));
    assert_eq!((code, &*out), (Some(2), ""));
    assert!(err.contains("`--yes` runs it"), "{err}");
    assert!(server.requests().is_empty());

    let out = server.said(&[&goal[..], &["--yes"]].concat());
    assert!(
        out.starts_with("plan two steps: 2 steps, 2 layers, width 1\n"),
        "{out}"
    );
    assert!(out.contains("\nPlanned: "), "{out}");
    assert_eq!(pairs(&ends(&out)), [("look", "ok"), ("tell", "ok")]);
    assert!(out.contains("\ntold\n"), "{out}");
    let asked = asked(&server.requests()[0]);
    assert_eq!(asked, "Tell what is there.");
    let listed = server.json(&["runs", "list", "--json"]);
    assert_eq!(listed["task"], "Tell what is there.");
}

#[test]
fn a_goal_that_becomes_no_plan_is_said_and_nothing_is_run() {
    let says = Reply::says;
    let wrong = r#"{"name": "p", "steps": [{"id": "a", "agent": "nobody"}]}"#;
    let server = Scripted::new([says(wrong), says(wrong)]);
    let (code, out, err) = run(server.agent(&[
        "run",
        "--plan",
        "x",
        "--yes",
        "--id",
        "r",
        "--model",
        "openai:m",
        "--base-url",
        &server.url,
    ]));
    assert_eq!((code, &*out), (Some(1), ""), "{err}");
    assert!(err.contains("nobody"), "{err}");
    assert_eq!(server.requests().len(), 2);
    let listed = server.agent(&["runs", "list"]).output().unwrap();
    assert!(ended(&listed).2.contains("no runs"));
}

#[test]
fn an_agent_can_have_a_role_also_when_it_goes_on() {
    let server = Scripted::new([Reply::Status("400 Bad Request"), Reply::says("done")]);
    let flags = ["--role", "reviewer"];
    let (code, out, err) = run(server.run(&flags));
    assert_eq!(code, Some(1), "{out}{err}");
    let out = server.said(&["resume", "r"]);
    assert!(out.contains("agent reviewer"), "{out}");
    for request in server.requests() {
        let told = request.body["messages"][0]["content"].as_str().unwrap();
        assert!(told.starts_with("You look for what is wrong"), "{told}");
    }
    let (code, _, err) = run(server.run(&["--role", "king"]));
    assert_eq!(code, Some(2));
    assert!(
        err.contains("There are researcher, analyst, writer, coder, reviewer."),
        "{err}"
    );
}

#[test]
fn plans_are_not_replayed_and_agents_have_no_steps() {
    let says = Reply::says;
    let server = Scripted::new([says("one"), says("two"), says("three"), says("four")]);
    assert_eq!(run(plan(&server, CHAIN, &[])).0, Some(0));
    let (code, _, err) = run(server.agent(&["replay", "r"]));
    assert_eq!(code, Some(2));
    assert!(err.contains("plans are not replayed"), "{err}");
    server.said(&[
        "run",
        "hi",
        "--id",
        "a",
        "--model",
        "openai:m",
        "--base-url",
        &server.url,
    ]);
    let (code, _, err) = run(server.agent(&["resume", "a", "--from-step", "x"]));
    assert_eq!(code, Some(2));
    assert!(err.contains("run a is no plan's"), "{err}");
}

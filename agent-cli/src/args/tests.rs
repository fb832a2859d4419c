//! What the command line takes and refuses.

use std::{num::NonZeroU32, path::PathBuf};

use clap::{CommandFactory, error::ErrorKind};

use super::*;

fn parse(line: &str) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(line.split_whitespace())
}

#[test]
fn the_definition_is_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn a_run_takes_all_its_flags() {
    let parsed = parse(
        "agent run - --model ollama:qwen3:4b --base-url http://x/v1 --system s --max-turns 3 --tag a=1 --tag b=x=y \
         --workspace . --write --json --metrics 127.0.0.1:9464 -v --tool http_request --tool run_command --allow-host a.test:8443 \
         --allow-program git --allow-program ls",
    );
    let Command::Run(run) = parsed.unwrap().command else {
        panic!("not a run");
    };
    let model = run.with.model.unwrap();
    assert_eq!((&*model.provider, &*model.name), ("ollama", "qwen3:4b"));
    assert_eq!(
        (&*run.with.tags[1].key, &*run.with.tags[1].value),
        ("b", "x=y")
    );
    assert_eq!(run.with.max_turns.map(NonZeroU32::get), Some(3));
    assert!(run.shown.json && run.shown.verbose && run.shown.metrics.is_some());
    assert!(run.with.workspace.is_some() && run.with.write);
    assert_eq!(
        run.with.tools,
        [BuiltinTool::HttpRequest, BuiltinTool::RunCommand]
    );
    assert_eq!(run.with.allow_hosts, ["a.test:8443"]);
    assert_eq!(run.with.allow_programs, ["git", "ls"]);
}

#[test]
fn a_plan_takes_the_flags_of_a_run_and_parameters() {
    let parsed = parse(
        "agent plan run p.toml --param a=1 --param b=x=y --input {} --model openai:m --max-cost-usd 0.5 --tag t=1 --workspace . \
         --write --yes --json --id r --no-store",
    );
    let Command::Plan(plan) = parsed.unwrap().command else {
        panic!("not a plan");
    };
    let PlanCommand::Run(run) = plan.what else {
        panic!("not run");
    };
    let given = run.given.params.iter();
    let given: Vec<_> = given.map(|it| (&*it.key, &*it.value)).collect();
    assert_eq!(given, [("a", "1"), ("b", "x=y")]);
    assert!(run.yes && run.shown.json && run.with.no_store && run.with.write);
    for line in [
        "agent run x --role writer --plan",
        "agent run x --role writer --system s",
        "agent run x --plan --session s",
        "agent run x --yes",
    ] {
        let error = parse(line).unwrap_err();
        let kinds = [
            ErrorKind::ArgumentConflict,
            ErrorKind::MissingRequiredArgument,
        ];
        assert!(kinds.contains(&error.kind()), "{line}: {error}");
    }
}

#[test]
fn wrong_values_are_refused_with_the_right_form() {
    for (line, form) in [
        ("agent run x --model gpt-5", "expected PROVIDER:NAME"),
        ("agent run x --model :gpt-5", "expected PROVIDER:NAME"),
        ("agent run x --tag novalue", "expected KEY=VALUE"),
        ("agent run x --tag =v", "expected KEY=VALUE"),
        ("agent run x --max-turns 0", "zero"),
        ("agent run x --metrics here", "socket address"),
        (
            "agent cost --provider p --model m --usage {} --at 2026-11-20",
            "expected a date",
        ),
        ("agent cost --provider= --model m --usage {}", "value"),
        (
            "agent cost --provider p --model m --usage {} --context x",
            "expected KEY=VALUE",
        ),
    ] {
        let error = parse(line).unwrap_err();
        let kinds = [ErrorKind::ValueValidation, ErrorKind::InvalidValue];
        assert!(kinds.contains(&error.kind()), "{line}: {error}");
        assert!(error.to_string().contains(form), "{line}: {error}");
    }
}

#[test]
fn the_demo_needs_nothing() {
    let Command::Demo(demo) = parse("agent demo").unwrap().command else {
        panic!("not a demo");
    };
    assert_eq!(demo.workspace, PathBuf::from("."));
}

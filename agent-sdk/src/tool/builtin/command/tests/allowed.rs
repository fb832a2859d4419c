//! What may run, with what, and what is shown of it.

use serde_json::json;

use super::*;
use crate::{
    agent::Agent,
    testing::{ScriptedModel, Turn},
    tool::{
        Concurrency, Effect, Tool, ToolErrorKind,
        builtin::{BuiltinErrorKind, testing::call},
    },
};

#[tokio::test]
async fn t8_what_a_shell_would_act_on_arrives_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let tool = RunCommand::builder()
        .allow_program("printf")
        .directory(folder.path())
        .build()
        .unwrap();
    let evil = [
        "$(touch owned)",
        "`touch owned`",
        "; touch owned",
        "| touch owned",
        "&& touch owned",
        "> owned",
        "$HOME",
        "${IFS}",
        "*",
        "~",
        "a b  c",
        "'",
        "\"",
        "\\",
        "a\nb",
        "-e",
        "",
        "é😀",
    ];
    let mut argv = vec!["printf", "<%s>"];
    argv.extend(evil);
    let shown = run(&tool, &argv).await.unwrap();
    let expected: String = evil.iter().flat_map(|text| ["<", text, ">"]).collect();
    assert_eq!(shown["stdout"], expected);
    assert_eq!(shown["exit_code"], 0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn t8_a_program_has_no_variable_that_it_was_not_given() {
    let folder = tempfile::tempdir().unwrap();
    let printing = || {
        RunCommand::builder()
            .allow_program("env")
            .directory(folder.path())
    };
    let variables = async |builder: RunCommandBuilder| {
        let shown = run(&builder.build().unwrap(), &["env"]).await.unwrap();
        let mut lines: Vec<_> = shown["stdout"]
            .as_str()
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort_unstable();
        lines
    };
    let home = format!("HOME={}", folder.path().display());
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    assert_eq!(
        variables(printing()).await,
        [home.as_str(), "LANG=C.UTF-8", "PATH=/usr/bin:/bin"]
    );
    let more = printing()
        .keep("CARGO_MANIFEST_DIR")
        .keep("NOT_THERE_AT_ALL")
        .variable("LANG", "C")
        .secret("DEPLOY_TOKEN", "planted-93ab");
    let debug = format!("{more:?}");
    assert_eq!(
        variables(more).await,
        [
            concat!("CARGO_MANIFEST_DIR=", env!("CARGO_MANIFEST_DIR")),
            "DEPLOY_TOKEN=[redacted:secret]",
            home.as_str(),
            "LANG=C",
            "PATH=/usr/bin:/bin"
        ]
    );
    assert!(!debug.contains("planted"));
}

#[test]
fn t8_a_variable_with_the_name_of_a_secret_is_not_handed_on_by_chance() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "OPENAI_API_KEY",
        "GITHUB_TOKEN",
        "MY_SECRET_SAUCE",
        "PGPASSWORD",
    ] {
        for builder in [
            shell(folder.path()).keep(name),
            shell(folder.path()).variable(name, "planted"),
        ] {
            let error = builder.build().unwrap_err();
            assert_eq!(error.kind(), BuiltinErrorKind::Secret, "{name}");
            assert!(!error.to_string().contains("planted"));
        }
    }
}

#[tokio::test]
async fn t8_no_program_runs_but_those_that_are_allowed() {
    let folder = tempfile::tempdir().unwrap();
    // It has the name of one that is allowed, and lies where the program runs.
    std::fs::write(folder.path().join("ls"), "#!/bin/sh\necho owned\n").unwrap();
    let tool = RunCommand::builder()
        .allow_program("ls")
        .allow_program(
            Program::new("git")
                .path("/bin/echo")
                .first_arguments(["status", "diff"]),
        )
        .directory(folder.path())
        .build()
        .unwrap();
    for argv in [
        &[][..],
        &[""],
        &["env"],
        &["/bin/ls"],
        &["./ls"],
        &["../bin/ls"],
        &["LS"],
        &["ls "],
        &["ls; env"],
        &["ls", "a\0b"],
        &["git"],
        &["git", "push"],
        &["git", "-c", "alias.status=!env", "status"],
        &["git", "status;env"],
    ] {
        let error = run(&tool, argv).await.expect_err(&format!("{argv:?}"));
        assert_eq!(error.kind(), ToolErrorKind::InvalidArguments, "{argv:?}");
    }
    assert_eq!(
        run(&tool, &["git", "diff", "x"]).await.unwrap()["stdout"],
        "diff x\n"
    );
    assert_eq!(run(&tool, &["ls"]).await.unwrap()["stdout"], "ls\n");
    let error = run(&tool, &["git", "push"]).await.unwrap_err();
    assert_eq!(
        error.message(),
        "the first argument of `git` must be one of: status, diff"
    );
}

#[test]
fn without_a_program_and_with_what_is_none_it_does_not_build() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data");
    std::fs::write(&file, "x").unwrap();
    let kind = |builder: RunCommandBuilder| builder.build().unwrap_err().kind();
    let with = |program: Program| kind(RunCommand::builder().allow_program(program));
    assert_eq!(
        kind(RunCommand::builder()),
        BuiltinErrorKind::NothingAllowed
    );
    assert_eq!(with(Program::new("/bin/ls")), BuiltinErrorKind::Invalid);
    assert_eq!(with(Program::new("")), BuiltinErrorKind::Invalid);
    assert_eq!(
        with(Program::new("ls").path("bin/ls")),
        BuiltinErrorKind::Invalid
    );
    assert_eq!(
        with(Program::new("no-such-program-at-all")),
        BuiltinErrorKind::NotFound
    );
    assert_eq!(
        with(Program::new("data").path(&file)),
        BuiltinErrorKind::NotFound
    );
    assert_eq!(
        with(Program::new("folder").path(folder.path())),
        BuiltinErrorKind::NotFound
    );
    let twice = shell(folder.path()).allow_program("sh");
    assert_eq!(kind(twice), BuiltinErrorKind::Invalid);
    assert_eq!(
        kind(shell(Path::new("relative"))),
        BuiltinErrorKind::Invalid
    );
    assert_eq!(kind(shell(&file)), BuiltinErrorKind::Invalid);
    for (name, value) in [("", "x"), ("A=B", "x"), ("A", "x\0y")] {
        let builder = shell(folder.path()).variable(name, value);
        assert_eq!(kind(builder), BuiltinErrorKind::Invalid, "{name:?}");
    }
}

#[test]
fn a_person_is_asked_unless_the_user_says_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let options = shell(folder.path()).build().unwrap().options();
    assert!(options.needs_approval);
    assert_eq!(
        (options.effect, options.concurrency),
        (Effect::Write, Concurrency::Exclusive)
    );
    let free = shell(folder.path()).without_approval().build().unwrap();
    assert!(!free.options().needs_approval);
    assert_eq!(
        &*free.spec().description,
        "Runs one program, without a shell, and gives its exit code and what it wrote. Programs: sh."
    );
}

#[tokio::test]
async fn a_program_s_end_and_both_of_its_outputs_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let tool = shell(folder.path()).build().unwrap();
    let script = "cat; echo out; echo error >&2; pwd; exit 3";
    let arguments = json!({"argv": ["sh", "-c", script], "stdin": "given\n"});
    let shown = call(&tool, arguments).await.unwrap();
    let place = folder.path().canonicalize().unwrap();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        shown,
        json!({"exit_code": 3, "stdout": format!("given\nout\n{}\n", place.display()), "stderr": "error\n"})
    );
    let shown = run(&tool, &["sh", "-c", "cat; kill -s TERM $$"])
        .await
        .unwrap();
    assert_eq!(shown, json!({"signal": 15, "stdout": "", "stderr": ""}));
}

#[tokio::test]
async fn a_program_that_does_not_read_what_it_is_given_ends_as_it_would() {
    let folder = tempfile::tempdir().unwrap();
    let tool = shell(folder.path()).build().unwrap();
    let arguments = json!({"argv": ["sh", "-c", "exit 0"], "stdin": "x".repeat(1_000_000)});
    let shown = call(&tool, arguments).await.unwrap();
    assert!(shown.starts_with(r#"{"exit_code":0,"#), "{shown}");
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let tool = shell(folder.path()).build().unwrap();
    let error = run(&tool, &["sh", "-c", &"x".repeat(200_000)])
        .await
        .unwrap_err();
    assert!(
        error.message().contains("arguments are too long"),
        "{error}"
    );
    let path = folder.path().to_owned();
    drop(folder);
    let error = run(&tool, &["sh", "-c", "true"]).await.unwrap_err();
    assert!(
        error.message().starts_with("`sh` cannot be started: "),
        "{error}"
    );
    assert!(
        !error.message().contains(&*path.to_string_lossy()),
        "{error}"
    );
    let nowhere = RunCommand::builder().allow_program("sh").build().unwrap();
    let error = run(&nowhere, &["sh"]).await.unwrap_err();
    assert!(
        error.message().contains("no directory to run in"),
        "{error}"
    );
}

#[tokio::test]
async fn t3_outputs_without_end_are_cut_in_their_middle() {
    let folder = tempfile::tempdir().unwrap();
    let tool = shell(folder.path())
        .max_output_bytes(1_000)
        .build()
        .unwrap();
    let script = "echo begun; head -c 30000000 /dev/zero | tr '\\0' x; echo ended; head -c 3000000 /dev/urandom >&2";
    let shown = run(&tool, &["sh", "-c", script]).await.unwrap();
    let stdout = shown["stdout"].as_str().unwrap();
    assert!(
        stdout.starts_with("begun\nxxx") && stdout.ends_with("xxxended\n"),
        "{stdout}"
    );
    assert!(
        stdout.contains("\n[… about 29999012 bytes cut …]\n"),
        "{stdout}"
    );
    assert!(shown["stderr"].as_str().unwrap().len() < 1_100);
}

#[cfg(feature = "workspace")]
#[tokio::test]
async fn it_works_in_the_workspace_of_the_run() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let workspace = crate::workspace::Workspace::open(folder.path()).unwrap();
    workspace.write("here.txt", "x").unwrap();
    let tool = RunCommand::builder()
        .allow_program("ls")
        .directory(other.path())
        .without_approval()
        .build()
        .unwrap();
    let turns = [
        Turn::new().tool_call("c", "run_command", r#"{"argv":["ls"]}"#),
        Turn::from("done"),
    ];
    let model = ScriptedModel::new(turns).recording();
    let agent = Agent::builder("a", model.clone())
        .tool(tool)
        .workspace(workspace)
        .build()
        .unwrap();
    agent.run("look").await.unwrap();
    let last = model.requests()[1].conversation.last().unwrap().clone();
    let crate::message::Part::ToolResult(result) = &last.parts[0] else {
        panic!("not a result");
    };
    assert_eq!(
        result.content,
        r#"{"exit_code":0,"stdout":"here.txt\n","stderr":""}"#
    );
}

#[tokio::test]
async fn nothing_runs_that_nobody_could_be_asked_about() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = r#"{"argv":["sh","-c","touch owned"]}"#;
    let turns = [
        Turn::new().tool_call("c", "run_command", arguments),
        Turn::from("It may not be done."),
    ];
    let agent = Agent::builder("a", ScriptedModel::new(turns))
        .tool(shell(folder.path()).build().unwrap())
        .build()
        .unwrap();
    agent.run("go").await.unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

//! `agent plan run` of plans in which only tools run.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic as tests do"
)]

mod support;

use std::{fs, path::Path, process::Command};

use support::{agent_in, ended};

const NOTE: &str = "\
[[steps]]
id = \"note\"
tool = \"write_file\"
input = { path = \"a.md\", content = \"a\" }
";

/// `agent plan run` of these steps, without a key and without a model.
fn plan(home: &Path, folder: &Path, id: &str, steps: &str) -> Command {
    let file = home.join("p.toml");
    fs::write(&file, format!("name = \"tools\"\n{steps}")).unwrap();
    let mut command = agent_in(home, &["plan", "run", "--id", id, "--write", "--workspace"]);
    command.arg(folder).arg(file);
    command
}

fn run(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let (code, out, err) = ended(&output);
    (code, format!("{out}{err}"))
}

#[test]
fn a_plan_of_tools_alone_is_run_and_goes_on_without_a_model_and_without_a_key() {
    let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (home, folder) = (home.path(), folder.path());
    let steps = format!("{NOTE}approval = \"Write it?\"\n");
    let (code, said) = run(plan(home, folder, "r", &steps));
    assert_eq!(code, Some(5), "{said}");
    let (code, said) = run(agent_in(home, &["runs", "show", "r"]));
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("\n  model"), "{said}");
    let (code, said) = run(agent_in(home, &["approve", "r", "note", "yes"]));
    assert_eq!(code, Some(0), "{said}");
    // The second time it is over, and is shown again.
    for _ in 0..2 {
        let (code, said) = run(agent_in(home, &["resume", "r"]));
        assert_eq!(code, Some(0), "{said}");
    }
    assert_eq!(fs::read_to_string(folder.join("a.md")).unwrap(), "a");
}

#[test]
fn a_model_that_no_step_asks_needs_no_key() {
    let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut named = plan(home.path(), folder.path(), "r", NOTE);
    named.args(["--model", "openai:m"]);
    let (code, said) = run(named);
    assert_eq!(code, Some(0), "{said}");
    assert!(folder.path().join("a.md").exists());
}

#[test]
fn an_agent_that_may_run_anywhere_in_a_plan_needs_a_model() {
    let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let inside = "[[steps]]\nid = \"in\"\nplan = { name = \"in\", steps = [{ id = \"a\", agent = \"writer\" }] }\n";
    let instead = "fallback = { agent = \"writer\" }\n";
    let whole = "[fallback]\nname = \"other\"\nsteps = [{ id = \"a\", agent = \"writer\" }]\n";
    for more in [inside, instead, whole] {
        let steps = format!("{NOTE}{more}");
        let (code, said) = run(plan(home.path(), folder.path(), "r", &steps));
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("no model is named"), "{said}");
    }
    assert!(!folder.path().join("a.md").exists());
}

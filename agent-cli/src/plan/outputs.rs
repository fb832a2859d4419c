//! What a plan leaves behind in a folder of its own: what it gave, and its report, as `agent run` does.

use std::path::Path;

use agent_sdk::{
    orchestrator::PlanReport,
    text::{escape_json, strip_controls},
    workspace::{Workspace, WorkspaceError},
};
use serde_json::Value;

use crate::exit::{Exit, Failure};

/// Saves what a plan gave, and its report. A file that a step wrote under one of their names is left as it is; one of an earlier life,
/// which began again, is replaced.
///
/// # Errors
///
/// A file cannot be written.
pub(super) fn save(folder: &Path, report: &PlanReport, began_again: bool) -> Result<(), Failure> {
    let save = || {
        let workspace = Workspace::open(folder)?;
        let taken = workspace.list(".")?.entries;
        let put = |name: &str, text: String| {
            if !began_again && taken.iter().any(|it| it.path.eq_ignore_ascii_case(name)) {
                return Ok(());
            }
            workspace.write(name, text).map(drop)
        };
        match &report.outcome.output {
            Value::Null => {}
            Value::String(text) => put("answer.md", strip_controls(text).into_owned())?,
            other => put("answer.json", json(other))?,
        }
        let report = serde_json::to_value(report).unwrap_or_default();
        put("report.json", json(&report))
    };
    save().map_err(|error: WorkspaceError| {
        let folder = folder.display();
        let what = format!("what the plan gave cannot be saved in {folder}: {error}");
        Failure::new(Exit::Failed, what).because(&error)
    })
}

/// The files in a folder, as one line.
pub(super) fn listed(folder: &Path) -> String {
    let files = Workspace::open(folder).and_then(|workspace| workspace.files());
    let files = files.map(|files| files.entries).unwrap_or_default();
    let paths: Vec<_> = files.iter().map(|file| file.path.as_str()).collect();
    paths.join(", ")
}

/// JSON of several lines that acts on no terminal.
fn json(value: &Value) -> String {
    let text = format!("{value:#}\n");
    let lines = text.lines().map(|line| escape_json(line) + "\n");
    lines.collect()
}

//! What a run leaves behind in files: its answer, its report, and the list of what it wrote in its workspace.
//!
//! The workspace is a feature; without it there is the output file alone.

use std::{io, path::Path, sync::Arc};

#[cfg(feature = "workspace")]
use super::error::Cause;
use super::{Artifact, RunError, RunReport};
use crate::{
    agent::Settings,
    operation::{Operation, RunContext},
};

/// Ties the agent's workspace to a run that is about to start: what the run writes there is noted, and its tools find the workspace
/// in their state.
pub(super) fn begin(settings: &mut Arc<Settings>, context: &RunContext) {
    #[cfg(feature = "workspace")]
    if let Some(workspace) = &settings.workspace {
        let workspace = workspace.begin(context.run_id());
        let settings = Arc::make_mut(settings);
        settings.state.insert(Arc::new(workspace.clone()));
        settings.workspace = Some(workspace);
    }
    #[cfg(not(feature = "workspace"))]
    let _ = (settings, context);
}

/// Saves the answer of a run that has one.
pub(super) async fn save_answer(
    settings: &Settings,
    context: &RunContext,
    answer: &str,
) -> io::Result<()> {
    #[cfg(feature = "workspace")]
    if let Some(workspace) = &settings.workspace {
        return saved::answer(settings, workspace.clone(), context, answer).await;
    }
    #[cfg(not(feature = "workspace"))]
    let _ = context;
    match &settings.output_file {
        Some(path) => write(path.clone(), answer.to_owned()).await,
        None => Ok(()),
    }
}

/// What the run wrote in its workspace since this was last asked.
pub(super) fn new_files(settings: &Settings) -> Vec<Artifact> {
    #[cfg(feature = "workspace")]
    if let Some(workspace) = &settings.workspace {
        return workspace.new_artifacts();
    }
    #[cfg(not(feature = "workspace"))]
    let _ = settings;
    Vec::new()
}

/// Notes what earlier lives of the run wrote in its workspace.
pub(super) fn remember(settings: &Settings, files: &[Artifact]) {
    #[cfg(feature = "workspace")]
    if let Some(workspace) = &settings.workspace {
        workspace.remember(files);
    }
    #[cfg(not(feature = "workspace"))]
    let _ = (settings, files);
}

/// Lists what the run wrote in its workspace, for its report.
pub(super) fn list(settings: &Settings, operation: &Operation) {
    #[cfg(feature = "workspace")]
    if let Some(workspace) = &settings.workspace {
        let artifacts = workspace.artifacts();
        operation.record(|facts| facts.artifacts = artifacts);
    }
    #[cfg(not(feature = "workspace"))]
    let _ = (settings, operation);
}

/// Saves the report of a run that answered.
///
/// Its operation is over by then, since it is part of the report: a report that cannot be saved fails the run for its caller alone.
#[cfg_attr(
    not(feature = "workspace"),
    expect(clippy::unused_async, reason = "a report is saved in a workspace")
)]
pub(super) async fn save_report(
    settings: &Settings,
    context: &RunContext,
    report: RunReport,
) -> Result<RunReport, RunError> {
    #[cfg(feature = "workspace")]
    if let Some(workspace) = &settings.workspace
        && let Err(error) = saved::report(settings, workspace.clone(), context, &report).await
    {
        return Err(RunError::new(&settings.name, Cause::Output(error), report));
    }
    #[cfg(not(feature = "workspace"))]
    let _ = (settings, context);
    Ok(report)
}

async fn write(path: Arc<Path>, text: String) -> io::Result<()> {
    blocking(move || std::fs::write(path, text)).await
}

async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// What is saved in a workspace.
#[cfg(feature = "workspace")]
mod saved {
    use std::{borrow::Cow, io, path::Path, sync::Arc};

    use serde_json::{Value, value::RawValue};

    use super::{blocking, write};
    use crate::{
        agent::{Output, Settings},
        operation::RunContext,
        run::RunReport,
        text::{escape_json_lines, strip_controls},
        workspace::{ANSWER_JSON, ANSWER_TEXT, REPORT, Workspace, WorkspaceError},
    };

    pub(super) async fn answer(
        settings: &Settings,
        workspace: Workspace,
        context: &RunContext,
        answer: &str,
    ) -> io::Result<()> {
        let mut outputs = Vec::new();
        let (name, text) = cleaned(settings, answer);
        if is_outermost(context) {
            outputs.push(Arc::from(Path::new(name)));
        }
        if let Some(path) = &settings.output_file {
            if path.is_absolute() {
                write(path.clone(), answer.to_owned()).await?;
            } else {
                outputs.push(path.clone());
            }
        }
        if outputs.is_empty() {
            return Ok(());
        }
        blocking(move || {
            outputs.iter().try_for_each(|path| {
                let path = path.to_str().ok_or(io::ErrorKind::InvalidInput)?;
                workspace.leave(path, &text).map_err(failed)
            })
        })
        .await
    }

    pub(super) async fn report(
        settings: &Settings,
        workspace: Workspace,
        context: &RunContext,
        report: &RunReport,
    ) -> io::Result<()> {
        if !is_outermost(context) {
            return Ok(());
        }
        let mut saved = report.clone();
        let (_, text) = cleaned(settings, &report.text);
        saved.text = text.into();
        blocking(move || {
            let mut report = serde_json::to_value(&saved)?;
            strip(&mut report);
            let json = serde_json::to_string_pretty(&report)?;
            workspace
                .leave(REPORT, &escape_json_lines(&json))
                .map_err(failed)
        })
        .await
    }

    /// An agent that another one called has a part of the answer only.
    fn is_outermost(context: &RunContext) -> bool {
        context.depth() == 0
    }

    /// The answer as it is saved, and under which name.
    ///
    /// A JSON text loses nothing: what acts on a terminal becomes an escape of JSON.
    fn cleaned(settings: &Settings, answer: &str) -> (&'static str, String) {
        if settings.output.is_json()
            && let Ok(json) = Output::read::<Box<RawValue>>(answer)
        {
            return (ANSWER_JSON, escape_json_lines(json.get()));
        }
        (ANSWER_TEXT, strip_controls(answer).into_owned())
    }

    fn strip(value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(stripped) = strip_controls(text) {
                    *text = stripped;
                }
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            Value::Object(fields) => fields.values_mut().for_each(strip),
            _ => {}
        }
    }

    fn failed(error: WorkspaceError) -> io::Error {
        io::Error::other(error)
    }
}

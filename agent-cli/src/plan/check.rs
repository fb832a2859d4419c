//! `agent plan check`.

use agent_sdk::{
    plan::{Open, Plan},
    text::escape_json,
};
use serde_json::json;

use super::source::{self, Source};
use crate::{
    args::CheckPlanArguments,
    exit::{Exit, Failure},
    output::Output,
    terminal::safe_line,
    text::counted,
};

pub(super) fn run(arguments: &CheckPlanArguments, output: &mut Output) -> Result<Exit, Failure> {
    let source = Source::read(&arguments.file)?;
    let mistakes = match source.plan(&Open) {
        Ok(plan) => {
            tell(&plan, arguments.json, output)?;
            return Ok(Exit::Ok);
        }
        Err(mistakes) => mistakes,
    };
    if !arguments.json {
        return Err(source::failure(&source, &mistakes, output));
    }
    let mistakes = json!({"ok": false, "mistakes": mistakes});
    output.line(escape_json(&mistakes.to_string()))?;
    Ok(Exit::Usage)
}

fn tell(plan: &Plan, as_json: bool, output: &mut Output) -> Result<(), Failure> {
    let layers = plan.layers();
    let widest = layers.iter().map(Vec::len).max().unwrap_or(0);
    let width = widest.min(plan.width().get() as usize);
    let (steps, layers) = (plan.steps.len(), layers.len());
    if as_json {
        let size = json!({"ok": true, "name": plan.name, "steps": steps, "layers": layers, "width": width});
        return output.line(escape_json(&size.to_string()));
    }
    output.line(format_args!(
        "plan {}: {}, {}, width {width}",
        safe_line(&plan.name),
        counted(steps as u64, "step"),
        counted(layers as u64, "layer"),
    ))
}

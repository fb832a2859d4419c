//! `agent plan show`.

use std::path::Path;

use agent_sdk::plan::Open;

use super::{
    params,
    source::{self, Source},
};
use crate::{
    args::{Drawing, ShowPlanArguments},
    exit::{Exit, Failure},
    file,
    output::Output,
    terminal::safe_line,
    text::bytes,
};

pub(super) fn run(arguments: &ShowPlanArguments, output: &mut Output) -> Result<Exit, Failure> {
    let source = Source::read(&arguments.file)?;
    let mut plan = match source.plan(&Open) {
        Ok(plan) => plan,
        Err(mistakes) => return Err(source::failure(&source, &mistakes, output)),
    };
    let given = if arguments.given.are_some() {
        let given = params::of(&plan, &arguments.given)?;
        Some(params::filled(&plan, &given, output)?)
    } else {
        None
    };
    if let Some(given) = &given {
        params::put_in(&mut plan, given);
    }
    let path = arguments.output.as_deref();
    let format = arguments.format.or_else(|| path.and_then(by_ending));
    let drawing = match format.unwrap_or(Drawing::Text) {
        Drawing::Text => match given.filter(|given| !given.is_empty()) {
            Some(given) => plan.to_text() + &params::lines(&given),
            None => plan.to_text(),
        },
        Drawing::Mermaid => plan.to_mermaid(),
        Drawing::Svg => plan.to_svg(),
    };
    match path {
        None => output.write(drawing)?,
        Some(path) => {
            let written = file::write(path, drawing.trim_end())?;
            output.line(format_args!(
                "drew plan {} to {}, {}",
                safe_line(&plan.name),
                safe_line(&path.display().to_string()),
                bytes(written)
            ))?;
        }
    }
    Ok(Exit::Ok)
}

fn by_ending(path: &Path) -> Option<Drawing> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    match ending.as_str() {
        "svg" => Some(Drawing::Svg),
        "mmd" | "mermaid" => Some(Drawing::Mermaid),
        _ => None,
    }
}

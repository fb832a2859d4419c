//! `agent runs export`.

use agent_sdk::text::escape_json;

use crate::{args::ExportArguments, exit::Failure, file, home::Home, output::Output, text::bytes};

pub(super) fn run(
    home: &Home,
    arguments: &ExportArguments,
    output: &mut Output,
) -> Result<(), Failure> {
    let run = home.run(&arguments.id)?;
    let document = home.wait(home.runs().export(run.id.as_str()))?;
    let Some(path) = &arguments.output else {
        return output.line(escape_json(&document.to_string()));
    };
    let written = file::write(path, &document.to_string())?;
    output.line(format_args!(
        "exported run {} to {}, {}",
        run.id,
        path.display(),
        bytes(written)
    ))
}

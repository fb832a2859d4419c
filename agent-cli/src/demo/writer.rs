//! The scripted model that joins the reviews in a report and saves it.

use agent_sdk::{
    model::ChatRequest,
    testing::{ScriptedModel, Turn},
};
use serde_json::{Value, json};

use super::{place, results::Results, review};
use crate::text::wrapped;

/// The longest line of the report.
const WIDTH: usize = 78;

/// The parts of the report: the members of the input, and their headings.
const PARTS: [(&str, &str); 3] = [
    ("structure", "Structure"),
    ("documentation", "Documentation"),
    ("code", "Code"),
];

pub(super) fn model() -> ScriptedModel {
    review::model("scripted-writer", answer)
}

fn answer(request: &ChatRequest) -> Turn {
    let results = Results::of(request);
    let input = input(&results.task());
    let report = report(&input);
    let path = input.get("report").and_then(Value::as_str).unwrap_or("");
    let Some(saved) = results.get("save") else {
        let is_ours = input.get("replace").and_then(Value::as_bool) == Some(true);
        let mode = if is_ours { "overwrite" } else { "create" };
        let content = format!("{}\n{report}", place::MARK);
        let arguments = json!({"path": path, "content": content, "mode": mode});
        return review::turn(400)
            .text("I join the three reviews and save the report.")
            .tool_call("save", "write_file", arguments);
    };
    let saved = match saved {
        Ok(_) => format!("This report is in {path}."),
        Err(why) => format!("This report could not be saved in the folder: {why}"),
    };
    review::turn(240).text(format!("{report}\n{}", wrapped(&saved, WIDTH)))
}

/// What the step was given: the JSON behind what it is to do.
fn input(task: &str) -> Value {
    let json = task.find('{').and_then(|start| task.get(start..));
    json.and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default()
}

fn report(input: &Value) -> String {
    let text = |key: &str| input.get(key).and_then(Value::as_str).unwrap_or("");
    let mut report = format!("# Review of {}\n", text("folder"));
    for (key, heading) in PARTS {
        report.push_str("\n## ");
        report.push_str(heading);
        report.push_str("\n\n");
        report.push_str(text(key));
        report.push('\n');
    }
    wrapped(&report, WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_has_each_review_under_its_heading() {
        let task = "Join these.\n\n{\"folder\": \"/x\", \"code\": \"c\", \"structure\": \"s {}\", \"documentation\": \"d\"}";
        let said = report(&input(task));
        assert_eq!(
            said,
            "# Review of /x\n\n## Structure\n\ns {}\n\n## Documentation\n\nd\n\n## Code\n\nc\n"
        );
    }
}

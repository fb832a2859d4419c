//! What the scripted reviewers share: how they ask for tools, and how their reviews are written.
//!
//! They do not think. But they work on nothing except what the tools gave them, as models would.

use std::{fmt::Write, time::Duration};

use agent_sdk::{
    model::ChatRequest,
    testing::{ScriptedModel, Turn},
};
use serde_json::{Value, json};

use super::{
    listing::{File, Listing},
    results::Results,
    summariser,
};
use crate::text::counted;

/// How deep a folder is listed.
const DEPTH: u32 = 6;

/// A model of the demonstration.
pub(super) fn model(
    name: &'static str,
    answer: impl Fn(&ChatRequest) -> Turn + Send + Sync + 'static,
) -> ScriptedModel {
    ScriptedModel::from_fn(move |request, _| answer(request).words_as_tokens().chunk_words(3))
        .named("scripted", name)
}

/// A turn that takes as long as a model would.
pub(super) fn turn(first_ms: u64) -> Turn {
    Turn::new()
        .delay(Duration::from_millis(first_ms))
        .chunk_delay(Duration::from_millis(12))
}

/// Asks what is in the folder.
pub(super) fn list(turn: Turn) -> Turn {
    turn.tool_call("list", "list_files", json!({"depth": DEPTH}))
}

/// What was answered to that.
pub(super) fn listing(results: &Results<'_>) -> Listing {
    Listing::parse(results.get("list").and_then(Result::ok).unwrap_or(""))
}

/// Asks what is in these files.
pub(super) fn read(turn: Turn, files: &[&File]) -> Turn {
    files.iter().enumerate().fold(turn, |turn, (number, file)| {
        let arguments: Value = json!({"path": file.path});
        turn.tool_call(format!("read-{number}"), "read_file", arguments)
    })
}

/// Has a file summarised by the sub-agent.
pub(super) fn summarise(turn: Turn, file: Option<&File>) -> Turn {
    let Some(file) = file else { return turn };
    let task = format!("{}{}", summariser::TASK, file.path);
    turn.tool_call("summary", summariser::NAME, json!({"task": task}))
}

/// A review in the making. Writing to a `String` cannot fail.
#[derive(Default)]
pub(super) struct Review(String);

impl Review {
    pub(super) fn line(&mut self, line: &str) {
        let _ = writeln!(self.0, "{line}");
    }

    /// A list under a heading, where it has something in it.
    pub(super) fn list(&mut self, heading: &str, items: &[String]) {
        if items.is_empty() {
            return;
        }
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        let _ = writeln!(self.0, "{heading}:\n");
        for item in items {
            let _ = writeln!(self.0, "- {item}");
        }
    }

    /// What of these files was read.
    pub(super) fn read(&mut self, files: &[&File], results: &Results<'_>) {
        let read = files.iter().enumerate().filter_map(|(number, file)| {
            let path = &file.path;
            Some(match results.get(&format!("read-{number}"))? {
                Ok(text) => format!("{path}, {}", counted(text.lines().count() as u64, "line")),
                Err(why) => format!("{path}, in vain: {why}"),
            })
        });
        self.list("Read", &read.collect::<Vec<_>>());
    }

    /// What the sub-agent said.
    pub(super) fn summary(&mut self, results: &Results<'_>) {
        let summary = results.get("summary").map(|summary| {
            let (Ok(said) | Err(said)) = summary;
            said.to_owned()
        });
        self.list(
            "The summariser says",
            &summary.into_iter().collect::<Vec<_>>(),
        );
    }

    /// The whole of it, as an answer that is written in pieces.
    pub(super) fn answer(self, first_ms: u64) -> Turn {
        turn(first_ms).text(self.0.trim_end().to_owned())
    }
}

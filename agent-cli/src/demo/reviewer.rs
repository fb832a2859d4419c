//! The scripted model of the reviewer: looks around, reads what seems worth it, and says what it found.
//!
//! It does not think. But it works on nothing except what the tools gave it, as a model would.

use std::time::Duration;

use agent_sdk::{
    model::ChatRequest,
    testing::{ScriptedModel, Turn},
};
use serde_json::json;

use super::{
    answer,
    listing::{File, Listing},
    results::Results,
    summariser,
};

/// What is searched for: the call's id, a regular expression, and what a match is.
pub(super) const SEARCHES: [(&str, &str, &str); 3] = [
    (
        "markers",
        r"\b(TODO|FIXME|HACK|XXX)\b",
        "Open ends (TODO, FIXME, HACK, XXX)",
    ),
    ("unwraps", r"\.unwrap\(\)", "Calls of unwrap()"),
    (
        "keys",
        r#"(?i)(api[_-]?key|secret|passwo?r?d|token)["']?\s*[:=]\s*["'][^"'\s]{8,}["']"#,
        "Lines that look like a password or a key",
    ),
];

/// How many files are handed to the sub-agent.
const SUMMARIES: usize = 2;

pub(super) fn model() -> ScriptedModel {
    ScriptedModel::from_fn(|request, _| answer(request)).named("scripted", "scripted-reviewer")
}

fn answer(request: &ChatRequest) -> Turn {
    let results = Results::of(request);
    let listing = Listing::parse(results.get("list").and_then(Result::ok).unwrap_or(""));
    let turn = match results.turns() {
        0 => look(),
        1 if !listing.picks().is_empty() => read(&listing),
        _ => Turn::new()
            .text(answer::text(&listing, &results))
            .delay(Duration::from_millis(420))
            .chunk_delay(Duration::from_millis(12)),
    };
    turn.words_as_tokens().chunk_words(3)
}

/// The first turn: what is there?
fn look() -> Turn {
    let turn = Turn::new()
        .text("First I list the folder and search it for loose ends.")
        .delay(Duration::from_millis(350))
        .chunk_delay(Duration::from_millis(12))
        .tool_call("list", "list_files", json!({"depth": 6}));
    SEARCHES.iter().fold(turn, |turn, (id, pattern, _)| {
        let arguments = json!({"pattern": pattern, "regex": true});
        turn.tool_call(*id, "search_files", arguments)
    })
}

/// The second turn: what is in the files that seem worth it?
fn read(listing: &Listing) -> Turn {
    let picks = listing.picks();
    let turn = Turn::new()
        .text("Now I read what seems worth it, and have some of it summarised.")
        .delay(Duration::from_millis(300))
        .chunk_delay(Duration::from_millis(12));
    let turn = picks.iter().enumerate().fold(turn, |turn, (number, file)| {
        turn.tool_call(
            format!("read-{number}"),
            "read_file",
            json!({"path": file.path}),
        )
    });
    // What introduces the folder, and its largest source.
    let worth = |(place, file): &(usize, &&File)| *place == 0 || file.is_source();
    let summarised = picks.iter().enumerate().filter(worth);
    summarised
        .take(SUMMARIES)
        .fold(turn, |turn, (number, file)| {
            turn.tool_call(
                format!("summary-{number}"),
                "summariser",
                json!({"task": format!("{}{}", summariser::TASK, file.path)}),
            )
        })
}

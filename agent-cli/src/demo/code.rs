//! The scripted model that looks at the code of a folder.

use agent_sdk::{
    model::ChatRequest,
    testing::{ScriptedModel, Turn},
};
use serde_json::json;

use super::{
    findings::Findings,
    listing::File,
    results::Results,
    review::{self, Review},
};
use crate::text::count;

/// What is searched for: the call's id, a regular expression, and what a match is.
const SEARCHES: [(&str, &str, &str); 3] = [
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

/// The most places of matches that are named.
const PLACES: usize = 3;
/// The longest file that is not called long, in lines.
const LONG: usize = 600;

pub(super) fn model() -> ScriptedModel {
    review::model("scripted-code", answer)
}

fn answer(request: &ChatRequest) -> Turn {
    let results = Results::of(request);
    let listing = review::listing(&results);
    let sources = listing.sources();
    match results.turns() {
        0 => look(),
        1 if !sources.is_empty() => {
            let turn = review::turn(300)
                .text("Now I read its largest sources, and have the first summarised.");
            review::summarise(review::read(turn, &sources), sources.first().copied())
        }
        _ => {
            let mut review = Review::default();
            if sources.is_empty() {
                review.line("There are no sources that could be read.");
            }
            review.read(&sources, &results);
            review.summary(&results);
            review.list("Searched for", &searches(&results));
            review.list("Observations", &observations(&sources, &results));
            review.answer(420)
        }
    }
}

/// The first turn: what is there, and which of it is a loose end?
fn look() -> Turn {
    let turn = review::turn(350).text("First I list the folder and search it for loose ends.");
    SEARCHES
        .iter()
        .fold(review::list(turn), |turn, (id, pattern, _)| {
            let arguments = json!({"pattern": pattern, "regex": true});
            turn.tool_call(*id, "search_files", arguments)
        })
}

fn searches(results: &Results<'_>) -> Vec<String> {
    let searched = SEARCHES.iter().filter_map(|(id, _, what)| {
        Some(match results.get(id)? {
            Ok(found) => {
                let found = Findings::parse(found);
                if found.count() == 0 {
                    format!("{what}: none")
                } else {
                    let most = found.most(PLACES).join(", ");
                    let more = if found.files.len() > PLACES {
                        ", …"
                    } else {
                        ""
                    };
                    format!("{what}: {}: {most}{more}", found.amount())
                }
            }
            Err(why) => format!("{what}: not searched to the end: {why}"),
        })
    });
    searched.collect()
}

fn observations(sources: &[&File], results: &Results<'_>) -> Vec<String> {
    let mut said = Vec::new();
    for (number, file) in sources.iter().enumerate() {
        let read = results.get(&format!("read-{number}")).and_then(Result::ok);
        let lines = read.map_or(0, |text| text.lines().count());
        if lines > LONG {
            let (path, lines) = (&file.path, count(lines as u64));
            said.push(format!("{path} is long, with {lines} lines."));
        }
    }
    let keys = results.get("keys").and_then(Result::ok).unwrap_or("");
    if let Some((path, lines)) = Findings::parse(keys).files.first()
        && let Some(line) = lines.first()
    {
        said.push(format!(
            "Look at {path}, line {line}: is that a real password or key?"
        ));
    }
    said
}

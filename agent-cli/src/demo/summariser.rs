//! The scripted model of the sub-agent: reads one file and says what is in it.

use std::{fmt::Write, time::Duration};

use agent_sdk::{
    model::ChatRequest,
    testing::{ScriptedModel, Turn},
};
use serde_json::json;

use super::results::Results;
use crate::text::counted;

/// The sub-agent's name.
pub(super) const NAME: &str = "summariser";
/// What the task begins with; the file's path follows.
pub(super) const TASK: &str = "Summarise the file ";
/// The most lines that are read.
const LINES: u64 = 300;
/// How much of a line is quoted, and how many names are listed.
const QUOTED: usize = 60;
const NAMES: usize = 5;

pub(super) fn model() -> ScriptedModel {
    ScriptedModel::from_fn(|request, _| answer(request)).named("scripted", "scripted-summariser")
}

fn answer(request: &ChatRequest) -> Turn {
    let results = Results::of(request);
    let task = results.task();
    let path = task.strip_prefix(TASK).unwrap_or(&task);
    let turn = Turn::new().words_as_tokens().chunk_words(4);
    match results.get("read") {
        None => turn
            .tool_call(
                "read",
                "read_file",
                json!({"path": path, "max_lines": LINES}),
            )
            .delay(Duration::from_millis(180)),
        Some(read) => turn
            .text(match read {
                Ok(text) => summary(path, text),
                Err(why) => format!("{path} could not be read: {why}"),
            })
            .delay(Duration::from_millis(240))
            .chunk_delay(Duration::from_millis(15)),
    }
}

/// What can be said of a text without understanding it.
fn summary(path: &str, text: &str) -> String {
    let (text, is_cut) = match text.rsplit_once("\n[more: go on ") {
        Some((text, _)) => (text, true),
        None => (text, false),
    };
    let lines = text.lines().count();
    let mut summary = format!(
        "{path}: {}{}, {}",
        if is_cut { "more than " } else { "" },
        counted(lines as u64, "line"),
        counted(text.split_whitespace().count() as u64, "word"),
    );
    let headings = names(text, |line| {
        Some(line.trim_start_matches('#')).filter(|rest| *rest != line && rest.starts_with(' '))
    });
    let definitions = names(text, definition);
    // Writing to a `String` cannot fail.
    let is_markup = path.to_lowercase().ends_with(".md");
    if is_markup && !headings.is_empty() {
        let _ = write!(summary, "; its headings: {}", headings.join(", "));
    } else if !is_markup && !definitions.is_empty() {
        let _ = write!(summary, "; it defines {}", definitions.join(", "));
    } else if let Some(first) = text.lines().find(|line| !line.trim().is_empty()) {
        let _ = write!(summary, "; it begins \"{}\"", cut(first.trim()));
    }
    summary.push('.');
    summary
}

/// The first few things that a function finds in the lines, and the news that there are more.
fn names<'a>(text: &'a str, find: impl Fn(&'a str) -> Option<&'a str>) -> Vec<String> {
    let found: Vec<_> = text.lines().filter_map(find).collect();
    let mut names: Vec<_> = found
        .iter()
        .take(NAMES)
        .map(|name| cut(name.trim()))
        .collect();
    if found.len() > NAMES {
        names.push(format!("{} more", found.len() - NAMES));
    }
    names
}

/// The name that a line of source code defines.
fn definition(line: &str) -> Option<&str> {
    const WORDS: [&str; 10] = [
        "fn",
        "struct",
        "enum",
        "trait",
        "def",
        "class",
        "func",
        "function",
        "interface",
        "type",
    ];
    // Only what stands at the margin: what lies inside is a detail.
    if line.starts_with([' ', '\t']) {
        return None;
    }
    let mut words = line.split([' ', '(']).filter(|word| !word.is_empty());
    let is_prefix = |word: &&str| {
        word.starts_with("pub")
            || word.starts_with("crate)")
            || matches!(*word, "async" | "export" | "const" | "unsafe" | "default")
    };
    let word = words.by_ref().find(|word| !is_prefix(word))?;
    if !WORDS.contains(&word) {
        return None;
    }
    let name = words.next()?;
    let end = name
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(name.len());
    name.get(..end).filter(|name| !name.is_empty())
}

fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(QUOTED).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_says_what_is_there() {
        let code = "use x;\npub(crate) fn one() {\n    fn inner() {}\n}\nstruct Two<T>(T);\n";
        assert_eq!(
            summary("a.rs", code),
            "a.rs: 5 lines, 12 words; it defines one, Two."
        );
        let text = "# Top\n\nwords\n## Part\n#!no\n";
        assert_eq!(
            summary("README.md", text),
            "README.md: 5 lines, 6 words; its headings: Top, Part."
        );
        let data = "a = 1\nb = 2\n\n[more: go on with `first_line` 3]";
        assert!(summary("x.toml", data).contains("begins \"a = 1\""));
        assert!(summary("x.toml", data).contains("more than 2 lines"));
    }
}

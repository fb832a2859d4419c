//! What is registered, in words for a model.

use std::fmt::Write as _;

use serde_json::{Value, value::RawValue};

use crate::{
    registry::{Entry, EntryKind, Registry},
    text,
};

/// The most that a listing takes, in bytes: with the names in the schema of the answer it stays below 64 KiB, however much is
/// registered.
pub(super) const MAX_BYTES: usize = 48 * 1024;

/// The longest note at a listing's end, in bytes.
const NOTE_BYTES: usize = 200;

/// How much is told of each entry.
#[derive(Clone, Copy)]
struct Detail {
    /// Of its description, in characters.
    description: usize,
    /// The longest schema, in bytes; a longer one is left out.
    schema: usize,
    /// How many of an agent's capabilities.
    capabilities: usize,
}

/// From everything to less and less; where there is too much even for the last, it is cut.
const DETAILS: [Detail; 4] = [
    Detail {
        description: 800,
        schema: 8 * 1024,
        capabilities: 16,
    },
    Detail {
        description: 240,
        schema: 1024,
        capabilities: 8,
    },
    Detail {
        description: 100,
        schema: 0,
        capabilities: 0,
    },
    Detail {
        description: 0,
        schema: 0,
        capabilities: 0,
    },
];

/// Tells of everything that is registered, in at most [`MAX_BYTES`].
///
/// The more there is, the less is told of each; where not even all names have room, each kind has a share of it, and a note says how many are
/// left out.
pub(super) fn of(registry: &Registry) -> String {
    let entries: Vec<_> = registry.iter().collect();
    let mut details = DETAILS.iter().enumerate();
    let whole = details.find_map(|(number, detail)| whole_list(&entries, *detail, number > 0));
    whole.unwrap_or_else(|| cut(&entries))
}

/// Everything, where it fits.
fn whole_list(entries: &[Entry], detail: Detail, is_less: bool) -> Option<String> {
    let mut list = String::new();
    let mut kind = None;
    for entry in entries {
        if kind != Some(entry.kind()) {
            kind = Some(entry.kind());
            title(entry.kind(), &mut list);
        }
        line(entry, detail, &mut list);
        if list.len() > MAX_BYTES - NOTE_BYTES {
            return None;
        }
    }
    if is_less {
        list.push_str("\nDescriptions are cut and input schemas left out, because there is much to choose from.\n");
    }
    Some(list)
}

/// As many names of each kind as its share has room for.
fn cut(entries: &[Entry]) -> String {
    const NAMES: Detail = Detail {
        description: 0,
        schema: 0,
        capabilities: 0,
    };
    let share = MAX_BYTES / EntryKind::ALL.len();
    let mut list = String::new();
    for kind in EntryKind::ALL {
        let mut of_kind = entries.iter().filter(|entry| entry.kind() == kind);
        let mut part = String::new();
        let mut shown = 0_usize;
        for entry in of_kind.by_ref() {
            let before = part.len();
            line(entry, NAMES, &mut part);
            if part.len() > share - NOTE_BYTES {
                part.truncate(before);
                break;
            }
            shown += 1;
        }
        let all = entries.iter().filter(|entry| entry.kind() == kind).count();
        if all == 0 {
            continue;
        }
        title(kind, &mut list);
        list.push_str(&part);
        if shown < all {
            // Writing into a string does not fail.
            let _ = writeln!(
                list,
                "({} more are registered, for which there is no room here.)",
                all - shown
            );
        }
    }
    list
}

fn title(kind: EntryKind, list: &mut String) {
    list.push_str(match kind {
        EntryKind::Agent => "\n## Agents\n\n",
        EntryKind::Tool => "\n## Tools\n\n",
        EntryKind::Function => "\n## Functions\n\n",
    });
}

/// One entry. Its name is written as JSON: it is what the plan must say, and nobody can write more than a name in its place.
fn line(entry: &Entry, detail: Detail, list: &mut String) {
    let name = Value::from(entry.name()).to_string();
    list.push_str("- ");
    list.push_str(&text::escape_json(&name));
    let words = entry.description().unwrap_or_default();
    let words = one_line(words, detail.description);
    if !words.is_empty() {
        list.push_str(": ");
        list.push_str(&words);
    }
    list.push('\n');
    if let Entry::Agent(agent) = entry {
        let able: Vec<_> = agent
            .capabilities()
            .take(detail.capabilities)
            .map(|word| one_line(word, 40))
            .collect();
        if !able.is_empty() {
            // Writing into a string does not fail.
            let _ = writeln!(list, "  can: {}", able.join(", "));
        }
    }
    let schemas = [
        ("input schema", entry.input_schema()),
        ("gives", entry.output_schema().filter(|_| is_told(entry))),
    ];
    for (what, schema) in schemas {
        if let Some(schema) = schema.and_then(|schema| compact(schema, detail.schema)) {
            let _ = writeln!(list, "  {what}: {schema}");
        }
    }
}

/// Whether it gives something else than the text that agents give.
fn is_told(entry: &Entry) -> bool {
    let is_text = |schema: &RawValue| schema.get() == r#"{"type":"string"}"#;
    !(entry.kind() == EntryKind::Agent && entry.output_schema().is_some_and(is_text))
}

/// A schema on one line, where it is short enough.
fn compact(schema: &RawValue, most: usize) -> Option<String> {
    if schema.get().len() > 4 * most {
        return None;
    }
    let value: Value = serde_json::from_str(schema.get()).ok()?;
    let line = value.to_string();
    let line = text::escape_json(&line);
    (line.len() <= most).then(|| line.into_owned())
}

/// The beginning of a text, on one line and without what acts on whoever reads it.
fn one_line(words: &str, chars: usize) -> String {
    // White space is not counted twice, but nobody's megabytes are read either.
    let short: String = words.chars().take(4 * chars).collect();
    let mut line = String::new();
    let mut left = chars;
    for word in text::strip_controls(&short).split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
            left = left.saturating_sub(1);
        }
        for c in word.chars() {
            if left == 0 {
                line.push('…');
                return line;
            }
            if !text::is_control(c) && !text::is_invisible(c) {
                line.push(c);
                left -= 1;
            }
        }
    }
    line
}

//! Holds the registry of our own names, the code and the user's document against each other.
//!
//! The registry is in the form that OpenTelemetry's `weaver` reads. What is read of it here is the regular part that it is written in:
//! entries that begin with `key`, `name` or `type`, and their fields, one a line. `UPDATE_DOCS=1` writes the document's tables anew.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first error"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use agent_sdk::operation::{MemoryOperation, Outcome, decision};
use agent_sdk_otel::{attrs, metric};

const OURS: &str = "agent_sdk.";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// One entry: its fields by name, the values of lists joined by spaces.
type Entry = BTreeMap<String, String>;

/// The entries of a file, by what follows `first` on their first line.
fn registry(file: &str, first: &str) -> BTreeMap<String, Entry> {
    let path = root().join("registry").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("file_format: definition/2\n"), "{file}");
    let mut entries = BTreeMap::new();
    let mut last = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix(&format!("  - {first}: ")) {
            let before = entries.insert(name.to_owned(), Entry::new());
            assert!(before.is_none(), "{name} is there twice");
            last = Some(name.to_owned());
            continue;
        }
        let Some(entry) = last.as_ref().and_then(|name| entries.get_mut(name)) else {
            continue;
        };
        let Some((field, value)) = line.trim_start().trim_start_matches("- ").split_once(':')
        else {
            continue;
        };
        let value = value.trim().trim_matches('"');
        let known: &mut String = entry.entry(field.to_owned()).or_default();
        if !known.is_empty() {
            known.push(' ');
        }
        known.push_str(value);
    }
    entries
}

fn attributes() -> BTreeMap<String, Entry> {
    registry("attributes.yaml", "key")
}

#[test]
fn the_registry_has_the_attributes_of_the_code_and_no_others() {
    let tags = attrs::TAG_PREFIX.trim_end_matches('.');
    let mut code: Vec<_> = attrs::ALL
        .iter()
        .filter(|name| name.starts_with(OURS))
        .copied()
        .collect();
    code.push(tags);
    code.sort_unstable();
    let registry = attributes();
    let names: Vec<_> = registry.keys().map(String::as_str).collect();
    assert_eq!(names, code);
    for (name, entry) in &registry {
        for field in ["type", "brief", "stability"] {
            assert!(entry.contains_key(field), "{name} has no {field}");
        }
    }
    assert_eq!(registry[tags]["type"], "template[string]");
}

#[test]
fn the_registry_has_the_metrics_of_the_code_with_their_units_and_buckets() {
    let registry = registry("metrics.yaml", "name");
    let ours = || metric::ALL.iter().filter(|def| def.name.starts_with(OURS));
    let mut code: Vec<_> = ours().map(|def| def.name).collect();
    code.sort_unstable();
    let names: Vec<_> = registry.keys().map(String::as_str).collect();
    assert_eq!(names, code);
    let attributes = attributes();
    for def in ours() {
        let entry = &registry[def.name];
        assert_eq!(entry["unit"], def.unit, "{}", def.name);
        assert_eq!(entry["brief"], def.description, "{}", def.name);
        let bounds = entry.get("boundaries").map_or("", String::as_str);
        let bounds = bounds
            .trim_matches(['[', ']'])
            .split(',')
            .filter(|text| !text.is_empty());
        let bounds: Vec<f64> = bounds.map(|text| text.trim().parse().unwrap()).collect();
        assert_eq!(bounds, def.buckets, "{}", def.name);
        assert_eq!(
            entry["instrument"] == "histogram",
            !bounds.is_empty(),
            "{}",
            def.name
        );
        for name in entry
            .get("ref")
            .map_or("", String::as_str)
            .split_whitespace()
        {
            let is_known = attributes.contains_key(name) || attrs::ALL.contains(&name);
            assert!(is_known, "{}: {name}", def.name);
        }
    }
}

#[test]
fn spans_and_events_refer_to_attributes_that_there_are() {
    let spans = registry("spans.yaml", "type");
    assert!(spans.contains_key("agent_sdk.step"));
    for (name, entry) in spans.into_iter().chain(registry("events.yaml", "name")) {
        for attribute in entry
            .get("ref")
            .map_or("", String::as_str)
            .split_whitespace()
        {
            assert!(attrs::ALL.contains(&attribute), "{name}: {attribute}");
        }
    }
}

#[test]
fn the_registry_has_the_events_of_the_code_and_no_others() {
    let registry = registry("events.yaml", "name");
    let mut names: Vec<_> = registry.keys().map(String::as_str).collect();
    let mut code = decision::ALL.to_vec();
    names.sort_unstable();
    code.sort_unstable();
    assert_eq!(names, code);
}

#[test]
fn the_members_of_enumerations_are_those_of_the_code() {
    let attributes = attributes();
    let members = |name: &str| attributes[name]["value"].clone();
    let outcomes = [
        Outcome::Ok,
        Outcome::Error,
        Outcome::Cancelled,
        Outcome::Timeout,
        Outcome::Budget,
        Outcome::Limit,
        Outcome::Paused,
        Outcome::Skipped,
    ];
    let outcomes: Vec<_> = outcomes.iter().map(|outcome| outcome.as_str()).collect();
    assert_eq!(members(attrs::OUTCOME), outcomes.join(" "));
    // The conventions have a closed list of what is done to memory.
    assert!(MemoryOperation::Search.as_str().ends_with("_memory"));
}

/// The tables of the document, by the name in their marks.
fn tables() -> Vec<(&'static str, String)> {
    let mut ours = String::from("| Attribute | Type | Meaning |\n|---|---|---|\n");
    for (name, entry) in attributes() {
        let kind = match entry["type"].as_str() {
            "" => entry["value"]
                .split(' ')
                .map(|value| format!("`{value}`"))
                .collect::<Vec<_>>()
                .join(" "),
            kind => kind.to_owned(),
        };
        let name = match entry["type"].as_str() {
            "template[string]" => format!("{name}.<key>"),
            _ => name,
        };
        let _ = writeln!(ours, "| `{name}` | {kind} | {} |", entry["brief"]);
    }
    let mut metrics = String::from("| Metric | Unit | Meaning |\n|---|---|---|\n");
    for def in metric::ALL {
        let kind = if def.buckets.is_empty() {
            ""
        } else {
            " Histogram."
        };
        let _ = writeln!(
            metrics,
            "| `{}` | `{}` | {}{kind} |",
            def.name, def.unit, def.description
        );
    }
    let mut standard = String::new();
    for name in attrs::ALL.iter().filter(|name| !name.starts_with(OURS)) {
        let _ = writeln!(standard, "- `{name}`");
    }
    vec![
        ("attributes", ours),
        ("metrics", metrics),
        ("standard", standard),
    ]
}

#[test]
fn the_document_s_tables_are_those_of_the_registry_and_the_code() {
    let path = root().join("../docs/telemetry.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut expected = text.clone();
    for (name, table) in tables() {
        let (begin, end) = (
            format!("<!-- {name}: begin -->\n"),
            format!("<!-- {name}: end -->"),
        );
        let (before, rest) = expected.split_once(&begin).expect(&begin);
        let (_, after) = rest.split_once(&end).expect(&end);
        expected = format!("{before}{begin}\n{table}\n{end}{after}");
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, expected).unwrap();
        return;
    }
    assert!(
        text == expected,
        "docs/telemetry.md is not up to date: run this test with UPDATE_DOCS=1"
    );
}

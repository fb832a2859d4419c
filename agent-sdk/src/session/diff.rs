//! What is different between two versions.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{FileInfo, View};
use crate::message::{Message, Part};

/// How much of a message or a value is printed, in characters.
const SHOWN_CHARS: usize = 80;

/// What is different between two versions of a session, or between two of its branches.
///
/// As JSON it is whole. Printed it is for people, and shows the beginnings of what was said and of values: printing it is printing content.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Diff {
    /// The version that is taken as the old one.
    pub from: u64,
    /// The version that is taken as the new one.
    pub to: u64,
    /// The title, where it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Change<Arc<str>>>,
    /// Tags, by their keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Difference<Arc<str>, Arc<str>>>,
    /// Messages, by their numbers: which message of the session it is, from 1. What compression leaves keeps its number, so the messages
    /// that it left out are removed, and its summary is added. Two branches each have a message of a number: it is changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Difference<u64, Message>>,
    /// The shared state, by its keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<Difference<Arc<str>, Value>>,
    /// Files, by their paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Difference<Arc<str>, FileInfo>>,
}

/// Something that is different, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Difference<K, T> {
    /// Its number, key or path.
    pub at: K,
    /// How it is different.
    #[serde(flatten)]
    pub change: Change<T>,
}

/// How something is different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "there is no fourth way")]
pub enum Change<T> {
    /// It is there now.
    Added {
        /// What it is.
        new: T,
    },
    /// It is gone.
    Removed {
        /// What it was.
        old: T,
    },
    /// It is another.
    Changed {
        /// What it was.
        old: T,
        /// What it is.
        new: T,
    },
}

impl<T: Clone> Change<T> {
    /// How `new` is different from `old`; `same` says where it is not.
    fn between(old: Option<&T>, new: Option<&T>, same: impl Fn(&T, &T) -> bool) -> Option<Self> {
        match (old.cloned(), new.cloned()) {
            (Some(old), Some(new)) if same(&old, &new) => None,
            (Some(old), Some(new)) => Some(Self::Changed { old, new }),
            (Some(old), None) => Some(Self::Removed { old }),
            (None, Some(new)) => Some(Self::Added { new }),
            (None, None) => None,
        }
    }
}

impl<T: Clone> Change<&T> {
    fn owned(&self) -> Change<T> {
        match *self {
            Change::Added { new } => Change::Added { new: new.clone() },
            Change::Removed { old } => Change::Removed { old: old.clone() },
            Change::Changed { old, new } => Change::Changed {
                old: old.clone(),
                new: new.clone(),
            },
        }
    }
}

impl Diff {
    /// What is different in `new`. Views of two sessions can be compared where one is a branch of the other, or both are of a third.
    pub fn between(old: &View, new: &View) -> Self {
        let title = Change::between(
            old.outline.title.as_ref(),
            new.outline.title.as_ref(),
            PartialEq::eq,
        );
        let messages = differences(&numbered(old), &numbered(new), |old, new| old == new);
        Self {
            from: old.version,
            to: new.version,
            title,
            tags: differences(&old.outline.tags, &new.outline.tags, PartialEq::eq),
            messages: messages
                .into_iter()
                .map(|Difference { at, change }| Difference {
                    at,
                    change: change.owned(),
                })
                .collect(),
            state: differences(&old.state, &new.state, PartialEq::eq),
            files: differences(&old.files, &new.files, |old, new| {
                (old.size, &old.sha256) == (new.size, &new.sha256)
            }),
        }
    }

    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.title.is_none()
            && self.tags.is_empty()
            && self.messages.is_empty()
            && self.state.is_empty()
            && self.files.is_empty()
    }
}

fn numbered(view: &View) -> BTreeMap<u64, &Message> {
    let numbers = view.numbers.iter().copied();
    numbers.zip(view.conversation.messages()).collect()
}

/// What is different in a map, in the order of its keys.
fn differences<K: Ord + Clone, T: Clone>(
    old: &BTreeMap<K, T>,
    new: &BTreeMap<K, T>,
    same: impl Fn(&T, &T) -> bool,
) -> Vec<Difference<K, T>> {
    let added = new.keys().filter(|key| !old.contains_key(key));
    let mut keys: Vec<&K> = old.keys().chain(added).collect();
    keys.sort_unstable();
    let differences = keys.into_iter().filter_map(|key| {
        let change = Change::between(old.get(key), new.get(key), &same)?;
        Some(Difference {
            at: key.clone(),
            change,
        })
    });
    differences.collect()
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version {} → {}", self.from, self.to)?;
        if self.is_empty() {
            return f.write_str(": nothing is different\n");
        }
        f.write_str("\n")?;
        if let Some(change) = &self.title {
            f.write_str("title\n")?;
            line(f, "", change, |title| short(title))?;
        }
        section(f, "tags", &self.tags, |tag| short(tag))?;
        section(f, "messages", &self.messages, said)?;
        section(f, "state", &self.state, |value| short(&value.to_string()))?;
        section(f, "files", &self.files, |file| {
            format!("{} bytes", file.size)
        })
    }
}

fn section<K: fmt::Display, T>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    differences: &[Difference<K, T>],
    show: impl Fn(&T) -> String,
) -> fmt::Result {
    if !differences.is_empty() {
        writeln!(f, "{name}")?;
    }
    for Difference { at, change } in differences {
        line(f, &format!("{at}: "), change, &show)?;
    }
    Ok(())
}

fn line<T>(
    f: &mut fmt::Formatter<'_>,
    at: &str,
    change: &Change<T>,
    show: impl Fn(&T) -> String,
) -> fmt::Result {
    match change {
        Change::Added { new } => writeln!(f, "  + {at}{}", show(new)),
        Change::Removed { old } => writeln!(f, "  - {at}{}", show(old)),
        Change::Changed { old, new } => writeln!(f, "  ~ {at}{} → {}", show(old), show(new)),
    }
}

/// The beginning of a text, on one line.
fn short(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut shown: String = clean.take(SHOWN_CHARS).collect();
    if text.chars().nth(SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

fn said(message: &Message) -> String {
    let parts = message.parts.iter().map(|part| match part {
        Part::Text(text) | Part::Refusal(text) => text.as_str().to_owned(),
        Part::ToolCall(call) => format!("calls {}", call.name),
        Part::ToolResult(result) => format!("{} gave {}", result.name, result.content.as_str()),
        Part::Reasoning(_) => "(reasoning)".to_owned(),
        Part::Media(_) => "(media)".to_owned(),
        Part::Opaque(opaque) => format!("({})", opaque.kind),
    });
    let parts: Vec<String> = parts.collect();
    format!("{}: {}", message.role.as_str(), short(&parts.join(" ")))
}

/// Shows how much is different, and no content.
impl fmt::Debug for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diff")
            .field("from", &self.from)
            .field("to", &self.to)
            .field("messages", &self.messages.len())
            .field("state", &self.state.len())
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}

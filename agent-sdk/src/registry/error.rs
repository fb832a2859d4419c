//! Names that are not there, and names that are there twice.

use std::{fmt, sync::Arc};

use super::EntryKind;

/// How many characters of a name are compared or shown: names come from plans, and plans from anywhere.
const SHOWN: usize = 80;

/// How many names an error brings up at most.
const SUGGESTED: usize = 3;

/// How many names are compared at most.
const COMPARED: usize = 1_000;

/// A name that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateName {
    kind: EntryKind,
    name: Arc<str>,
}

impl DuplicateName {
    pub(super) fn new(kind: EntryKind, name: Arc<str>) -> Self {
        Self { kind, name }
    }

    /// The kind of both.
    pub fn kind(&self) -> EntryKind {
        self.kind
    }

    /// The name of both.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for DuplicateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = (self.kind, shown(&self.name));
        write!(
            f,
            "there is already {} {kind} `{name}`; give one of them another name",
            article(kind)
        )
    }
}

impl std::error::Error for DuplicateName {}

/// A name that nothing has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    kind: EntryKind,
    name: String,
    nearest: Vec<Arc<str>>,
    others: Vec<EntryKind>,
}

impl UnknownName {
    pub(super) fn new<'a>(
        kind: EntryKind,
        name: &str,
        known: impl Iterator<Item = &'a Arc<str>>,
        others: Vec<EntryKind>,
    ) -> Self {
        Self {
            nearest: nearest(name, known).into_iter().cloned().collect(),
            others,
            ..Self::bare(kind, name)
        }
    }

    pub(super) fn bare(kind: EntryKind, name: &str) -> Self {
        Self {
            kind,
            name: name.chars().take(SHOWN).collect(),
            nearest: Vec::new(),
            others: Vec::new(),
        }
    }

    /// The kind that was looked for.
    pub fn kind(&self) -> EntryKind {
        self.kind
    }

    /// The name that was looked for; of a long one its first 80 characters.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of this kind that come near it, the nearest first; at most three.
    pub fn nearest(&self) -> &[Arc<str>] {
        &self.nearest
    }
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no {} `{}`", self.kind, shown(&self.name))?;
        if let Some(other) = self.others.first() {
            return write!(f, ", but {} {other} of this name", article(*other));
        }
        for (number, name) in self.nearest.iter().enumerate() {
            let before = if number == 0 { "; did you mean" } else { " or" };
            write!(f, "{before} `{}`", shown(name))?;
        }
        f.write_str(if self.nearest.is_empty() { "" } else { "?" })
    }
}

impl std::error::Error for UnknownName {}

fn article(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Agent => "an",
        EntryKind::Tool | EntryKind::Function => "a",
    }
}

/// A name as far as it is shown.
pub(crate) fn shown(name: &str) -> String {
    let cut: String = name.chars().take(SHOWN).collect();
    cut.escape_debug().to_string()
}

/// The names that somebody who wrote `name` may have meant, the nearest first; at most three of the first 1,000.
pub(crate) fn nearest<'a, N: AsRef<str> + Ord + ?Sized>(
    name: &str,
    known: impl Iterator<Item = &'a N>,
) -> Vec<&'a N> {
    let written = letters(name);
    // A third of the letters may differ, but not the only one.
    let most = (written.len() / 3).max(1).min(written.len() / 2);
    let mut near: Vec<_> = known
        .take(COMPARED)
        .map(|candidate| (distance(&written, &letters(candidate.as_ref())), candidate))
        .filter(|(distance, _)| *distance <= most)
        .collect();
    near.sort();
    near.truncate(SUGGESTED);
    near.into_iter().map(|(_, name)| name).collect()
}

/// A name's letters, without what is often mixed up: case, `-` and `_`.
fn letters(name: &str) -> Vec<char> {
    let letters = name.chars().take(SHOWN).flat_map(char::to_lowercase);
    letters.map(|c| if c == '-' { '_' } else { c }).collect()
}

/// How many letters must be put in, left out, replaced or swapped with the next to make one of the other.
pub(super) fn distance(one: &[char], other: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (line, a) in one.iter().enumerate() {
        let mut row = Vec::with_capacity(last.len());
        let mut left = line + 1;
        row.push(left);
        let above = last.iter().zip(last.iter().skip(1));
        for (column, (b, (above_left, above))) in other.iter().zip(above).enumerate() {
            let replaced = above_left + usize::from(a != b);
            left = replaced.min(left + 1).min(above + 1);
            let letter =
                |of: &[char], at: usize| at.checked_sub(1).and_then(|at| of.get(at).copied());
            if letter(one, line) == Some(*b)
                && letter(other, column) == Some(*a)
                && let Some(swapped) = column.checked_sub(1).and_then(|at| before_last.get(at))
            {
                left = left.min(swapped + 1);
            }
            row.push(left);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

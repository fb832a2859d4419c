//! Rows, drawn as a tree with columns beside it.

use std::fmt::Write;

use agent_sdk::{cost::Usd, operation::Outcome};

use super::{Amount, Row};
use crate::{
    terminal::{Paint, Style, safe_line},
    text::{count, dollars, length},
};

/// The deepest that lines are indented.
const INDENTS: usize = 8;
/// The room that names have at least; the self times go before they have less.
const NAME: usize = 28;
const NAME_AT_LEAST: usize = 16;
const GAP: usize = 2;
const SELF: usize = 1;

/// The characters that a tree is drawn with.
struct Signs {
    critical: &'static str,
    through: &'static str,
    branch: &'static str,
    last: &'static str,
    cut: &'static str,
}

const UNICODE: Signs = Signs {
    critical: "● ",
    through: "│  ",
    branch: "├─ ",
    last: "└─ ",
    cut: "…",
};

const ASCII: Signs = Signs {
    critical: "* ",
    through: "|  ",
    branch: "|- ",
    last: "`- ",
    cut: "...",
};

/// The columns of numbers, in order.
const HEADS: [&str; 5] = ["time", "self", "in", "out", "cost"];

pub(super) fn draw(rows: &[Row], style: Style, width: usize) -> String {
    let signs = if style.unicode { &UNICODE } else { &ASCII };
    let cells: Vec<_> = rows.iter().map(|row| cells(row, style)).collect();
    let mut widths: [usize; 5] = std::array::from_fn(|column| {
        let cells = cells.iter().filter_map(|cells| cells.get(column));
        let widest = cells.map(|cell| columns(cell)).max().unwrap_or(0);
        // A column that says nothing is not there.
        if widest == 0 {
            0
        } else {
            widest.max(HEADS.get(column).map_or(0, |head| head.len()))
        }
    });
    let outcome = rows
        .iter()
        .map(|row| said(row.outcome).len())
        .max()
        .unwrap_or(0);
    let names: Vec<_> = prefixes(rows, signs)
        .into_iter()
        .zip(rows)
        .map(|(prefix, row)| (prefix, safe_line(&row.name)))
        .collect();
    let title = if style.unicode {
        "operation (● critical path)"
    } else {
        "operation (* critical path)"
    };
    let wanted = names
        .iter()
        .map(|(prefix, name)| columns(prefix) + columns(name))
        .max()
        .unwrap_or(0);
    let wanted = wanted.max(columns(title));
    let room = |widths: &[usize; 5]| {
        let taken: usize = widths
            .iter()
            .filter(|width| **width > 0)
            .map(|width| width + GAP)
            .sum();
        let outcome = if outcome > 0 { outcome + GAP } else { 0 };
        width.saturating_sub(columns(signs.critical) + taken + outcome)
    };
    if room(&widths) < wanted.min(NAME)
        && let Some(own) = widths.get_mut(SELF)
    {
        *own = 0;
    }
    let name_width = wanted.min(room(&widths).max(NAME_AT_LEAST));

    let mut drawn = String::new();
    let heads = HEADS.map(str::to_owned);
    let head = format!(
        "  {}{}",
        fitted("", title, name_width, signs),
        numbers(&heads, &widths)
    );
    drawn.push_str(&style.paint(Paint::Dim, head.trim_end()));
    drawn.push('\n');
    for (((prefix, name), cells), row) in names.iter().zip(&cells).zip(rows) {
        let mark = if row.is_critical {
            signs.critical
        } else {
            "  "
        };
        let name = fitted(prefix, name, name_width, signs);
        let line = format!("{mark}{name}{}", numbers(cells, &widths));
        let said = said(row.outcome);
        let line = if said.is_empty() {
            line.trim_end()
        } else {
            &line
        };
        let paint = if row.is_critical {
            Some(Paint::Critical)
        } else {
            None
        };
        match paint {
            Some(paint) => drawn.push_str(&style.paint(paint, line)),
            None => drawn.push_str(line),
        }
        if !said.is_empty() {
            let paint = if row.outcome.is_failure() {
                Paint::Bad
            } else {
                Paint::Dim
            };
            // Writing to a `String` cannot fail.
            let _ = write!(drawn, "{:GAP$}{}", "", style.paint(paint, said));
        }
        drawn.push('\n');
    }
    drawn
}

/// How it ended, where that is worth saying.
fn said(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "",
        other => other.as_str(),
    }
}

fn cells(row: &Row, style: Style) -> [String; 5] {
    [
        length(row.time, style.unicode),
        row.self_time
            .map_or_else(String::new, |time| length(time, style.unicode)),
        cell(row.input, count),
        cell(row.output, count),
        cell(row.cost, |cost: Usd| dollars(cost)),
    ]
}

fn cell<T>(amount: Amount<T>, known: impl FnOnce(T) -> String) -> String {
    match amount {
        Amount::None => String::new(),
        Amount::Unknown => "?".to_owned(),
        Amount::Known(amount) => known(amount),
    }
}

/// The cells of a line, each right-aligned in its column.
fn numbers(cells: &[String; 5], widths: &[usize; 5]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths).filter(|(_, width)| **width > 0) {
        let _ = write!(line, "{:GAP$}{cell:>width$}", "");
    }
    line
}

/// A name behind its branches, padded or cut to a width.
fn fitted(prefix: &str, name: &str, width: usize, signs: &Signs) -> String {
    let room = width.saturating_sub(columns(prefix));
    let mut line = String::from(prefix);
    if columns(name) <= room {
        line.push_str(name);
    } else {
        line.extend(name.chars().take(room.saturating_sub(columns(signs.cut))));
        line.push_str(signs.cut);
    }
    let padding = width.saturating_sub(columns(&line));
    line.extend(std::iter::repeat_n(' ', padding));
    line
}

/// How wide a text is; close enough for names of models and tools.
fn columns(text: &str) -> usize {
    text.chars().count()
}

/// The branches before each name.
fn prefixes(rows: &[Row], signs: &Signs) -> Vec<String> {
    // From the end, so that it is known of each level whether more follows on it.
    let mut follows: Vec<bool> = Vec::new();
    let mut prefixes: Vec<String> = Vec::with_capacity(rows.len());
    for row in rows.iter().rev() {
        follows.resize(row.depth + 1, false);
        let mut prefix = String::new();
        for (level, more) in follows.iter().enumerate().skip(1).take(INDENTS) {
            let is_own = level == row.depth.min(INDENTS);
            prefix.push_str(match (is_own, more) {
                (true, true) => signs.branch,
                (true, false) => signs.last,
                (false, true) => signs.through,
                (false, false) => "   ",
            });
        }
        if let Some(more) = follows.last_mut() {
            *more = true;
        }
        prefixes.push(prefix);
    }
    prefixes.reverse();
    prefixes
}

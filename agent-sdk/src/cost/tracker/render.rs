//! A report as a table, and for a spreadsheet.
//!
//! What stands in cells are names and ids that others chose, so they may act neither on a terminal nor on a spreadsheet.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use super::{CostReport, CostRow, CostSums, Dimension, RowKind};
use crate::{
    cost::Usd,
    text::{is_control, is_invisible, strip_controls},
};

const GAP: &str = "  ";
/// The least room of a column of values that has to give some up.
const LEAST: usize = 8;
/// How many kinds of unpriced calls are shown under a table.
const UNPRICED_SHOWN: usize = 10;

impl CostReport {
    /// Draws it as a table, in at most so many characters a line where that can be: values that are too long are cut.
    ///
    /// All amounts have as many decimals as the finest needs. An amount that lacks unpriced calls ends in `+?`.
    pub fn table(&self, width: usize) -> String {
        let mut columns = self.columns();
        let taken: usize = columns
            .iter()
            .map(|column| column.width() + GAP.len())
            .sum();
        let mut over = taken.saturating_sub(GAP.len()).saturating_sub(width);
        while over > 0 {
            // The widest gives way first.
            let values = columns.iter_mut().filter(|column| column.may_be_cut);
            let Some(widest) = values.max_by_key(|column| column.width()) else {
                break;
            };
            let wide = widest.width();
            if wide <= LEAST {
                break;
            }
            let cut = wide.saturating_sub(over).max(LEAST).max(wide / 2);
            over = over.saturating_sub(wide - cut);
            widest.cut(cut);
        }
        let mut drawn = String::new();
        for line in 0..=self.rows.len() + 1 {
            let mut text = String::new();
            for column in &columns {
                let cell = column.cells.get(line).map_or("", String::as_str);
                let room = " ".repeat(column.width().saturating_sub(cell.chars().count()));
                let (before, after) = if column.is_value {
                    ("", &*room)
                } else {
                    (&*room, "")
                };
                for part in [before, cell, after, GAP] {
                    text.push_str(part);
                }
            }
            drawn.push_str(text.trim_end());
            drawn.push('\n');
        }
        for remark in self.remarks() {
            drawn.push_str(&remark);
            drawn.push('\n');
        }
        drawn
    }

    /// Writes it as RFC 4180 has it: a head, the rows, and a last row with the total. The first column says which is which.
    ///
    /// A value that a spreadsheet would take for a formula begins with an apostrophe.
    pub fn csv(&self) -> String {
        let heads = [
            "requests",
            "charges",
            "unpriced",
            "estimated",
            "input_tokens",
            "output_tokens",
            "cache_read_tokens",
            "cache_write_tokens",
            "reasoning_tokens",
            "cost_usd",
        ];
        let mut csv = String::new();
        let dimensions = self
            .dimensions
            .iter()
            .map(|it| cell_of_csv(&it.to_string()));
        let head = ["row".to_owned()].into_iter().chain(dimensions);
        line_of_csv(&mut csv, head.chain(heads.map(str::to_owned)));
        let mut line = |kind: &str, values: Vec<String>, sums: &CostSums| {
            let count = |count: Option<u64>| count.map(|it| it.to_string()).unwrap_or_default();
            let usage = &sums.usage;
            let numbers = [
                sums.requests.to_string(),
                sums.charges.to_string(),
                sums.unpriced.to_string(),
                sums.estimated.to_string(),
                count(usage.input_tokens),
                count(usage.output_tokens),
                count(usage.cache_read_tokens),
                count(usage.cache_write_tokens),
                count(usage.reasoning_tokens),
                sums.amount.to_string(),
            ];
            let cells = [kind.to_owned()].into_iter().chain(values);
            line_of_csv(&mut csv, cells.chain(numbers));
        };
        for row in &self.rows {
            let values = row.group.iter();
            let values = values.map(|(_, value)| cell_of_csv(value.as_deref().unwrap_or_default()));
            line(row.row.as_str(), values.collect(), &row.sums);
        }
        let none = vec![String::new(); self.dimensions.len()];
        line("total", none, &self.total);
        csv
    }

    fn columns(&self) -> Vec<Column> {
        let all = || self.rows.iter().map(|row| &row.sums).chain([&self.total]);
        let mut columns: Vec<Column> = Vec::new();
        for (place, dimension) in self.dimensions.iter().enumerate() {
            let head = plain(&dimension.to_string()).into_owned();
            let total = if place == 0 { "total" } else { "" };
            let values = self.rows.iter().map(|row| value(row, place));
            let cells = [head].into_iter().chain(values).chain([total.to_owned()]);
            columns.push(Column {
                may_be_cut: !dimension.is_time(),
                ..Column::new(true, cells)
            });
        }
        let mut number = |head: &str, of: &dyn Fn(&CostSums) -> String| {
            let cells = [head.to_owned()].into_iter().chain(all().map(of));
            columns.push(Column::new(false, cells));
        };
        number("requests", &|sums| grouped(sums.requests));
        if self.total.charges > 0 {
            number("charges", &|sums| grouped(sums.charges));
        }
        number("unpriced", &|sums| grouped(sums.unpriced));
        if self.total.estimated > 0 {
            number("estimated", &|sums| grouped(sums.estimated));
        }
        let tokens = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), grouped);
        number("input", &|sums| tokens(sums.usage.input_tokens));
        number("output", &|sums| tokens(sums.usage.output_tokens));
        let decimals = all().map(|sums| decimals(sums.amount)).max().unwrap_or(2);
        let (any_open, mark) = (self.total.unpriced > 0, "+?");
        number("USD", &|sums| {
            let amount = fixed(sums.amount, decimals.max(2));
            match sums.unpriced {
                0 if any_open => format!("{amount}{}", " ".repeat(mark.len())),
                0 => amount,
                _ if sums.amount == Usd::ZERO => "?".to_owned(),
                _ => format!("{amount}{mark}"),
            }
        });
        columns
    }

    /// What must be known beside the numbers.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.total.unpriced > 0 {
            remarks.push(format!(
                "{} unpriced: the cost is unknown and not in the total.",
                counted(self.total.unpriced, "call")
            ));
            let mut kinds: BTreeMap<(String, &str), u64> = BTreeMap::new();
            for call in &self.unpriced_calls {
                let name = |name: &Option<_>| name.as_deref().unwrap_or("?").to_owned();
                let model = format!("{}:{}", name(&call.provider), name(&call.model));
                let kind = (plain(&model).into_owned(), call.reason);
                *kinds.entry(kind).or_default() += 1;
            }
            let mut shown = 0;
            for ((model, reason), count) in kinds.iter().take(UNPRICED_SHOWN) {
                shown += count;
                remarks.push(format!("  {model}: {} ({reason})", grouped(*count)));
            }
            let more = self.total.unpriced.saturating_sub(shown);
            if more > 0 {
                remarks.push(format!("  and {} more", grouped(more)));
            }
        }
        if self.inclusive_agents && self.dimensions.contains(&Dimension::Agent) {
            remarks.push("A line counts in the row of each agent around it: rows add up to more than the total.".to_owned());
        }
        if self.folded > 0 {
            remarks.push(format!(
                "Of {} only sums are left; the amounts are exact.",
                counted(self.folded, "line")
            ));
        }
        if self.undecided != CostSums::default() {
            remarks.push(format!(
                "Not in the total: {} USD of {} that may belong here; only sums of them are left.",
                self.undecided.amount,
                counted(self.undecided.lines(), "line")
            ));
        }
        remarks
    }
}

impl fmt::Display for CostReport {
    /// The [`table`](Self::table), with no value cut.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table(usize::MAX))
    }
}

struct Column {
    is_value: bool,
    /// A time without its end would be another one.
    may_be_cut: bool,
    cells: Vec<String>,
}

impl Column {
    fn new(is_value: bool, cells: impl Iterator<Item = String>) -> Self {
        Self {
            is_value,
            may_be_cut: false,
            cells: cells.collect(),
        }
    }

    fn width(&self) -> usize {
        let widths = self.cells.iter().map(|cell| cell.chars().count());
        widths.max().unwrap_or(0)
    }

    fn cut(&mut self, width: usize) {
        for cell in &mut self.cells {
            if cell.chars().count() > width {
                let kept: String = cell.chars().take(width.saturating_sub(1)).collect();
                *cell = format!("{kept}…");
            }
        }
    }
}

/// A value of a row, as a table shows it.
fn value(row: &CostRow, place: usize) -> String {
    let value = row.group.get(place).and_then(|(_, value)| value.as_deref());
    match (value, row.row) {
        (Some(value), _) => plain(value).into_owned(),
        (None, RowKind::Group) => "(none)".to_owned(),
        (None, RowKind::Folded) => "(folded)".to_owned(),
        (None, RowKind::Other) => "(other)".to_owned(),
    }
}

/// Text in one line, of which nothing acts on whoever shows it and nothing is hidden.
fn plain(text: &str) -> Cow<'_, str> {
    let acts = |c: char| is_control(c) || is_invisible(c);
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let stripped = strip_controls(text);
    let line = stripped.chars().map(|c| match c {
        '\n' | '\t' => ' ',
        other => other,
    });
    Cow::Owned(line.filter(|c| !acts(*c)).collect())
}

/// Text that no spreadsheet takes for a formula.
fn cell_of_csv(text: &str) -> String {
    let plain = plain(text);
    let first = plain.trim_start().chars().next();
    // The wide forms count too, where a spreadsheet expects their script.
    if first.is_some_and(|c| "=+-@＝＋－＠".contains(c)) {
        format!("'{plain}")
    } else {
        plain.into_owned()
    }
}

fn line_of_csv(csv: &mut String, cells: impl Iterator<Item = String>) {
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            csv.push(',');
        }
        if cell.contains([',', '"', '\r', '\n']) || cell.trim() != cell {
            csv.push('"');
            csv.push_str(&cell.replace('"', "\"\""));
            csv.push('"');
        } else {
            csv.push_str(&cell);
        }
    }
    csv.push_str("\r\n");
}

/// How many decimals an amount needs.
fn decimals(amount: Usd) -> usize {
    let text = amount.to_string();
    text.split_once('.')
        .map_or(0, |(_, fraction)| fraction.len())
}

/// An amount with so many decimals, at least as many as it needs.
fn fixed(amount: Usd, decimals: usize) -> String {
    let text = amount.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    format!("{whole}.{fraction:0<decimals$}")
}

fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

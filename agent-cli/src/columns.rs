//! A table: a head, and rows under it. The last column takes what room is left.

use std::fmt::Write;

use crate::{
    live::cut,
    terminal::{Paint, Style},
};

const GAP: &str = "  ";
/// The least room of the last column.
const LAST: usize = 16;

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table of `N` columns. The cells must be safe already.
pub(crate) struct Columns<const N: usize> {
    heads: [(&'static str, Align); N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Columns<N> {
    pub(crate) fn new(heads: [(&'static str, Align); N]) -> Self {
        Self {
            heads,
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    /// Draws it in at most `width` columns, if the last column has enough room then; each line ends in a line feed.
    pub(crate) fn draw(
        &self,
        style: Style,
        width: usize,
        paint: impl Fn(usize) -> Option<Paint>,
    ) -> String {
        let mut widths = self.heads.map(|(head, _)| head.len());
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        if let Some((last, before)) = widths.split_last_mut() {
            let taken: usize = before.iter().map(|width| width + GAP.len()).sum();
            *last = (*last).min(width.saturating_sub(taken).max(LAST));
        }
        let mut drawn = String::new();
        let heads = self.heads.map(|(head, _)| head.to_owned());
        let head = self.line(&heads, &widths);
        drawn.push_str(&style.paint(Paint::Dim, head.trim_end()));
        drawn.push('\n');
        for (number, row) in self.rows.iter().enumerate() {
            let line = self.line(row, &widths);
            match paint(number) {
                Some(paint) => drawn.push_str(&style.paint(paint, line.trim_end())),
                None => drawn.push_str(line.trim_end()),
            }
            drawn.push('\n');
        }
        drawn
    }

    fn line(&self, cells: &[String; N], widths: &[usize; N]) -> String {
        let mut line = String::new();
        for ((cell, width), (_, align)) in cells.iter().zip(widths).zip(&self.heads) {
            if !line.is_empty() {
                line.push_str(GAP);
            }
            let cell = cut(cell, *width);
            // Writing to a `String` cannot fail.
            let _ = match align {
                Align::Left => write!(line, "{cell:<width$}"),
                Align::Right => write!(line, "{cell:>width$}"),
            };
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other_and_the_last_is_cut() {
        let mut table = Columns::new([
            ("run", Align::Left),
            ("calls", Align::Right),
            ("task", Align::Left),
        ]);
        table.row(["a".into(), "1".into(), "short".into()]);
        table.row(["longer".into(), "12".into(), "x".repeat(50)]);
        let drawn = table.draw(Style::PLAIN, 31, |_| None);
        let expected = "\
run     calls  task
a           1  short
longer     12  xxxxxxxxxxxxxxx…
";
        assert_eq!(drawn, expected);
    }
}

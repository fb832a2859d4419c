//! What `search_files` answered, as data.

use super::place::FOLDER;

/// What a search found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// The files with matches, each with the lines of them, in the order of the answer.
    pub(super) files: Vec<(String, Vec<u64>)>,
    /// There may be more.
    pub(super) is_cut: bool,
}

impl Findings {
    pub(super) fn parse(text: &str) -> Self {
        let mut findings = Self::default();
        for line in text.lines() {
            let Some((path, number)) = place(line) else {
                findings.is_cut |= line.starts_with("[stopped") || line.starts_with("[of ");
                continue;
            };
            if path.starts_with(FOLDER) {
                continue;
            }
            match findings.files.iter_mut().find(|(known, _)| known == path) {
                Some((_, lines)) => lines.push(number),
                None => findings.files.push((path.to_owned(), vec![number])),
            }
        }
        findings
    }

    /// How many lines match.
    pub(super) fn count(&self) -> usize {
        self.files.iter().map(|(_, lines)| lines.len()).sum()
    }

    /// `7 lines in 3 files`.
    pub(super) fn amount(&self) -> String {
        let count = |number: usize, noun| crate::text::counted(number as u64, noun);
        let least = if self.is_cut { "at least " } else { "" };
        format!(
            "{least}{} in {}",
            count(self.count(), "line"),
            count(self.files.len(), "file")
        )
    }

    /// The files with most matches: `src/lib.rs (4, first in line 12)`.
    pub(super) fn most(&self, files: usize) -> Vec<String> {
        let mut most: Vec<_> = self.files.iter().collect();
        most.sort_by_key(|(_, lines)| std::cmp::Reverse(lines.len()));
        let shown = most.iter().take(files);
        shown
            .map(|(path, lines)| match lines.as_slice() {
                [line] => format!("{path} (line {line})"),
                [first, ..] => format!("{path} ({}, first in line {first})", lines.len()),
                [] => path.clone(),
            })
            .collect()
    }
}

/// The path and the number of a line `path:12: text`. Paths may hold colons of their own.
fn place(line: &str) -> Option<(&str, u64)> {
    line.match_indices(':').find_map(|(colon, _)| {
        let (path, rest) = line.split_at_checked(colon)?;
        let (number, _) = rest.strip_prefix(':')?.split_once(": ")?;
        let number = number.parse().ok()?;
        (!path.is_empty()).then_some((path, number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_become_data() {
        let findings = Findings::parse(
            "[id]/a:b.ts:3: // TODO: 4: x\nsrc/lib.rs:1: TODO\nsrc/lib.rs:12: FIXME\n.agent-demo/review.md:4: TODO\n[stopped early: 200 matches; search a narrower path]\n",
        );
        assert_eq!(findings.count(), 3);
        assert_eq!(findings.amount(), "at least 3 lines in 2 files");
        let most = findings.most(2);
        assert_eq!(
            most,
            ["src/lib.rs (2, first in line 1)", "[id]/a:b.ts (line 3)"]
        );
        assert_eq!(
            Findings::parse("[no match in 3 files]\n"),
            Findings::default()
        );
    }
}

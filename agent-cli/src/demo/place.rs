//! Where the report is written: in a folder of the demonstration's own, in place of nothing that somebody else wrote.

use agent_sdk::workspace::{Workspace, WorkspaceErrorKind};

/// The folder of the demonstration in the folder that is reviewed; it is not reviewed itself.
pub(super) const FOLDER: &str = ".agent-demo/";

/// The first line of a report. A file without it is somebody else's.
pub(super) const MARK: &str = "<!-- Written by `agent demo`, which replaces this file. -->";

/// How many names are tried.
const NAMES: u32 = 100;

/// Where a report goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The file, from the folder that is reviewed.
    pub(super) path: String,
    /// Whether an earlier report is there.
    pub(super) is_ours: bool,
}

impl Place {
    /// The first place that is free or has a report of an earlier demonstration. Where there is none, or it cannot be looked at, the
    /// last that was: writing there then fails.
    pub(super) fn find(workspace: &Workspace) -> Self {
        let mut number = 1;
        loop {
            let path = match number {
                1 => format!("{FOLDER}review.md"),
                number => format!("{FOLDER}review-{number}.md"),
            };
            let is_ours = match workspace.read(&path) {
                Ok(bytes) => bytes.starts_with(MARK.as_bytes()),
                Err(error) if error.kind() == WorkspaceErrorKind::Limit => false,
                Err(_) => return Self::free(path),
            };
            if is_ours {
                return Self { path, is_ours };
            }
            if number == NAMES {
                return Self::free(path);
            }
            number += 1;
        }
    }

    fn free(path: String) -> Self {
        Self {
            path,
            is_ours: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_report_of_a_demonstration_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(folder.path()).unwrap();
        let place = |path: &str, is_ours| Place {
            path: path.to_owned(),
            is_ours,
        };
        assert_eq!(
            Place::find(&workspace),
            place(".agent-demo/review.md", false)
        );
        workspace
            .write(".agent-demo/review.md", MARK.as_bytes())
            .unwrap();
        assert_eq!(
            Place::find(&workspace),
            place(".agent-demo/review.md", true)
        );
        workspace
            .write(".agent-demo/review.md", b"my own words")
            .unwrap();
        workspace.write(".agent-demo/review-2.md", b"").unwrap();
        assert_eq!(
            Place::find(&workspace),
            place(".agent-demo/review-3.md", false)
        );
    }
}

//! All that lies in a folder, in one fixed order.

use std::{
    ffi::{OsStr, OsString},
    ops::ControlFlow,
};

use cap_fs_ext::DirExt;
use cap_std::fs::{Dir, FileType};

use super::name::{TEMPORARY, is_version_control};

/// Asks whether the work is still wanted.
pub(super) type Wanted<'a> = &'a dyn Fn() -> bool;

/// What is made by tools, large, and seldom worth reading; read only when named.
const GENERATED: [&str; 2] = ["target", "node_modules"];

/// The most names that are read of one folder: a folder can hold millions.
const FOLDER_NAMES: usize = 10_000;

/// Something in a folder.
pub(super) struct Entry<'a> {
    /// The folder that it is in.
    pub(super) folder: &'a Dir,
    /// Its name there.
    pub(super) name: &'a OsStr,
    /// Its path from the workspace.
    pub(super) path: &'a str,
    /// What it is; a link is a link.
    pub(super) kind: FileType,
    /// Whether what lies inside it will be visited too.
    pub(super) is_entered: bool,
}

/// Goes through folders.
pub(super) struct Walk<'a> {
    /// Asked at each entry.
    pub(super) wanted: Wanted<'a>,
    /// How many folders deep it goes, the first included.
    pub(super) depth: usize,
    /// Whether it goes into folders of generated files; never into those of version control.
    pub(super) generated: bool,
    /// Whether there were folders that are too large to be read whole.
    pub(super) is_cut: bool,
}

impl Walk<'_> {
    /// Visits what lies in a folder, ordered by name; what lies inside a folder comes right after it. Links are not followed.
    pub(super) fn visit(
        &mut self,
        folder: &Dir,
        path: &str,
        visit: &mut dyn FnMut(&Entry<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.level(folder, path, self.depth, visit)
    }

    fn level(
        &mut self,
        folder: &Dir,
        path: &str,
        depth: usize,
        visit: &mut dyn FnMut(&Entry<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        for (name, kind) in self.names(folder) {
            if !(self.wanted)() {
                return ControlFlow::Break(());
            }
            let shown = name.to_string_lossy();
            let path = if path.is_empty() {
                shown.into_owned()
            } else {
                format!("{path}/{shown}")
            };
            let inside = (kind.is_dir() && depth > 1 && self.is_entered(&name))
                .then(|| folder.open_dir_nofollow(&name).ok())
                .flatten();
            visit(&Entry {
                folder,
                name: &name,
                path: &path,
                kind,
                is_entered: inside.is_some(),
            })?;
            if let Some(inside) = inside {
                self.level(&inside, &path, depth - 1, visit)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn is_entered(&self, name: &OsStr) -> bool {
        let is_generated = || GENERATED.iter().any(|made| name.eq_ignore_ascii_case(made));
        !is_version_control(&name.to_string_lossy()) && (self.generated || !is_generated())
    }

    /// The names in a folder, sorted. One that cannot be read has none: it may have gone.
    pub(super) fn names(&mut self, folder: &Dir) -> Vec<(OsString, FileType)> {
        let Ok(entries) = folder.entries() else {
            return Vec::new();
        };
        let mut names = Vec::new();
        for entry in entries {
            if names.len() == FOLDER_NAMES || !(self.wanted)() {
                self.is_cut = true;
                break;
            }
            if let Ok(entry) = entry
                && let Ok(kind) = entry.file_type()
                && let name = entry.file_name()
                && !name.to_string_lossy().starts_with(TEMPORARY)
            {
                names.push((name, kind));
            }
        }
        names.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        names
    }
}

/// Takes `.` and `/` off a path, so that the paths under it read well.
pub(super) fn tidy(path: &str) -> String {
    let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
    names.collect::<Vec<_>>().join("/")
}

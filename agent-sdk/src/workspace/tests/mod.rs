//! Workspaces in real folders.

mod escape;
mod outputs;
mod race;
mod tools;
mod workspaces;
mod write;

use std::{fs, path::Path};

use super::{
    Workspace, WorkspaceError,
    tools::{
        list::{self, ListArguments},
        read::{self, ReadArguments},
        search::{self, SearchArguments},
        write::{self as writing, AppendArguments, WriteArguments, WriteMode, Written},
    },
};

/// What lies outside of every workspace here.
const SECRET: &str = "the secret of the outside";

/// A workspace `ws` with a secret beside it.
struct Sandbox {
    folder: tempfile::TempDir,
    workspace: Workspace,
}

impl Sandbox {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("ws");
        fs::create_dir(&root).unwrap();
        fs::write(folder.path().join("secret.txt"), SECRET).unwrap();
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let workspace = Workspace::open(&root).unwrap().with_sync(false);
        Self { folder, workspace }
    }

    /// A path below the workspace, by the system's own means.
    fn inside(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join("ws").join(path)
    }

    fn write(&self, path: &str, content: &str) -> Result<Written, WorkspaceError> {
        self.write_with(path, content, WriteMode::Overwrite)
    }

    fn write_with(
        &self,
        path: &str,
        content: &str,
        mode: WriteMode,
    ) -> Result<Written, WorkspaceError> {
        let arguments = WriteArguments {
            path: path.to_owned(),
            content: content.to_owned(),
            mode,
        };
        writing::write(&self.workspace, &arguments)
    }

    fn append(&self, path: &str, content: &str) -> Result<Written, WorkspaceError> {
        let arguments = AppendArguments {
            path: path.to_owned(),
            content: content.to_owned(),
        };
        writing::append(&self.workspace, &arguments)
    }

    fn outside(&self) -> &Path {
        self.folder.path()
    }

    fn list(&self, path: &str) -> Result<String, WorkspaceError> {
        let arguments = ListArguments {
            path: Some(path.to_owned()),
            ..ListArguments::default()
        };
        list::list(self.workspace.jail(), &arguments, &|| true)
    }

    fn read(&self, path: &str) -> Result<String, WorkspaceError> {
        self.read_lines(path, None, None)
    }

    fn read_lines(
        &self,
        path: &str,
        first_line: Option<u64>,
        max_lines: Option<u64>,
    ) -> Result<String, WorkspaceError> {
        let arguments = ReadArguments {
            path: path.to_owned(),
            first_line,
            max_lines,
        };
        read::read(self.workspace.jail(), &arguments, &|| true)
    }

    fn search(&self, pattern: &str, path: &str) -> Result<String, WorkspaceError> {
        self.search_with(&SearchArguments {
            pattern: pattern.to_owned(),
            path: Some(path.to_owned()),
            ..SearchArguments::default()
        })
    }

    fn search_with(&self, arguments: &SearchArguments) -> Result<String, WorkspaceError> {
        search::search(self.workspace.jail(), arguments, &|| true)
    }
}

mod basics;
mod damage;
mod full;
mod growth;
mod kill;
mod leases;
mod ledger;
mod private;
mod schema;

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use tempfile::TempDir;

use super::*;
use crate::store::NewEntry;

/// A folder, and the store's file in it.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join("store.db");
    (folder, path)
}

fn session(name: &str) -> LogId {
    LogId::new(LogKind::Session, name).unwrap()
}

fn entry(text: impl Into<String>) -> NewEntry {
    NewEntry::new("", text.into())
}

fn append(log: &LogId, text: impl Into<String>) -> Append {
    Append::new(log.clone(), vec![entry(text)])
}

fn texts(entries: &[Entry]) -> Vec<String> {
    let text = |entry: &Entry| String::from_utf8(entry.body.to_vec()).unwrap();
    entries.iter().map(text).collect()
}

/// A connection past the store.
fn raw(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap()
}

const ROLE: &str = "AGENT_SDK_STORE_TEST_ROLE";
const PLACE: &str = "AGENT_SDK_STORE_TEST_PLACE";

/// This test binary once more, as another process that does one of the roles in `child`.
fn other_process(role: &str, path: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    set_up(&mut command, role, path);
    command
}

/// The same, begun by a shell that first sets something for it.
#[cfg(unix)]
fn other_process_after(shell: &str, role: &str, path: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("{shell}; exec \"$@\""))
        .arg("sh")
        .arg(env::current_exe().unwrap());
    set_up(&mut command, role, path);
    command
}

fn set_up(command: &mut Command, role: &str, path: &Path) {
    command
        .args([
            "--exact",
            "store::sqlite::tests::child",
            "--ignored",
            "--nocapture",
        ])
        .env(ROLE, role)
        .env(PLACE, path);
}

#[test]
#[ignore = "is what the other tests start as a process of its own"]
fn child() {
    let Ok(role) = env::var(ROLE) else { return };
    let path = PathBuf::from(env::var_os(PLACE).unwrap());
    let (role, number) = role.split_once(' ').unwrap_or((&role, "0"));
    let number: usize = number.parse().unwrap();
    match role {
        "append" => kill::append_for_ever(&path),
        "compete" => leases::compete(&path, number),
        "hold" => leases::hold(&path),
        "spend" => ledger::spend_and_abort(&path),
        "migrate" => schema::migrate_and_abort(&path, number),
        #[cfg(unix)]
        "fill" => full::fill(&path),
        #[cfg(unix)]
        "refused" => full::is_refused(&path),
        #[cfg(unix)]
        "make" => drop(SqliteStore::open(path).unwrap()),
        #[cfg(unix)]
        "private" => private::makes_private_files(&path),
        _ => panic!("no role {role}"),
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}

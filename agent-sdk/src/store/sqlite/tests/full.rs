//! No room, no permission.
#![cfg(unix)]

use std::os::unix::{
    fs::{MetadataExt as _, PermissionsExt as _, chown},
    process::CommandExt as _,
};

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

use super::*;

/// A user that owns nothing.
const NOBODY: u32 = 65_534;

#[tokio::test]
async fn s3_a_full_disk_is_said_with_the_path_and_the_free_bytes_and_the_store_goes_on() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    let log = session("full");
    store.create(NewLog::new(log.clone())).await.unwrap();
    let pages = |most: u32| {
        store.write(None, Promise::Process, move |logs| {
            let set = logs.conn.pragma_update(None, "max_page_count", most);
            set.map_err(Fault::from)
        })
    };
    pages(20).await.unwrap();
    let mut kept = 0;
    let error = loop {
        match store.append(append(&log, "x".repeat(3_000))).await {
            Ok(version) => kept = version,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), StoreErrorKind::Full);
    let text = error.to_string();
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    assert!(text.contains("bytes are free"), "{text}");
    assert!(kept > 0);
    let read = store.read(&log, 0, usize::MAX).await.unwrap();
    assert_eq!(read.len() as u64, kept);

    // One that is too big fails by itself.
    let calls = (0..30).map(|n| {
        let bytes = if n == 10 { 1_000_000 } else { 1 };
        store.append(append(&log, "y".repeat(bytes)))
    });
    let results = futures_util::future::join_all(calls).await;
    for (n, result) in results.into_iter().enumerate() {
        let kind = result.err().map(|error| error.kind());
        assert_eq!(kind, (n == 10).then_some(StoreErrorKind::Full), "{n}");
    }
    pages(10_000).await.unwrap();
    let version = store.append(append(&log, "z".repeat(50_000))).await;
    assert_eq!(version.unwrap(), kept + 30);
}

#[test]
fn s3_what_a_limit_on_files_cuts_off_is_not_acknowledged() {
    let (_folder, path) = place();
    let done = other_process_after("trap '' XFSZ", "fill", &path).status();
    assert!(done.unwrap().success());
}

pub(super) fn fill(path: &Path) {
    let log = session("limited");
    let limit = |bytes| {
        let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
        setrlimit(Resource::RLIMIT_FSIZE, bytes, hard).unwrap();
    };
    block_on(async {
        let store = SqliteStore::open(path).unwrap();
        store.create(NewLog::new(log.clone())).await.unwrap();
        limit(1_000_000);
        let mut acknowledged = Vec::new();
        let mut refused = 0;
        for round in 0..40 {
            let calls = (0..5).map(|n| {
                let text = format!("{round} {n} {}", "x".repeat(2_000));
                let call = store.append(append(&log, text.clone()));
                async move { (text, call.await) }
            });
            for (text, result) in futures_util::future::join_all(calls).await {
                match result {
                    Ok(_) => acknowledged.push(text),
                    Err(error) => {
                        refused += 1;
                        let wanted = [StoreErrorKind::Io, StoreErrorKind::Full];
                        assert!(wanted.contains(&error.kind()), "{error}");
                        assert!(error.to_string().contains("store.db"), "{error}");
                        assert!(error.to_string().contains("bytes are free"), "{error}");
                    }
                }
            }
        }
        assert!(refused > 0 && !acknowledged.is_empty());
        let read = store.read(&log, 0, usize::MAX).await.unwrap();
        assert_eq!(texts(&read), acknowledged);
        limit(RLIM_INFINITY);
        store.append(append(&log, "more")).await.unwrap();
        acknowledged.push("more".into());
        drop(store);
        let store = SqliteStore::open(path).unwrap();
        let read = store.read(&log, 0, usize::MAX).await.unwrap();
        assert_eq!(texts(&read), acknowledged);
    });
}

/// Whether no permission stops who runs this.
fn is_root() -> bool {
    let (folder, _) = place();
    folder.path().metadata().unwrap().uid() == 0
}

/// Somebody without rights, where the tests run as somebody whom none stop.
fn someone(role: &str, path: &Path) -> Command {
    let mut command = other_process(role, path);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

#[test]
fn s3_a_file_or_a_folder_without_permission_is_refused_in_words() {
    let (folder, path) = place();
    drop(SqliteStore::open(&path).unwrap());
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    if is_root() {
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let refused = |path: &Path| {
        let done = someone("refused", path).output().unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stdout)
        );
    };
    // Its own, and read-only.
    mode(&path, 0o400);
    refused(&path);
    mode(&path, 0o600);
    // No new file, and none of those beside it.
    mode(folder.path(), 0o500);
    refused(&folder.path().join("new.db"));
    refused(&path);
    // Nothing can be seen.
    mode(folder.path(), 0o000);
    refused(&path);
    mode(folder.path(), 0o700);
    assert!(someone("make", &path).status().unwrap().success());
}

pub(super) fn is_refused(path: &Path) {
    let error = SqliteStore::open(path).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Permission, "{error}");
    let folder = path.parent().unwrap().to_str().unwrap();
    assert!(error.to_string().contains(folder), "{error}");
}

//! Who may read it, and what it does not follow.
#![cfg(unix)]

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn s9_nobody_else_can_read_the_store_whatever_the_mask_is() {
    let (folder, _) = place();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("a/b/store.db");
    let made = other_process_after("umask 0", "private", &path).status();
    assert!(made.unwrap().success());
    assert_eq!(mode(&folder.path().join("a")), 0o700);
    assert_eq!(mode(&folder.path().join("a/b")), 0o700);
    assert_eq!(mode(&path), 0o600);
    // What is not the store's own stays as it is.
    assert_eq!(mode(folder.path()), 0o755);
}

pub(super) fn makes_private_files(path: &Path) {
    block_on(async {
        let store = SqliteStore::open(path).unwrap();
        let log = session("private");
        store.create(NewLog::new(log.clone())).await.unwrap();
        store
            .lease(&log, "me", Duration::from_mins(1))
            .await
            .unwrap();
        for end in ["", "-wal", "-shm", "-leases/1-1"] {
            assert_eq!(mode(&open::beside(path, end)), 0o600, "{end}");
        }
        assert_eq!(mode(&open::beside(path, "-leases")), 0o700);
    });
}

#[test]
fn s9_what_others_could_read_is_taken_from_them() {
    let (_folder, path) = place();
    drop(SqliteStore::open(&path).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
    let wal = open::beside(&path, "-wal");
    fs::write(&wal, "").unwrap();
    fs::set_permissions(&wal, fs::Permissions::from_mode(0o644)).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!((mode(&path), mode(&wal)), (0o600, 0o600));
    drop(store);
}

#[test]
fn s9_a_link_is_not_followed() {
    let (folder, path) = place();
    let real = folder.path().join("real.db");
    drop(SqliteStore::open(&real).unwrap());
    let refused = || {
        let error = SqliteStore::open(&path).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Permission);
        assert!(error.to_string().contains("symbolic link"), "{error}");
        assert!(error.to_string().contains("store.db"), "{error}");
    };
    symlink(&real, &path).unwrap();
    refused();
    fs::remove_file(&path).unwrap();
    // One that leads nowhere makes no file there.
    symlink(folder.path().join("nowhere"), &path).unwrap();
    refused();
    assert!(!folder.path().join("nowhere").exists());
    fs::remove_file(&path).unwrap();
    // Nor are those beside it.
    symlink(&real, open::beside(&path, "-wal")).unwrap();
    refused();
    fs::remove_file(open::beside(&path, "-wal")).unwrap();
    // The folder may be one: a home often is.
    symlink(folder.path(), folder.path().join("link")).unwrap();
    drop(SqliteStore::open(folder.path().join("link/store.db")).unwrap());
    // The folder of the leases may not.
    fs::create_dir(folder.path().join("elsewhere")).unwrap();
    symlink(
        folder.path().join("elsewhere"),
        open::beside(&path, "-leases"),
    )
    .unwrap();
    block_on(async {
        let store = SqliteStore::open(&path).unwrap();
        let log = session("linked");
        store.create(NewLog::new(log.clone())).await.unwrap();
        let lease = store.lease(&log, "me", Duration::from_mins(1)).await;
        assert!(lease.unwrap_err().to_string().contains("-leases"));
        // And it was not given.
        let head = store.head(&log).await.unwrap().unwrap();
        assert_eq!(head.holder, None);
    });
}

#[tokio::test]
async fn s9_texts_that_look_like_statements_are_texts() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    let evil = "'; DROP TABLE logs; --\"\u{202e}%_\n";
    let log = session("a.b:c-d_e");
    let new = NewLog::new(log.clone())
        .owner(Some(evil.into()))
        .status(evil)
        .about(serde_json::json!({ evil: evil }))
        .entry(NewEntry::new(evil, evil));
    let head = store.create(new).await.unwrap();
    assert_eq!(store.head(&log).await.unwrap(), Some(head));
    let query = Query::of(LogKind::Session).owner(evil).status(evil);
    assert_eq!(store.list(query).await.unwrap().len(), 1);
    let others = Query::of(LogKind::Session).owner("%");
    assert_eq!(store.list(others).await.unwrap(), []);
    let entries = store.read(&log, 0, 9).await.unwrap();
    assert_eq!((&*entries[0].path, &*texts(&entries)[0]), (evil, evil));
    let lease = store.lease(&log, evil, Duration::from_mins(1)).await;
    let error = store.lease(&log, "me", Duration::ZERO).await.unwrap_err();
    assert_eq!(error.holder().unwrap().name, evil);
    store.release(&lease.unwrap()).await.unwrap();
}

#[test]
fn s9_names_that_are_no_file_are_refused() {
    let (folder, path) = place();
    for bad in ["", "/", "..", "."] {
        assert!(SqliteStore::open(bad).is_err(), "{bad}");
    }
    assert!(SqliteStore::open(folder.path()).is_err());
    fs::write(&path, "a text").unwrap();
    assert!(SqliteStore::open(path.join("x")).is_err());
    // What looks like an address with options is a name.
    let odd = folder.path().join("file:x?mode=memory");
    drop(SqliteStore::open(&odd).unwrap());
    assert_eq!(mode(&odd), 0o600);
}

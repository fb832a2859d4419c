//! The file: where it is, who may read it, and the connections to it.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{
    Settings,
    errors::{explain, io as file_error},
    row, schema,
};
use crate::store::{StoreError, StoreErrorKind};

/// Statements that a connection keeps prepared: more than there are.
const STATEMENTS: usize = 64;

/// What SQLite puts beside the file; it gives them the file's mode when it makes them.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Makes the folder and the file where they are not there, lets nobody else read them, and answers with the file's full name.
pub(super) fn prepare(path: &Path) -> Result<PathBuf, StoreError> {
    let Some(name) = path.file_name() else {
        return Err(StoreError::new(
            StoreErrorKind::Io,
            format!("`{}` does not name a file for the store", path.display()),
        ));
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.exists() {
        make_folder(folder).map_err(|error| file_error(folder, "made", error))?;
    }
    let folder = folder
        .canonicalize()
        .map_err(|error| file_error(folder, "opened", error))?;
    let db = folder.join(name);
    if !keep_private(&db, false)? {
        create(&folder, &db).map_err(|error| file_error(&db, "made", error))?;
    }
    for end in BESIDE {
        keep_private(&beside(&db, end), true)?;
    }
    Ok(db)
}

/// The path with something after its name.
pub(super) fn beside(db: &Path, end: &str) -> PathBuf {
    let mut name = db.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// The connection that writes, with the schema of this library.
pub(super) fn writer(db: &Path, settings: &Settings) -> Result<Connection, StoreError> {
    let mut conn = connect(db, OpenFlags::SQLITE_OPEN_READ_WRITE, settings.busy)?;
    let failed = |error| explain(db, &error);
    let is_new = schema::check(&conn, db)? == 0;
    set_up(&conn, settings, is_new).map_err(failed)?;
    schema::migrate(&mut conn, db, &mut |_| Ok(())).map_err(|fault| fault.explain(db, None))?;
    Ok(conn)
}

/// A connection that reads.
pub(super) fn reader(db: &Path, busy: Duration) -> Result<Connection, StoreError> {
    connect(db, OpenFlags::SQLITE_OPEN_READ_ONLY, busy)
}

fn connect(db: &Path, access: OpenFlags, busy: Duration) -> Result<Connection, StoreError> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let open = || {
        let conn = Connection::open_with_flags(db, flags)?;
        // Said before anything is read: that would leave read-only files beside it.
        if access == OpenFlags::SQLITE_OPEN_READ_WRITE && conn.is_readonly("main")? {
            let denied = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY);
            return Err(rusqlite::Error::SqliteFailure(denied, None));
        }
        conn.busy_timeout(busy)?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS);
        conn.execute_batch(
            "PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -8192;",
        )?;
        Ok(conn)
    };
    open().map_err(|error| explain(db, &error))
}

/// Sets what holds for this connection, and in a new file what holds for the file.
pub(super) fn set_up(conn: &Connection, settings: &Settings, is_new: bool) -> rusqlite::Result<()> {
    if is_new {
        conn.pragma_update(None, "page_size", schema::PAGE_BYTES)?;
        conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    // Where a plain fsync does not reach the disk.
    conn.pragma_update(None, "fullfsync", true)?;
    conn.pragma_update(None, "secure_delete", "FAST")?;
    // The writer decides when: after it answered.
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    conn.pragma_update(
        None,
        "journal_size_limit",
        row::int(2 * settings.checkpoint_bytes),
    )?;
    let until = Instant::now() + settings.busy;
    loop {
        // This one does not wait by itself for another process that is doing the same.
        match conn
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))
        {
            Err(error) if is_busy(&error) && Instant::now() < until => {
                thread::sleep(Duration::from_millis(5));
            }
            done => return done.map(drop),
        }
    }
}

pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Makes an empty file under another name and then gives it its own: it must not be opened under that, because closing it would
/// take away the locks that another handle of this process has on it.
fn create(folder: &Path, db: &Path) -> io::Result<()> {
    let new = folder.join(format!(".{}.new", uuid::Uuid::now_v7()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    drop(options.open(&new)?);
    let linked = match fs::hard_link(&new, db) {
        // Somebody else was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // There are file systems without links.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => options.open(db).map(drop),
        done => done,
    };
    fs::remove_file(&new)?;
    #[cfg(unix)]
    fs::File::open(folder)?.sync_all()?;
    linked
}

/// Takes every right on a file from others, and gives its user all of them where that is `mine` to do. Answers whether there is one.
fn keep_private(path: &Path, mine: bool) -> Result<bool, StoreError> {
    let refuse = |what| {
        let message = format!("{} {what}", path.display());
        Err(StoreError::new(StoreErrorKind::Permission, message))
    };
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        found => found.map_err(|error| file_error(path, "opened", error))?,
    };
    if metadata.is_symlink() {
        return refuse("is a symbolic link, and the store follows none: name the file itself");
    }
    if !metadata.is_file() {
        return refuse("is no file: name one for the store");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mut permissions = metadata.permissions();
        let mode = permissions.mode() & 0o777;
        let wanted = if mine { 0o600 } else { mode & 0o700 };
        if mode != wanted {
            permissions.set_mode(wanted);
            fs::set_permissions(path, permissions)
                .map_err(|error| file_error(path, "kept from other users", error))?;
        }
    }
    Ok(true)
}

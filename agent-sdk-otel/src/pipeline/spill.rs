//! Batches in files.
//!
//! Each pipeline has a directory of its own beside a lock file that it holds for as long as it
//! lives: `traces-<id>/` and `traces-<id>.lock`. At its start a pipeline takes over the directories
//! of its signal whose lock nobody holds, which are those of processes that ended.
//!
//! A file is `<number>-<items>.otlp`: its name says in which order it was written and how many
//! items it has, also where its content is damaged. It is written under another name and renamed
//! when it is whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::policy::SpillSettings;

const MAGIC: &[u8; 8] = b"agtotlp1";

/// Magic, a flag, the length of the body and its checksum.
const HEADER: usize = 8 + 1 + 8 + 4;

const SUFFIX: &str = "otlp";

/// A batch on disk.
#[derive(Debug)]
pub(super) struct Spilled {
    path: PathBuf,
    pub(super) items: u64,
    pub(super) bytes: u64,
    /// Whether this process wrote it.
    pub(super) own: bool,
}

/// A request as it lies in a file.
pub(super) struct Content {
    pub(super) body: Bytes,
    /// Whether it may already have arrived.
    pub(super) uncertain: bool,
}

/// What a request takes on disk.
pub(super) fn file_size(body: &[u8]) -> u64 {
    (HEADER + body.len()) as u64
}

/// The files of one pipeline.
#[derive(Debug)]
pub(super) struct Store {
    own: Place,
    /// What earlier processes left: held until it is sent, and then removed.
    _adopted: Vec<Place>,
    written: AtomicU64,
    pub(super) max_bytes: u64,
}

/// A directory and the lock that says whose it is.
#[derive(Debug)]
struct Place {
    directory: PathBuf,
    lock: PathBuf,
    _held: File,
}

impl Drop for Place {
    fn drop(&mut self) {
        // Only an empty directory can be removed this way; what is not sent stays for the next.
        if fs::remove_dir(&self.directory).is_ok() || !self.directory.exists() {
            let _ = fs::remove_file(&self.lock);
        }
    }
}

impl Store {
    /// Makes a directory for this process, and takes over what earlier ones left.
    pub(super) fn open(settings: &SpillSettings, signal: &str) -> io::Result<(Self, Vec<Spilled>)> {
        let base = settings.directory();
        private_directory(base)?;
        let (mut adopted, mut found) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(base)? {
            let lock = entry?.path();
            let name = lock.file_name().and_then(|name| name.to_str());
            let ours = name.is_some_and(|name| {
                name.starts_with(signal) && name.strip_suffix(".lock").is_some()
            });
            let Some(held) = ours.then(|| take_lock(&lock)).flatten() else {
                continue;
            };
            let place = Place {
                directory: lock.with_extension(""),
                lock,
                _held: held,
            };
            found.extend(files(&place.directory));
            adopted.push(place);
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        let own = new_place(base, signal)?;
        let store = Self {
            own,
            _adopted: adopted,
            written: AtomicU64::new(0),
            max_bytes: settings.limit(),
        };
        Ok((store, found))
    }

    /// Writes a request to a file of its own.
    pub(super) fn write(&self, body: &[u8], items: u64, uncertain: bool) -> io::Result<Spilled> {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let name = format!("{number:012}-{items}");
        let partial = self.own.directory.join(format!("{name}.partial"));
        let path = self.own.directory.join(format!("{name}.{SUFFIX}"));
        let written = write_whole(&partial, body, uncertain);
        if let Err(error) = written.and_then(|()| fs::rename(&partial, &path)) {
            let _ = fs::remove_file(&partial);
            return Err(error);
        }
        Ok(Spilled {
            path,
            items,
            bytes: file_size(body),
            own: true,
        })
    }
}

impl Spilled {
    /// Reads the request back; `None` where the file is damaged or cannot be read.
    pub(super) fn read(&self) -> Option<Content> {
        let mut file = File::open(&self.path).ok()?;
        let mut header = [0; HEADER];
        file.read_exact(&mut header).ok()?;
        let (magic, rest) = header.split_first_chunk::<8>()?;
        let (flag, rest) = rest.split_first()?;
        let (len, rest) = rest.split_first_chunk::<8>()?;
        let sum = rest.first_chunk::<4>()?;
        let len = u64::from_le_bytes(*len);
        if magic != MAGIC || len != self.bytes.checked_sub(HEADER as u64)? {
            return None;
        }
        let mut body = Vec::new();
        file.take(len).read_to_end(&mut body).ok()?;
        let whole = body.len() as u64 == len && crc32fast::hash(&body) == u32::from_le_bytes(*sum);
        whole.then(|| Content {
            body: body.into(),
            uncertain: *flag != 0,
        })
    }

    /// Removes the file, whose items are settled.
    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

fn write_whole(path: &Path, body: &[u8], uncertain: bool) -> io::Result<()> {
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(MAGIC);
    header.push(u8::from(uncertain));
    header.extend_from_slice(&(body.len() as u64).to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    let mut file = private_file(path)?;
    file.write_all(&header)?;
    file.write_all(body)
}

/// The whole files of a directory. What was never finished is removed: nobody counted it.
fn files(directory: &Path) -> Vec<Spilled> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|end| end == "partial") {
            let _ = fs::remove_file(&path);
            continue;
        }
        let whole = path.extension().is_some_and(|end| end == SUFFIX);
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let items = stem.and_then(|stem| stem.split_once('-')?.1.parse::<u32>().ok());
        if let (true, Some(items)) = (whole, items) {
            let bytes = fs::metadata(&path).map_or(0, |data| data.len());
            found.push(Spilled {
                path,
                items: items.into(),
                bytes,
                own: false,
            });
        }
    }
    found
}

/// The lock of a process that is gone; `None` while it is there.
fn take_lock(path: &Path) -> Option<File> {
    let file = OpenOptions::new().write(true).open(path).ok()?;
    file.try_lock().ok()?;
    Some(file)
}

/// A new directory, whose lock is held before it exists, so that nobody takes it over.
fn new_place(base: &Path, signal: &str) -> io::Result<Place> {
    loop {
        let id = fastrand::u64(..);
        let directory = base.join(format!("{signal}-{id:016x}"));
        let lock = directory.with_extension("lock");
        let held = match private_file(&lock) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            made => made?,
        };
        if held.try_lock().is_err() {
            // Another process took it for one that was left behind, and removes it.
            continue;
        }
        private_directory(&directory)?;
        return Ok(Place {
            directory,
            lock,
            _held: held,
        });
    }
}

fn private_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

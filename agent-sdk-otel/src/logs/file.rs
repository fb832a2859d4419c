//! A log file that gives way to a new one by size and by day.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use agent_sdk::operation::Clock;

use super::writer::WriteLine;

/// When a file gives way, and how many old ones stay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rotation {
    pub(super) max_bytes: u64,
    pub(super) daily: bool,
    pub(super) keep: u32,
}

/// A file for one process. `NAME` is written; `NAME.1` is the one before, and so on to `NAME.N`.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    rotation: Rotation,
    clock: Arc<dyn Clock>,
    /// `None` after something failed: it is opened again for the next line.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    len: u64,
    /// Days since 1970, in UTC.
    day: u64,
    /// At what length it gives way; later than it should where that failed.
    full_at: u64,
    /// Whether it is a file that can give way: `/dev/null` cannot.
    is_regular: bool,
}

impl RotatingFile {
    /// Opens the file, and goes on with what is there.
    pub(super) fn open(
        path: PathBuf,
        rotation: Rotation,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let open = Open::at(&path, rotation, &*clock)?;
        Ok(Self {
            path,
            rotation,
            clock,
            open: Some(open),
        })
    }

    /// Makes room for a new file.
    fn give_way(&self) -> io::Result<()> {
        let Rotation { keep, .. } = self.rotation;
        if keep == 0 {
            return fs::remove_file(&self.path);
        }
        for number in (1..keep).rev() {
            match fs::rename(
                numbered(&self.path, number),
                numbered(&self.path, number + 1),
            ) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, numbered(&self.path, 1))
    }
}

impl WriteLine for RotatingFile {
    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open::at(&self.path, self.rotation, &*self.clock)?,
        };
        let today = day(self.clock.now());
        let is_over = open.len + line.len() as u64 > open.full_at
            || (self.rotation.daily && today != open.day);
        if is_over && open.is_regular && open.len > 0 {
            let gave_way = self.give_way();
            open = Open::at(&self.path, self.rotation, &*self.clock)?;
            open.day = today;
            if gave_way.is_err() {
                // A file that is too long is better than no line; it is tried again later.
                open.full_at = open.len.saturating_add(self.rotation.max_bytes);
            }
        }
        if let Err(error) = open.file.write_all(line) {
            // Half a line would spoil the next one too.
            let _ = open.file.set_len(open.len);
            return Err(error);
        }
        open.len += line.len() as u64;
        self.open = Some(open);
        Ok(())
    }
}

impl Open {
    fn at(path: &Path, rotation: Rotation, clock: &dyn Clock) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        let metadata = file.metadata()?;
        #[cfg(unix)]
        if metadata.is_file() {
            // One that was there already may be open to others.
            use std::os::unix::fs::PermissionsExt;
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
        }
        let len = metadata.len();
        let written = metadata.modified().ok().filter(|_| len > 0);
        Ok(Self {
            file,
            len,
            day: day(written.unwrap_or_else(|| clock.now())),
            full_at: rotation.max_bytes,
            is_regular: metadata.is_file(),
        })
    }
}

fn day(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() / 86_400)
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use agent_sdk::operation::FixedClock;

    use super::*;

    #[derive(Debug)]
    struct Days(AtomicU64);

    impl Clock for Days {
        fn now(&self) -> SystemTime {
            let days = Duration::from_hours(24 * self.0.load(Ordering::Relaxed));
            SystemTime::UNIX_EPOCH + days
        }
    }

    fn open(path: &Path, max_bytes: u64, keep: u32, clock: Arc<dyn Clock>) -> RotatingFile {
        let rotation = Rotation {
            max_bytes,
            daily: true,
            keep,
        };
        RotatingFile::open(path.to_owned(), rotation, clock).unwrap()
    }

    fn names(dir: &Path) -> Vec<(String, String)> {
        let all = fs::read_dir(dir).unwrap().map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        });
        let mut all: Vec<_> = all.collect();
        all.sort();
        all
    }

    #[test]
    fn files_give_way_by_size_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let days = Arc::new(Days(AtomicU64::new(20_000)));
        let mut log = open(&path, 8, 2, days);
        for line in [
            "aaa\n",
            "bbb\n",
            "ccc\n",
            "ddd\n",
            "longer than a file\n",
            "f\n",
        ] {
            log.write_line(line.as_bytes()).unwrap();
        }
        let expected = [
            ("log", "f\n"),
            ("log.1", "longer than a file\n"),
            ("log.2", "ccc\nddd\n"),
        ];
        let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(names(dir.path()), expected);
    }

    #[test]
    fn files_give_way_by_day_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let days = Arc::new(Days(AtomicU64::new(20_000)));
        let mut log = open(&path, 1_000, 9, days.clone());
        log.write_line(b"1\n").unwrap();
        days.0.store(20_001, Ordering::Relaxed);
        log.write_line(b"2\n").unwrap();
        log.write_line(b"2\n").unwrap();
        drop(log);
        // The file is of the day on which it was written, by the machine's clock; that is not the day of the test.
        let mut log = open(&path, 1_000, 9, Arc::new(FixedClock::at(0)));
        log.write_line(b"3\n").unwrap();
        let texts: Vec<_> = names(dir.path())
            .into_iter()
            .map(|(_, text)| text)
            .collect();
        assert_eq!(texts, ["3\n", "2\n2\n", "1\n"]);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_user_may_read_a_file() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "before\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let now = fs::metadata(&path).unwrap().modified().unwrap();
        let mut log = open(&path, 8, 1, Arc::new(FixedClock::from(now)));
        log.write_line(b"after\n").unwrap();
        for name in ["log", "log.1"] {
            let mode = fs::metadata(dir.path().join(name)).unwrap().permissions();
            assert_eq!(mode.mode() & 0o777, 0o600, "{name}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_fails_the_line_and_nothing_else() {
        let mut log = open(Path::new("/dev/full"), 8, 1, Arc::new(FixedClock::at(0)));
        for _ in 0..3 {
            let error = log.write_line(b"more than eight bytes\n").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
    }

    #[test]
    fn a_folder_that_is_gone_fails_lines_until_it_is_back() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("logs");
        fs::create_dir(&folder).unwrap();
        let path = folder.join("log");
        let days = Arc::new(Days(AtomicU64::new(20_000)));
        let mut log = open(&path, 4, 1, days);
        log.write_line(b"1\n").unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert!(log.write_line(b"long\n").is_err());
        assert!(log.write_line(b"2\n").is_err());
        fs::create_dir(&folder).unwrap();
        log.write_line(b"3\n").unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "3\n");
    }
}

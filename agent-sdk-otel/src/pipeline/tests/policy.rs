//! What happens when the queue is full.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::*;

/// Takes nothing until it is opened, and then everything.
#[derive(Clone, Default)]
struct Gate {
    open: Arc<AtomicBool>,
    taken: Arc<AtomicUsize>,
}

impl Gate {
    fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }

    fn taken(&self) -> u64 {
        self.taken.load(Ordering::SeqCst) as u64
    }
}

impl Transport for Gate {
    async fn send(&self, body: Bytes) -> Answer {
        if !self.open.load(Ordering::SeqCst) {
            return Answer::Busy { after: None };
        }
        self.taken.fetch_add(spans(&body), Ordering::SeqCst);
        ACCEPTED
    }
}

fn pipeline(limits: BatchLimits, when_full: WhenFull, transport: impl Transport) -> Pipeline {
    let thread = ExportThread::start().unwrap();
    let settings = PipelineSettings {
        signal: Signal::Traces,
        limits,
        when_full,
        envelope: Envelope::new(&Resource::builder_empty().build()),
    };
    Pipeline::start(settings, &thread, transport).unwrap()
}

fn spill(directory: &Path) -> WhenFull {
    WhenFull::Spill(SpillSettings::new(directory))
}

fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let places = std::fs::read_dir(directory)
        .unwrap()
        .map(|place| place.unwrap().path());
    let places = places.filter(|place| place.is_dir());
    let files = places.flat_map(|place| std::fs::read_dir(place).unwrap());
    files.map(|file| file.unwrap().path()).collect()
}

/// Drops the last handle, when the worker has let go of what it shares.
fn end(pipeline: Pipeline) {
    while Arc::strong_count(&pipeline.shared) > 1 {
        std::thread::yield_now();
    }
    drop(pipeline);
}

fn burst(pipeline: &Pipeline, threads: usize, each: usize) {
    std::thread::scope(|all| {
        for _ in 0..threads {
            all.spawn(|| {
                let (scope, item) = (scope("a"), item(&"x".repeat(500)));
                for _ in 0..each {
                    pipeline.push(&scope, &item);
                }
            });
        }
    });
}

#[test]
fn o1_a_burst_against_drop_is_counted_and_holds_no_more_than_its_bound() {
    let limits = BatchLimits {
        queue_bytes: 1024 * 1024,
        ..BatchLimits::default()
    };
    let gate = Gate::default();
    let pipeline = pipeline(limits, WhenFull::Drop, gate.clone());
    std::thread::scope(|all| {
        all.spawn(|| burst(&pipeline, 4, 20_000));
        for _ in 0..500 {
            let state = pipeline.lock();
            assert!(state.queue.bytes() <= limits.queue_bytes);
            assert!(state.account.balances());
        }
    });
    let account = pipeline.account();
    assert!(
        account.balances() && account.dropped > 50_000,
        "{account:?}"
    );
    gate.open();
    let account = pipeline.shutdown(LIMIT);
    assert!(account.balances(), "{account:?}");
    assert_eq!(account.ended, 80_000);
    assert_eq!((account.exported, account.queued), (gate.taken(), 0));
    assert_eq!(account.exported + account.dropped, 80_000);
}

#[test]
fn o1_a_burst_against_block_loses_nothing_while_the_collector_takes_some() {
    let when_full = WhenFull::Block(Duration::from_secs(30));
    let transport = Accepting::default();
    let pipeline = pipeline(limits(64, 32), when_full, transport.clone());
    burst(&pipeline, 4, 2_000);
    let account = pipeline.shutdown(LIMIT);
    assert_eq!(
        (account.exported, account.lost()),
        (8_000, 0),
        "{account:?}"
    );
}

#[test]
fn o1_a_blocked_item_is_dropped_when_its_time_or_the_pipeline_ends() {
    let patience = Duration::from_millis(50);
    let shut = pipeline(limits(2, 100), WhenFull::Block(patience), Gate::default());
    let began = Instant::now();
    burst(&shut, 1, 4);
    assert!(began.elapsed() >= 2 * patience);
    assert_eq!(shut.account().dropped, 2);

    // One that waits at the end does not wait for its own limit.
    let long = WhenFull::Block(Duration::from_mins(10));
    let shut = pipeline(limits(2, 100), long, Gate::default());
    std::thread::scope(|all| {
        all.spawn(|| burst(&shut, 1, 3));
        while shut.lock().blocked == 0 {
            std::thread::yield_now();
        }
        let account = given_up(&shut, Duration::from_millis(100));
        assert!(account.balances(), "{account:?}");
    });
    let account = shut.account();
    assert_eq!((account.ended, account.queued), (3, 0), "{account:?}");
}

#[test]
fn o1_a_burst_against_spill_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Gate::default();
    let limits = BatchLimits {
        largest: 500,
        ..limits(4_000, 500)
    };
    let first = pipeline(limits, spill(directory.path()), gate.clone());
    burst(&first, 4, 10_000);
    let account = first.account();
    assert!(account.balances() && account.dropped == 0, "{account:?}");
    assert!(account.spilled > 0, "{account:?}");
    let account = given_up(&first, Duration::from_secs(4));
    assert!(account.balances(), "{account:?}");
    assert_eq!((account.ended, account.spilled), (40_000, 40_000));
    end(first);

    // The next start takes over what is there, and nothing is left behind.
    gate.open();
    let second = pipeline(limits, spill(directory.path()), gate.clone());
    assert_eq!(second.recovered().ended, 40_000);
    until(&second, |recovered| recovered.spilled == 0);
    let recovered = second.recovered();
    assert!(recovered.balances(), "{recovered:?}");
    assert_eq!((recovered.exported, gate.taken()), (40_000, 40_000));
    assert_eq!(second.shutdown(LIMIT), ExportAccount::default());
    end(second);
    assert_eq!(files(directory.path()).len(), 0);
}

/// Waits until what was recovered is as `done` says.
fn until(pipeline: &Pipeline, done: impl Fn(&ExportAccount) -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    let state = pipeline.lock();
    drop(pipeline.wait(state, deadline, |state| done(&state.recovered)));
}

#[test]
fn o1_what_was_spilled_is_sent_when_the_collector_has_room_again() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Gate::default();
    let limits = BatchLimits {
        retries: Retries {
            first: Duration::from_millis(1),
            longest: Duration::from_millis(1),
            total: Duration::from_millis(5),
        },
        ..limits(1_000, 10)
    };
    let pipeline = pipeline(limits, spill(directory.path()), gate.clone());
    burst(&pipeline, 1, 100);
    assert!(pipeline.flush(LIMIT), "on disk is settled");
    assert_eq!(pipeline.account().spilled, 100);
    gate.open();
    let mut state = pipeline.lock();
    state.resend_at = None;
    pipeline.shared.work.notify_one();
    let deadline = Instant::now() + Duration::from_mins(1);
    state = pipeline.wait(state, deadline, |state| state.account.spilled == 0);
    assert!(state.account.balances());
    assert_eq!(state.account.exported, 100);
    drop(state);
    assert_eq!(files(directory.path()).len(), 0);
    assert_eq!(gate.taken(), 100);
}

#[test]
fn o1_a_full_disk_drops_and_counts() {
    let directory = tempfile::tempdir().unwrap();
    let when_full = SpillSettings::new(directory.path()).max_bytes(60_000);
    let pipeline = pipeline(limits(100, 20), WhenFull::Spill(when_full), Gate::default());
    burst(&pipeline, 2, 1_000);
    let account = given_up(&pipeline, Duration::from_secs(2));
    assert!(account.balances(), "{account:?}");
    assert_eq!(account.ended, 2_000);
    assert!(account.spilled > 0 && account.dropped > 0, "{account:?}");
    let sizes = files(directory.path());
    let sizes = sizes.iter().map(|path| path.metadata().unwrap().len());
    assert!(sizes.sum::<u64>() <= 60_000);
}

#[test]
fn o1_a_torn_file_is_recognised_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Gate::default();
    let first = pipeline(limits(100, 10), spill(directory.path()), gate.clone());
    burst(&first, 1, 30);
    assert_eq!(given_up(&first, Duration::from_secs(2)).spilled, 30);
    end(first);
    let mut paths = files(directory.path());
    paths.sort();
    assert_eq!(paths.len(), 3);
    let whole = std::fs::read(&paths[0]).unwrap();
    std::fs::write(&paths[0], &whole[..whole.len() / 2]).unwrap();
    let mut changed = std::fs::read(&paths[1]).unwrap();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(&paths[1], changed).unwrap();
    std::fs::write(paths[2].with_extension("partial"), b"half").unwrap();

    gate.open();
    let second = pipeline(limits(100, 10), spill(directory.path()), gate.clone());
    until(&second, |recovered| recovered.spilled == 0);
    let recovered = second.recovered();
    assert!(recovered.balances(), "{recovered:?}");
    assert_eq!((recovered.exported, recovered.failed), (10, 20));
    assert_eq!(gate.taken(), 10);
}

#[test]
#[cfg(unix)]
fn spilled_files_are_the_owner_s_alone_and_a_living_process_keeps_its_own() {
    use std::os::unix::fs::PermissionsExt;

    let base = tempfile::tempdir().unwrap();
    let directory = base.path().join("spill");
    let first = pipeline(limits(100, 10), spill(&directory), Gate::default());
    burst(&first, 1, 10);
    assert_eq!(given_up(&first, Duration::from_secs(2)).spilled, 10);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for file in files(&directory) {
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
    }
    // Its lock is still held.
    let second = pipeline(limits(100, 10), spill(&directory), Gate::default());
    assert_eq!(second.recovered(), ExportAccount::default());
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let thread = ExportThread::start().unwrap();
    let settings = PipelineSettings {
        signal: Signal::Traces,
        limits: limits(10, 10),
        when_full: spill(file.path()),
        envelope: Envelope::new(&Resource::builder_empty().build()),
    };
    let error = Pipeline::start(settings, &thread, Gate::default()).unwrap_err();
    assert_eq!(error.kind(), crate::TelemetryErrorKind::Start);
}

#[test]
fn policies_have_texts() {
    let drop = WhenFull::parse("drop").unwrap();
    assert_eq!(drop, WhenFull::Drop);
    let block = WhenFull::parse("block:250").unwrap();
    assert_eq!(block, WhenFull::Block(Duration::from_millis(250)));
    assert_eq!(
        WhenFull::parse("spill:/var/x").unwrap(),
        spill(Path::new("/var/x"))
    );
    for bad in [
        "", "block", "block:", "block:-1", "spill", "spill:", "drop:1", "keep",
    ] {
        assert_eq!(WhenFull::parse(bad), None, "{bad}");
    }
}

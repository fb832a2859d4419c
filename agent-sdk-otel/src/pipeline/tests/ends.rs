//! Shutdown: against producers, from a runtime, from a panic hook, more than once.

use super::*;

/// How often each race is run.
const RUNS: usize = 1_000;

#[test]
fn o3_shutdown_races_producers_and_every_item_is_named() {
    let thread = ExportThread::start().unwrap();
    let (scope, item) = (scope("a"), item("work"));
    for run in 0..RUNS {
        let transport = Accepting::default();
        let pipeline = on(&thread, transport.clone());
        let account = std::thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| (0..20 + run % 50).for_each(|_| pipeline.push(&scope, &item)));
            }
            pipeline.shutdown(LIMIT)
        });
        assert!(account.balances(), "{account:?}");
        assert_eq!(account.queued, 0, "{account:?}");
        let account = pipeline.account();
        assert!(account.balances(), "{account:?}");
        assert_eq!(account.ended, 2 * (20 + run as u64 % 50));
        assert_eq!(account.exported, transport.0.load(Ordering::Relaxed) as u64);
        assert_eq!(account.exported + account.dropped, account.ended);
    }
}

fn on(thread: &ExportThread, transport: impl Transport) -> Pipeline {
    let settings = PipelineSettings {
        signal: Signal::Traces,
        limits: limits(1_000, 16),
        when_full: WhenFull::Drop,
        envelope: Envelope::new(&Resource::builder_empty().build()),
    };
    Pipeline::start(settings, thread, transport).unwrap()
}

#[test]
fn o3_a_current_thread_runtime_can_shut_down_inline() {
    let thread = ExportThread::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        for _ in 0..RUNS {
            let pipeline = on(&thread, Accepting::default());
            pipeline.push(&scope("a"), &item("last"));
            let account = pipeline.shutdown(LIMIT);
            assert_eq!((account.ended, account.exported), (1, 1));
            assert_eq!(pipeline.shutdown(LIMIT), account);
        }
    });
}

#[test]
fn o3_several_threads_can_shut_down_at_once() {
    let thread = ExportThread::start().unwrap();
    for _ in 0..RUNS {
        let pipeline = on(&thread, Accepting::default());
        pipeline.push(&scope("a"), &item("last"));
        std::thread::scope(|threads| {
            let ends = [0; 3].map(|_| threads.spawn(|| pipeline.shutdown(LIMIT).exported));
            assert_eq!(ends.map(|end| end.join().unwrap()), [1; 3]);
        });
    }
}

#[test]
fn o3_what_unwinds_can_shut_down() {
    let thread = ExportThread::start().unwrap();
    struct Ends<'a>(&'a Pipeline);
    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            assert!(std::thread::panicking());
            assert_eq!(self.0.shutdown(LIMIT).exported, 1);
        }
    }
    for _ in 0..RUNS {
        let pipeline = on(&thread, Accepting::default());
        pipeline.push(&scope("a"), &item("last"));
        // Without the hook's text a thousand times.
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ends = Ends(&pipeline);
            std::panic::resume_unwind(Box::new("work"));
        }));
        assert!(unwound.is_err());
    }
}

#[test]
fn o3_a_shutdown_on_telemetry_s_own_thread_does_not_wait_for_itself() {
    let thread = ExportThread::start().unwrap();
    let pipeline = on(&thread, Accepting::default());
    pipeline.push(&scope("a"), &item("last"));
    let (done, waiting) = std::sync::mpsc::channel();
    let own = pipeline.clone();
    let began = Instant::now();
    thread.spawn(async move {
        done.send(own.shutdown(Duration::from_mins(1))).unwrap();
    });
    assert!(waiting.recv().unwrap().balances());
    assert_eq!(pipeline.shutdown(LIMIT).exported, 1);
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn o3_a_collector_that_hangs_costs_no_more_than_the_limit() {
    struct Hanging;
    impl Transport for Hanging {
        async fn send(&self, _body: Bytes) -> Answer {
            std::future::pending().await
        }
    }
    let limit = Duration::from_millis(100);
    let thread = ExportThread::start().unwrap();
    for _ in 0..10 {
        let pipeline = on(&thread, Hanging);
        (0..40).for_each(|_| pipeline.push(&scope("a"), &item("last")));
        let began = Instant::now();
        let account = pipeline.shutdown(limit);
        assert!(began.elapsed() < limit + Duration::from_secs(5));
        assert!(account.balances(), "{account:?}");
    }
}

#[test]
fn o3_handles_that_are_dropped_without_a_shutdown_end_the_worker() {
    let (pipeline, (batches, _say)) = scripted(limits(100, 1));
    pipeline.push(&scope("a"), &item("work"));
    batches.recv().unwrap();
    drop(pipeline);
    // The transport goes with the thread.
    assert!(batches.recv().is_err());
}

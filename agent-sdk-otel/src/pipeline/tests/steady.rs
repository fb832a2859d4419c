//! A collector that is healthy but takes its time.

use std::sync::Mutex as SyncMutex;

use tokio::sync::oneshot;

use super::*;

/// The default limits and the rate are divided by this.
const SCALE: usize = 16;

/// Keeps requests open until the test lets those go that are.
#[derive(Clone, Default)]
struct Slow {
    open: Arc<SyncMutex<Vec<oneshot::Sender<()>>>>,
    taken: Arc<AtomicUsize>,
}

impl Slow {
    fn open(&self) -> usize {
        self.open.lock().unwrap().len()
    }

    fn answer(&self) {
        // Whoever waits takes the end of the channel for the answer.
        self.open.lock().unwrap().clear();
    }
}

impl Transport for Slow {
    async fn send(&self, body: Bytes) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.open.lock().unwrap().push(answer);
        let _ = answered.await;
        self.taken.fetch_add(spans(&body), Ordering::SeqCst);
        ACCEPTED
    }
}

/// 100,000 items a second where an answer takes 100 ms, with a sixteenth of all numbers: one request after another, or requests that
/// do not grow, would fall behind and fill the queue.
#[test]
fn o1_a_steady_stream_loses_nothing_while_answers_are_slow() {
    let full = BatchLimits::default();
    let limits = BatchLimits {
        queue: full.queue / SCALE,
        batch: full.batch / SCALE,
        largest: full.largest / SCALE,
        ..full
    };
    let each = 10_000 / SCALE / 8;
    let collector = Slow::default();
    let pipeline = start(limits, collector.clone());
    let (mut most, rounds) = (0, 100);
    let deadline = Instant::now() + Duration::from_mins(1);
    for round in 0..rounds {
        std::thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| {
                    let (scope, item) = (scope("a"), item(&"x".repeat(500)));
                    (0..each).for_each(|_| pipeline.push(&scope, &item));
                });
            }
        });
        // Until all that can be under way is.
        loop {
            let state = pipeline.lock();
            let enough = state.sending == limits.in_flight || state.queue.items() < limits.batch;
            let (sending, waiting) = (state.sending, state.queue.items());
            drop(state);
            if enough && collector.open() == sending {
                most = most.max(waiting);
                break;
            }
            let why = "requests could begin and do not";
            assert!(Instant::now() < deadline, "round {round}: {why}");
            std::thread::yield_now();
        }
        let account = pipeline.account();
        assert!(account.balances(), "{account:?}");
        assert_eq!(account.lost(), 0, "round {round}: {account:?}");
        collector.answer();
    }
    assert!(most < limits.queue / 2, "{most} items waited");
    std::thread::scope(|threads| {
        let end = threads.spawn(|| pipeline.shutdown(LIMIT));
        while !end.is_finished() {
            collector.answer();
            std::thread::yield_now();
        }
        let account = end.join().unwrap();
        assert!(account.balances(), "{account:?}");
        assert_eq!(account.exported, (rounds * 8 * each) as u64, "{account:?}");
        let taken = collector.taken.load(Ordering::SeqCst) as u64;
        assert_eq!(account.exported, taken);
    });
}

//! Dropping a future at every point at which it can be dropped.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use tokio::runtime::{Builder, Handle};

/// How many polls a future may take.
const MAX_POLLS: usize = 2_000;

/// How long, in virtual time, a future may wait for anything before it counts as stuck.
const MAX_WAIT: Duration = Duration::from_hours(30 * 24);

/// For n = 0, 1, 2, …: makes the future, polls it n times, drops it there, and calls `after(n)`; until it is over before its
/// n-th drop. Returns how many polls it takes to the end.
///
/// That is how it is cancelled at every await point at which it ever waits. Each n has a current-thread runtime of its own with
/// paused time: where nothing is ready, time jumps to the next timer. `make` and `after` are called inside of that runtime,
/// `after` once everything that the drop woke, spawned tasks too, has run. It is called for the completed run as well.
///
/// Call it from a plain `#[test]`, not from inside a runtime. A panic of the future passes through.
///
/// # Errors
///
/// Words for people, where the future waits for something that never comes (or not within 30 days of virtual time), where it
/// is not over after 2,000 polls, and where there is a runtime around already. `after` has then been called for each drop up to that point.
///
/// # Example
///
/// ```
/// use agent_sdk::{model::{ChatRequest, ModelHandle}, testing::{self, ScriptedModel, TraceCapture, Turn}};
///
/// let trace = TraceCapture::new();
/// let polls = testing::drop_at_every_poll(
///     || async {
///         let turn = Turn::from("hello").delay(std::time::Duration::from_secs(1));
///         let model = ModelHandle::new(ScriptedModel::new([turn]));
///         model.chat(&trace.context(), ChatRequest::new("hi")).await
///     },
///     |_| trace.well_formed().unwrap(),
/// );
/// assert_eq!(polls, Ok(2));
/// ```
pub fn drop_at_every_poll<F: Future>(
    mut make: impl FnMut() -> F,
    mut after: impl FnMut(usize),
) -> Result<usize, String> {
    if Handle::try_current().is_ok() {
        return Err("call it from a plain `#[test]`: there is a runtime around already".into());
    }
    for n in 0..=MAX_POLLS {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|error| format!("no runtime: {error}"))?;
        let end = runtime.block_on(async {
            let end = poll_times(Box::pin(make()), n).await;
            // With paused time this ends only when nothing else is left to do.
            tokio::time::sleep(Duration::from_millis(1)).await;
            after(n);
            end
        });
        runtime.shutdown_background();
        match end {
            End::Dropped => {}
            End::Completed(polls) => return Ok(polls),
            End::Stuck(polls) => {
                return Err(format!(
                    "after {polls} polls it waits for something that never comes"
                ));
            }
        }
    }
    Err(format!("it is not over after {MAX_POLLS} polls"))
}

/// What became of a future that may be polled so many times.
enum End {
    Dropped,
    Completed(usize),
    Stuck(usize),
}

/// Polls a future at most `n` times, when it asks to be polled, and drops it.
async fn poll_times<F: Future>(mut future: Pin<Box<F>>, n: usize) -> End {
    let mut polls = 0;
    let mut stuck = pin!(tokio::time::sleep(MAX_WAIT));
    poll_fn(|context| {
        if stuck.as_mut().poll(context).is_ready() {
            return Poll::Ready(End::Stuck(polls));
        }
        if polls < n {
            polls += 1;
            if future.as_mut().poll(context).is_ready() {
                return Poll::Ready(End::Completed(polls));
            }
        }
        if polls < n {
            Poll::Pending
        } else {
            Poll::Ready(End::Dropped)
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        rc::Rc,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use tokio::sync::oneshot;

    use super::*;

    /// Counts up when dropped.
    struct Dropped(Rc<Cell<usize>>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }

    #[test]
    fn a_future_with_five_await_points_is_dropped_at_each_of_them() {
        let (reached, drops) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let mut seen = Vec::new();
        let polls = drop_at_every_poll(
            || {
                let (reached, guard) = (reached.clone(), Dropped(drops.clone()));
                reached.set(0);
                async move {
                    let _guard = guard;
                    for place in 1..=5 {
                        reached.set(place);
                        match place {
                            1 | 4 => tokio::time::sleep(Duration::from_hours(1)).await,
                            2 => tokio::task::yield_now().await,
                            3 => tokio::spawn(async { tokio::task::yield_now().await })
                                .await
                                .unwrap(),
                            _ => {
                                let (send, receive) = oneshot::channel();
                                tokio::spawn(async move {
                                    tokio::time::sleep(Duration::from_millis(7)).await;
                                    send.send(()).unwrap();
                                });
                                receive.await.unwrap();
                            }
                        }
                    }
                    reached.set(6);
                }
            },
            |n| seen.push((n, reached.get(), drops.get())),
        );
        assert_eq!(polls, Ok(6));
        let expected: Vec<_> = (0..=6).map(|n| (n, n, n + 1)).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_future_that_nothing_will_wake_is_named_as_stuck() {
        let mut drops = 0;
        let stuck = drop_at_every_poll(
            || async {
                tokio::task::yield_now().await;
                std::future::pending::<()>().await;
            },
            |_| drops += 1,
        );
        assert_eq!(
            stuck,
            Err("after 2 polls it waits for something that never comes".to_owned())
        );
        assert_eq!(drops, 4);
    }

    #[test]
    fn what_a_drop_wakes_has_run_before_it_is_looked_at() {
        let cleaned = Arc::new(AtomicUsize::new(0));
        let polls = drop_at_every_poll(
            || {
                let cleaned = cleaned.clone();
                async move {
                    let (_alive, gone) = oneshot::channel::<()>();
                    tokio::spawn(async move {
                        gone.await.unwrap_err();
                        tokio::task::yield_now().await;
                        cleaned.fetch_add(1, Ordering::Relaxed);
                    });
                    tokio::task::yield_now().await;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            },
            |n| assert_eq!(cleaned.load(Ordering::Relaxed), n),
        );
        assert_eq!(polls, Ok(3));
    }

    #[tokio::test]
    async fn inside_a_runtime_it_says_so_instead_of_panicking() {
        let said = drop_at_every_poll(|| async {}, |_| ()).unwrap_err();
        assert!(said.contains("plain `#[test]`"), "{said}");
    }
}

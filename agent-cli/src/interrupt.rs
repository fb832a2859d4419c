//! Ctrl-C, and the runtime that it ends.
//!
//! The first signal cancels: what runs ends in order and says what it spent. The second one abandons it: the command returns at
//! once, whatever still blocks.

use std::{
    future::Future,
    io,
    sync::{Arc, OnceLock},
};

use tokio_util::sync::CancellationToken;

use crate::exit::{Exit, Failure};

/// Tells the work that it shall end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt {
    token: CancellationToken,
    exit: Arc<OnceLock<Exit>>,
}

impl Interrupt {
    /// What is cancelled by the first signal.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// With which code the command ends if a signal ended it.
    pub(crate) fn exit(&self) -> Option<Exit> {
        self.exit.get().copied()
    }

    /// Takes in a signal; `false` if there was one before.
    fn signalled(&self, exit: Exit) -> bool {
        let is_first = self.exit.set(exit).is_ok();
        self.token.cancel();
        is_first
    }
}

/// Runs asynchronous work to its end, or to the second signal.
///
/// # Errors
///
/// The runtime cannot be started.
pub(crate) fn run<F>(work: impl FnOnce(Interrupt) -> F) -> Result<Exit, Failure>
where
    F: Future<Output = Exit> + Send + 'static,
{
    let failed = |error: io::Error| {
        Failure::new(
            Exit::Failed,
            format!("the asynchronous runtime cannot start: {error}"),
        )
    };
    // One thread may be held up by a reader of standard output that does not read.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(failed)?;
    let interrupt = Interrupt::default();
    let exit = runtime.block_on(async {
        // Before the work begins, so that no signal meets it unprepared.
        let mut signals = Signals::listen()?;
        let mut work = tokio::spawn(work(interrupt.clone()));
        loop {
            tokio::select! {
                // A panic has been printed already.
                ended = &mut work => return Ok(ended.unwrap_or(Exit::Failed)),
                exit = signals.next() => if !interrupt.signalled(exit) {
                    return Ok(exit);
                },
            }
        }
    });
    runtime.shutdown_background();
    exit.map_err(failed)
}

/// The signals that ask a command to end.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
        }
    }
}

/// The signals that ask a command to end.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Exit {
        if tokio::signal::ctrl_c().await.is_err() {
            // Nothing can be listened to, so nothing comes.
            std::future::pending::<()>().await;
        }
        Exit::Interrupted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_decides_the_code() {
        let interrupt = Interrupt::default();
        assert_eq!(interrupt.exit(), None);
        assert!(interrupt.signalled(Exit::Terminated));
        assert!(!interrupt.signalled(Exit::Interrupted));
        assert_eq!(interrupt.exit(), Some(Exit::Terminated));
        assert!(interrupt.token().is_cancelled());
    }

    #[test]
    fn work_that_ends_gives_its_code() {
        assert_eq!(run(|_| async { Exit::Limit }).unwrap(), Exit::Limit);
    }
}

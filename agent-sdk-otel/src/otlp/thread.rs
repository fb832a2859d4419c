//! The thread on which everything is sent.
//!
//! One thread with a runtime of its own carries all requests of all signals: several are in flight
//! at once for the price of one stack, nothing depends on the runtime that the application has or
//! has not, and a caller that blocks its own runtime to wait for a shutdown blocks nothing that the
//! shutdown needs.

use std::fmt;
use std::sync::Arc;
use std::thread::ThreadId;

use opentelemetry::Context;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::error::TelemetryError;

/// A handle to the thread; it ends when the last one is gone.
#[derive(Clone)]
pub(crate) struct ExportThread(Arc<Running>);

struct Running {
    handle: Handle,
    id: ThreadId,
    /// Dropped with the last handle, which the thread takes for its end.
    _stop: oneshot::Sender<()>,
}

impl ExportThread {
    pub(crate) fn start() -> Result<Self, TelemetryError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| TelemetryError::start("the export runtime").because(error))?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("agent-sdk-export".into())
            .spawn(move || {
                // Whatever the HTTP client records on this thread must not become spans to export.
                let _quiet = Context::enter_telemetry_suppressed_scope();
                // The error is the message: the handles are gone.
                let _ = runtime.block_on(stopped);
                // A name that is still being looked up is not waited for.
                runtime.shutdown_background();
            })
            .map_err(|error| TelemetryError::start("the export thread").because(error))?;
        Ok(Self(Arc::new(Running {
            handle,
            id: thread.thread().id(),
            _stop: stop,
        })))
    }

    /// Runs a task on the thread. It is dropped unfinished if the thread ends first.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.0.handle.spawn(task));
    }

    /// Whether the caller is this thread.
    pub(crate) fn is_current(&self) -> bool {
        std::thread::current().id() == self.0.id
    }
}

impl fmt::Debug for ExportThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ExportThread").field(&self.0.id).finish()
    }
}

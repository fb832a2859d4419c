//! Who is told of a trace: W3C headers on requests that leave.

use std::{fmt, future::Future, sync::Arc};

use tokio::task::JoinHandle;
use tracing::Instrument;

use super::{Baggage, RunContext};

/// The hosts whose requests carry the trace: `traceparent`, `tracestate` and `baggage`. Cheap to clone.
///
/// By default none does: a model's provider has no business with our ids and our callers' names. The gateway of one's own company
/// has.
///
/// # Example
///
/// ```
/// use agent_sdk::operation::{Observers, Propagation, RunContext};
///
/// # fn main() -> Result<(), agent_sdk::operation::InvalidHost> {
/// let ours = Propagation::none().with_host("*.internal.example")?;
/// assert!(ours.reaches("gateway.internal.example") && !ours.reaches("api.openai.com"));
/// let observers = Observers::none().with_propagation(ours);
/// let context = RunContext::builder().observers(observers).build();
/// # let _ = context;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Propagation {
    hosts: Arc<[Host]>,
    trace: bool,
    baggage: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Is(Box<str>),
    IsUnder(Box<str>),
}

/// A host that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidHost(String);

impl fmt::Display for InvalidHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no host to propagate to: expected a name such as `api.example.com` or `*.example.com`, without scheme, port and path",
            self.0
        )
    }
}

impl std::error::Error for InvalidHost {}

impl Default for Propagation {
    fn default() -> Self {
        Self::none()
    }
}

impl Propagation {
    /// To nobody.
    pub fn none() -> Self {
        Self {
            hosts: Arc::new([]),
            trace: true,
            baggage: true,
        }
    }

    /// Adds a host, or with `*.` before it all hosts under it, itself not included.
    ///
    /// # Errors
    ///
    /// The text is no host.
    pub fn with_host(self, host: &str) -> Result<Self, InvalidHost> {
        let (name, under) = match host.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (host, false),
        };
        let name = plain(name);
        let is_known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
        let is_port = name.matches(':').count() == 1;
        if name.is_empty() || name.starts_with('.') || is_port || !name.bytes().all(is_known) {
            return Err(InvalidHost(host.chars().take(64).collect()));
        }
        let host = if under {
            Host::IsUnder(format!(".{name}").into())
        } else {
            Host::Is(name.into())
        };
        let hosts = self.hosts.iter().cloned().chain([host]).collect();
        Ok(Self { hosts, ..self })
    }

    /// Whether `traceparent` and `tracestate` are sent. Default: yes.
    #[must_use]
    pub fn with_trace_context(mut self, on: bool) -> Self {
        self.trace = on;
        self
    }

    /// Whether `baggage` is sent. Default: yes.
    #[must_use]
    pub fn with_baggage(mut self, on: bool) -> Self {
        self.baggage = on;
        self
    }

    /// Whether a host is told, in whatever case it is written.
    pub fn reaches(&self, host: &str) -> bool {
        let asked = plain(host);
        self.hosts.iter().any(|host| match host {
            Host::Is(name) => asked.eq_ignore_ascii_case(name),
            Host::IsUnder(suffix) => {
                let at = asked.len().checked_sub(suffix.len());
                at.filter(|at| *at > 0)
                    .and_then(|at| asked.get(at..))
                    .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
            }
        })
    }
}

/// Without the dot that ends a name and the brackets around an address.
fn plain(host: &str) -> &str {
    host.strip_suffix('.')
        .unwrap_or(host)
        .trim_matches(['[', ']'])
}

impl RunContext {
    /// What travels with the trace by the names of the run's caller, or as [`with_baggage`](Self::with_baggage) set it.
    pub fn baggage(&self) -> &Baggage {
        &self.handed.baggage
    }

    /// Sends this along from the context that is returned, to hosts that [propagation](Propagation) reaches.
    #[must_use]
    pub fn with_baggage(self, baggage: Baggage) -> Self {
        self.with(|handed| handed.baggage = baggage)
    }

    /// The headers by which whoever gets them continues this trace: `traceparent`, and `tracestate` and `baggage` where there are
    /// any. Empty where there is no trace yet. Whom to give them to is the caller's decision; see [`headers_for`](Self::headers_for).
    pub fn propagation_headers(&self) -> Vec<(&'static str, String)> {
        self.headers(&Propagation::none())
    }

    /// The headers by which a host continues this trace; none where [propagation](Propagation) does not reach it.
    pub fn headers_for(&self, host: &str) -> Vec<(&'static str, String)> {
        let propagation = self.run.observers.propagation();
        if propagation.reaches(host) {
            self.headers(propagation)
        } else {
            Vec::new()
        }
    }

    fn headers(&self, propagation: &Propagation) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        let Some(trace) = self.trace() else {
            return headers;
        };
        let info = self.operation.as_ref().map(|shared| &shared.info);
        let known = info.and_then(|info| self.run.observers.ids().travelling(info));
        let (state, baggage) = known.unwrap_or_default();
        if propagation.trace {
            headers.push(("traceparent", trace.traceparent()));
            let own = self.run.trace_state.as_str();
            let state = state.as_str().or(own).map(str::to_owned);
            headers.extend(state.map(|state| ("tracestate", state)));
        }
        if propagation.baggage {
            let baggage = baggage.and(self.baggage()).header();
            headers.extend(baggage.map(|baggage| ("baggage", baggage)));
        }
        headers
    }

    /// Runs a future as a task of its own, inside the operation that this context belongs to: what it traces hangs under it.
    ///
    /// It stops when the context is cancelled, and then gives `None`: with the run, and inside an agent or one of its tool calls also
    /// when that is over. What shall live on is spawned with Tokio itself, with a clone of the context.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let over = self.cancellation().clone();
        let task = async move { over.run_until_cancelled_owned(future).await };
        match &self.operation {
            Some(operation) => tokio::spawn(task.instrument(operation.info.span.clone())),
            None => tokio::spawn(task),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        operation::{Kind, Observers},
        testing::TraceCapture,
    };

    #[test]
    fn hosts_are_matched_whole_and_in_any_case() {
        let to = |host: &str| Propagation::none().with_host(host).unwrap();
        for (pattern, host, reached) in [
            ("api.example.com", "API.example.com", true),
            ("api.example.com", "api.example.com.", true),
            ("api.example.com", "xapi.example.com", false),
            ("api.example.com", "api.example.com.evil.test", false),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "evilexample.com", false),
            ("*.example.com", ".example.com", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("[::1]", "[::1]", true),
        ] {
            assert_eq!(to(pattern).reaches(host), reached, "{pattern} {host}");
        }
        assert!(!Propagation::none().reaches("localhost"));
        for bad in [
            "",
            "*",
            "*.",
            "https://a.test",
            "a.test/x",
            "a.test:80",
            "a*b",
            "grün.test",
            ".a",
        ] {
            assert!(Propagation::none().with_host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_kind_of_header_can_be_left_out() {
        let to = Propagation::none().with_host("a.test").unwrap();
        let names = |propagation: Propagation| {
            let observers = Observers::none().with_propagation(propagation);
            let context = RunContext::builder().observers(observers).build();
            let context = context.with_baggage(Baggage::new().with("k", "v").unwrap());
            assert!(
                context.headers_for("a.test").is_empty(),
                "there is no trace yet"
            );
            let operation = context.start(Kind::Tool, "t").begin();
            assert!(operation.context().headers_for("b.test").is_empty());
            let headers = operation.context().headers_for("a.test");
            headers
                .into_iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(to.clone()), ["traceparent", "baggage"]);
        assert_eq!(names(to.clone().with_baggage(false)), ["traceparent"]);
        assert_eq!(names(to.with_trace_context(false)), ["baggage"]);
    }

    #[tokio::test]
    async fn a_spawned_task_hangs_under_the_operation_and_stops_with_its_context() {
        let trace = TraceCapture::new();
        let tool = trace.context().start(Kind::Tool, "t").begin();
        let inner = tool.context().clone();
        let task = tool.context().spawn(async move {
            let chat = inner.start(Kind::Chat, "m").begin();
            chat.end(
                crate::operation::Outcome::Ok,
                crate::operation::Payload::None,
            );
        });
        assert_eq!(task.await.unwrap(), Some(()));
        let endless = tool.context().spawn(std::future::pending::<()>());
        tool.context().cancellation().cancel();
        assert_eq!(endless.await.unwrap(), None);
        drop(tool);
        assert_eq!(
            trace.tree(),
            "execute_tool t  outcome=cancelled\n  chat m\n"
        );
    }
}

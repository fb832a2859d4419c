//! What a request from elsewhere brings along, and how far it is believed.

use super::{Baggage, TraceContext, TraceState};

/// No `traceparent` of any version is longer.
const MAX_TRACEPARENT: usize = 512;

/// The trace context of a request that a server got, for the run that answers it.
///
/// Whoever sends a request can write into its headers what they like. So they are not believed unless [`trusted`](Self::trusted)
/// says so: the run begins a trace of its own, with a link to the caller's span, and takes neither its sampling nor its baggage. A
/// header that is not well formed is left out and [counted](Self::ignored).
///
/// # Example
///
/// ```
/// use agent_sdk::operation::{Incoming, RunContext};
///
/// let headers = [("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")];
/// // The `&HeaderMap` of a web framework does as well.
/// let incoming = Incoming::from_headers(headers);
/// let caller = incoming.caller().unwrap();
///
/// let joins = RunContext::builder().incoming(&incoming.clone().trusted()).build();
/// assert_eq!(joins.trace(), Some(caller));
/// let links = RunContext::builder().incoming(&incoming).build();
/// assert_eq!(links.trace(), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incoming {
    caller: Option<TraceContext>,
    trace_state: TraceState,
    baggage: Baggage,
    trusted: bool,
    ignored: Ignored,
}

/// What was left out of a request's headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ignored {
    /// `traceparent` headers.
    pub traceparent: u32,
    /// Members of `tracestate`, or all of it as one.
    pub tracestate: u32,
    /// Members of `baggage`.
    pub baggage: u32,
}

impl Incoming {
    /// Reads the headers that carry a trace: `traceparent`, `tracestate` and `baggage`, in any case. Others do not matter.
    pub fn from_headers<K: AsRef<str>, V: AsRef<[u8]>>(
        headers: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let mut incoming = Self::default();
        let (mut parents, mut states) = (0_u32, String::new());
        for (name, value) in headers {
            let is = |known: &str| name.as_ref().eq_ignore_ascii_case(known);
            let value = value.as_ref();
            if is("traceparent") {
                parents = parents.saturating_add(1);
                incoming.caller = traceparent(value);
            } else if is("tracestate") {
                states.push(',');
                states.push_str(str::from_utf8(value).unwrap_or("?"));
            } else if is("baggage") {
                let (more, left_out) = match str::from_utf8(value) {
                    Ok(text) => Baggage::read(text),
                    Err(_) => (Baggage::new(), 1),
                };
                let ignored = &mut incoming.ignored.baggage;
                *ignored = ignored.saturating_add(left_out);
                incoming.baggage = std::mem::take(&mut incoming.baggage).and(&more);
            }
        }
        if parents > 1 {
            incoming.caller = None;
        }
        if incoming.caller.is_some() {
            (incoming.trace_state, incoming.ignored.tracestate) = TraceState::read(&states);
        } else {
            // The state of a trace that nobody knows says nothing.
            incoming.ignored.traceparent = parents;
            incoming.ignored.tracestate = u32::from(!states.is_empty());
        }
        incoming
    }

    /// Believes the headers: the run joins the caller's trace, and its baggage goes on. For callers of one's own only.
    #[must_use]
    pub fn trusted(mut self) -> Self {
        self.trusted = true;
        self
    }

    /// Whether the headers are believed.
    pub fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// The span of the caller.
    pub fn caller(&self) -> Option<TraceContext> {
        self.caller
    }

    /// The vendors' part of the caller's trace.
    pub fn trace_state(&self) -> &TraceState {
        &self.trace_state
    }

    /// What the caller sent along.
    pub fn baggage(&self) -> &Baggage {
        &self.baggage
    }

    /// What was left out because it was not well formed or too long.
    pub fn ignored(&self) -> Ignored {
        self.ignored
    }
}

fn traceparent(value: &[u8]) -> Option<TraceContext> {
    let value = value.get(..MAX_TRACEPARENT).map_or(value, |_| &[]);
    str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Kind, Outcome, Payload, RunContext};

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn o8_an_untrusted_caller_is_linked_and_not_joined() {
        let headers = [
            ("traceparent", PARENT),
            ("tracestate", "a=1"),
            ("baggage", "tenant=acme"),
        ];
        let incoming = Incoming::from_headers(headers);
        let caller = incoming.caller().unwrap();
        let context = RunContext::builder().incoming(&incoming).build();
        let root = context.start(Kind::Agent, "a").begin();
        assert_eq!(root.info().links, [caller]);
        assert_eq!(root.info().parent_trace, None);
        assert_ne!(root.info().trace.trace_id, caller.trace_id);
        assert!(root.context().baggage().is_empty());
        let sent = root.context().propagation_headers();
        assert_eq!(sent.len(), 1, "neither state nor baggage goes on: {sent:?}");
        let inner = root.context().start(Kind::Tool, "t").begin();
        assert!(inner.info().links.is_empty());
        inner.end(Outcome::Ok, Payload::None);

        let context = RunContext::builder().incoming(&incoming.trusted()).build();
        let root = context.start(Kind::Agent, "a").begin();
        assert!(root.info().links.is_empty());
        assert_eq!(root.info().parent_trace, Some(caller));
        let sent = root.context().propagation_headers();
        let own = root.info().trace.traceparent();
        let all = [
            ("traceparent", own.as_str()),
            ("tracestate", "a=1"),
            ("baggage", "tenant=acme"),
        ];
        assert_eq!(sent, all.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn o8_hostile_headers_are_ignored_and_counted() {
        let long = "0".repeat(64 * 1024);
        let future = format!("cc{}-{long}", PARENT.trim_start_matches("00"));
        for bad in [
            "",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-zzf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-01",
            &long,
            &future,
        ] {
            let incoming = Incoming::from_headers([("traceparent", bad), ("tracestate", "a=1")]);
            assert_eq!(incoming.caller(), None, "{}", bad.get(..60).unwrap_or(bad));
            let ignored = incoming.ignored();
            assert_eq!((ignored.traceparent, ignored.tracestate), (1, 1));
            assert_eq!(incoming.trace_state().as_str(), None);
        }
        let twice = Incoming::from_headers([("traceparent", PARENT), ("Traceparent", PARENT)]);
        assert_eq!((twice.caller(), twice.ignored().traceparent), (None, 2));
        let newer = format!("01{}-more", PARENT.trim_start_matches("00"));
        assert!(
            Incoming::from_headers([("traceparent", newer)])
                .caller()
                .is_some()
        );
        let binary = [
            ("traceparent", &b"\xff\xfe"[..]),
            ("baggage", b"\xff"),
            ("x", b"\xff"),
        ];
        let ignored = Incoming::from_headers(binary).ignored();
        assert_eq!((ignored.traceparent, ignored.baggage), (1, 1));
    }

    #[test]
    fn lists_may_come_in_several_headers() {
        let headers = [
            ("traceparent", PARENT),
            ("tracestate", "a=1"),
            ("baggage", "x=1"),
            ("TraceState", "b=2"),
            ("Baggage", "y=2,bad"),
        ];
        let incoming = Incoming::from_headers(headers);
        assert_eq!(incoming.trace_state().as_str(), Some("a=1,b=2"));
        assert_eq!(incoming.baggage().header().as_deref(), Some("x=1,y=2"));
        assert_eq!(incoming.ignored().baggage, 1);
    }
}

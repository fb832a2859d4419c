//! One exchange that is being recorded.

use std::{
    fmt,
    sync::{Arc, Mutex},
    task::Poll,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::HeaderMap;
use reqwest::Url;
use tokio::time::Instant;

use super::{
    Recorder,
    format::{Chunk, Ended, Exchange, Failure, Piece, Request, Response, VERSION, micros},
    recorder::lock,
    scrub::Scrubber,
};
use crate::{
    model::{ModelError, ModelErrorKind, Usage, http::Body, wire::Secrets},
    operation::{Clock, SystemClock},
};

/// One exchange that is being recorded; clones write on the same one.
#[derive(Clone)]
pub(in crate::model) struct Tape {
    inner: Arc<Inner>,
}

struct Inner {
    recorder: Recorder,
    recorded_at: Option<String>,
    started: Instant,
    scrubber: Scrubber,
    /// Nothing once it was written.
    state: Mutex<Option<State>>,
}

struct State {
    request: Request,
    head: Option<Head>,
    chunks: Vec<(u64, Bytes)>,
    broken: Option<String>,
    is_at_end: bool,
    usage: Option<Usage>,
}

/// The head of the answer, as it is written.
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
    after_us: u64,
}

impl Tape {
    /// Begins to record a request that is about to be sent.
    pub(super) fn new(
        recorder: Recorder,
        url: &Url,
        headers: &HeaderMap,
        body: &[u8],
        secrets: &Secrets,
    ) -> Self {
        let scrubber = Scrubber::new(secrets, url, headers);
        let request = scrubber.request("POST", url, headers, body);
        let now = jiff::Timestamp::try_from(SystemClock.now());
        Self {
            inner: Arc::new(Inner {
                recorder,
                recorded_at: now.ok().map(|now| now.to_string()),
                started: Instant::now(),
                scrubber,
                state: Mutex::new(Some(State {
                    request,
                    head: None,
                    chunks: Vec::new(),
                    broken: None,
                    is_at_end: false,
                    usage: None,
                })),
            }),
        }
    }

    /// The head of the answer has come.
    pub(in crate::model) fn head(&self, status: u16, headers: &HeaderMap) {
        let head = Head {
            status,
            headers: self.inner.scrubber.headers(headers),
            after_us: self.now(),
        };
        self.update(|state| state.head = Some(head));
    }

    /// Listens to the body.
    pub(in crate::model) fn listen(&self, mut body: Body) -> Body {
        let tape = self.clone();
        stream::poll_fn(move |cx| {
            let next = body.poll_next_unpin(cx);
            if let Poll::Ready(next) = &next {
                let now = tape.now();
                tape.update(|state| match next {
                    Some(Ok(bytes)) => state.chunks.push((now, bytes.clone())),
                    Some(Err(error)) => {
                        state.broken = Some(tape.inner.scrubber.text(&error.to_string()));
                    }
                    None => state.is_at_end = true,
                });
            }
            next
        })
        .boxed()
    }

    /// The answer says what it used.
    pub(in crate::model) fn used(&self, usage: &Usage) {
        if !usage.is_unknown() {
            self.update(|state| state.usage = Some(*usage));
        }
    }

    fn now(&self) -> u64 {
        micros(self.inner.started.elapsed())
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        if let Some(state) = &mut *lock(&self.inner.state) {
            change(state);
        }
    }

    /// Writes it down; what comes later is not heard.
    fn end(&self, how: impl FnOnce(&State) -> Ended, error: Option<&ModelError>) {
        let Some(state) = lock(&self.inner.state).take() else {
            return;
        };
        let scrubber = &self.inner.scrubber;
        let ended = how(&state);
        let failure = error.map(|error| Failure {
            kind: error.kind().as_str().to_owned(),
            message: scrubber.text(error.message()),
        });
        let chunks = without_secrets(state.chunks, scrubber);
        let response = state.head.map(|head| Response {
            status: head.status,
            headers: head.headers,
            after_us: head.after_us,
            chunks,
            broken: state.broken,
        });
        self.inner.recorder.write(&Exchange {
            cassette: VERSION,
            recorded_at: self.inner.recorded_at.clone(),
            request: state.request,
            response,
            ended,
            failure,
            usage: state.usage,
        });
    }
}

/// The chunks as they may be written: a secret may lie across two of them.
fn without_secrets(chunks: Vec<(u64, Bytes)>, scrubber: &Scrubber) -> Vec<Chunk> {
    let mut whole: Vec<u8> = Vec::new();
    for (_, bytes) in &chunks {
        whole.extend_from_slice(bytes);
    }
    scrubber.overwrite(&mut whole);
    let mut rest = &*whole;
    let chunks = chunks.into_iter().map(|(after_us, bytes)| {
        let (piece, tail) = rest.split_at(bytes.len().min(rest.len()));
        rest = tail;
        Chunk {
            after_us,
            bytes: Piece::of(piece),
        }
    });
    chunks.collect()
}

/// Sees to it that an exchange is written once, however it ends: dropped, it was given up.
pub(in crate::model) struct Recording {
    tape: Tape,
}

impl Recording {
    pub(in crate::model) fn new(tape: Tape) -> Self {
        Self { tape }
    }

    pub(in crate::model) fn tape(&self) -> &Tape {
        &self.tape
    }

    /// The answer was read.
    pub(in crate::model) fn succeed(&self) {
        self.tape.end(|_| Ended::Complete, None);
    }

    /// The caller is given an error.
    pub(in crate::model) fn fail(&self, error: &ModelError) {
        if let Some(partial) = error.partial() {
            self.tape.used(&partial.usage);
        }
        let timed_out = error.kind() == ModelErrorKind::Timeout;
        let how = |state: &State| match state {
            State {
                broken: Some(_), ..
            } => Ended::Broken,
            State {
                is_at_end: true, ..
            } => Ended::Complete,
            _ if timed_out => Ended::TimedOut,
            State { head: None, .. } => Ended::Unreachable,
            _ => Ended::Complete,
        };
        self.tape.end(how, Some(error));
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.tape.end(|_| Ended::Cancelled, None);
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recording")
    }
}

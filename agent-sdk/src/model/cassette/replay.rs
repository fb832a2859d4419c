//! Serving what was recorded.

use std::{
    error::Error as StdError,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;
use tokio::time::{Instant, sleep_until};

use super::{
    CassetteError, CassetteErrorKind,
    difference::{Difference, differences},
    format::{Ended, Exchange, Request, VERSION, Versioned},
    scrub::Scrubber,
};
use crate::model::{ModelError, ModelErrorKind, http::Body, wire::Secrets};

/// How many differences an error names.
const SHOWN: usize = 3;

/// Answers a client from what a [`Recorder`](super::Recorder) wrote: no network, no key. Cheap to clone; clones share what was served.
///
/// A request is answered by the first recorded one that was not served yet and has the same method, path, query and body; the order of
/// a body's fields does not matter. The server's name and the headers do not count. Status, headers and the cuts between the
/// pieces of a body are as they were recorded. One that matches nothing fails with
/// [`ModelErrorKind::Configuration`], whose source is a [`CassetteError`] that says where it differs.
///
/// By default answers come at once; see [`in_real_time`](Self::in_real_time).
#[derive(Clone)]
pub struct Replay {
    cassette: Arc<Cassette>,
    ignored: Arc<[String]>,
    real_time: bool,
}

struct Cassette {
    path: PathBuf,
    exchanges: Vec<Exchange>,
    served: Mutex<Vec<bool>>,
    damaged: Vec<usize>,
}

impl Replay {
    /// Reads a file.
    ///
    /// Lines that were not written to their end are left out and told by [`damaged_lines`](Self::damaged_lines).
    ///
    /// # Errors
    ///
    /// [`CassetteErrorKind::Io`] where it cannot be read, [`CassetteErrorKind::Malformed`] where it holds something else, with the
    /// line, and [`CassetteErrorKind::NewerVersion`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CassetteError> {
        let path = path.as_ref();
        let file = std::fs::read(path).map_err(|error| CassetteError::io(path, error))?;
        let (mut exchanges, mut damaged) = (Vec::new(), Vec::new());
        let lines = file.split(|byte| *byte == b'\n').zip(1..);
        for (line, number) in lines.filter(|(line, _)| !line.trim_ascii().is_empty()) {
            match read(line) {
                Ok(Some(exchange)) => exchanges.push(exchange),
                Ok(None) => damaged.push(number),
                Err((kind, what)) => {
                    let message = format!("line {number} of {} {what}", path.display());
                    return Err(CassetteError::new(kind, message));
                }
            }
        }
        if exchanges.is_empty() && !damaged.is_empty() && !file.starts_with(b"{\"cassette\":") {
            let message = format!("{} is no cassette", path.display());
            return Err(CassetteError::new(CassetteErrorKind::Malformed, message));
        }
        if !damaged.is_empty() {
            tracing::warn!(path = %path.display(), lines = ?damaged, "lines of a cassette were not written to their end");
        }
        Ok(Self {
            cassette: Arc::new(Cassette {
                path: path.to_owned(),
                served: Mutex::new(vec![false; exchanges.len()]),
                exchanges,
                damaged,
            }),
            ignored: Arc::new([]),
            real_time: false,
        })
    }

    /// Answers as late as it was recorded, by Tokio's clock, in place of at once. What timed out then takes as long as the client's
    /// own limits allow.
    #[must_use]
    pub fn in_real_time(mut self) -> Self {
        self.real_time = true;
        self
    }

    /// Leaves a part of the body out of the comparison: a JSON pointer, for example `/metadata/run`. What stands below it does
    /// not count either.
    #[must_use]
    pub fn ignoring(mut self, pointer: impl Into<String>) -> Self {
        let pointers = self.ignored.iter().cloned().chain([pointer.into()]);
        self.ignored = pointers.collect();
        self
    }

    /// How many exchanges were recorded.
    pub fn recorded(&self) -> usize {
        self.cassette.exchanges.len()
    }

    /// How many of them were not served yet.
    pub fn unserved(&self) -> usize {
        let served = self.served();
        served.iter().filter(|served| !**served).count()
    }

    /// The lines, from 1, that could not be read because they were not written to their end.
    pub fn damaged_lines(&self) -> &[usize] {
        &self.cassette.damaged
    }

    fn served(&self) -> std::sync::MutexGuard<'_, Vec<bool>> {
        let served = &self.cassette.served;
        served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The recorded answer to a request, at its time.
    pub(in crate::model) async fn answer(
        &self,
        url: &Url,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Replayed, ModelError> {
        let started = Instant::now();
        // What was redacted when it was recorded fits whatever stands in its place now.
        let scrubber = Scrubber::new(&Secrets::default(), url, &HeaderMap::new());
        let asked = scrubber.request("POST", url, headers, body);
        let at = self.find(&asked)?;
        self.play(at, started).await
    }

    /// Takes the first exchange that fits.
    fn find(&self, asked: &Request) -> Result<usize, CassetteError> {
        let mut served = self.served();
        let mut spent = 0;
        let mut nearest: Option<Vec<Difference>> = None;
        for ((exchange, served), at) in self.cassette.exchanges.iter().zip(&mut *served).zip(0..) {
            let found = differences(&exchange.request, asked, &self.ignored);
            match (found.is_empty(), *served) {
                (true, false) => {
                    *served = true;
                    return Ok(at);
                }
                (true, true) => spent += 1,
                (false, _) => {
                    let distance = |found: &[Difference]| {
                        let place = found.first().map(|one| one.pointer.starts_with('/'));
                        (place == Some(false), found.len())
                    };
                    let is_nearer = nearest
                        .as_ref()
                        .is_none_or(|nearest| distance(&found) < distance(nearest));
                    if is_nearer {
                        nearest = Some(found);
                    }
                }
            }
        }
        Err(self.missing(spent, &nearest.unwrap_or_default()))
    }

    fn missing(&self, spent: usize, nearest: &[Difference]) -> CassetteError {
        if spent > 0 {
            let message = format!("this request was recorded {spent} times, and asked once more");
            return CassetteError::new(CassetteErrorKind::Exhausted, message);
        }
        let damaged = match self.cassette.damaged.len() {
            0 => String::new(),
            lines => format!(" ({lines} lines of the cassette could not be read)"),
        };
        let Some(first) = nearest.first() else {
            let message = format!("the cassette holds no exchange{damaged}");
            return CassetteError::new(CassetteErrorKind::NotRecorded, message);
        };
        let pointer = first.pointer.clone();
        let more = nearest.len().saturating_sub(SHOWN);
        let shown = nearest.iter().take(SHOWN);
        let shown: Vec<_> = shown
            .map(|one| format!("{}: {}", one.pointer, one.what))
            .collect();
        let more = match more {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        let message = format!(
            "not recorded{damaged}; the nearest differs at {}{more}",
            shown.join("; ")
        );
        CassetteError::new(CassetteErrorKind::NotRecorded, message).at(pointer)
    }

    async fn play(&self, at: usize, started: Instant) -> Result<Replayed, ModelError> {
        let clock = Clock {
            started,
            real_time: self.real_time,
        };
        let Some(exchange) = self.cassette.exchanges.get(at) else {
            return Err(gone());
        };
        let Some(response) = &exchange.response else {
            if exchange.ended == Ended::TimedOut && self.real_time {
                std::future::pending::<()>().await;
            }
            return Err(unanswered(exchange));
        };
        clock.wait(response.after_us).await;
        let mut headers = HeaderMap::new();
        for (name, value) in &response.headers {
            if let (Ok(name), Ok(value)) = (
                HeaderName::try_from(name.as_str()),
                HeaderValue::try_from(value.as_str()),
            ) {
                headers.append(name, value);
            }
        }
        let place = Place {
            cassette: self.cassette.clone(),
            exchange: at,
            chunk: 0,
            clock,
            is_over: false,
        };
        Ok(Replayed {
            status: response.status,
            headers,
            body: stream::unfold(place, Place::next).boxed(),
        })
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("path", &self.cassette.path)
            .field("recorded", &self.recorded())
            .field("unserved", &self.unserved())
            .field("real_time", &self.real_time)
            .finish_non_exhaustive()
    }
}

/// A recorded answer.
pub(in crate::model) struct Replayed {
    pub(in crate::model) status: u16,
    pub(in crate::model) headers: HeaderMap,
    pub(in crate::model) body: Body,
}

/// When things happen.
#[derive(Clone, Copy)]
struct Clock {
    started: Instant,
    real_time: bool,
}

impl Clock {
    async fn wait(self, after_us: u64) {
        if self.real_time
            && let Some(at) = self.started.checked_add(Duration::from_micros(after_us))
            && at > Instant::now()
        {
            sleep_until(at).await;
        }
    }
}

/// How far a body was served.
struct Place {
    cassette: Arc<Cassette>,
    exchange: usize,
    chunk: usize,
    clock: Clock,
    is_over: bool,
}

type Item = Result<Bytes, Box<dyn StdError + Send + Sync>>;

impl Place {
    async fn next(mut self) -> Option<(Item, Self)> {
        if self.is_over {
            return None;
        }
        let cassette = self.cassette.clone();
        let exchange = cassette.exchanges.get(self.exchange)?;
        let response = exchange.response.as_ref()?;
        if let Some(chunk) = response.chunks.get(self.chunk) {
            self.clock.wait(chunk.after_us).await;
            self.chunk += 1;
            let bytes = chunk.bytes.bytes().unwrap_or_default();
            return Some((Ok(bytes), self));
        }
        self.is_over = true;
        let error: Box<dyn StdError + Send + Sync> = match exchange.ended {
            Ended::Complete => return None,
            Ended::TimedOut if self.clock.real_time => std::future::pending().await,
            Ended::TimedOut => Box::new(Stalled),
            Ended::Broken => response.broken.clone().unwrap_or_default().into(),
            _ => "the recording ends here: its reader gave up".into(),
        };
        Some((Err(error), self))
    }
}

/// Nothing more came in time when this was recorded.
#[derive(Debug)]
pub(in crate::model) struct Stalled;

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing more came in time")
    }
}

impl StdError for Stalled {}

/// A line; nothing where it was not written to its end.
fn read(line: &[u8]) -> Result<Option<Exchange>, (CassetteErrorKind, String)> {
    let versioned = match serde_json::from_slice::<Versioned>(line) {
        Ok(versioned) => versioned,
        Err(error) if error.is_eof() || error.is_syntax() => return Ok(None),
        Err(_) => {
            return Err((
                CassetteErrorKind::Malformed,
                "is no recorded exchange".into(),
            ));
        }
    };
    if versioned.cassette > VERSION {
        let what = format!(
            "is of version {}, and this library reads up to {VERSION}",
            versioned.cassette
        );
        return Err((CassetteErrorKind::NewerVersion, what));
    }
    let malformed = |what: String| (CassetteErrorKind::Malformed, what);
    let mut reader = serde_json::Deserializer::from_slice(line);
    let exchange: Exchange = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| malformed(format!("cannot be read at `{}`", error.path())))?;
    let chunks = exchange
        .response
        .iter()
        .flat_map(|response| &response.chunks);
    if chunks
        .into_iter()
        .any(|chunk| chunk.bytes.bytes().is_none())
    {
        return Err(malformed(
            "holds a piece that is no hexadecimal number".into(),
        ));
    }
    Ok(Some(exchange))
}

/// No answer began when this was recorded.
fn unanswered(exchange: &Exchange) -> ModelError {
    let kind = match exchange.ended {
        Ended::TimedOut => ModelErrorKind::Timeout,
        _ => ModelErrorKind::Transport,
    };
    let said = exchange.failure.as_ref().map(|failure| &*failure.message);
    ModelError::new(
        kind,
        said.unwrap_or("the recording ends before the answer: its reader gave up"),
    )
}

fn gone() -> ModelError {
    let message = "the cassette lost an exchange";
    CassetteError::new(CassetteErrorKind::Malformed, message).into()
}

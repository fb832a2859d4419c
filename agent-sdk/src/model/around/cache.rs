//! Answers that are kept for the same request.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    hash::{BuildHasher, Hash, Hasher, RandomState},
    io,
    num::NonZeroUsize,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    guarded::Guarded,
    model::{ChatRequest, ChatResponse, FinishReason, ModelInfo, OutputFormat, Usage},
};

/// Answers that are given again to the same request, in this process. Clones share what is kept, so that several handles may
/// have one cache.
///
/// The same request is one to the same model, provider and address, with the same instructions, messages, tools, choice of
/// tool, output format and settings. Kept are whole answers that ended by themselves or with tool calls; nothing that failed,
/// was cut off or filtered, and nothing that another model answered in this one's place.
///
/// An answer from the cache is a `chat` operation whose facts say [`cached`](crate::operation::Facts::cached). It has no usage
/// and no cost, and neither has the response. Streamed, it comes in one piece.
///
/// Requests that are under way at the same time are not joined: each that finds nothing asks the model. The answers stay in
/// memory only; each takes as much of it as it is long.
///
/// The least recently used answer goes where there is no more room. Sampling at random is no reason not to answer from the
/// cache: a model that shall answer differently each time must not have one.
#[derive(Clone)]
pub struct ResponseCache {
    kept: Arc<Mutex<Kept>>,
    capacity: usize,
    time_to_live: Duration,
}

impl ResponseCache {
    /// An empty cache for so many answers.
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self {
            kept: Arc::new(Mutex::guard(Kept::default())),
            capacity: capacity.get(),
            time_to_live: Duration::from_hours(1),
        }
    }

    /// Sets for how long an answer is given after it came. Default: one hour.
    #[must_use]
    pub fn time_to_live(mut self, time: Duration) -> Self {
        self.time_to_live = time;
        self
    }

    /// How many answers are kept, outdated ones included.
    pub fn len(&self) -> usize {
        self.kept.with(|kept| kept.entries.len())
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.kept.with(|kept| *kept = Kept::default());
    }

    pub(super) fn get(&self, key: &Key) -> Option<Box<ChatResponse>> {
        let now = Instant::now();
        let response = self.kept.with(|kept| kept.get(key, now))?;
        // Copied outside of the lock: an answer may be large.
        Some(Box::new(ChatResponse::clone(&response)))
    }

    fn put(&self, key: Key, response: &ChatResponse) {
        if !matches!(
            response.finish_reason,
            FinishReason::Stop | FinishReason::ToolCalls
        ) {
            return;
        }
        let Some(expires) = Instant::now().checked_add(self.time_to_live) else {
            return;
        };
        let mut response = response.clone();
        response.usage = Usage::unknown();
        response.side_usage = Vec::new();
        response.provider_cost = None;
        let response = Arc::new(response);
        self.kept
            .with(|kept| kept.put(key, response, expires, self.capacity));
    }
}

impl fmt::Debug for ResponseCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseCache")
            .field("len", &self.len())
            .field("capacity", &self.capacity)
            .field("time_to_live", &self.time_to_live)
            .finish_non_exhaustive()
    }
}

/// The place of an answer that is to come.
#[derive(Debug)]
pub(in crate::model) struct Slot {
    cache: ResponseCache,
    key: Key,
}

impl Slot {
    pub(super) fn new(cache: ResponseCache, key: Key) -> Self {
        Self { cache, key }
    }

    /// Keeps the answer, if it is one to keep.
    pub(in crate::model) fn keep(self, response: &ChatResponse) {
        self.cache.put(self.key, response);
    }
}

#[derive(Default)]
struct Kept {
    entries: HashMap<Key, Entry>,
    /// The keys, by when they were used last.
    by_use: BTreeMap<u64, Key>,
    uses: u64,
}

struct Entry {
    response: Arc<ChatResponse>,
    expires: Instant,
    used: u64,
}

impl Kept {
    fn get(&mut self, key: &Key, now: Instant) -> Option<Arc<ChatResponse>> {
        let entry = self.entries.get_mut(key)?;
        self.by_use.remove(&entry.used);
        if entry.expires <= now {
            self.entries.remove(key);
            return None;
        }
        self.uses += 1;
        entry.used = self.uses;
        self.by_use.insert(self.uses, *key);
        Some(entry.response.clone())
    }

    fn put(&mut self, key: Key, response: Arc<ChatResponse>, expires: Instant, capacity: usize) {
        self.uses += 1;
        let entry = Entry {
            response,
            expires,
            used: self.uses,
        };
        if let Some(replaced) = self.entries.insert(key, entry) {
            self.by_use.remove(&replaced.used);
        }
        self.by_use.insert(self.uses, key);
        while self.entries.len() > capacity
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.entries.remove(&oldest);
        }
    }
}

/// What tells requests apart: 128 bits of two hashes whose keys are random and this process's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(u64, u64);

static HASHES: LazyLock<(RandomState, RandomState)> =
    LazyLock::new(|| (RandomState::new(), RandomState::new()));

impl Key {
    /// The key of a request to a model.
    pub(super) fn of(model: &ModelInfo, request: &ChatRequest) -> Self {
        let (left, right) = &*HASHES;
        let mut hashes = Hashes(left.build_hasher(), right.build_hasher());
        let ModelInfo {
            provider,
            model,
            server_address,
            server_port,
            api_type,
        } = model;
        (provider, model, server_address, server_port, api_type).hash(&mut hashes);
        let ChatRequest {
            instructions,
            conversation,
            tools,
            tool_choice,
            output,
            settings,
            // Its name is not sent.
            prompt: _,
        } = request;
        instructions.hash(&mut hashes);
        // The conversation's id is not sent and is no part of it.
        hashes.json(conversation.messages());
        tools.len().hash(&mut hashes);
        for tool in tools.iter() {
            (&tool.name, &tool.description, tool.parameters.get()).hash(&mut hashes);
        }
        hashes.json(tool_choice);
        match output {
            OutputFormat::Text => 0_u8.hash(&mut hashes),
            OutputFormat::JsonObject => 1_u8.hash(&mut hashes),
            OutputFormat::JsonSchema {
                name,
                schema,
                strict,
            } => (2_u8, name, schema.get(), strict).hash(&mut hashes),
        }
        // The debug form shows every field, also those that are still to come; none of them is content.
        let _ = io::Write::write_fmt(&mut hashes, format_args!("{settings:?}"));
        Self(hashes.0.finish(), hashes.1.finish())
    }
}

/// Two hashes of the same bytes.
struct Hashes<H>(H, H);

impl<H: Hasher> Hashes<H> {
    fn json(&mut self, value: &(impl serde::Serialize + ?Sized)) {
        let written = serde_json::to_writer(&mut *self, value);
        // So that what could not be written is not taken for nothing.
        written.is_ok().hash(self);
    }
}

impl<H: Hasher> Hasher for Hashes<H> {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
        self.1.write(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

impl<H: Hasher> io::Write for Hashes<H> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Hasher::write(self, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

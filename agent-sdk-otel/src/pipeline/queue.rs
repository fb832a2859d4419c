//! The items that wait, as bytes in the form in which they travel.
//!
//! Items of one scope are appended to one chunk, each with its tag and length, until the chunk is
//! full. A request is made of whole chunks, so that an item is copied twice on its way and encoded
//! once.

use std::collections::VecDeque;
use std::time::Instant;

use super::envelope::{FRAME, ITEMS, field};
use super::scope::Scope;

/// A chunk is closed at this size; a larger item has one of its own. Small enough that growing one
/// never copies much under the lock.
const CHUNK_BYTES: usize = 128 * 1024;

/// What a chunk begins with.
const FIRST_BYTES: usize = 4 * 1024;

/// How many chunks at the end are searched for the scope of a new item. Spans of a few libraries
/// mix; a scope that is further back begins a new chunk.
const OPEN_CHUNKS: usize = 8;

/// Emptied buffers that are kept for the next chunks while the queue is in use.
const SPARE_BUFFERS: usize = 64;

/// Those that are kept while it is not: a batch of usual size fills two. Growing others for each batch costs more than filling them.
const IDLE_BUFFERS: usize = 2;

/// Items of one scope.
#[derive(Debug)]
pub(crate) struct Chunk {
    scope: Scope,
    bytes: Vec<u8>,
    items: usize,
    /// The number of its first item, counted over all that were ever pushed.
    first: u64,
    born: Instant,
}

impl Chunk {
    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// At most what it adds to a request.
    fn request_bytes(&self) -> usize {
        self.bytes.len() + self.scope.len() + FRAME
    }
}

/// The chunks of one request.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(super) chunks: Vec<Chunk>,
    pub(super) items: u64,
    pub(super) first: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    chunks: VecDeque<Chunk>,
    items: usize,
    bytes: usize,
    pushed: u64,
    spare: Vec<Vec<u8>>,
}

impl Queue {
    /// Appends one encoded item. A chunk takes at most `most` items.
    pub(super) fn push(&mut self, scope: &Scope, message: &[u8], most: usize) {
        let room = CHUNK_BYTES.saturating_sub(message.len() + FRAME);
        let open = self.chunks.iter_mut().rev().take(OPEN_CHUNKS);
        let mut open = open.filter(|chunk| chunk.scope == *scope);
        let chunk = open
            .next()
            .filter(|chunk| chunk.items < most && chunk.bytes.len() <= room);
        let grown = if let Some(chunk) = chunk {
            let before = chunk.bytes.len();
            field(ITEMS, message, &mut chunk.bytes);
            chunk.items += 1;
            chunk.bytes.len() - before
        } else {
            let spare = self.spare.pop();
            let mut bytes = spare.unwrap_or_else(|| Vec::with_capacity(FIRST_BYTES));
            field(ITEMS, message, &mut bytes);
            let grown = bytes.len();
            self.chunks.push_back(Chunk {
                scope: scope.clone(),
                bytes,
                items: 1,
                first: self.pushed,
                born: Instant::now(),
            });
            grown
        };
        self.pushed += 1;
        self.items += 1;
        self.bytes += grown;
    }

    /// The oldest chunks, at least one: as many as make a request of at most `items` and `bytes`.
    pub(super) fn take(&mut self, items: usize, bytes: usize) -> Option<Batch> {
        let first = self.chunks.pop_front()?;
        let mut batch = Batch {
            items: first.items as u64,
            first: first.first,
            chunks: Vec::new(),
        };
        let (mut taken, mut size, mut content) =
            (first.items, first.request_bytes(), first.bytes.len());
        batch.chunks.push(first);
        while let Some(next) = self.chunks.front()
            && taken + next.items <= items
            && size + next.request_bytes() <= bytes
            && let Some(next) = self.chunks.pop_front()
        {
            taken += next.items;
            size += next.request_bytes();
            content += next.bytes.len();
            batch.items += next.items as u64;
            batch.chunks.push(next);
        }
        self.items -= taken;
        self.bytes -= content;
        Some(batch)
    }

    /// Takes back the buffers of chunks that were sent. What an idle queue holds beyond a few is given back to the system.
    pub(super) fn recycle(&mut self, chunks: Vec<Chunk>) {
        let most = if self.chunks.is_empty() {
            IDLE_BUFFERS
        } else {
            SPARE_BUFFERS
        };
        self.spare.truncate(most);
        for mut chunk in chunks {
            if self.spare.len() < most && chunk.bytes.capacity() <= 2 * CHUNK_BYTES {
                chunk.bytes.clear();
                self.spare.push(chunk.bytes);
            }
        }
    }

    /// Throws everything away and says how many items that were.
    pub(super) fn clear(&mut self) -> u64 {
        let items = self.items as u64;
        self.chunks = VecDeque::new();
        self.spare = Vec::new();
        (self.items, self.bytes) = (0, 0);
        items
    }

    pub(super) fn items(&self) -> usize {
        self.items
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many items were ever pushed.
    pub(super) fn pushed(&self) -> u64 {
        self.pushed
    }

    /// The number of the first item that waits.
    pub(super) fn first(&self) -> Option<u64> {
        Some(self.chunks.front()?.first)
    }

    /// When the oldest chunk began.
    pub(super) fn oldest(&self) -> Option<Instant> {
        Some(self.chunks.front()?.born)
    }
}

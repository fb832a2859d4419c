//! Results that are kept for identical calls.

use std::collections::{BTreeMap, HashMap};

use tokio::time::Instant;

use super::{
    key::{Alive, Key},
    policy::CachePolicy,
};
use crate::tool::ToolOutput;

/// Results of one tool. It is told the time.
#[derive(Debug)]
pub(super) struct Cache {
    policy: CachePolicy,
    entries: HashMap<Key, Entry>,
    /// The keys, by when they were used last.
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    output: ToolOutput,
    expires: Instant,
    used: u64,
    bytes: usize,
    _alive: Alive,
}

impl Cache {
    pub(super) fn new(policy: CachePolicy) -> Self {
        Self {
            policy,
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            bytes: 0,
        }
    }

    /// What is kept for a call.
    pub(super) fn get(&mut self, key: &Key, now: Instant) -> Option<ToolOutput> {
        let entry = self.entries.get_mut(key)?;
        if entry.expires <= now {
            self.remove(key);
            return None;
        }
        self.uses += 1;
        if let Some(key) = self.by_use.remove(&entry.used) {
            self.by_use.insert(self.uses, key);
        }
        entry.used = self.uses;
        Some(entry.output.clone())
    }

    /// Keeps what a call gave, if it has room for it at all.
    pub(super) fn put(&mut self, key: Key, alive: Alive, output: ToolOutput, now: Instant) {
        let lives = self.policy.time_to_live;
        let Some(expires) = lives.and_then(|lives| now.checked_add(lives)) else {
            return;
        };
        // The key is there twice.
        let bytes = output.content.as_str().len() + 2 * key.bytes();
        if bytes > self.policy.bytes {
            return;
        }
        self.remove(&key);
        self.uses += 1;
        self.by_use.insert(self.uses, key.clone());
        self.bytes += bytes;
        let entry = Entry {
            output,
            expires,
            used: self.uses,
            bytes,
            _alive: alive,
        };
        self.entries.insert(key, entry);
        while (self.entries.len() > self.policy.entries || self.bytes > self.policy.bytes)
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_use.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }

    /// How many results are kept, and their bytes.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        assert_eq!(self.entries.len(), self.by_use.len());
        (self.entries.len(), self.bytes)
    }
}

//! The series of the operations that came before.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

use super::key::{KeptKey, Key};

const SHARDS: usize = 16;

/// How many entries a shard keeps. The series of other keys are looked up for every record, which is slower and comes to the same.
const SHARD_ENTRIES: usize = 256;

/// Keeps what was made for a key, up to a limit. A hit allocates nothing and waits only for whoever makes room for a new key.
pub(super) struct Cache<T> {
    seed: u64,
    shards: [RwLock<Shard<T>>; SHARDS],
}

type Shard<T> = HashMap<u64, Vec<(KeptKey, Arc<T>)>, BuildHasherDefault<Hashed>>;

impl<T> Cache<T> {
    /// What was kept for the key.
    pub(super) fn get(&self, key: &Key<'_>) -> Option<Arc<T>> {
        let hash = key.hash(self.seed);
        let shard = self.shard(hash)?.read();
        let shard = shard.unwrap_or_else(PoisonError::into_inner);
        find(&shard, hash, key)
    }

    /// What was kept for the key, or what is made now and kept where there is room.
    pub(super) fn get_or_make(&self, key: &Key<'_>, make: impl FnOnce() -> T) -> Arc<T> {
        if let Some(kept) = self.get(key) {
            return kept;
        }
        let fresh = Arc::new(make());
        let hash = key.hash(self.seed);
        let Some(shard) = self.shard(hash) else {
            return fresh;
        };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = find(&shard, hash, key) {
            return kept;
        }
        if shard.len() < SHARD_ENTRIES {
            let same_hash = shard.entry(hash).or_default();
            same_hash.push((key.into(), fresh.clone()));
        }
        fresh
    }

    fn shard(&self, hash: u64) -> Option<&RwLock<Shard<T>>> {
        let index = usize::try_from(hash >> 32).unwrap_or_default() % SHARDS;
        self.shards.get(index)
    }
}

fn find<T>(shard: &Shard<T>, hash: u64, key: &Key<'_>) -> Option<Arc<T>> {
    let mut same_hash = shard.get(&hash)?.iter();
    let (_, kept) = same_hash.find(|(kept, _)| kept.is(key))?;
    Some(kept.clone())
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self {
            seed: RandomState::new().hash_one(0),
            shards: Default::default(),
        }
    }
}

impl<T> fmt::Debug for Cache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

/// The hash of a number that is a hash.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only numbers are hashed here; anything else is still hashed, if badly.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use agent_sdk::operation::Kind;

    use super::*;

    #[test]
    fn a_key_is_made_once() {
        let cache = Cache::default();
        let key = Key::new(Kind::Agent, "triage");
        assert!(cache.get(&key).is_none());
        assert_eq!(*cache.get_or_make(&key, || 1), 1);
        assert_eq!(*cache.get_or_make(&key, || 2), 1);
        assert!(cache.get(&Key::new(Kind::Agent, "other")).is_none());
    }

    #[test]
    fn o6_the_cache_is_bounded() {
        let cache = Cache::default();
        for index in 0..20_000 {
            let name = index.to_string();
            let made = cache.get_or_make(&Key::new(Kind::Agent, &name), || index);
            assert_eq!(*made, index);
        }
        let shards = cache.shards.iter();
        let entries = shards.map(|shard| shard.read().unwrap().len());
        assert!(entries.max() <= Some(SHARD_ENTRIES));
    }
}

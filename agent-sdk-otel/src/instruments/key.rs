//! What the labels of an operation come from.

use agent_sdk::operation::Kind;

/// What the labels of an operation come from, borrowed from it: two operations with equal keys have the same series. A text that
/// is not known is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key<'a> {
    pub(super) kind: Kind,
    /// The model's, tool's or workflow's name; of an agent's run that of the one model that it asked.
    pub(super) name: &'a str,
    pub(super) provider: &'a str,
    /// The model that answered.
    pub(super) answered: &'a str,
    pub(super) address: &'a str,
    pub(super) port: Option<u16>,
    /// The class of a failure.
    pub(super) error: &'a str,
    /// The agent that it is or belongs to.
    pub(super) agent: &'a str,
    /// Where a cost comes from.
    pub(super) source: &'a str,
}

const TEXTS: usize = 7;

impl<'a> Key<'a> {
    pub(super) const fn new(kind: Kind, name: &'a str) -> Self {
        Self {
            kind,
            name,
            provider: "",
            answered: "",
            address: "",
            port: None,
            error: "",
            agent: "",
            source: "",
        }
    }

    const fn texts(&self) -> [&'a str; TEXTS] {
        [
            self.name,
            self.provider,
            self.answered,
            self.address,
            self.error,
            self.agent,
            self.source,
        ]
    }

    /// A quick hash, for maps that are bounded: whoever makes many keys collide gains nothing but slower recording.
    pub(super) fn hash(&self, seed: u64) -> u64 {
        let port = self.port.map_or(0, |port| u64::from(port) + 1);
        let start = mix(seed, (port << 8) | self.kind as u64);
        let texts = (0_u64..).zip(self.texts());
        // Most are empty.
        let known = texts.filter(|(_, text)| !text.is_empty());
        known.fold(start, |hash, (place, text)| {
            let (words, rest) = text.as_bytes().as_chunks::<8>();
            let words = words.iter().map(|word| u64::from_le_bytes(*word));
            let rest = rest
                .iter()
                .fold(place + 1, |word, byte| (word << 8) | u64::from(*byte));
            mix(words.fold(hash, mix), rest)
        })
    }
}

fn mix(hash: u64, word: u64) -> u64 {
    let wide = u128::from(hash ^ word) * 0x9e37_79b9_7f4a_7c15;
    let [low, high] = [wide, wide >> 64].map(|half| half & u128::from(u64::MAX));
    u64::try_from(low ^ high).unwrap_or_default()
}

/// A key that a map keeps.
#[derive(Debug)]
pub(super) struct KeptKey {
    kind: Kind,
    port: Option<u16>,
    texts: [Box<str>; TEXTS],
}

impl KeptKey {
    pub(super) fn is(&self, key: &Key<'_>) -> bool {
        let mut texts = self.texts.iter().map(|text| &**text).zip(key.texts());
        // Empty ones are not looked into: most are, and comparing nothing took a third of the whole.
        let is_same = |(kept, text): (&str, &str)| {
            kept.len() == text.len() && (text.is_empty() || kept == text)
        };
        self.kind == key.kind && self.port == key.port && texts.all(is_same)
    }
}

impl From<&Key<'_>> for KeptKey {
    fn from(key: &Key<'_>) -> Self {
        Self {
            kind: key.kind,
            port: key.port,
            texts: key.texts().map(Box::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_that_differ_are_told_apart() {
        let plain = Key::new(Kind::Chat, "a");
        let keys = [
            plain,
            Key::new(Kind::Tool, "a"),
            Key::new(Kind::Chat, "aa"),
            Key::new(Kind::Chat, "a\0"),
            Key::new(Kind::Chat, ""),
            Key {
                provider: "a",
                name: "",
                ..plain
            },
            Key {
                answered: "a",
                name: "",
                ..plain
            },
            Key {
                address: "a",
                ..plain
            },
            Key {
                error: "a",
                ..plain
            },
            Key {
                agent: "a",
                ..plain
            },
            Key {
                source: "a",
                ..plain
            },
            Key {
                port: Some(0),
                ..plain
            },
            Key {
                port: Some(443),
                ..plain
            },
        ];
        let hashes: HashSet<_> = keys.iter().map(|key| key.hash(7)).collect();
        assert_eq!(hashes.len(), keys.len());
        for (index, key) in keys.iter().enumerate() {
            let same: Vec<_> = keys
                .iter()
                .filter(|other| KeptKey::from(key).is(other))
                .collect();
            assert_eq!(same, [&keys[index]]);
        }
    }
}

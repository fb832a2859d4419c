//! What travels with a trace beside its ids: W3C `tracestate` and `baggage`.

use std::{fmt::Write as _, sync::Arc};

/// The longest `baggage`, in bytes, and the most members of it.
const BAGGAGE_BYTES: usize = 8_192;
const BAGGAGE_MEMBERS: usize = 64;

/// The longest `tracestate`, in bytes, and the most members of it.
const STATE_BYTES: usize = 512;
const STATE_MEMBERS: usize = 32;

/// The vendors' part of a trace, handed on as it came: at most 32 members and 512 characters. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceState(Option<Arc<str>>);

impl TraceState {
    /// The header's value; `None` where there is nothing in it.
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Reads a header's value; also says how many members were left out. One that is not well formed is left out whole.
    pub fn read(header: &str) -> (Self, u32) {
        let mut kept = String::new();
        let (mut keys, mut members, mut left_out) = (Vec::new(), 0_usize, 0);
        for member in header
            .split(',')
            .map(|member| member.trim_matches([' ', '\t']))
        {
            if member.is_empty() {
                continue;
            }
            members += 1;
            if members > STATE_MEMBERS || kept.len() + 1 + member.len() > STATE_BYTES {
                left_out += 1;
                continue;
            }
            match member.split_once('=') {
                Some((key, value)) if is_state(key, value) && !keys.contains(&key) => {
                    keys.push(key);
                    if !kept.is_empty() {
                        kept.push(',');
                    }
                    kept.push_str(member);
                }
                _ => return (Self::default(), 1),
            }
        }
        (Self((!kept.is_empty()).then(|| kept.into())), left_out)
    }
}

fn is_state(key: &str, value: &str) -> bool {
    let key_ok = (1..=256).contains(&key.len())
        && key.bytes().all(|b| {
            b.is_ascii_lowercase()
                || b.is_ascii_digit()
                || matches!(b, b'_' | b'-' | b'*' | b'/' | b'@')
        });
    let value_ok = (1..=256).contains(&value.len())
        && value
            .bytes()
            .all(|b| (0x20..=0x7e).contains(&b) && !matches!(b, b',' | b'='));
    key_ok && value_ok
}

/// Names and values that travel with a trace from service to service: at most 64 members and 8,192 bytes. Cheap to clone.
///
/// Everybody on the way can read them: no secrets.
///
/// # Example
///
/// ```
/// use agent_sdk::operation::Baggage;
///
/// let (baggage, left_out) = Baggage::read("tenant=acme,plan=pro%20plus;since=2026");
/// assert_eq!((baggage.get("plan"), left_out), (Some("pro plus"), 0));
/// assert_eq!(baggage.header().as_deref(), Some("tenant=acme,plan=pro%20plus;since=2026"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baggage(Arc<Vec<Member>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    key: Box<str>,
    value: Box<str>,
    /// What stands after the value, handed on as it came.
    properties: Option<Box<str>>,
}

impl Member {
    /// The bytes that it takes in a header.
    fn len(&self) -> usize {
        let properties = self.properties.as_deref().map_or(0, |text| text.len() + 1);
        let value: usize = self
            .value
            .bytes()
            .map(|b| if is_octet(b) { 1 } else { 3 })
            .sum();
        self.key.len() + 1 + value + properties
    }
}

impl Baggage {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a member, in place of one of the same name; the value may be any text. `None` where the name is no token of HTTP, or there
    /// is no room for it.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Option<Self> {
        let member = Member {
            key: key.into(),
            value: value.into(),
            properties: None,
        };
        (is_token(key) && self.put(member)).then_some(self)
    }

    /// The value of a member.
    pub fn get(&self, key: &str) -> Option<&str> {
        let mut members = self.0.iter();
        let member = members.find(|member| &*member.key == key)?;
        Some(&member.value)
    }

    /// Names and values, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|member| (&*member.key, &*member.value))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads a header's value; also says how many members were left out: those that are not well formed, and those for which there is no
    /// room. What is percent-encoded and no UTF-8 becomes U+FFFD.
    pub fn read(header: &str) -> (Self, u32) {
        let (mut baggage, mut left_out) = (Self::default(), 0_u32);
        for text in header.split(',').map(|text| text.trim_matches([' ', '\t'])) {
            if text.is_empty() {
                continue;
            }
            // Nothing is made of what cannot fit.
            let member = (text.len() <= BAGGAGE_BYTES)
                .then(|| member(text))
                .flatten();
            if !member.is_some_and(|member| baggage.put(member)) {
                left_out = left_out.saturating_add(1);
            }
        }
        (baggage, left_out)
    }

    /// The header's value; `None` where there is nothing in it.
    pub fn header(&self) -> Option<String> {
        let mut text = String::new();
        for member in self.0.iter() {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(&member.key);
            text.push('=');
            for byte in member.value.bytes() {
                if is_octet(byte) {
                    text.push(char::from(byte));
                } else {
                    // Writing into a string does not fail.
                    let _ = write!(text, "%{byte:02X}");
                }
            }
            if let Some(properties) = &member.properties {
                text.push(';');
                text.push_str(properties);
            }
        }
        (!text.is_empty()).then_some(text)
    }

    /// This and more; what is more replaces what is of the same name.
    #[must_use]
    pub fn and(mut self, more: &Self) -> Self {
        if self.is_empty() {
            return more.clone();
        }
        for member in more.0.iter() {
            // What does not fit stays behind.
            let _ = self.put(member.clone());
        }
        self
    }

    /// Whether there was room for it.
    fn put(&mut self, member: Member) -> bool {
        let others = || self.0.iter().filter(|known| known.key != member.key);
        let bytes: usize = others().map(|known| known.len() + 1).sum();
        if others().count() >= BAGGAGE_MEMBERS || bytes + member.len() > BAGGAGE_BYTES {
            return false;
        }
        let members = Arc::make_mut(&mut self.0);
        match members.iter_mut().find(|known| known.key == member.key) {
            Some(known) => *known = member,
            None => members.push(member),
        }
        true
    }
}

fn member(text: &str) -> Option<Member> {
    let (pair, properties) = match text.split_once(';') {
        Some((pair, properties)) => (pair, Some(properties.trim_matches([' ', '\t']))),
        None => (text, None),
    };
    let (key, value) = pair.split_once('=')?;
    let (key, value) = (
        key.trim_matches([' ', '\t']),
        value.trim_matches([' ', '\t']),
    );
    let is_plain = |text: &str| {
        text.bytes()
            .all(|b| (0x20..=0x7e).contains(&b) && b != b'"')
    };
    if !is_token(key) || !value.bytes().all(|b| is_octet(b) || b == b'%') {
        return None;
    }
    Some(Member {
        key: key.into(),
        value: decoded(value).into(),
        properties: properties
            .filter(|text| !text.is_empty() && is_plain(text))
            .map(Into::into),
    })
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Whether a byte of a value stands for itself.
fn is_octet(byte: u8) -> bool {
    (0x21..=0x7e).contains(&byte) && !matches!(byte, b'"' | b',' | b';' | b'\\' | b'%')
}

/// Undoes percent encoding; a `%` that begins no escape stands for itself.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16)?).ok();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if let (b'%', [high, low, after @ ..]) = (first, tail)
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            bytes.push(high << 4 | low);
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o8_hostile_baggage_is_bounded_and_what_is_left_out_is_counted() {
        let long = format!("a={}", "x".repeat(64 * 1024));
        assert_eq!(Baggage::read(&long), (Baggage::new(), 1));
        let many: Vec<_> = (0..10_000).map(|n| format!("k{n}=v")).collect();
        let (baggage, left_out) = Baggage::read(&many.join(","));
        assert_eq!((baggage.iter().count(), left_out), (64, 9_936));
        let wide: Vec<_> = (0..60)
            .map(|n| format!("k{n}={}", "%FF".repeat(100)))
            .collect();
        let (baggage, _) = Baggage::read(&wide.join(","));
        assert!(baggage.header().unwrap().len() <= BAGGAGE_BYTES);
        assert!(baggage.get("k0").unwrap().starts_with('\u{fffd}'));
        for bad in ["=v", "a b=c", "k", "k=\u{0}", "k=ü", "k=a\"b", "\u{7f}=v"] {
            assert_eq!(Baggage::read(bad), (Baggage::new(), 1), "{bad:?}");
        }
        assert_eq!(Baggage::read(",, ,"), (Baggage::new(), 0));
    }

    #[test]
    fn any_value_comes_back_as_it_was() {
        for value in ["", "a b", "100%", "x=1;y", "grün, blau", "\"\\\n\u{0}"] {
            let baggage = Baggage::new().with("k", value).unwrap();
            let (read, left_out) = Baggage::read(&baggage.header().unwrap());
            assert_eq!((read.get("k"), left_out), (Some(value), 0));
        }
        assert_eq!(Baggage::new().with("no token", "v"), None);
        assert_eq!(Baggage::new().with("k", &"x".repeat(8_192)), None);
        let replaced = Baggage::read("a=1,b=2").0.with("a", "3").unwrap();
        assert_eq!(replaced.header().as_deref(), Some("a=3,b=2"));
    }

    #[test]
    fn o8_hostile_trace_states_are_dropped() {
        let (state, left_out) = TraceState::read("rojo=00f067aa0ba902b7, congo=t61rcWkgMzE");
        assert_eq!(
            state.as_str(),
            Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
        );
        assert_eq!(left_out, 0);
        for bad in ["a", "A=1", "a=1,a=2", "a=b=c", "a=\u{1}", "=v", "a=ü"] {
            assert_eq!(TraceState::read(bad), (TraceState::default(), 1), "{bad:?}");
        }
        let many: Vec<_> = (0..40).map(|n| format!("k{n}=v")).collect();
        let (state, left_out) = TraceState::read(&many.join(","));
        assert_eq!(
            (state.as_str().unwrap().split(',').count(), left_out),
            (32, 8)
        );
        let huge = format!("a=1,b={}", "x".repeat(64 * 1024));
        let (state, left_out) = TraceState::read(&huge);
        assert_eq!((state.as_str(), left_out), (Some("a=1"), 1));
    }
}

//! Lengths of time in files: `250ms`, `30s`, `1h 30m`.

use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

fn read(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!("`{text}` is no length of time; write for example `250ms`, `30s`, `5m` or `1h 30m`")
    };
    let read: SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(read).map_err(|_| wrong())
}

/// A length of time as it is written in a file.
pub(super) fn shown(time: Duration) -> String {
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    format!("{time:#}")
}

fn write<S: Serializer>(time: Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&shown(time))
}

pub(super) mod required {
    use super::{Deserialize, Deserializer, Duration, Error, Serializer, read};

    pub(crate) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        super::write(*time, to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        read(&text).map_err(D::Error::custom)
    }
}

pub(super) mod optional {
    use super::{Deserialize, Deserializer, Duration, Error, Serializer, read};

    #[expect(clippy::ref_option, reason = "what `serde` calls it with")]
    pub(crate) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::write(*time, to),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| read(&text).map_err(D::Error::custom))
            .transpose()
    }
}

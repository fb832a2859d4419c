//! Amounts as strings of JSON: a number would lose the last digits of large ones.

use serde::{Deserialize, Deserializer, Serializer};

use crate::cost::Usd;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
pub(super) fn serialize<S: Serializer>(amount: &Usd, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(amount)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Usd, D::Error> {
    Usd::deserialize(deserializer)
}

/// The same for an amount that may be unknown, which is `null`.
pub(super) mod option {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::cost::Usd;

    #[expect(clippy::ref_option, reason = "what serde asks for")]
    pub(in super::super) fn serialize<S: Serializer>(
        amount: &Option<Usd>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match amount {
            Some(amount) => serializer.collect_str(amount),
            None => serializer.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Usd>, D::Error> {
        Option::deserialize(deserializer)
    }
}

//! What is asked of an embedding model.

use crate::message::Content;

/// One request for vectors.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct EmbeddingRequest {
    /// The texts, each of which gets a vector.
    pub inputs: Vec<Content>,
    /// How long the vectors shall be. `None` leaves it to the model.
    pub dimensions: Option<u32>,
    /// How the vectors are sent. `None` leaves it to the provider; what is read is the same.
    pub encoding: Option<EmbeddingEncoding>,
    /// The end user, for the provider's own records.
    pub user: Option<String>,
    /// Fields that go into the request's body as they are.
    pub extra: serde_json::Map<String, serde_json::Value>,
}

impl EmbeddingRequest {
    /// A request for the vectors of these texts.
    pub fn new<T: Into<Content>>(inputs: impl IntoIterator<Item = T>) -> Self {
        Self {
            inputs: inputs.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Sets how long the vectors shall be.
    #[must_use]
    pub fn with_dimensions(mut self, dimensions: u32) -> Self {
        self.dimensions = Some(dimensions);
        self
    }

    /// Sets how the vectors are sent.
    #[must_use]
    pub fn with_encoding(mut self, encoding: EmbeddingEncoding) -> Self {
        self.encoding = Some(encoding);
        self
    }

    /// Names the end user.
    #[must_use]
    pub fn with_user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Adds a field to the request's body.
    #[must_use]
    pub fn with_extra(
        mut self,
        key: impl Into<String>,
        value: impl Into<serde_json::Value>,
    ) -> Self {
        self.extra.insert(key.into(), value.into());
        self
    }
}

/// How vectors are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmbeddingEncoding {
    /// As decimal numbers.
    Float,
    /// As base64 of the numbers' bytes: exact, and about half as long.
    Base64,
}

impl EmbeddingEncoding {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Base64 => "base64",
        }
    }
}

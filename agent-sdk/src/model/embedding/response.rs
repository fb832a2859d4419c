//! What an embedding model answers.

use crate::{cost::Usd, model::Usage};

/// The vectors of a request.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct EmbeddingResponse {
    /// One vector for each input, in the order of the inputs.
    pub vectors: Vec<Vec<f32>>,
    /// What it used, as far as the provider said: there is no output to count.
    pub usage: Usage,
    /// The model that answered, where the provider names it.
    pub model: Option<String>,
    /// What the provider says that it costs; it wins over the price table.
    pub provider_cost: Option<Usd>,
}

impl EmbeddingResponse {
    /// An answer of these vectors, of which nothing more is known.
    pub fn new(vectors: Vec<Vec<f32>>) -> Self {
        Self {
            vectors,
            ..Self::default()
        }
    }

    /// Sets what it used.
    #[must_use]
    pub fn with_usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }
}

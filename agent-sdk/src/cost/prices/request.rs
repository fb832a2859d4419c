//! What is to be priced.

use std::time::SystemTime;

/// What is to be priced: which model was asked, where and when.
#[derive(Clone, Debug)]
pub struct PriceRequest<'a> {
    pub(super) provider: &'a str,
    pub(super) model: &'a str,
    pub(super) at: SystemTime,
    pub(super) context: Vec<(&'a str, &'a str)>,
}

impl<'a> PriceRequest<'a> {
    /// A request to `model` of `provider` at a moment.
    ///
    /// The provider is an id of the table, a value of OpenTelemetry's `gen_ai.provider.name`, or another name that
    /// the table knows; the model is named as the provider names it. Neither depends on case.
    pub const fn new(provider: &'a str, model: &'a str, at: SystemTime) -> Self {
        Self {
            provider,
            model,
            at,
            context: Vec::new(),
        }
    }

    /// Says something about the request that can change its price, such as `processing` = `batch` or
    /// `service_tier` = `flex`. What the table does not know changes nothing.
    #[must_use]
    pub fn with_context(mut self, key: &'a str, value: &'a str) -> Self {
        self.context.push((key, value));
        self
    }
}

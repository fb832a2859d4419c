//! What the price of a request depends on.

use super::Facts;
use crate::{
    cost::Usd,
    model::{ChatResponse, SideUsage, Usage},
};

/// What the price of a request depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Billed<'a> {
    pub(crate) usage: &'a Usage,
    pub(crate) side_usage: &'a [SideUsage],
    pub(crate) response_model: Option<&'a str>,
    pub(crate) service_tier: Option<&'a str>,
    pub(crate) provider_cost: Option<Usd>,
}

impl<'a> Billed<'a> {
    pub(crate) fn of(response: &'a ChatResponse) -> Self {
        Self {
            usage: &response.usage,
            side_usage: &response.side_usage,
            response_model: response.model.as_deref(),
            service_tier: response.service_tier.as_deref(),
            provider_cost: response.provider_cost,
        }
    }

    pub(super) fn of_facts(facts: &'a Facts) -> Self {
        Self {
            usage: &facts.usage,
            side_usage: &facts.side_usage,
            response_model: facts.response_model.as_deref(),
            service_tier: facts.service_tier.as_deref(),
            provider_cost: facts.provider_cost,
        }
    }
}

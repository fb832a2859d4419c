//! One line: a thing that was charged.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::place::Place;
use crate::{
    cost::{Cost, PriceSource, Usd},
    message::ConversationId,
    model::Usage,
    operation::{Kind, OperationId, OperationRecord, Outcome, RunId},
};

/// A thing that was charged: a model request, an embeddings request, or what a tool paid.
///
/// It holds names, ids and counts, and nothing of what was said. Its JSON form is described in `docs/cost-format.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CostLine {
    /// When it was over.
    pub time: Timestamp,
    /// The run.
    pub run_id: RunId,
    /// The operation within the run. A run that was resumed numbers those of its new life from 1 again.
    pub operation: OperationId,
    /// What the operation is: `chat`, `embeddings`, or that of the tool that paid.
    pub kind: Kind,
    /// Who was asked; of a request only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Arc<str>>,
    /// The model that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Arc<str>>,
    /// The model that answered, where the answer names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_model: Option<Arc<str>>,
    /// The agents around it, from the outermost to the innermost.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub agents: Arc<[Arc<str>]>,
    /// The innermost step of a plan around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Arc<str>>,
    /// The innermost tool whose call it was made in, or which charged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<Arc<str>>,
    /// What was paid for, in the word of the one who [charged](crate::tool::ToolContext::record_cost) it; `None` for requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Arc<str>>,
    /// The conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
    /// The session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Arc<str>>,
    /// The user on whose behalf it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Arc<str>>,
    /// The free tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<Arc<str>, Arc<str>>,
    /// What it used; unknown for charges.
    #[serde(default, skip_serializing_if = "Usage::is_unknown")]
    pub usage: Usage,
    /// What it cost. `None` is unknown and never nothing; zero is known to be nothing: a refused request, an answer from a cache.
    #[serde(rename = "cost_usd", with = "super::exact::option")]
    pub amount: Option<Usd>,
    /// Where the price of a request comes from; `None` where none was needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_source: Option<PriceSource>,
    /// The date of the price table, where the price comes from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_snapshot: Option<Arc<str>>,
    /// How it ended.
    pub outcome: Outcome,
    /// Which try of its request it is, from 1; of a request that is one line for all its tries, the last.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub attempt: u32,
    /// Whether the amount is an upper estimate, because what was used was never reported.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

impl CostLine {
    /// The innermost agent around it.
    pub fn agent(&self) -> Option<&Arc<str>> {
        self.agents.last()
    }

    /// Why the amount is unknown, where it is.
    pub fn why_unpriced(&self) -> Option<&'static str> {
        match self.amount {
            Some(_) => None,
            None if self.usage.is_unknown() => Some("usage not reported"),
            None => Some("no price for it"),
        }
    }
}

/// The lines of an operation that has ended; none where nothing was charged.
///
/// This is the one place that makes lines.
pub(super) fn lines_of(record: &OperationRecord<'_>, place: &Place) -> Vec<CostLine> {
    let (info, facts) = (record.info, record.facts);
    if !info.kind.is_priced() && facts.charges.is_empty() {
        return Vec::new();
    }
    let labels = &*info.labels;
    let charge = |label: &Arc<str>, amount: Usd| CostLine {
        time: Timestamp::try_from(record.ended).unwrap_or_default(),
        run_id: info.run_id.clone(),
        operation: info.id,
        kind: info.kind,
        provider: None,
        model: None,
        response_model: None,
        agents: place.agents.clone(),
        step: place.step.clone(),
        tool: place.tool.clone(),
        label: Some(label.clone()),
        conversation: labels.conversation.clone(),
        session: labels.session.clone(),
        user: labels.user.clone(),
        tags: labels.tags.iter().cloned().collect(),
        usage: Usage::unknown(),
        amount: Some(amount),
        price_source: None,
        price_snapshot: None,
        outcome: record.outcome,
        attempt: 1,
        estimated: false,
    };
    let request = |attempt, usage, cost: Option<&Cost>, unpriced: bool| CostLine {
        provider: info.model().map(|model| model.provider.clone()),
        model: info.model().map(|model| model.model.clone()),
        label: None,
        usage,
        amount: match cost {
            Some(cost) => Some(cost.total),
            None => (!unpriced).then_some(Usd::ZERO),
        },
        price_source: match cost {
            Some(cost) => Some(cost.source),
            None => unpriced.then_some(PriceSource::Unknown),
        },
        price_snapshot: cost.and_then(|cost| cost.snapshot.clone()),
        attempt,
        estimated: cost.is_some_and(|cost| cost.estimated),
        ..charge(&info.name, Usd::ZERO)
    };
    let mut lines: Vec<CostLine> = if !info.kind.is_priced() {
        Vec::new()
    } else if facts.tries.is_empty() {
        if facts.was_not_admitted() {
            return Vec::new();
        }
        let unpriced = record.is_unpriced();
        vec![request(1, facts.usage, record.cost, unpriced)]
    } else {
        let tries = (1..).zip(&facts.tries);
        let tries = tries.map(|(number, each)| CostLine {
            outcome: Outcome::Error,
            ..request(number, each.usage, each.cost.as_ref(), each.is_unpriced())
        });
        tries.collect()
    };
    if let Some(last) = lines.last_mut()
        && !facts.was_not_admitted()
    {
        last.response_model.clone_from(&facts.response_model);
        last.outcome = record.outcome;
    }
    let charges = facts.charges.iter();
    lines.extend(charges.map(|(label, amount)| charge(label, *amount)));
    lines
}

fn is_empty(agents: &Arc<[Arc<str>]>) -> bool {
    agents.is_empty()
}

const fn first() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
const fn is_first(attempt: &u32) -> bool {
    *attempt == 1
}

//! The most that a request can take, and what it is charged when it is over.
//!
//! No tokenizer makes more tokens of a text than it has bytes. What providers put around messages, calls and tools is not in their
//! documents; the allowances here are several times what has been seen. What has no bound in the request itself (a file by its URL,
//! what a search finds) gets an allowance as well: what passes it makes a debt, and is not hidden.

use super::{
    Amounts, BudgetError, BudgetErrorKind, Ledger, Measure, Refusal, Reservation,
    book::{Denied, Post},
    extra,
};
use crate::{
    cost::{Cost, OutputRoom, PriceRequest, UsageBound, Usd},
    model::{
        ChatRequest, ChatSettings, ModelError, ModelErrorKind, ModelInfo, RequestSize, ServerTool,
        SideUsage, Usage,
    },
    operation::{Billed, Operation, OperationHandle},
};

/// What a provider may put around a request, in tokens.
const AROUND_REQUEST: u64 = 64;

/// What it may put around a message, or a part of one.
const AROUND_PART: u64 = 16;

/// What it may put around a tool's schema, and once before all of them.
const AROUND_TOOL: u64 = 64;
const BEFORE_TOOLS: u64 = 1_024;

/// What an image, a sound or a document may be, beside a token for each byte that is sent.
const MEDIA: u64 = 65_536;

/// What a search of the web may add to the input.
const SEARCH: u64 = 16_384;

/// A shorter answer than this is not asked for: the request is refused instead.
const LEAST_OUTPUT: u64 = 64;

/// How often the length of an answer is fitted to what is left while others spend too.
const FITS: usize = 4;

/// What is put aside for one try of a request, until it is over. Dropped before it is sent, it is put back; dropped after, it is
/// charged.
#[derive(Debug, Default)]
pub(crate) struct Spending(Option<Box<Held>>);

#[derive(Debug)]
struct Held {
    // None once it is settled.
    reservation: Option<Reservation>,
    operation: OperationHandle,
    bound: UsageBound,
    /// What the bound may cost; `None` where nobody knows.
    most: Option<Usd>,
}

/// What is to be admitted.
struct Asked<'a> {
    operation: &'a Operation,
    info: &'a ModelInfo,
    ledger: &'a Ledger,
    tier: Option<&'a str>,
    bound: UsageBound,
    /// How many answers are asked for.
    answers: u64,
    posts: Vec<Post>,
    caps_usd: bool,
    caps_tokens: bool,
}

/// A try that is admitted.
#[derive(Debug, Default)]
pub(crate) struct Admitted {
    pub(crate) spending: Spending,
    /// How long the answer may be, where that is not as the request says.
    pub(crate) max_output_tokens: Option<u32>,
}

impl Admitted {
    /// Admits one try of a chat request.
    pub(crate) async fn chat(
        operation: &Operation,
        info: &ModelInfo,
        request: &ChatRequest,
    ) -> Result<Self, ModelError> {
        let context = operation.context();
        let settings = &request.settings;
        let tier = extra::tier(settings);
        let Some(ledger) = context.ledger() else {
            return Self::by_price_alone(operation, info, tier);
        };
        let counted = ledger.bounds().count_input.as_ref();
        let counted = counted.and_then(|count| count(info, request));
        let searches = searches(settings);
        let input = counted.unwrap_or_else(|| input_bound(request));
        let input = input.saturating_add(searches.unwrap_or(0).saturating_mul(SEARCH));
        let mut asked = Asked::new(operation, info, ledger, tier, input);
        asked.bound = asked.bound.with_web_searches(searches);
        if asked.caps_usd || asked.caps_tokens {
            asked.answers = extra::answers(settings, counted.is_some())?;
        }
        let wanted = settings.max_output_tokens.map(u64::from);
        asked.admit(wanted).await
    }

    /// Admits one request for vectors, of texts of so many bytes.
    pub(crate) async fn embeddings(
        operation: &Operation,
        info: &ModelInfo,
        texts: u64,
        bytes: u64,
    ) -> Result<Self, ModelError> {
        let Some(ledger) = operation.context().ledger() else {
            return Self::by_price_alone(operation, info, None);
        };
        let input = bytes.saturating_add(texts.saturating_mul(AROUND_PART));
        let asked = Asked::new(operation, info, ledger, None, input);
        asked.admit(Some(0)).await
    }

    /// Where there is no budget: whether the price must be known.
    fn by_price_alone(
        operation: &Operation,
        info: &ModelInfo,
        tier: Option<&str>,
    ) -> Result<Self, ModelError> {
        let prices = operation.prices();
        if prices.denies_unknown() {
            let bound = UsageBound::new(1, 1);
            let request = request(operation, info, tier);
            if prices.upper_bound(&request, &bound).is_none() {
                return Err(unpriced(info, None).into());
            }
        }
        Ok(Self::default())
    }
}

impl<'a> Asked<'a> {
    fn new(
        operation: &'a Operation,
        info: &'a ModelInfo,
        ledger: &'a Ledger,
        tier: Option<&'a str>,
        input: u64,
    ) -> Self {
        let posts = ledger.posts(operation.context());
        let caps = |measure| {
            let mut posts = posts.iter();
            posts.any(|post| post.budget.is_hard() && post.budget.caps.get(measure).is_some())
        };
        Self {
            caps_usd: caps(Measure::Usd),
            caps_tokens: caps(Measure::Tokens),
            operation,
            info,
            ledger,
            tier,
            bound: UsageBound::new(input, 0),
            answers: 1,
            posts,
        }
    }

    /// Puts the most that it can take aside: with an answer as long as wanted, or as long as there is room for.
    async fn admit(mut self, wanted: Option<u64>) -> Result<Admitted, ModelError> {
        let bounds = self.ledger.bounds();
        let is_capped = self.caps_usd || self.caps_tokens;
        let (mut length, may_cut) = match wanted {
            Some(wanted) => (wanted, bounds.clamp && wanted > 0),
            None if is_capped => (u64::from(bounds.output_tokens), true),
            // Nothing refuses it, and nothing says how long it will be.
            None => (u64::from(bounds.output_tokens), false),
        };
        let mut is_set = wanted.is_none() && is_capped;
        // Whether a shorter answer is asked for where there is no room for this one.
        let mut is_probe = may_cut;
        let mut fits = 0;
        loop {
            self.bound.output_tokens = length.saturating_mul(self.answers);
            let most = self.most()?;
            let ask = Amounts {
                usd: most.unwrap_or(Usd::ZERO),
                tokens: self
                    .bound
                    .input_tokens
                    .saturating_add(self.bound.output_tokens),
                requests: 1,
                tool_calls: 0,
            };
            let what = self.info.model.clone();
            let context = self.operation.context();
            let asked = self
                .ledger
                .put_aside(context, self.posts.clone(), ask, what, is_probe);
            match asked.await {
                Ok(reservation) => {
                    let held = Held {
                        reservation: Some(reservation),
                        operation: self.operation.handle(),
                        bound: self.bound,
                        most,
                    };
                    return Ok(Admitted {
                        spending: Spending(Some(Box::new(held))),
                        max_output_tokens: is_set
                            .then(|| u32::try_from(length).unwrap_or(u32::MAX)),
                    });
                }
                Err(denied) => {
                    if !is_probe {
                        return Err(denied.error.into());
                    }
                    match self.room(&denied) {
                        Some(room) if room >= LEAST_OUTPUT && room < length => {
                            length = room;
                            is_set = true;
                            fits += 1;
                            is_probe = fits < FITS;
                        }
                        // If it is still refused, that is told.
                        _ => is_probe = false,
                    }
                }
            }
        }
    }

    /// What it may cost; `None` where nobody knows and nobody has to.
    fn most(&self) -> Result<Option<Usd>, ModelError> {
        let prices = self.operation.prices();
        let request = request(self.operation, self.info, self.tier);
        let most = prices.upper_bound(&request, &self.bound);
        if most.is_some() {
            return Ok(most);
        }
        let post = self
            .posts
            .iter()
            .find(|post| post.budget.is_hard() && post.budget.caps.get(Measure::Usd).is_some());
        if prices.denies_unknown() || (post.is_some() && !prices.allows_unknown()) {
            let without = self.bound.with_web_searches(Some(0));
            let is_priced = prices.upper_bound(&request, &without).is_some();
            let error = if is_priced && self.bound.web_searches.is_none() {
                unbounded(
                    "a tool of the provider has no `max_uses`, so nothing limits what it may cost",
                )
            } else {
                unpriced(self.info, post)
            };
            return Err(error.into());
        }
        Ok(None)
    }

    /// How long an answer there is room for.
    fn room(&self, denied: &Denied) -> Option<u64> {
        let Some(Refusal::Short { measure, left, .. }) = denied.short else {
            return None;
        };
        let room = match measure {
            Measure::Tokens => left.checked_sub(self.bound.input_tokens)?,
            Measure::Usd => {
                let request = request(self.operation, self.info, self.tier);
                let prices = self.operation.prices();
                match prices.output_within(&request, &self.bound, Usd::from_nanos(left)) {
                    OutputRoom::UpTo(room) => room,
                    _ => return None,
                }
            }
            _ => return None,
        };
        room.checked_div(self.answers)
    }
}

impl Spending {
    /// It is sent now.
    pub(crate) fn begin(&mut self) {
        if let Some(reservation) = self.0.as_mut().and_then(|held| held.reservation.as_mut()) {
            reservation.begin();
        }
    }

    /// It was answered, with this usage.
    pub(crate) fn answered(mut self, billed: &Billed<'_>) {
        let Some(held) = self.0.as_mut() else { return };
        let Some(tokens) = tokens(billed.usage, billed.side_usage, &held.bound) else {
            // Nobody says what it took.
            return held.charge_all(None);
        };
        let Some(reservation) = held.reservation.take() else {
            return;
        };
        let cost = held.operation.price(billed);
        let used = Amounts {
            usd: match (cost, held.most) {
                (Some(cost), Some(_)) => cost.total,
                // Nobody knew its price, so that there was no bound that it could pass: it is charged as what nobody asked for.
                (Some(cost), None) => {
                    let context = held.operation.context();
                    if let Some(ledger) = context.ledger() {
                        ledger.charge(context, Amounts::usd(cost.total));
                    }
                    Usd::ZERO
                }
                // It has a price, but not for what was used: as much as it may have been.
                (None, Some(most)) => {
                    let estimated = held.operation.estimated(&held.bound, most);
                    held.operation.estimate(estimated);
                    most
                }
                (None, None) => Usd::ZERO,
            },
            tokens,
            requests: 1,
            tool_calls: 0,
        };
        reservation.settle(used);
    }

    /// It failed: a refusal costs nothing, and of everything else nobody knows what it took.
    pub(crate) fn failed(mut self, error: &ModelError) {
        let Some(held) = self.0.as_mut() else { return };
        let partial = error
            .partial()
            .filter(|partial| !partial.usage.is_unknown());
        if partial.is_none() && error.kind().is_refusal() {
            let Some(reservation) = held.reservation.take() else {
                return;
            };
            reservation.settle(Amounts {
                requests: 1,
                ..Amounts::ZERO
            });
            return;
        }
        let seen = partial.and_then(|partial| {
            let billed = Billed::of(partial);
            let cost = held.operation.price(&billed)?;
            let tokens = tokens(&partial.usage, &partial.side_usage, &held.bound)?;
            Some((tokens, cost.total))
        });
        held.charge_all(seen);
    }
}

impl Held {
    /// Charges the most that it can have taken, or what was seen where that is more.
    fn charge_all(&mut self, seen: Option<(u64, Usd)>) {
        let Some(reservation) = self.reservation.take() else {
            return;
        };
        let (seen_tokens, seen_usd) = seen.unwrap_or_default();
        let mut used = reservation.held();
        used.tokens = used.tokens.max(seen_tokens);
        used.usd = used.usd.max(seen_usd);
        if self.most.is_some() {
            let estimated = self.operation.estimated(&self.bound, used.usd);
            self.operation.estimate(estimated);
        }
        reservation.settle(used);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self
            .reservation
            .as_ref()
            .is_some_and(Reservation::has_begun)
        {
            self.charge_all(None);
        }
    }
}

/// The most input tokens that a request can be.
fn input_bound(request: &ChatRequest) -> u64 {
    let size = RequestSize::of(request);
    let settings = &request.settings;
    let tools = match size
        .tools
        .saturating_add(settings.server_tools.len() as u64)
    {
        0 => 0,
        tools => BEFORE_TOOLS.saturating_add(tools.saturating_mul(AROUND_TOOL)),
    };
    AROUND_REQUEST
        .saturating_add(size.text_bytes)
        .saturating_add(extra::bytes(settings))
        .saturating_add(size.parts.saturating_mul(AROUND_PART))
        .saturating_add(tools)
        .saturating_add(size.media.saturating_mul(MEDIA))
        .saturating_add(size.media_bytes)
}

/// How often the provider's own tools may be used; `None` where nothing limits it.
fn searches(settings: &ChatSettings) -> Option<u64> {
    settings.server_tools.iter().try_fold(0_u64, |sum, tool| {
        let uses = match tool {
            ServerTool::WebSearch(search) => search.max_uses.map(u64::from)?,
            ServerTool::Native(tool) => tool.get("max_uses")?.as_u64()?,
        };
        Some(sum.saturating_add(uses))
    })
}

/// All tokens of an answer: of a side that is not known, the most that it can have been. `None` where neither is.
fn tokens(usage: &Usage, side: &[SideUsage], bound: &UsageBound) -> Option<u64> {
    let (input, output) = match (usage.input_tokens, usage.output_tokens) {
        (None, None) => return None,
        (input, output) => (
            input.unwrap_or(bound.input_tokens),
            output.unwrap_or(bound.output_tokens),
        ),
    };
    let side = side.iter().flat_map(|side| {
        let usage = &side.usage;
        [usage.input_tokens, usage.output_tokens]
    });
    Some(
        side.flatten()
            .fold(input.saturating_add(output), u64::saturating_add),
    )
}

fn request<'a>(
    operation: &Operation,
    info: &'a ModelInfo,
    tier: Option<&'a str>,
) -> PriceRequest<'a> {
    let request = PriceRequest::new(&info.provider, &info.model, operation.info().started);
    match tier {
        Some(tier) => request.with_context("service_tier", tier),
        None => request,
    }
}

pub(super) fn unbounded(words: &str) -> BudgetError {
    BudgetError::new(
        BudgetErrorKind::Unbounded,
        format!("{words}, and a hard budget caps it"),
    )
}

fn unpriced(info: &ModelInfo, post: Option<&Post>) -> BudgetError {
    let ModelInfo {
        provider, model, ..
    } = info;
    let why = match post {
        Some(post) => format!("the hard budget `{}` caps the money", post.budget.name),
        None => "requests without one are refused".to_owned(),
    };
    let message = format!(
        "no price of `{model}` of `{provider}` is known, and {why}; give it one, or allow unknown prices"
    );
    let error = BudgetError::new(BudgetErrorKind::PriceUnknown, message);
    match post {
        Some(post) => error.in_budget(&post.budget.name, &post.scope),
        None => error,
    }
}

impl From<BudgetError> for ModelError {
    fn from(error: BudgetError) -> Self {
        Self::new(ModelErrorKind::Budget, error.to_string()).with_source(error)
    }
}

impl ModelError {
    /// Why the request was not admitted, where its [kind](ModelErrorKind::Budget) is that.
    pub fn budget_error(&self) -> Option<&BudgetError> {
        std::error::Error::source(self)?.downcast_ref()
    }
}

impl Cost {
    /// The same with another total, which is the most that it can have been.
    pub(crate) fn estimated(mut self, most: Usd) -> Self {
        self.total = most;
        self.estimated = true;
        self
    }
}

//! What a run decided, and why, said at the place where it was decided: `tracing` events of the target [`TARGET`].
//!
//! Each is inside the span of the operation that it is about, has a name of its own (one of [`ALL`]) and typed fields, and tells
//! nothing of what was said: no prompt, no answer, no argument, no result. Where no subscriber wants it, nothing of it is made.
//!
//! # Example
//!
//! ```
//! use agent_sdk::operation::decision;
//!
//! assert!(decision::ALL.contains(&decision::CHAT_FALLBACK));
//! assert_eq!(decision::CHAT_FALLBACK, "agent_sdk.chat.fallback");
//! ```

use std::time::Duration;

use tracing::{Level, Span};

use super::{Operation, OperationHandle, RunContext};
use crate::{
    message::{CallId, ToolCall},
    model::{BreakerState, ModelInfo},
    run::Limit,
    tool::shown,
};

/// The target of every decision.
pub const TARGET: &str = "agent_sdk::decision";

macro_rules! names {
    ($($(#[$doc:meta])* $id:ident = $name:literal;)*) => {
        $($(#[$doc])* pub const $id: &str = $name;)*

        /// The name of every decision.
        pub const ALL: &[&str] = &[$($id),*];
    };
}

names! {
    /// A tool is called because the model asked for it.
    TOOL_CHOSEN = "agent_sdk.tool.chosen";
    /// The model asked for a tool that there is not.
    TOOL_UNKNOWN = "agent_sdk.tool.unknown";
    /// A call waits behind others of its turn, or for permits. Level `DEBUG`.
    TOOL_QUEUED = "agent_sdk.tool.queued";
    /// A tool is called again.
    TOOL_RETRY = "agent_sdk.tool.retry";
    /// Another tool is called in the place of one that failed.
    TOOL_FALLBACK = "agent_sdk.tool.fallback";
    /// A tool call waits for its share of the minute.
    TOOL_RATE_LIMITED = "agent_sdk.tool.rate_limited";
    /// A tool call is answered from a cache.
    TOOL_CACHE_HIT = "agent_sdk.tool.cache_hit";
    /// A tool call shares the execution of an identical one.
    TOOL_COALESCED = "agent_sdk.tool.coalesced";
    /// A model request is sent again.
    CHAT_RETRY = "agent_sdk.chat.retry";
    /// Another model is asked in the place of one that failed.
    CHAT_FALLBACK = "agent_sdk.chat.fallback";
    /// Another model is asked as well, because the first is slow.
    CHAT_HEDGE = "agent_sdk.chat.hedge";
    /// One of two models that were asked answered first.
    CHAT_HEDGE_WON = "agent_sdk.chat.hedge_won";
    /// A request waits for its share of the minute.
    CHAT_RATE_LIMITED = "agent_sdk.chat.rate_limited";
    /// A request is answered from the response cache.
    CHAT_CACHE_HIT = "agent_sdk.chat.cache_hit";
    /// A circuit breaker is open, half-open or closed from now on.
    BREAKER_CHANGED = "agent_sdk.breaker.changed";
    /// A budget did not admit a model request or a tool call.
    BUDGET_REFUSED = "agent_sdk.budget.refused";
    /// A budget allows an answer to be only so long.
    BUDGET_CLAMPED = "agent_sdk.budget.clamped";
    /// A budget is so far gone that another model is asked.
    BUDGET_DEGRADED = "agent_sdk.budget.degraded";
    /// A session's conversation was made short again.
    CONVERSATION_COMPACTED = "agent_sdk.conversation.compacted";
    /// A run stops at one of its limits.
    RUN_LIMIT = "agent_sdk.run.limit";
    /// A run pauses.
    RUN_PAUSED = "agent_sdk.run.paused";
    /// A run goes on where an earlier life of it was.
    RUN_RESUMED = "agent_sdk.run.resumed";
    /// An answer is not taken: it was cut off or withheld, or does not fit its schema.
    ANSWER_REFUSED = "agent_sdk.answer.refused";
    /// A person is asked about a call.
    APPROVAL_REQUESTED = "agent_sdk.approval.requested";
    /// A person decided about a call.
    APPROVAL_GIVEN = "agent_sdk.approval.given";
}

/// Says a decision inside a span; the fields and the words are made only where somebody wants them.
macro_rules! decided {
    ($span:expr, $level:ident, $name:expr, { $($fields:tt)* }, $($words:tt)+) => {
        tracing::event!(
            name: $name, target: TARGET, parent: $span, Level::$level, { $($fields)* }, $($words)+
        )
    };
}

/// The model asked for calls: each is made, or there is no such tool.
pub(crate) fn tools_chosen(
    agent: &RunContext,
    turn: u32,
    calls: &[ToolCall],
    is_known: impl Fn(&str) -> bool,
) {
    if !tracing::event_enabled!(target: TARGET, Level::INFO) {
        return;
    }
    let (span, turn) = (agent.span(), i64::from(turn));
    for call in calls {
        let (name, id) = (&*call.name, call.id.as_str());
        if is_known(name) {
            decided!(span, INFO, TOOL_CHOSEN, {
                gen_ai.tool.name = name, gen_ai.tool.call.id = id, agent_sdk.turn = turn
            }, "chose tool {name} because the model asked for it");
        } else {
            decided!(span, INFO, TOOL_UNKNOWN, {
                gen_ai.tool.name = shown(name), gen_ai.tool.call.id = id, agent_sdk.turn = turn
            }, "the model asked for a tool that there is not");
        }
    }
}

/// A call waits behind others of its turn.
pub(crate) fn tool_queued(agent: &RunContext, call: &ToolCall, behind: &'static str) {
    // It may wait for its turn to be refused.
    let name = shown(&call.name);
    decided!(agent.span(), DEBUG, TOOL_QUEUED, {
        gen_ai.tool.name = name, gen_ai.tool.call.id = call.id.as_str(), agent_sdk.reason = behind
    }, "the call of {name} waits: {behind}");
}

/// A call waits for permits.
pub(crate) fn tool_waits(tool: &OperationHandle) {
    let (span, name) = (&tool.info().span, &*tool.info().name);
    decided!(span, DEBUG, TOOL_QUEUED, {
        gen_ai.tool.name = name, agent_sdk.reason = "permits are taken"
    }, "the call of {name} waits: permits are taken");
}

/// A tool is called again.
pub(crate) fn tool_retry(tool: &OperationHandle, attempt: u32, class: &str, delay: Duration) {
    let (span, name) = (&tool.info().span, &*tool.info().name);
    decided!(span, INFO, TOOL_RETRY, {
        gen_ai.tool.name = name,
        agent_sdk.attempt = i64::from(attempt),
        error.type = class,
        agent_sdk.delay_ms = millis(delay)
    }, "calling {name} again, attempt {attempt} in {delay:.1?}, because of {class}");
}

/// A tool is called in the place of one that failed.
pub(crate) fn tool_fallback(tool: &Operation, from: &str, class: &str) {
    let to = &*tool.info().name;
    decided!(tool.span(), INFO, TOOL_FALLBACK, {
        gen_ai.tool.name = to, agent_sdk.tool.fallback_for = from, error.type = class
    }, "fell back to {to} because {from} failed: {class}");
}

/// A tool call waits for its share of the minute.
pub(crate) fn tool_rate_limited(tool: &OperationHandle, wait: Duration) {
    let (span, name) = (&tool.info().span, &*tool.info().name);
    decided!(span, INFO, TOOL_RATE_LIMITED, {
        gen_ai.tool.name = name, agent_sdk.delay_ms = millis(wait)
    }, "waiting {wait:.1?} for the call's share of the minute");
}

/// A tool call is answered from a cache.
pub(crate) fn tool_cache_hit(tool: &OperationHandle) {
    let (span, name) = (&tool.info().span, &*tool.info().name);
    decided!(
        span,
        INFO,
        TOOL_CACHE_HIT,
        { gen_ai.tool.name = name },
        "answered from the cache in place of {name}"
    );
}

/// A tool call shares the execution of an identical one.
pub(crate) fn tool_coalesced(tool: &OperationHandle) {
    let (span, name) = (&tool.info().span, &*tool.info().name);
    decided!(
        span,
        INFO,
        TOOL_COALESCED,
        { gen_ai.tool.name = name },
        "waiting for the identical call of {name} that is under way"
    );
}

/// The breaker around a tool is what it was not before.
pub(crate) fn tool_breaker_changed(tool: &OperationHandle, state: BreakerState) {
    let (span, name) = (&tool.info().span, &*tool.info().name);
    let state = state.as_str();
    decided!(span, INFO, BREAKER_CHANGED, {
        gen_ai.tool.name = name, agent_sdk.breaker.state = state
    }, "the circuit breaker around {name} is {state}");
}

/// A request is sent again.
pub(crate) fn chat_retry(
    chat: &Operation,
    model: &ModelInfo,
    attempt: u32,
    class: &str,
    delay: Duration,
) {
    decided!(chat.span(), INFO, CHAT_RETRY, {
        gen_ai.provider.name = &*model.provider,
        gen_ai.request.model = &*model.model,
        agent_sdk.attempt = i64::from(attempt),
        error.type = class,
        agent_sdk.delay_ms = millis(delay)
    }, "sending the request again, attempt {attempt} in {delay:.1?}, because of {class}");
}

/// A model is asked in the place of one that failed, or that the budget is too far gone for.
pub(crate) fn chat_fallback(chat: &Operation, from: &str, class: &str, is_budget: bool) {
    let to = &*chat.info().name;
    if is_budget {
        decided!(chat.span(), INFO, BUDGET_DEGRADED, {
            gen_ai.request.model = to, agent_sdk.chat.fallback_for = from
        }, "asking {to} instead of {from} because the budget is that far gone");
    } else {
        decided!(chat.span(), INFO, CHAT_FALLBACK, {
            gen_ai.request.model = to, agent_sdk.chat.fallback_for = from, error.type = class
        }, "fell back to {to} because {from} failed: {class}");
    }
}

/// A model is asked as well.
pub(crate) fn chat_hedge(chat: &Operation, slow: &str) {
    let name = &*chat.info().name;
    decided!(chat.span(), INFO, CHAT_HEDGE, {
        gen_ai.request.model = name, agent_sdk.chat.hedge_for = slow
    }, "asking {name} as well because {slow} is slow");
}

/// The first of two to answer; what `lost` did is given up.
pub(crate) fn chat_hedge_won(context: &RunContext, won: &str, lost: &str) {
    decided!(context.span(), INFO, CHAT_HEDGE_WON, {
        gen_ai.request.model = won, agent_sdk.chat.given_up = lost
    }, "{won} answered before {lost}");
}

/// A request waits for its share of the minute.
pub(crate) fn chat_rate_limited(context: &RunContext, wait: Duration) {
    decided!(
        context.span(),
        INFO,
        CHAT_RATE_LIMITED,
        { agent_sdk.delay_ms = millis(wait) },
        "waiting {wait:.1?} for the request's share of the minute"
    );
}

/// A request is answered from the cache.
pub(crate) fn chat_cache_hit(chat: &Operation) {
    let name = &*chat.info().name;
    decided!(
        chat.span(),
        INFO,
        CHAT_CACHE_HIT,
        { gen_ai.request.model = name },
        "answered from the response cache in place of {name}"
    );
}

/// A breaker is what it was not before.
pub(crate) fn breaker_changed(chat: &Operation, state: BreakerState) {
    let (name, state) = (&*chat.info().name, state.as_str());
    decided!(chat.span(), INFO, BREAKER_CHANGED, {
        gen_ai.request.model = name, agent_sdk.breaker.state = state
    }, "the circuit breaker around {name} is {state}");
}

/// A budget did not admit something.
pub(crate) fn budget_refused(context: &RunContext, budget: Option<&str>, what: &str) {
    decided!(context.span(), INFO, BUDGET_REFUSED, {
        agent_sdk.budget.name = budget, agent_sdk.budget.refused = what
    }, "the budget does not admit {what}");
}

/// A budget allows an answer to be only so long.
pub(crate) fn budget_clamped(chat: &Operation, tokens: u32) {
    decided!(
        chat.span(),
        INFO,
        BUDGET_CLAMPED,
        { gen_ai.request.max_tokens = i64::from(tokens) },
        "the budget allows an answer of at most {tokens} tokens"
    );
}

/// A conversation was made short again: in the span that is current, because a session stands outside of runs.
pub(crate) fn conversation_compacted(replaced: usize, before: u64, after: u64) {
    tracing::event!(
        name: CONVERSATION_COMPACTED, target: TARGET, Level::INFO,
        {
            agent_sdk.conversation.replaced_messages = count(replaced as u64),
            agent_sdk.conversation.tokens_before = count(before),
            agent_sdk.conversation.tokens_after = count(after)
        },
        "compacted the conversation: {replaced} messages gave way"
    );
}

/// A run stops at one of its limits.
pub(crate) fn run_limit(run: &Operation, limit: Limit) {
    let (name, value) = limit.name_and_value();
    decided!(run.span(), INFO, RUN_LIMIT, {
        agent_sdk.limit.name = name, agent_sdk.limit.value = value
    }, "stopping at the limit {name} = {value}");
}

/// A run pauses; so many questions are open.
pub(crate) fn run_paused(run: &Operation, questions: usize) {
    decided!(
        run.span(),
        INFO,
        RUN_PAUSED,
        { agent_sdk.run.questions = count(questions as u64) },
        "the run is paused"
    );
}

/// A run goes on after so many records of its earlier lives.
pub(crate) fn run_resumed(run: &RunContext, records: usize) {
    decided!(
        run.span(),
        INFO,
        RUN_RESUMED,
        { agent_sdk.run.records = count(records as u64) },
        "the run goes on where it was"
    );
}

/// An answer is not taken.
pub(crate) fn answer_refused(span: &Span, class: &'static str) {
    decided!(span, INFO, ANSWER_REFUSED, {
        error.type = class
    }, "the model's answer is not taken: {class}");
}

/// A person is asked about a call.
pub(crate) fn approval_requested(agent: &RunContext, tool: &str, call: &CallId) {
    decided!(agent.span(), INFO, APPROVAL_REQUESTED, {
        gen_ai.tool.name = tool, gen_ai.tool.call.id = call.as_str()
    }, "asking a person about the call of {tool}");
}

/// A person decided about a call.
pub(crate) fn approval_given(agent: &RunContext, tool: &str, call: &CallId, allowed: bool) {
    decided!(agent.span(), INFO, APPROVAL_GIVEN, {
        gen_ai.tool.name = tool, gen_ai.tool.call.id = call.as_str(), agent_sdk.approval.allowed = allowed
    }, "a person decided about the call of {tool}");
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Signed, because other whole numbers leave some exporters as text.
fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

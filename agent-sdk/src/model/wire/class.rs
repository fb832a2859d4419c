//! The class of a failure, by what the server calls it.

use crate::model::ModelErrorKind::{
    self, Authentication, BadRequest, ContentFilter, ContextLength, NotFound, Overloaded, Quota,
    RateLimited, Timeout,
};

/// Types and codes that say more than the status does, in lower case.
const EXACT: &[(&str, ModelErrorKind)] = &[
    ("insufficient_quota", Quota),
    ("billing_hard_limit_reached", Quota),
    ("billing_not_active", Quota),
    ("billing_error", Quota),
    ("context_length_exceeded", ContextLength),
    ("exceed_context_size_error", ContextLength),
    ("string_above_max_length", ContextLength),
    ("request_too_large", ContextLength),
    ("content_filter", ContentFilter),
    ("content_policy_violation", ContentFilter),
    ("model_not_found", NotFound),
    ("deploymentnotfound", NotFound),
    // AWS gives these the statuses of a bad request, or of too many.
    ("modelerrorexception", Overloaded),
    ("modelstreamerrorexception", Overloaded),
    ("modelnotreadyexception", Overloaded),
    ("servicequotaexceededexception", RateLimited),
];

/// Types and codes that count where there is no status: inside an answer that began well.
const BROAD: &[(&str, ModelErrorKind)] = &[
    ("authentication_error", Authentication),
    ("invalid_api_key", Authentication),
    ("permission_error", Authentication),
    ("unauthenticated", Authentication),
    ("permission_denied", Authentication),
    ("accessdeniedexception", Authentication),
    ("unrecognizedclientexception", Authentication),
    ("expiredtokenexception", Authentication),
    ("rate_limit_error", RateLimited),
    ("rate_limit_exceeded", RateLimited),
    ("resource_exhausted", RateLimited),
    ("throttlingexception", RateLimited),
    ("invalid_request_error", BadRequest),
    ("badrequesterror", BadRequest),
    ("invalid_argument", BadRequest),
    ("failed_precondition", BadRequest),
    ("out_of_range", BadRequest),
    ("invalid_prompt", BadRequest),
    ("validationexception", BadRequest),
    ("not_found_error", NotFound),
    ("not_found", NotFound),
    ("resourcenotfoundexception", NotFound),
    ("timeout", Timeout),
    ("timeout_error", Timeout),
    ("request_timeout", Timeout),
    ("deadline_exceeded", Timeout),
    ("modeltimeoutexception", Timeout),
    ("overloaded_error", Overloaded),
    ("api_error", Overloaded),
];

/// Words of a message that tell apart what has one type only: the type, in lower case, and the words. An empty type stands for
/// any; `^` stands for the message's beginning.
const TOLD: &[(&str, &str, ModelErrorKind)] = &[
    (
        "invalid_request_error",
        "^prompt is too long",
        ContextLength,
    ),
    (
        "invalid_request_error",
        "^input length and `max_tokens` exceed",
        ContextLength,
    ),
    (
        "invalid_request_error",
        "^Your credit balance is too low",
        Quota,
    ),
    (
        "invalid_request_error",
        "^Output blocked by content filtering policy",
        ContentFilter,
    ),
    (
        "validationexception",
        "too long for requested model",
        ContextLength,
    ),
    ("invalid_argument", "input token count", ContextLength),
    (
        "invalid_argument",
        "maximum number of tokens allowed",
        ContextLength,
    ),
    ("", "litellm.ContextWindowExceededError", ContextLength),
];

/// The class of a failure: what its message tells beside its type, else what type and code say exactly, else the status, else
/// what they say broadly.
pub(super) fn of(
    kind: Option<&str>,
    code: Option<&str>,
    message: Option<&str>,
    status: Option<u16>,
) -> ModelErrorKind {
    let words: Vec<String> = [code, kind]
        .into_iter()
        .flatten()
        .map(str::to_ascii_lowercase)
        .collect();
    let look = |table: &[(&str, ModelErrorKind)]| {
        let class = |word: &String| table.iter().find(|(name, _)| name == word);
        words.iter().find_map(class).map(|(_, class)| *class)
    };
    told(&words, message.unwrap_or_default())
        .or_else(|| look(EXACT))
        .or_else(|| status.map(ModelErrorKind::of_status))
        .or_else(|| look(BROAD))
        .unwrap_or(Overloaded)
}

fn told(words: &[String], message: &str) -> Option<ModelErrorKind> {
    let found = TOLD.iter().find(|(kind, said, _)| {
        let is_of_type = kind.is_empty() || words.iter().any(|word| word == kind);
        is_of_type
            && match said.strip_prefix('^') {
                Some(beginning) => message.starts_with(beginning),
                None => message.contains(said),
            }
    });
    found.map(|(.., class)| *class)
}

//! How many tokens a request will take, before anybody has counted them.

use crate::model::{ChatRequest, RequestSize};

/// What an answer is taken to be long where the request does not limit it.
const ANSWER_TOKENS: u64 = 1_024;

/// What an image, a sound or a document is taken to be.
const MEDIA_TOKENS: u64 = 1_000;

/// How many bytes of text are taken to be a token: about right for English, too many for most else.
const BYTES_PER_TOKEN: u64 = 4;

/// An estimate of all tokens of a request and its answer.
pub(super) fn tokens(request: &ChatRequest) -> u64 {
    let size = RequestSize::of(request);
    let answer = request.settings.max_output_tokens;
    size.text_bytes
        .div_ceil(BYTES_PER_TOKEN)
        .saturating_add(size.media * MEDIA_TOKENS)
        .saturating_add(answer.map_or(ANSWER_TOKENS, u64::from))
}

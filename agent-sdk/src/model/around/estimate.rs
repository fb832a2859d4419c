//! How many tokens a request will take, before anybody has counted them.

use crate::{
    message::{MediaSource, Part},
    model::{ChatRequest, OutputFormat},
};

/// What an answer is taken to be long where the request does not limit it.
const ANSWER_TOKENS: u64 = 1_024;

/// What an image, a sound or a document is taken to be.
const MEDIA_TOKENS: u64 = 1_000;

/// How many bytes of text are taken to be a token: about right for English, too many for most else.
const BYTES_PER_TOKEN: usize = 4;

/// An estimate of all tokens of a request and its answer.
pub(super) fn tokens(request: &ChatRequest) -> u64 {
    let mut bytes = request.instructions.as_deref().map_or(0, str::len);
    let mut media = 0;
    for part in request
        .conversation
        .messages()
        .iter()
        .flat_map(|message| &message.parts)
    {
        match part {
            Part::Text(text) | Part::Refusal(text) => bytes += text.len(),
            Part::Reasoning(reasoning) => bytes += reasoning.text.len(),
            Part::ToolCall(call) => bytes += call.name.len() + call.arguments.len(),
            Part::ToolResult(result) => bytes += result.content.len(),
            Part::Opaque(opaque) => bytes += opaque.json.len(),
            Part::Media(part) => {
                media += MEDIA_TOKENS;
                if let MediaSource::Url(url) = &part.source {
                    bytes += url.len();
                }
            }
        }
    }
    for tool in request.tools.iter() {
        bytes += tool.name.len() + tool.description.len() + tool.parameters.get().len();
    }
    if let OutputFormat::JsonSchema { schema, .. } = &request.output {
        bytes += schema.get().len();
    }
    let answer = request
        .settings
        .max_output_tokens
        .map_or(ANSWER_TOKENS, u64::from);
    (bytes.div_ceil(BYTES_PER_TOKEN) as u64)
        .saturating_add(media)
        .saturating_add(answer)
}

//! The parts of token counts, as the `OpenAI` APIs report them.

use serde::Deserialize;

use super::Count;

/// Parts of the input.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::model) struct InputDetails {
    #[serde(rename = "cached_tokens")]
    pub(in crate::model) cached: Count,
    #[serde(rename = "cache_write_tokens")]
    pub(in crate::model) cache_write: Count,
    #[serde(rename = "audio_tokens")]
    pub(in crate::model) audio: Count,
    #[serde(rename = "image_tokens")]
    pub(in crate::model) image: Count,
}

/// Parts of the output.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::model) struct OutputDetails {
    #[serde(rename = "reasoning_tokens")]
    pub(in crate::model) reasoning: Count,
    #[serde(rename = "audio_tokens")]
    pub(in crate::model) audio: Count,
    #[serde(rename = "image_tokens")]
    pub(in crate::model) image: Count,
}

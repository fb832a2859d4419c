//! Why an answer stopped.

use crate::model::FinishReason;

/// The reason in the SDK's words. The API says `STOP` where it wants tools called too.
///
/// A call of a tool that was not declared is a call like any other: whoever runs tools answers that there is none of that name.
/// Of the numbers that some servers send, only those are read on which Google's two APIs agree.
pub(super) fn reason(native: &str, has_calls: bool) -> FinishReason {
    match native {
        "STOP" | "1" | "UNEXPECTED_TOOL_CALL" if has_calls => FinishReason::ToolCalls,
        "STOP" | "1" => FinishReason::Stop,
        "MAX_TOKENS" | "2" => FinishReason::Length,
        "SAFETY"
        | "3"
        | "RECITATION"
        | "4"
        | "BLOCKLIST"
        | "7"
        | "PROHIBITED_CONTENT"
        | "8"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => FinishReason::ContentFilter,
        "OTHER"
        | "5"
        | "LANGUAGE"
        | "MALFORMED_FUNCTION_CALL"
        | "MALFORMED_RESPONSE"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE"
        | "NO_IMAGE"
        | "IMAGE_OTHER" => FinishReason::Error,
        other => FinishReason::Other(other.to_owned()),
    }
}

/// Whether a word for a reason says that there is none.
pub(super) fn is_unspecified(native: &str) -> bool {
    native == "0" || native.ends_with("_UNSPECIFIED")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_class() {
        use FinishReason::{ContentFilter, Error, Length, Stop, ToolCalls};
        for (native, alone, with_calls) in [
            ("STOP", Stop, ToolCalls),
            ("1", Stop, ToolCalls),
            ("UNEXPECTED_TOOL_CALL", Error, ToolCalls),
            ("MAX_TOKENS", Length, Length),
            ("SAFETY", ContentFilter, ContentFilter),
            ("MODEL_ARMOR", ContentFilter, ContentFilter),
            ("RECITATION", ContentFilter, ContentFilter),
            ("MALFORMED_FUNCTION_CALL", Error, Error),
            (
                "NEW",
                FinishReason::Other("NEW".into()),
                FinishReason::Other("NEW".into()),
            ),
            (
                "6",
                FinishReason::Other("6".into()),
                FinishReason::Other("6".into()),
            ),
        ] {
            assert_eq!(
                (reason(native, false), reason(native, true)),
                (alone, with_calls)
            );
        }
    }
}

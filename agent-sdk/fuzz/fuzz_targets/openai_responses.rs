//! Answers of the Responses API: any bytes, in any chunks. Run with `cargo +nightly fuzz run openai_responses corpus/openai_responses seeds/openai_responses` in `fuzz`.
#![no_main]

use agent_sdk::model::provider::Api;

libfuzzer_sys::fuzz_target!(|input: &[u8]| agent_sdk_fuzz::reads_alike(
    Api::OpenAiResponses,
    input
));

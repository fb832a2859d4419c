//! Answers of the Chat Completions API: any bytes, in any chunks. Run with `cargo +nightly fuzz run openai_chat corpus/openai_chat seeds/openai_chat` in `fuzz`.
#![no_main]

use agent_sdk::model::provider::Api;

libfuzzer_sys::fuzz_target!(|input: &[u8]| agent_sdk_fuzz::reads_alike(Api::OpenAiChat, input));

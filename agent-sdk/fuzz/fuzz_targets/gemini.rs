//! Answers of the Gemini API: any bytes, in any chunks. Run with `cargo +nightly fuzz run gemini corpus/gemini seeds/gemini` in `fuzz`.
#![no_main]

use agent_sdk::model::provider::Api;

libfuzzer_sys::fuzz_target!(|input: &[u8]| agent_sdk_fuzz::reads_alike(Api::GeminiGenerate, input));

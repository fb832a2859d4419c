//! Answers of Ollama: any bytes, in any chunks. Run with `cargo +nightly fuzz run ollama corpus/ollama seeds/ollama` in `fuzz`.
#![no_main]

use agent_sdk::model::provider::Api;

libfuzzer_sys::fuzz_target!(|input: &[u8]| agent_sdk_fuzz::reads_alike(Api::OllamaChat, input));

//! Answers of Bedrock: any bytes, in any chunks. Run with `cargo +nightly fuzz run bedrock corpus/bedrock seeds/bedrock` in `fuzz`.
#![no_main]

use agent_sdk::model::provider::Api;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    agent_sdk_fuzz::reads_event_streams_alike(Api::BedrockConverse, input);
});

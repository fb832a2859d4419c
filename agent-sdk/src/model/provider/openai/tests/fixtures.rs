//! Recorded traffic of the many servers that speak this API.

use super::*;
use crate::model::provider::judge::judge;

/// Recordings that the client does not read as their readers did, each with the reason.
const KNOWN: &[(&str, &str)] = &[(
    "snowflake/chat-stream-snowflake-thinking-streaming",
    "no finish reason ever comes, which is how a broken answer looks: refused as truncated",
)];

#[tokio::test]
async fn recorded_traffic_reads_as_its_manifest_says() {
    judge("openai.chat", 65, KNOWN, |base_url| {
        let builder = OpenAi::builder("m").base_url(base_url).without_key();
        builder.build().unwrap().client
    })
    .await;
}

//! Recorded traffic of the servers that speak this API.

use super::*;
use crate::model::provider::judge::judge;

#[tokio::test]
async fn recorded_traffic_reads_as_its_manifest_says() {
    judge("openai.responses", 31, &[], |base_url| {
        let builder = OpenAiResponses::builder("m")
            .base_url(base_url)
            .without_key();
        builder.build().unwrap().client
    })
    .await;
}

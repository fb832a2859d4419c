//! Recorded traffic of the two places that speak this API.

use super::*;
use crate::model::provider::judge::judge;

#[tokio::test]
async fn recorded_traffic_reads_as_its_manifest_says() {
    judge("gemini.generate", 24, &[], |base_url| {
        let builder = Gemini::builder("m").base_url(base_url).without_key();
        builder.build().unwrap().client
    })
    .await;
}

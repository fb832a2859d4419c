//! Recorded traffic of the API itself, and of gateways that speak it.

use serde_json::{Value, json};

use super::*;
use crate::model::{
    Limits,
    provider::judge::{folder, judge},
    wire::{Decode, Reader},
};

/// Recordings that the client does not read as their readers did: none.
const KNOWN: &[(&str, &str)] = &[];

#[tokio::test]
async fn recorded_traffic_reads_as_its_manifest_says() {
    judge("anthropic.messages", 28, KNOWN, |base_url| {
        let builder = Anthropic::builder("m").base_url(base_url).without_key();
        builder.build().unwrap().client
    })
    .await;
}

#[test]
fn recorded_blocks_go_back_as_they_came() {
    let Some(folder) = folder() else {
        println!("SKIPPED: no recorded traffic here");
        return;
    };
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let cases = manifest["cases"].as_array().unwrap().iter();
    let mut compared = 0;
    for case in cases.filter(|case| case["api"] == "anthropic.messages") {
        let expected = &case["expected"];
        if case["response"]["status"] != 200 {
            continue;
        }
        let recorded = std::fs::read(folder.join(case["file"].as_str().unwrap())).unwrap();
        let message = if case["streaming"] == true {
            let mut reader = Reader::<Assembler>::new(&Limits::default());
            let end = reader.feed(&recorded);
            end.unwrap_or_else(|| reader.cut("", |error| error))
                .unwrap()
                .message
        } else {
            let body = str::from_utf8(&recorded).unwrap();
            Assembler::new(&Limits::default())
                .whole(body)
                .unwrap()
                .message
        };
        let blocks = written(message);
        let kinds: Vec<_> = blocks.iter().map(|block| &block["type"]).collect();
        assert_eq!(
            json!(kinds),
            expected["content_block_types"],
            "{}",
            case["id"]
        );
        let asked = |block: &&Value| block["type"] == "server_tool_use";
        let calls: Vec<_> = blocks.iter().filter(asked).collect();
        let wanted = expected["server_tool_calls"].as_array().unwrap();
        assert_eq!(calls.len(), wanted.len(), "{}", case["id"]);
        for (call, wanted) in calls.iter().zip(wanted) {
            assert_eq!(call["name"], wanted["name"]);
            assert_eq!(call["input"], wanted["arguments"]);
        }
        if case["streaming"] == false {
            let mut sent: Value = serde_json::from_slice(&recorded).unwrap();
            for block in sent["content"].as_array_mut().unwrap() {
                let block = block.as_object_mut().unwrap();
                // What says nothing is not sent back, unless it stands in a block that is kept to the byte.
                if matches!(block["type"].as_str(), Some("text" | "tool_use")) {
                    block.retain(|name, value| !value.is_null() && name != "caller");
                }
            }
            assert_eq!(json!(blocks), sent["content"], "{}", case["id"]);
        }
        compared += 1;
    }
    assert!(compared >= 23, "{compared}");
}

/// The blocks of an answer as they are sent in the next request.
fn written(answer: crate::message::Message) -> Vec<Value> {
    let conversation = crate::message::Conversation::from_iter([answer]);
    let request = ChatRequest::new(conversation);
    let body = request::body("m", &request, false, Habits::default()).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let turns = body["messages"].as_array().unwrap();
    let blocks = turns
        .first()
        .map(|turn| turn["content"].as_array().unwrap().clone());
    blocks.unwrap_or_default()
}

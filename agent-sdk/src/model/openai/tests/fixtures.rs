//! Recorded traffic of many servers. It is not part of the project: where its folder is missing, the test says so.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::message::Part;

/// Recordings that the client does not read as their readers did, each with the reason.
const KNOWN: &[(&str, &str)] = &[(
    "snowflake/chat-stream-snowflake-thinking-streaming",
    "no finish reason ever comes, which is how a broken answer looks: refused as truncated",
)];

#[derive(Deserialize)]
struct Manifest {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    file: String,
    api: String,
    streaming: bool,
    response: Answer,
    expected: Value,
}

#[derive(Deserialize)]
struct Answer {
    status: u16,
    headers: std::collections::BTreeMap<String, Value>,
}

fn folder() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = std::env::var_os("AGENT_SDK_FIXTURES")
        .map_or_else(|| workspace.join("../shared/fixtures"), PathBuf::from)
        .join("wire");
    folder.join("manifest.json").exists().then_some(folder)
}

#[tokio::test]
async fn recorded_traffic_reads_as_its_manifest_says() {
    let Some(folder) = folder() else {
        println!("SKIPPED: no recorded traffic here; AGENT_SDK_FIXTURES names its folder");
        return;
    };
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    let manifest: Manifest = serde_json::from_str(&manifest).unwrap();
    let cases: Vec<_> = manifest
        .cases
        .iter()
        .filter(|case| case.api == "openai.chat")
        .collect();
    assert!(cases.len() >= 65, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let body = std::fs::read(folder.join(&case.file)).unwrap();
        let differences = differences(case, &body).await;
        let known = KNOWN.iter().any(|(id, _)| *id == case.id);
        match (differences.is_empty(), known) {
            (true, true) => wrong.push(format!("{}: passes, take it off the list", case.id)),
            (false, false) => wrong.push(format!("{}: {differences:#?}", case.id)),
            _ => {}
        }
    }
    for (id, _) in KNOWN {
        assert!(
            cases.iter().any(|case| case.id == *id),
            "{id} is not recorded"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!(
        "{} recordings, {} of them known to differ",
        cases.len(),
        KNOWN.len()
    );
}

async fn differences(case: &Case, body: &[u8]) -> Vec<String> {
    let base_url = server::once(&http_answer(case, body)).await;
    let client = OpenAi::builder("m")
        .base_url(base_url)
        .without_key()
        .build()
        .unwrap();
    let context = RunContext::new();
    let result = if case.streaming {
        match client.stream(&context, ChatRequest::new("hi")).await {
            Ok(stream) => stream.collect().await,
            Err(error) => Err(error),
        }
    } else {
        client.chat(&context, ChatRequest::new("hi")).await
    };
    let mut differences = Vec::new();
    let mut same = |what: &str, got: Value, expected: &Value| {
        if got != *expected {
            differences.push(format!("{what}: {got} and not {expected}"));
        }
    };
    let expected = &case.expected;
    match (result, expected["error"].is_null()) {
        (Ok(response), true) => compare(&response, expected, same),
        (Err(error), false) => {
            let expected = &expected["error"];
            let code = match &expected["code"] {
                Value::Number(code) => Value::from(code.to_string()),
                code => code.clone(),
            };
            same("type", error.provider_type().into(), &expected["type"]);
            same("code", error.code().into(), &code);
            if case.response.status != 200 {
                same("status", error.status().into(), &expected["status"]);
            }
            let message = expected["message"].as_str().unwrap();
            if expected["body_is_json"] == false {
                same(
                    "page",
                    error.message().contains("text/html").into(),
                    &true.into(),
                );
            } else {
                let message: String = message.chars().take(200).collect();
                let got: String = error.message().chars().take(200).collect();
                same("message", got.into(), &message.into());
            }
        }
        (Ok(_), false) => differences.push("an error passed as an answer".into()),
        (Err(error), true) => differences.push(format!("failed: {error}")),
    }
    differences
}

fn compare(response: &ChatResponse, expected: &Value, mut same: impl FnMut(&str, Value, &Value)) {
    let first = expected["choice_texts"].get(0).unwrap_or(&expected["text"]);
    same("text", response.text().into(), first);
    same("model", response.model.clone().into(), &expected["model"]);
    let reason = match &expected["finish_reasons"][0] {
        Value::String(reason) => FinishReasonText(reason).spelled(),
        _ => "length".into(),
    };
    same("finish", response.finish_reason.as_str().into(), &reason);
    let mut reasoning = String::new();
    let mut refusal = None;
    for part in &response.message.parts {
        match part {
            Part::Reasoning(thought) => reasoning.push_str(&thought.text),
            Part::Refusal(text) => refusal = Some(text.as_str().to_owned()),
            _ => {}
        }
    }
    same("reasoning", reasoning.into(), &expected["reasoning_text"]);
    let no_refusal = expected["refusal"].as_str().is_none_or(str::is_empty);
    if !no_refusal || refusal.is_some() {
        same("refusal", refusal.into(), &expected["refusal"]);
    }
    let calls: Vec<_> = response.message.tool_calls().collect();
    let expected_calls: Vec<_> = expected["tool_calls"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|call| call.get("choice").is_none_or(|choice| choice == 0))
        .collect();
    // Where there are several alternatives, the calls of all are listed; the first ones are ours.
    let alternatives = expected.get("choice_texts").is_some();
    if !alternatives {
        same("calls", calls.len().into(), &expected_calls.len().into());
    }
    for (call, expected) in calls.iter().zip(expected_calls) {
        same("name", (*call.name).into(), &expected["name"]);
        if !expected["id"].is_null() {
            same("id", call.id.as_str().into(), &expected["id"]);
        }
        if let Some(raw) = expected.get("arguments_raw") {
            same("arguments", call.arguments.as_str().into(), raw);
        } else {
            let arguments = serde_json::from_str(&call.arguments).unwrap_or_default();
            same("arguments", arguments, &expected["arguments"]);
        }
    }
    let (usage, wanted) = (response.usage, &expected["usage"]);
    let count = |name: &str| wanted.get(name).unwrap_or(&Value::Null);
    same(
        "input",
        usage.input_tokens.into(),
        count("input_tokens_total"),
    );
    same(
        "output",
        usage.output_tokens.into(),
        count("output_tokens_total"),
    );
    same(
        "cache read",
        usage.cache_read_tokens.into(),
        count("cache_read_tokens"),
    );
    same(
        "cache write",
        usage.cache_write_tokens.into(),
        count("cache_write_tokens"),
    );
    same(
        "reasoning",
        usage.reasoning_tokens.into(),
        count("reasoning_tokens"),
    );
    let cost = response
        .provider_cost
        .map(|cost| serde_json::to_value(cost).unwrap());
    same(
        "cost",
        cost.unwrap_or_default(),
        count("provider_reported_cost_usd"),
    );
}

/// A finish reason as the server wrote it, in the SDK's spelling.
struct FinishReasonText<'a>(&'a str);

impl FinishReasonText<'_> {
    fn spelled(&self) -> Value {
        crate::model::FinishReason::from(self.0).as_str().into()
    }
}

/// The recording as an HTTP answer.
fn http_answer(case: &Case, body: &[u8]) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 {} X\r\ncontent-length: {}\r\n",
        case.response.status,
        body.len()
    );
    for (name, value) in &case.response.headers {
        let value = value
            .as_str()
            .map_or_else(|| value[0].to_string(), str::to_owned);
        answer += &[name.as_str(), ": ", value.trim_matches('"'), "\r\n"].concat();
    }
    answer.push_str("\r\n");
    [answer.as_bytes(), body].concat()
}

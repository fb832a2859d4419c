//! Answers of every kind read as the clients read them, on cases of our own and on recorded traffic.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::{http::testing::sse, provider::judge};

fn form(api: Api, status: u16, stream: bool, body: &str) -> Value {
    serde_json::to_value(inspect(api, status, stream, body.as_bytes())).unwrap()
}

#[test]
fn every_api_is_found_by_its_name() {
    for api in Api::ALL {
        assert_eq!(api.to_string().parse::<Api>().unwrap(), *api);
    }
    let error = "openai".parse::<Api>().unwrap_err();
    assert!(error.message().contains("openai.chat"), "{error}");
}

#[test]
fn an_api_without_a_reader_says_so() {
    for api in Api::ALL.iter().filter(|api| !api.is_supported()) {
        let error = inspect(*api, 200, false, b"{}").result.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Configuration);
    }
}

#[test]
fn a_whole_answer_is_one_flat_object() {
    let body = json!({
        "model": "m-1",
        "choices": [
            {"index": 0, "finish_reason": "tool_calls", "message": {
                "content": "a", "reasoning_content": "hm", "tool_calls": [
                    {"id": "1", "function": {"name": "f", "arguments": "{\"x\":1}"}},
                    {"id": "2", "function": {"name": "g", "arguments": "{\"x\":"}},
                    {"id": "3", "function": {"name": "h", "arguments": ""}},
                ],
            }},
            {"index": 1, "finish_reason": "length", "message": {"content": "b"}},
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 0},
    });
    assert_eq!(
        form(Api::OpenAiChat, 200, false, &body.to_string()),
        json!({
            "model": "m-1",
            "text": "ab",
            "reasoning_text": "hm",
            "refusal": null,
            "tool_calls": [
                {"id": "1", "name": "f", "arguments": {"x": 1}},
                {"id": "2", "name": "g", "arguments": "{\"x\":"},
                {"id": "3", "name": "h", "arguments": {}},
            ],
            "finish_reasons": ["tool_calls", "length"],
            "usage": {
                "input_tokens": 5, "output_tokens": 0, "cache_read_tokens": null,
                "cache_write_tokens": null, "reasoning_tokens": null,
            },
            "error": null,
        })
    );
}

#[test]
fn a_refused_request_and_a_broken_stream_are_errors_with_what_is_known() {
    let refused =
        r#"{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}"#;
    let form = |status, stream, body: &str| form(Api::OpenAiChat, status, stream, body);
    assert_eq!(
        form(429, true, refused)["error"],
        json!({
            "kind": "rate_limited", "status": 429, "type": "requests", "code": "rate_limit_exceeded",
            "message": "slow down",
        })
    );
    let cut = sse(&[r#"{"model":"m-1","choices":[{"delta":{"content":"half"}}]}"#]);
    let cut = form(200, true, &cut);
    assert_eq!(
        (
            &cut["text"],
            &cut["model"],
            &cut["error"]["kind"],
            &cut["usage"]
        ),
        (
            &json!("half"),
            &json!("m-1"),
            &json!("truncated"),
            &Value::Null
        )
    );
    assert_eq!(form(302, false, "")["error"]["kind"], "configuration");
    assert_eq!(form(503, false, "<html>")["error"]["kind"], "overloaded");
}

#[test]
fn what_stands_beside_a_failure_in_a_stream_is_kept() {
    let body = sse(&[
        r#"{"choices":[{"delta":{"content":"half"}}]}"#,
        r#"{"error":{"message":"no more"},"usage":{"prompt_tokens":3,"completion_tokens":4},
            "choices":[{"delta":{},"finish_reason":"length"}]}"#
            .replace('\n', "")
            .as_str(),
    ]);
    let form = form(Api::OpenAiChat, 200, true, &body);
    assert_eq!(form["error"]["message"], "no more");
    assert_eq!(form["usage"]["output_tokens"], 4);
    assert_eq!(
        (&form["text"], &form["finish_reasons"]),
        (&json!("half"), &json!(["length"]))
    );
}

#[test]
fn what_came_whole_in_place_of_a_stream_is_no_stream() {
    let answer = Answer::of(Api::OpenAiChat).streamed(true);
    let page = answer
        .content_type("text/html; charset=utf-8")
        .read([&b"<html>"[..]]);
    let error = page.result.unwrap_err();
    assert!(error.message().contains("text/html: <html>"), "{error}");
}

#[test]
fn the_events_of_a_stream_are_those_that_its_reader_is_handed() {
    let body = sse(&[
        r#"{"choices":[{"delta":{"content":"a"}}]}"#,
        r#"{"choices":[{"delta":{"content":"b"},"finish_reason":"stop"}]}"#,
        "[DONE]",
    ]);
    let inspection = inspect(Api::OpenAiChat, 200, true, body.as_bytes());
    assert_eq!(
        crate::model::http::testing::text_of(&inspection.events),
        "ab"
    );
    assert!(inspection.result.is_ok());
}

/// What may not depend on how the bytes are cut.
fn brief(inspection: &Inspection) -> (String, String) {
    let events = format!("{:?}", inspection.events);
    let result = match &inspection.result {
        Ok(response) => format!("{response:?}"),
        Err(error) => format!("{error} {:?}", error.partial()),
    };
    (events, result)
}

/// Bytes that look like an answer now and then.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "data: ",
        "event: ",
        "\n",
        "\n\n",
        "\r",
        "[DONE]",
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "null",
        "0",
        "-1",
        "1e400",
        "\"choices\":",
        "\"delta\":",
        "\"content\":",
        "\"text\":",
        "\"type\":",
        "\"error\":",
        "\"message\":",
        "\"usage\":",
        "\"tool_calls\":",
        "\"function\":",
        "\"arguments\":",
        "\"index\":",
        "\"id\":",
        "\"name\":",
        "\"finish_reason\":",
        "\"candidates\":",
        "\"parts\":",
        "\"output\":",
        "\"item\":",
        "\"done\":",
        "\"stop\"",
        "\"\\ud800\"",
        "é",
        "日",
    ]);
    let piece = prop_oneof![
        8 => words.prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_break_a_reader_and_cuts_do_not_matter(
        body in bytes(),
        cuts in 1_usize..9,
        streamed: bool,
        status in prop::sample::select(vec![200_u16, 200, 200, 204, 302, 400, 429, 503]),
    ) {
        for api in Api::ALL {
            let answer = Answer::of(*api).status(status).streamed(streamed);
            let whole = answer.clone().read([&*body]);
            let cut = answer.read(body.chunks(cuts));
            prop_assert_eq!(brief(&whole), brief(&cut));
            prop_assert!(serde_json::to_string(&whole).is_ok());
        }
    }
}

/// Recordings that read otherwise than their manifest says, each with the reason.
const KNOWN: &[(&str, &str)] = &[(
    "snowflake/chat-stream-snowflake-thinking-streaming",
    "no finish reason ever comes, which is how a broken answer looks: refused as truncated",
)];

#[test]
fn recorded_traffic_inspects_as_its_manifest_says() {
    let Some(folder) = judge::folder() else {
        println!("SKIPPED: no recorded traffic here; AGENT_SDK_FIXTURES names its folder");
        return;
    };
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let (mut wrong, mut read, mut unread) = (Vec::new(), 0, 0);
    for case in manifest["cases"].as_array().unwrap() {
        let api: Api = case["api"].as_str().unwrap().parse().unwrap();
        if !api.is_supported() {
            unread += 1;
            continue;
        }
        let body = std::fs::read(folder.join(case["file"].as_str().unwrap())).unwrap();
        let status = u16::try_from(case["response"]["status"].as_u64().unwrap()).unwrap();
        let inspection = inspect(api, status, case["streaming"] == true, &body);
        let got = serde_json::to_value(&inspection).unwrap();
        let differences = differences(&got, &case["expected"]);
        let id = case["id"].as_str().unwrap();
        if differences.is_empty() == KNOWN.iter().any(|(known, _)| *known == id) {
            wrong.push(format!("{id}: {differences:#?}"));
        }
        read += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{read} recordings read, {unread} of APIs without a reader");
}

fn differences(got: &Value, expected: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    let mut same = |what: &str, got: &Value, expected: &Value| {
        if got != expected {
            differences.push(format!("{what}: {got} and not {expected}"));
        }
    };
    for name in ["model", "text", "reasoning_text"] {
        same(name, &got[name], &expected[name]);
    }
    if expected["refusal"] != "" {
        same("refusal", &got["refusal"], &expected["refusal"]);
    }
    let reasons = expected["finish_reasons"].as_array().unwrap();
    if !reasons.is_empty() && reasons.iter().all(Value::is_string) {
        same(
            "finish_reasons",
            &got["finish_reasons"],
            &expected["finish_reasons"],
        );
    }
    for (name, expected_name) in [
        ("input_tokens", "input_tokens_total"),
        ("output_tokens", "output_tokens_total"),
        ("cache_read_tokens", "cache_read_tokens"),
        ("cache_write_tokens", "cache_write_tokens"),
        ("reasoning_tokens", "reasoning_tokens"),
    ] {
        same(name, &got["usage"][name], &expected["usage"][expected_name]);
    }
    let calls = (
        got["tool_calls"].as_array().unwrap(),
        expected["tool_calls"].as_array().unwrap(),
    );
    same("calls", &calls.0.len().into(), &calls.1.len().into());
    for (got, expected) in calls.0.iter().zip(calls.1) {
        same("name", &got["name"], &expected["name"]);
        if !expected["id"].is_null() {
            same("id", &got["id"], &expected["id"]);
        }
        let raw = expected.get("arguments_raw");
        same(
            "arguments",
            &got["arguments"],
            raw.unwrap_or(&expected["arguments"]),
        );
    }
    let (got, expected) = (&got["error"], &expected["error"]);
    same("failed", &got.is_null().into(), &expected.is_null().into());
    if expected.is_null() {
        return differences;
    }
    let code = match &expected["code"] {
        Value::Number(code) => code.to_string().into(),
        code => code.clone(),
    };
    same("type", &got["type"], &expected["type"]);
    same("code", &got["code"], &code);
    if !expected["status"].is_null() {
        same("status", &got["status"], &expected["status"]);
    }
    if expected["body_is_json"] != false {
        let beginning = |message: &Value| -> Value {
            message
                .as_str()
                .unwrap()
                .chars()
                .take(200)
                .collect::<String>()
                .into()
        };
        same(
            "message",
            &beginning(&got["message"]),
            &beginning(&expected["message"]),
        );
    }
    differences
}

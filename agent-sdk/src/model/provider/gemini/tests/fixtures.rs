//! Recorded traffic of the two places that speak this API.

use super::*;
use crate::{
    message::Conversation,
    model::{
        provider::judge::{judge, recordings},
        wire::{Events, Frame},
    },
};

#[tokio::test]
async fn recorded_traffic_reads_as_its_manifest_says() {
    judge("gemini.generate", 24, &[], |base_url| {
        let builder = Gemini::builder("m").base_url(base_url).without_key();
        builder.build().unwrap().client
    })
    .await;
}

#[test]
fn recorded_parts_go_back_as_they_came() {
    let recordings = recordings("gemini.generate");
    let (mut compared, mut signatures) = (0, 0);
    for recording in &recordings {
        let answer = String::from_utf8(recording.answer.clone()).unwrap();
        let (_, sent) = answer.split_once("\r\n\r\n").unwrap();
        let pieces: Vec<Value> = if sent.starts_with("data: ") {
            let data = sent.lines().filter_map(|line| line.strip_prefix("data: "));
            data.map(|data| serde_json::from_str(data).unwrap())
                .collect()
        } else {
            vec![serde_json::from_str(sent).unwrap()]
        };
        // Arguments that come value by value go back whole, which the manifest judges.
        if sent.contains("partialArgs") || !recording.expected["error"].is_null() {
            continue;
        }
        let mut reader = Assembler::new(&Limits::default());
        for piece in &pieces {
            let data = piece.to_string();
            let frame = Frame {
                event: "",
                data: &data,
            };
            reader.event(frame, &mut Events::none()).unwrap();
        }
        let response = reader.finish(&mut Events::none()).unwrap();
        let request = ChatRequest::new(Conversation::from_iter([response.message]));
        let sent_back = body("gemini-2.5-flash", &request);
        let back = sent_back.pointer("/contents/0/parts").cloned();
        let mut back = back.unwrap_or_else(|| json!([]));
        let first = pieces
            .iter()
            .filter_map(|piece| piece["candidates"][0]["content"]["parts"].as_array());
        let wanted = as_kept(first.flatten());
        // An id of the call that was made here is sent too.
        for (part, wanted) in back.as_array_mut().unwrap().iter_mut().zip(&wanted) {
            if wanted["functionCall"].is_object() && wanted["functionCall"].get("id").is_none() {
                part["functionCall"].as_object_mut().unwrap().remove("id");
            }
        }
        assert_eq!(back, json!(wanted), "{}", recording.id);
        signatures += wanted
            .iter()
            .filter(|part| part.get("thoughtSignature").is_some())
            .count();
        compared += 1;
    }
    if !recordings.is_empty() {
        assert!(compared >= 19 && signatures >= 3, "{compared} {signatures}");
    }
}

/// The parts as the client keeps them: without thoughts that nothing signs, and with the pieces of a text joined.
fn as_kept<'a>(parts: impl Iterator<Item = &'a Value>) -> Vec<Value> {
    let mut kept: Vec<Value> = Vec::new();
    for part in parts {
        let is_signed = part.get("thoughtSignature").is_some();
        let Some(text) = part["text"].as_str().filter(|_| !is_signed) else {
            kept.push(part.clone());
            continue;
        };
        match kept.last_mut() {
            // A thought parts the texts around it.
            _ if part["thought"] == true => kept.push(Value::Null),
            _ if text.is_empty() => {}
            Some(last) if last["text"].is_string() && last.get("thoughtSignature").is_none() => {
                last["text"] = [last["text"].as_str().unwrap(), text].concat().into();
            }
            _ => kept.push(json!({"text": text})),
        }
    }
    kept.retain(|part| !part.is_null());
    kept
}

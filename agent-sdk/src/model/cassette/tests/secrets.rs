//! No secret is in any byte of a cassette.

use super::*;

const KEY: &str = "sk-canary/key==0123456789";
const HEADER: &str = "canary-header-\"value\"";
const QUERY: &str = "canary-query-value";

#[tokio::test]
async fn no_byte_of_the_file_is_of_a_secret_wherever_it_comes_back() {
    let escaped = HEADER.replace('"', "\\\"");
    let said = format!(r#"{{"choices":[{{"delta":{{"content":"{KEY} {escaped} {QUERY}"}}}}]}}"#);
    let body = sse(&[
        &said,
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
        "[DONE]",
    ]);
    let middle = body.find("canary/key").unwrap();
    let (start, end) = body.as_bytes().split_at(middle);
    let refused = format!(r#"{{"error":{{"message":"bad key {KEY}"}}}}"#);
    let head = format!("x-request-id: {KEY}\r\nset-cookie: {QUERY}\r\n");
    let scripts = [
        (200, streamed(&[start, end])),
        (401, answer(401, &head, &refused)),
    ];
    let place = Place::new();
    for (_, script) in scripts {
        let server = Server::start(script).await;
        let base_url = format!("{}?api-version=2&subscription={QUERY}", server.base_url);
        let client = keyed(OpenAi::builder("m").base_url(base_url))
            .header("x-tenant", HEADER)
            .recorder(place.recorder())
            .build()
            .unwrap();
        let prompt = format!("the key is {KEY}, the header {HEADER}");
        seen(&client, &prompt, true).await;
        let request = &server.requests()[0];
        assert!(
            request.contains(KEY) && request.contains(QUERY),
            "{request}"
        );
    }
    let text = place.text();
    for secret in [KEY, HEADER, QUERY, "canary", "sk-canary", "0123456789"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    for header in ["authorization", "x-tenant", "cookie"] {
        assert!(!text.to_lowercase().contains(header), "{header} in {text}");
    }
    let lines = place.lines();
    assert_eq!(
        lines[0]["request"]["query"],
        "api-version=2&subscription=[redacted]"
    );
    assert_eq!(
        lines[0]["request"]["messages"],
        Value::Null,
        "the body stands under `body`"
    );
    let asked = &lines[0]["request"]["body"]["messages"][0]["content"];
    assert_eq!(asked, "the key is [redacted], the header [redacted]");

    // The same request fits without the secrets being known, and with them.
    let base_url = format!("http://localhost/v1?api-version=2&subscription={QUERY}");
    let client = OpenAi::builder("m")
        .base_url(base_url)
        .replay(place.replay())
        .build()
        .unwrap();
    let prompt = format!("the key is {KEY}, the header {HEADER}");
    let (events, result) = seen(&client, &prompt, true).await;
    assert!(
        events.contains('*') && result.contains("Stop"),
        "{events} {result}"
    );
}

#[tokio::test]
async fn a_key_that_is_asked_for_anew_is_no_more_written_than_another() {
    let place = Place::new();
    let server = Server::start(answer(200, "", &WHOLE.replace("hello", KEY))).await;
    let client = OpenAi::builder("m")
        .base_url(&*server.base_url)
        .key_header("x-goog-api-key")
        .api_key_from(|| Some(KEY.into()))
        .recorder(place.recorder())
        .build()
        .unwrap();
    seen(&client, "hi", false).await;
    assert!(server.requests()[0].contains(KEY));
    assert!(!place.text().contains("canary"));
    // Nobody is asked for a key that is not sent.
    let client = OpenAi::builder("m").api_key_from(|| panic!("asked for a key"));
    let client = client.replay(place.replay()).build().unwrap();
    assert!(seen(&client, "hi", false).await.1.contains('*'));
}

#[cfg(unix)]
#[test]
fn the_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let mode = || std::fs::metadata(&place.path).unwrap().permissions().mode() & 0o777;
    let _ = place.recorder();
    assert_eq!(mode(), 0o600);
    std::fs::set_permissions(&place.path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let _ = place.recorder();
    assert_eq!(mode(), 0o600);
}

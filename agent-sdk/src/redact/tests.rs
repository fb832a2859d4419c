use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn all(text: &str) -> String {
    Redactor::new().text(text).into_owned()
}

#[test]
fn keys_and_tokens_are_marked_by_their_kind() {
    let table = [
        ("sk-ant-api03-abcDEF0123456789-_x", "[redacted:key]"),
        ("sk-proj-abcdefghijklmnopqrstuvwx", "[redacted:key]"),
        ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "[redacted:key]"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[redacted:key]"),
        ("github_pat_11AAAAAAA0abcdefghij", "[redacted:key]"),
        ("xoxb-1234567890-abc", "[redacted:key]"),
        ("AKIAIOSFODNN7EXAMPLE", "[redacted:key]"),
        ("ASIAIOSFODNN7EXAMPLE", "[redacted:key]"),
        ("whsec_0123456789abcdef", "[redacted:key]"),
        (
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdefghijk",
            "[redacted:token]",
        ),
        ("Bearer abcdefghijklmnop.qrstuv", "Bearer [redacted:token]"),
        ("bearer 0123456789ab.", "bearer [redacted:token]."),
        (
            "https://hooks.slack.com/services/T01/B02/abcdefgh",
            "https://[redacted:key]",
        ),
        (
            "Authorization: Basic dXNlcjpwYXNz, next",
            "Authorization: [redacted:secret], next",
        ),
        ("x-api-key: abcd1234efgh", "x-api-key: [redacted:secret]"),
        ("api-key=abcd1234efgh", "api-key=[redacted:secret]"),
        (
            "https://h/v1?a=b&key=abcd1234&c=d",
            "https://h/v1?a=b&key=[redacted:secret]&c=d",
        ),
        (
            "https://h/?access_token=0123456789",
            "https://h/?access_token=[redacted:secret]",
        ),
        (
            "OPENAI_API_KEY=abcdefghijk",
            "OPENAI_API_KEY=[redacted:secret]",
        ),
        ("password: hunter2", "password: [redacted:secret]"),
        (
            r#"{"password":"a\"b c","n":1}"#,
            r#"{"password":"[redacted:secret]","n":1}"#,
        ),
        (
            r#"{\"client_secret\":\"a b\"}"#,
            r#"{\"client_secret\":\"[redacted:secret]\"}"#,
        ),
        (
            "postgres://jo:pw@db:5432/x",
            "postgres://[redacted:userinfo]@db:5432/x",
        ),
        (
            "a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b",
            "a [redacted:private_key] b",
        ),
        (
            "-----BEGIN PRIVATE KEY-----\nMIIcut",
            "[redacted:private_key]",
        ),
        (r"line\nsk-proj-4f9a8b7c6d5e4f3a", r"line\n[redacted:key]"),
        ("q=%20sk-proj-4f9a8b7c6d5e4f3a", "q=%20[redacted:key]"),
    ];
    for (text, shown) in table {
        assert_eq!(keys(text), shown);
        assert_eq!(all(text), shown);
    }
}

#[test]
fn personal_data_is_marked_where_content_is_redacted() {
    let table = [
        ("mail jo.doe+x@example.co.uk.", "mail [redacted:email]."),
        ("<josé@münchen.de>", "<[redacted:email]>"),
        ("邮箱test@example.com", "邮箱[redacted:email]"),
        ("?to=jo%40example.com&x", "?to=[redacted:email]&x"),
        (r"a\njo@example.com", r"a\n[redacted:email]"),
        ("4111 1111 1111 1111 2025", "[redacted:card] 2025"),
        ("4111-1111-1111-1111", "[redacted:card]"),
        ("n=378282246310005;", "n=[redacted:card];"),
    ];
    for (text, shown) in table {
        assert_eq!(all(text), shown);
        assert_eq!(keys(text), text, "no content, no personal data");
    }
}

#[test]
fn ordinary_texts_are_lent() {
    for text in [
        "What is the task-force-of-many-long-words about?",
        "sk-learn-based-classifier",
        "the bearer of good-news-everyone",
        "bearer responsibilities",
        "gpt-4o-mini-2024-07-18",
        "max_tokens=100000000",
        "time_to_first_token: 0.25",
        "https://example.com:8080/v1?page=12345678",
        "4111 1111 1111 1112",
        "1732191563000000000",
        "0.4111111111111111",
        "41111111111111111111111111",
        "a @ b, me@localhost, @handle",
        "tokens: input",
        "the base URL holds a password: send it in a header",
        "-----BEGIN CERTIFICATE-----",
        "",
    ] {
        let redactor = Redactor::new();
        assert!(
            matches!(redactor.text(text), Cow::Borrowed(_)),
            "{text}: {}",
            redactor.text(text)
        );
    }
}

#[test]
fn secrets_by_value_are_found_in_every_form() {
    let secret = "pa/ss \"wörd\"-7f3a";
    let redactor = Redactor::new().with_secret(secret);
    let encode = |bytes: &[u8]| data_encoding::BASE64.encode(bytes);
    let shifted = |before: &str| encode(format!("{before}{secret}zz").as_bytes());
    let forms = [
        secret.to_owned(),
        serde_json::to_string(secret).unwrap(),
        data_encoding::HEXLOWER.encode(secret.as_bytes()),
        data_encoding::HEXUPPER.encode(secret.as_bytes()),
        data_encoding::BASE64URL.encode(secret.as_bytes()),
        shifted(""),
        shifted("a"),
        shifted("ab"),
        "pa%2Fss%20%22w%C3%B6rd%22-7f3a".to_owned(),
        "pa%2fss%20%22w%c3%b6rd%22-7f3a".to_owned(),
        "pa%2Fss+%22w%C3%B6rd%22-7f3a".to_owned(),
    ];
    for form in forms {
        let shown = redactor.text(&form).into_owned();
        assert!(shown.contains("[redacted:secret]"), "{form}: {shown}");
        assert!(
            shown.len() < "[redacted:secret]".len() + 12,
            "{form}: {shown}"
        );
    }
    assert!(!format!("{redactor:?}").contains("7f3a"));
    // Too short, and a part of every mark.
    let careless = Redactor::new().with_secret("abc").with_secret("secret");
    assert_eq!(careless.text("abc secret"), "abc secret");
}

#[test]
fn functions_of_the_user_come_last_and_fail_closed() {
    let redactor = Redactor::new().with(|text| {
        if text.contains("Project X") {
            Cow::Owned(text.replace("Project X", "[redacted:project]"))
        } else {
            Cow::Borrowed(text)
        }
    });
    assert_eq!(
        redactor.text("jo@example.com on Project X"),
        "[redacted:email] on [redacted:project]"
    );
    let redactor = redactor.with(|_| panic!("no"));
    assert_eq!(redactor.text("anything"), "[redacted:failed]");
}

#[test]
fn json_stays_json_and_secrets_go_by_their_key() {
    let value = json!({
        "user": "jo@example.com",
        "password": {"old": 1, "new": ["x"]},
        "api_key": "x", "token": null, "secret": "", "has_secret": true,
        "max_tokens": 5, "card": 4_111_111_111_111_111_u64,
        "jo@example.com": [{"Authorization": "Basic x"}],
        "no@example.com": "fine",
    });
    let shown = json!({
        "user": "[redacted:email]",
        "password": "[redacted:secret]",
        "api_key": "[redacted:secret]", "token": null, "secret": "", "has_secret": true,
        "max_tokens": 5, "card": "[redacted:card]",
        "[redacted:email]": [{"Authorization": "[redacted:secret]"}],
        "[redacted:email]+": "fine",
    });
    assert_eq!(Redactor::new().json(value), shown);
    let mut deep = json!("jo@example.com");
    for _ in 0..1_000 {
        deep = Value::Array(vec![deep]);
    }
    let shown = Redactor::new().json(deep).to_string();
    assert!(shown.contains("[redacted:depth]") && shown.len() < 1_000);
}

#[test]
fn time_is_linear_in_the_length() {
    // Texts on which a second look at what follows would be a look at everything.
    for piece in [
        "sk-",
        "eyJ",
        "eyJ-aaaaaaaa.",
        "a@",
        "://a:",
        "4 ",
        "password=",
        "\\\"",
        "-----BEGIN ",
        "%40",
        "token: '",
        "bearer  ",
        "a.a@a.a",
    ] {
        let text = piece.repeat(2_000_000 / piece.len());
        let started = std::time::Instant::now();
        let _ = all(&text);
        // Two million steps take milliseconds, their square an hour.
        assert!(
            started.elapsed() < std::time::Duration::from_mins(5),
            "{piece}"
        );
    }
}

/// Texts of pieces that patterns turn on, next to each other in any order.
fn texts() -> impl Strategy<Value = String> {
    let pieces = [
        "sk-",
        "abcdef0123456789",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOi",
        ".",
        "Bearer ",
        "Authorization",
        ": ",
        "=",
        "\"",
        "'",
        "\\",
        "://",
        "@",
        "%40",
        "example.com",
        "4111111111111111",
        " ",
        "-",
        "password",
        "token",
        "?key",
        "&",
        "-----BEGIN ",
        "PRIVATE KEY-----",
        "-----END ",
        "[redacted:key]",
        "]",
        "é",
        "邮",
        "\u{0}",
        "\n",
        "jo",
        "7",
        "%2",
        "n",
    ];
    let piece = prop_oneof![
        4 => proptest::sample::select(pieces.to_vec()).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        texts().prop_map(Value::String),
        any::<u64>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec((texts(), inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn redacting_again_changes_nothing(text in texts()) {
        let redactor = Redactor::new().with_secret("abcdef01");
        let once = redactor.text(&text).into_owned();
        prop_assert_eq!(redactor.text(&once), once.as_str(), "of {:?}", text);
        let once = keys(&text).into_owned();
        prop_assert_eq!(keys(&once), once.as_str(), "of {:?}", text);
    }

    #[test]
    fn json_redacted_again_is_the_same(value in values()) {
        let redactor = Redactor::new();
        let once = redactor.json(value);
        let text = once.to_string();
        let read: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read, &once);
        prop_assert_eq!(redactor.json(read), once);
    }

    #[test]
    fn a_planted_key_never_survives(before in "[a-z .,;:!?()é]{0,20}", after in "[ .,;!?()é]{0,20}") {
        let text = format!("{before} sk-proj-4f9a8b7c6d5e4f3a2b1c{after}");
        prop_assert!(!all(&text).contains("4f9a8b7c"), "{}", text);
    }
}

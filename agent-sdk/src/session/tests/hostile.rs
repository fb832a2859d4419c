//! Documents that were made to break something.

use proptest::prelude::*;

use super::*;
use crate::session::SessionErrorKind;

const GOLDEN: &str = include_str!("golden/session-v1.json");

/// A document of these records, and of files.
fn document(records: &[&str], files: &str) -> String {
    let items = records
        .iter()
        .map(|record| format!(r#"{{"at":"2026-01-01T00:00:00Z","record":{record}}}"#));
    let items: Vec<String> = items.collect();
    format!(
        r#"{{"format":"agent-sdk/session","version":1,"id":"x","records":[{}],"files":{files}}}"#,
        items.join(",")
    )
}

const CREATED: &str = r#"{"type":"created","format":1}"#;

async fn refused(document: impl AsRef<[u8]> + Send) -> SessionError {
    let sessions = sessions();
    let error = sessions.import(document).await.unwrap_err();
    assert!(sessions.list(1).await.unwrap().is_empty(), "{error}");
    error
}

#[tokio::test]
async fn s6_what_does_not_fit_is_named_by_its_path() {
    let updated = |fields: &str| format!(r#"{{"type":"updated",{fields}}}"#);
    let after = |record: &str| document(&[CREATED, record], "[]");
    let message = |message: &str| after(&updated(&format!(r#""messages":[{message}]"#)));
    let path =
        r#"{"type":"snapshot","files":{"written":{"../up":{"version":1,"size":1,"sha256":"x"}}}}"#;
    for (document, path) in [
        ("[]".to_owned(), None),
        ("17".to_owned(), None),
        ("{}".to_owned(), None),
        (r#"{"format":7,"version":1}"#.to_owned(), Some("format")),
        (r#"{"format":"x","version":1}"#.to_owned(), Some("format")),
        (
            r#"{"format":"agent-sdk/session","version":"1"}"#.to_owned(),
            Some("version"),
        ),
        (
            r#"{"format":"agent-sdk/session","version":1,"id":"x","records":7}"#.to_owned(),
            Some("records"),
        ),
        (document(&[], "[]"), Some("records")),
        (
            document(&[CREATED], "[]").replace("2026-01", "2026-13"),
            Some("records[0].at"),
        ),
        (
            document(&[&updated(r#""title":"x""#)], "[]"),
            Some("records[0].record.type"),
        ),
        (after(CREATED), Some("records[1].record.type")),
        (after("7"), Some("records[1].record")),
        (after("{}"), Some("records[1].record")),
        (after(r#"{"type":7}"#), Some("records[1].record.type")),
        (message("7"), Some("records[1].record.messages[0]")),
        (
            message(r#"{"role":"robot","parts":[]}"#),
            Some("records[1].record.messages[0].role"),
        ),
        (
            message(
                r#"{"role":"user","parts":[{"type":"text","value":"a"},{"type":"text","value":7}]}"#,
            ),
            Some("records[1].record.messages[0].parts[1].value"),
        ),
        (
            message(r#"{"role":"user","parts":[{"type":"smell","value":"a"}]}"#),
            Some("records[1].record.messages[0].parts[0].type"),
        ),
        (
            after(&updated(r#""changes":[{"set":{"key":"","value":1}}]"#)),
            Some("records[1].record.changes[0].key"),
        ),
        (
            after(&updated(r#""changes":[{"set":{"value":1}}]"#)),
            Some("records[1].record.changes[0].set"),
        ),
        (
            after(r#"{"type":"compressed","replaced":9}"#),
            Some("records[1].record.replaced"),
        ),
        (
            after(r#"{"type":"compressed","replaced":-9}"#),
            Some("records[1].record.replaced"),
        ),
        (
            after(
                r#"{"type":"snapshot","files":{"written":{"a":{"version":1,"size":1,"sha256":"x"}}}}"#,
            ),
            Some("records[1].record.files.written"),
        ),
        (after(path), Some("records[1].record.files.written")),
        (
            document(&[CREATED], r#"[{"path":"a","content":"?"}]"#),
            Some("files[0].content"),
        ),
    ] {
        let error = refused(&document).await;
        assert_eq!(error.kind(), SessionErrorKind::Invalid, "{document}");
        assert_eq!(error.path(), path, "{error}: {document}");
        assert!(error.to_string().len() < 400, "{error}");
    }
}

#[tokio::test]
async fn s6_a_path_that_leaves_the_folder_is_refused_also_with_its_content() {
    let sha256 = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    for path in [
        "../up",
        "/etc/passwd",
        "a/../b",
        "a\\\\b",
        "c:x",
        "a\\u0000b",
        "",
    ] {
        let record = format!(
            r#"{{"type":"snapshot","files":{{"written":{{"{path}":{{"version":1,"size":1,"sha256":"{sha256}"}}}}}}}}"#
        );
        let files = format!(r#"[{{"path":"{path}","content":"eA=="}}]"#);
        let error = refused(document(&[CREATED, &record], &files)).await;
        assert_eq!(error.kind(), SessionErrorKind::Invalid);
        assert!(
            error.to_string().contains("inside its folder"),
            "{path}: {error}"
        );
    }
    let good = format!(
        r#"{{"type":"snapshot","files":{{"written":{{"a":{{"version":1,"size":1,"sha256":"{sha256}"}}}}}}}}"#
    );
    let files = r#"[{"path":"a","content":"eA=="}]"#;
    let session = sessions().import(document(&[CREATED, &good], files)).await;
    assert_eq!(session.unwrap().file("a", 2).await.unwrap(), "x");
}

#[tokio::test]
async fn s6_an_error_repeats_nothing_of_what_was_said() {
    for wrong in [
        r#"{"type":"updated","messages":"s3cret"}"#,
        r#"{"type":"updated","messages":[{"role":"s3cret","parts":[]}]}"#,
        r#"{"type":"updated","messages":[{"role":"user","parts":["s3cret, expected s3cret"]}]}"#,
        r#"{"type":"updated","messages":[{"role":"user","parts":[{"value":"s3cret","type":"x"}]}]}"#,
        r#"{"type":"updated","tokens":"s3cret"}"#,
    ] {
        let error = refused(document(&[CREATED, wrong], "[]")).await;
        assert!(!words(&error).contains("s3cret"), "{}", words(&error));
    }
}

#[tokio::test]
async fn s6_hostile_json_is_refused_and_nothing_panics() {
    let deep = |open: &str, close: &str| {
        let (open, close) = (open.repeat(100_000), close.repeat(100_000));
        let change = format!(r#"{{"set":{{"key":"k","value":{open}1{close}}}}}"#);
        document(
            &[
                CREATED,
                &format!(r#"{{"type":"updated","changes":[{change}]}}"#),
            ],
            "[]",
        )
    };
    let error = refused(deep("[", "]")).await;
    let path = error.path().unwrap();
    assert!(
        path.starts_with("records[1].record.changes[0].set.value[0]"),
        "{error}"
    );
    assert!(error.to_string().len() < 400, "{error}");
    refused(deep("{\"a\":", "}")).await;
    refused("[".repeat(1_000_000)).await;
    refused("{\"format\":".repeat(100_000)).await;
    refused(vec![b'{', 0xff, 0xfe, b'}']).await;
    refused("").await;
    refused("\u{feff}{}").await;
    refused(format!("{GOLDEN} x")).await;
    refused(document(
        &[CREATED, r#"{"type":"updated","tokens":1e400}"#],
        "[]",
    ))
    .await;
    refused(document(
        &[CREATED, r#"{"type":"updated","title":"\ud800"}"#],
        "[]",
    ))
    .await;
    let mut bytes = GOLDEN.as_bytes().to_vec();
    let place = GOLDEN.find("fjords").unwrap();
    bytes[place] = 0xff;
    let error = refused(bytes).await;
    assert_eq!(error.kind(), SessionErrorKind::Invalid);

    // What is not known is never looked into, however deep it is.
    let odd = format!(
        r#"{{"type":"odd","x":{}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let session = sessions()
        .import(document(&[CREATED, &odd], "[]"))
        .await
        .unwrap();
    let document = session.export().await.unwrap();
    assert_eq!(
        sessions()
            .import(document)
            .await
            .unwrap()
            .view()
            .unknown_records(),
        1
    );
}

#[tokio::test]
async fn s6_a_document_over_the_limit_is_refused_unread() {
    let huge = vec![b' '; 200_000_000];
    let error = refused(huge).await;
    assert_eq!(error.kind(), SessionErrorKind::TooLarge);
    assert!(error.to_string().contains("200000000 bytes"), "{error}");
    let small = sessions().max_import_bytes(GOLDEN.len() - 1);
    let error = small.import(GOLDEN).await.unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::TooLarge);
    small
        .max_import_bytes(GOLDEN.len())
        .import(GOLDEN)
        .await
        .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn s6_a_document_that_was_tampered_with_is_read_or_refused(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..4),
    ) {
        let mut bytes = GOLDEN.as_bytes().to_vec();
        for (place, byte, how) in changes {
            if bytes.is_empty() {
                break;
            }
            let place = place.index(bytes.len());
            match how {
                0 => bytes[place] = byte,
                1 => drop(bytes.remove(place)),
                _ => bytes.truncate(place.max(1)),
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let sessions = sessions();
            if let Ok(session) = sessions.import(&bytes).await {
                // Whatever was let in can be read, opened and written again.
                let opened = sessions.open(session.id()).await.unwrap();
                assert_eq!(opened.conversation(), session.conversation());
                sessions.import(opened.export().await.unwrap()).await.unwrap();
            }
        });
    }
}

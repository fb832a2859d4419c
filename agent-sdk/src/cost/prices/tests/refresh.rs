//! Putting a newer table in place.

use std::sync::Arc;

use super::layers::{million, table};
use crate::cost::{PriceBook, PriceErrorKind, PriceTable};

#[test]
fn every_clone_sees_a_refresh_and_a_snapshot_does_not() {
    let book = PriceBook::embedded();
    let (clone, snapshot) = (book.clone(), book.snapshot());
    book.refresh(table("2026-12-01", "9")).unwrap();
    let price = |book| million(book, "openai", "gpt-4o").unwrap().0;
    assert_eq!([price(&book), price(&clone)], ["9", "9"]);
    assert_eq!(price(&snapshot), "2.5");
    assert_eq!(price(&book.snapshot()), "9");
}

#[test]
fn an_older_table_is_refused_unless_it_is_asked_for() {
    let book = PriceBook::embedded();
    let error = book.refresh(table("2026-11-19", "1")).unwrap_err();
    assert_eq!(error.kind(), PriceErrorKind::Older);
    assert!(error.to_string().contains("2026-11-19"), "{error}");
    book.refresh(table("2026-11-20", "2")).unwrap();
    book.refresh(table("2026-12-01", "3")).unwrap();
    assert_eq!(
        book.refresh(table("2026-11-30", "4")).unwrap_err().kind(),
        PriceErrorKind::Older
    );
    assert_eq!(million(&book, "openai", "gpt-4o").unwrap().0, "3");
    book.roll_back(table("2026-11-30", "4"));
    assert_eq!(million(&book, "openai", "gpt-4o").unwrap().0, "4");
}

#[test]
fn a_table_that_does_not_say_when_it_was_collected_is_refused() {
    let book = PriceBook::embedded();
    for date in ["", "soon", "2026-13-01", "20.11.2026"] {
        let error = book.refresh(table(date, "1")).unwrap_err();
        assert_eq!(
            (error.kind(), error.place()),
            (PriceErrorKind::Invalid, "date")
        );
    }
    assert_eq!(million(&book, "openai", "gpt-4o").unwrap().0, "2.5");
}

#[test]
fn requests_beside_a_refresh_see_one_table_or_the_other() {
    let book = PriceBook::embedded();
    let tables: Arc<[PriceTable]> = ["1", "2"].map(|price| table("2026-12-01", price)).into();
    book.refresh(tables[0].clone()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for turn in 0..500 {
                    book.refresh(tables[turn % 2].clone()).unwrap();
                }
            });
        }
        for _ in 0..500 {
            let price = million(&book, "openai", "gpt-4o").unwrap().0;
            assert!(["1", "2"].contains(&&*price), "{price}");
        }
    });
}

#[cfg(feature = "http")]
mod fetched {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::cost::PriceError;

    /// Serves one answer and fetches it; the path is `/prices.json` unless another is given.
    async fn fetch(path: &str, answer: Vec<u8>) -> Result<PriceTable, PriceError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 2048];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /"));
            // The client may hang up in its midst.
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
        };
        let url = format!("http://{address}{path}");
        let (table, ()) = tokio::join!(PriceTable::fetch(&url), served);
        table
    }

    fn ok(body: &str) -> Vec<u8> {
        format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}").into_bytes()
    }

    #[tokio::test]
    async fn a_table_is_fetched_in_json_or_in_toml() {
        let json = fetch("/prices.json", ok(&table("2026-12-01", "9").to_json())).await;
        let book = PriceBook::embedded();
        book.refresh(json.unwrap()).unwrap();
        assert_eq!(million(&book, "openai", "gpt-4o").unwrap().0, "9");
        let toml = fetch(
            "/a/prices.toml",
            ok("date = \"2026-12-02\"\nproviders = []"),
        )
        .await;
        assert_eq!(toml.unwrap().date(), "2026-12-02");
    }

    #[tokio::test]
    async fn a_bad_answer_is_a_typed_error_and_the_last_good_table_stays() {
        let book = PriceBook::embedded();
        book.refresh(table("2026-12-01", "9")).unwrap();
        let whole = table("2026-12-02", "1").to_json();
        let (cut, _) = whole.split_at(whole.len() / 2);
        let longer = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{cut}",
            whole.len()
        );
        let large = [ok(""), vec![b' '; (16 << 20) + 1]].concat();
        let not_text = [ok(""), vec![0xff]].concat();
        let moved =
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\nconnection: close\r\n\r\n";
        for (answer, kind) in [
            (ok(cut), PriceErrorKind::Invalid),
            (ok("<html>"), PriceErrorKind::Invalid),
            (not_text, PriceErrorKind::Invalid),
            (longer.into_bytes(), PriceErrorKind::Unreachable),
            (moved.into(), PriceErrorKind::Unreachable),
            (
                b"HTTP/1.1 503 Busy\r\nconnection: close\r\n\r\n".to_vec(),
                PriceErrorKind::Unreachable,
            ),
            (large, PriceErrorKind::TooLarge),
        ] {
            let error = fetch("/prices.json?key=hidden", answer).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            let text = format!("{error} {error:?}");
            assert!(
                text.contains("/prices.json") && !text.contains("hidden"),
                "{text}"
            );
        }
        assert_eq!(million(&book, "openai", "gpt-4o").unwrap().0, "9");
    }

    #[tokio::test]
    async fn addresses_that_anybody_can_answer_for_are_refused() {
        for url in [
            "http://example.com/prices.json",
            "http://localhost.example.com/",
            "file:///etc/passwd",
            "ftp://127.0.0.1/",
            "prices.json",
            "",
        ] {
            let error = PriceTable::fetch(url).await.unwrap_err();
            assert_eq!(error.kind(), PriceErrorKind::Unreachable, "{url}");
        }
        let error = PriceTable::fetch("http://user:secret@example.com/?token=secret")
            .await
            .unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

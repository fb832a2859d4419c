//! Files that are cut, mixed, newer, or none of ours.

use super::*;

async fn two(place: &Place) {
    let server = Server::start(answer(200, "", WHOLE)).await;
    let client = live(&server.base_url, &place.recorder());
    for prompt in ["one", "two"] {
        seen(&client, prompt, false).await;
    }
}

#[tokio::test]
async fn a_file_cut_anywhere_is_read_up_to_there_and_says_so() {
    let place = Place::new();
    two(&place).await;
    let text = place.text();
    let first = text.find('\n').unwrap() + 1;
    for at in first + 1..text.len() - 1 {
        place.write(text.get(..at).unwrap());
        let replay = place.replay();
        assert_eq!(
            (replay.recorded(), replay.damaged_lines()),
            (1, &[2][..]),
            "{at}"
        );
    }
    let client = offline(place.replay());
    assert!(seen(&client, "one", false).await.1.ends_with(" hello"));
    let (_, error) = seen(&client, "two", false).await;
    assert!(
        error.contains("1 lines of the cassette could not be read"),
        "{error}"
    );
}

#[tokio::test]
async fn recording_goes_on_after_a_line_that_was_cut() {
    let place = Place::new();
    two(&place).await;
    let text = place.text();
    place.write(text.get(..text.len() - 20).unwrap());
    two(&place).await;
    let replay = place.replay();
    assert_eq!((replay.recorded(), replay.damaged_lines()), (3, &[2][..]));
    // The same for the first line.
    for at in [1, 5, 12, 13, 50] {
        place.write(text.get(..at).unwrap());
        two(&place).await;
        assert_eq!(place.replay().damaged_lines(), [1], "{at}");
    }
}

#[tokio::test]
async fn what_a_later_version_adds_is_ignored_and_its_lines_are_refused() {
    let place = Place::new();
    two(&place).await;
    let text = place.text();
    place.write(
        &text
            .replace(
                "\"ended\":\"complete\"",
                "\"ended\":\"complete\",\"new\":{\"a\":[1]}",
            )
            .replace("\"status\":200", "\"status\":200,\"trailers\":[]")
            .replace("\"after_us\":", "\"more\":null,\"after_us\":"),
    );
    let client = offline(place.replay());
    assert!(seen(&client, "two", false).await.1.ends_with(" hello"));

    place.write(&text.replace("{\"cassette\":1,", "{\"cassette\":2,"));
    let error = Replay::open(&place.path).unwrap_err();
    assert_eq!(error.kind(), CassetteErrorKind::NewerVersion);
    assert!(error.to_string().contains("line 1"), "{error}");
    let error = Recorder::open(&place.path).unwrap_err();
    assert_eq!(error.kind(), CassetteErrorKind::NewerVersion);
}

#[tokio::test]
async fn what_is_no_cassette_is_neither_played_nor_written_to() {
    let place = Place::new();
    for text in ["my notes\n", "[1]\n", "{\"a\":1}\n", "\u{0}\u{1}"] {
        place.write(text);
        let error = Recorder::open(&place.path).unwrap_err();
        assert_eq!(error.kind(), CassetteErrorKind::Malformed, "{text}");
        let error = Replay::open(&place.path).unwrap_err();
        assert_eq!(error.kind(), CassetteErrorKind::Malformed, "{text}");
        assert_eq!(place.text(), text);
    }
    two_fields_are_missing(&place);
    place.write("");
    assert_eq!(place.replay().recorded(), 0);
    let (_, error) = seen(&offline(place.replay()), "hi", false).await;
    assert!(error.contains("holds no exchange"), "{error}");
    let error = Replay::open(place.path.join("nowhere")).unwrap_err();
    assert_eq!(error.kind(), CassetteErrorKind::Io);
}

fn two_fields_are_missing(place: &Place) {
    let line = r#"{"cassette":1,"request":{"method":"POST","path":7},"ended":"complete"}"#;
    place.write(&format!("{line}\n"));
    let error = Replay::open(&place.path).unwrap_err();
    assert_eq!(error.kind(), CassetteErrorKind::Malformed);
    assert!(
        error.to_string().contains("line 1") && error.to_string().contains("request.path"),
        "{error}"
    );
}

#[tokio::test]
async fn exchanges_at_the_same_time_do_not_mix() {
    let place = Place::new();
    let (first, last) = pieces();
    let script = streamed(&[first.as_bytes(), last.as_bytes()]);
    let server = Server::start(script).await;
    let client = live(&server.base_url, &place.recorder());
    let prompts: Vec<String> = (0..20).map(|number| format!("prompt {number}")).collect();
    let all = prompts.iter().map(|prompt| seen(&client, prompt, true));
    let before = futures_util::future::join_all(all).await;
    let client = offline(place.replay());
    let all = prompts
        .iter()
        .rev()
        .map(|prompt| seen(&client, prompt, true));
    let mut after = futures_util::future::join_all(all).await;
    after.reverse();
    assert_eq!(before, after);
}

#[tokio::test]
async fn an_exchange_is_not_failed_by_its_recording() {
    let place = Place::new();
    place.write("");
    let read_only = std::fs::File::open(&place.path).unwrap();
    let recorder = Recorder::of(&place.path, read_only).unwrap();
    let server = Server::start(answer(200, "", WHOLE)).await;
    let client = live(&server.base_url, &recorder);
    assert!(seen(&client, "hi", false).await.1.ends_with(" hello"));
    assert_eq!((recorder.written(), recorder.failed()), (0, 1));
}

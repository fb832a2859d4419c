use std::time::Duration;

use proptest::{collection::vec, prelude::*, sample::select};

use super::{SseDecoder, SseError, SseErrorKind, SseLimits, reference};

type Event = (String, String, String);

/// Feeds one chunk, adding the events to `events`.
fn feed(decoder: &mut SseDecoder, chunk: &[u8], events: &mut Vec<Event>) -> Result<(), SseError> {
    decoder.feed(chunk, |event| {
        events.push((
            event.event.to_owned(),
            event.data.to_owned(),
            event.id.to_owned(),
        ));
        Ok(())
    })
}

/// What the decoder makes of the chunks, in the words of the reference.
fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> reference::Decoded {
    let mut decoder = SseDecoder::new();
    let mut events = Vec::new();
    for chunk in chunks {
        feed(&mut decoder, chunk, &mut events).unwrap();
    }
    let finish = decoder.finish();
    assert_eq!(finish.events, events.len() as u64);
    reference::Decoded {
        events,
        last_id: decoder.last_event_id().to_owned(),
        retry: decoder
            .retry()
            .map(|retry| u64::try_from(retry.as_millis()).unwrap()),
        unfinished: finish.unfinished,
    }
}

/// Cuts `body` into chunks of these lengths, over and over.
fn cut<'a>(mut body: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    for &length in lengths.iter().cycle() {
        if body.is_empty() {
            break;
        }
        let (chunk, rest) = body.split_at(length.min(body.len()));
        chunks.push(chunk);
        body = rest;
    }
    chunks
}

/// The data of every event of a body fed whole.
fn data_of(body: &str) -> Vec<String> {
    decode([body.as_bytes()])
        .events
        .into_iter()
        .map(|(_, data, _)| data)
        .collect()
}

#[test]
fn the_examples_of_the_standard_decode_as_it_says() {
    let cases: &[(&str, &[&str])] = &[
        (
            "data: This is the first message.\n\ndata: This is the second message, it\n\
             data: has two lines.\n\ndata: This is the third message.\n\n",
            &[
                "This is the first message.",
                "This is the second message, it\nhas two lines.",
                "This is the third message.",
            ],
        ),
        ("data: YHOO\ndata: +2\ndata: 10\n\n", &["YHOO\n+2\n10"]),
        ("data\n\ndata\ndata\n\ndata:", &["", "\n"]),
        ("data:test\n\ndata: test\n\n", &["test", "test"]),
        (
            ": test stream\n\ndata: first event\nid: 1\n\n",
            &["first event"],
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(data_of(body), *expected, "{body:?}");
    }
}

#[test]
fn l2_the_corners_of_the_format_are_exact() {
    let cases: &[(&str, &[&str])] = &[
        ("\u{FEFF}data: x\n\n", &["x"]),
        ("\u{FEFF}\u{FEFF}data: x\n\n", &[]),
        ("data: x\n\n\u{FEFF}data: y\n\n", &["x"]),
        ("data: x\r\rdata: y\r\n\r\ndata: z\n\r\n", &["x", "y", "z"]),
        ("data:  two spaces\n\n", &[" two spaces"]),
        ("data:\ttab\n\n", &["\ttab"]),
        ("data : x\n\n data: x\n\nDATA: x\n\n", &[]),
        ("data: a:b: c\n\n", &["a:b: c"]),
        ("data:\ndata: x\n\n", &["\nx"]),
        ("event: ping\n\nid: 1\n\n", &[]),
        ("data: nul \0 stays\n\n", &["nul \0 stays"]),
        ("\n\n\n\ndata: x\n\n\n\n", &["x"]),
        ("data: x\n", &[]),
        ("data: x\n\ndata: y", &["x"]),
    ];
    for (body, expected) in cases {
        assert_eq!(data_of(body), *expected, "{body:?}");
        for first in 0..=body.len() {
            let (start, end) = body.as_bytes().split_at(first);
            assert_eq!(
                decode([start, end]),
                reference::decode(body.as_bytes()),
                "{body:?}"
            );
        }
    }
}

#[test]
fn a_name_lasts_for_one_event_and_an_id_until_the_next() {
    let body = b"event: a\nevent: add\nid: 1\ndata: x\n\ndata: y\n\nevent:\nid\ndata: z\n\n";
    let expected = [
        ("add", "x", "1"),
        ("message", "y", "1"),
        ("message", "z", ""),
    ];
    let events = decode([&body[..]]).events;
    let events: Vec<_> = events.iter().map(|(a, b, c)| (&**a, &**b, &**c)).collect();
    assert_eq!(events, expected);
}

#[test]
fn an_id_counts_once_its_event_has_ended() {
    assert_eq!(decode([&b"id: 1\n\nid: 2\n"[..]]).last_id, "1");
    assert_eq!(
        decode([&b"id: 1\n\nid: 2\0\n\n"[..]]).last_id,
        "1",
        "an id with NUL is ignored"
    );
}

#[test]
fn retry_takes_digits_only() {
    let cases = [
        ("retry: 1500\n", Some(Duration::from_millis(1500))),
        (
            "retry: 1500\nretry: 1.5\nretry: -1\nretry: +1\nretry: 1 \nretry\n",
            Some(Duration::from_millis(1500)),
        ),
        (
            "retry: 99999999999999999999999\n",
            Some(Duration::from_millis(u64::MAX)),
        ),
        ("retry:\n", None),
        ("retry: \u{0661}\n", None),
    ];
    for (body, expected) in cases {
        let mut decoder = SseDecoder::new();
        feed(&mut decoder, body.as_bytes(), &mut Vec::new()).unwrap();
        assert_eq!(decoder.retry(), expected, "{body:?}");
    }
}

#[test]
fn a_stream_that_ends_inside_an_event_says_so() {
    let cases = [
        ("", false),
        ("\u{FEFF}", false),
        ("data: x\n\n", false),
        ("data: x\n\n\n", false),
        ("data: x\n\n: ping", false),
        ("data: x\n\n: ping\n", false),
        ("data: x\r", true),
        ("data: x\r\n\r", false),
        ("data: x\n", true),
        ("data: x", true),
        ("d", true),
        ("event: x\n", true),
        ("data: x\n\nid: 1", true),
    ];
    for (body, unfinished) in cases {
        assert_eq!(decode([body.as_bytes()]).unfinished, unfinished, "{body:?}");
        assert_eq!(
            decode(body.as_bytes().chunks(1)).unfinished,
            unfinished,
            "{body:?}"
        );
    }
}

#[test]
fn l3_bad_bytes_become_replacement_characters_and_nothing_else_changes() {
    let cases: &[(&[u8], &[&str], u64)] = &[
        (b"data: a\xFFb\n\ndata: ok\n\n", &["a\u{FFFD}b", "ok"], 1),
        (b"data: \xE4\xB8\n\ndata: ok\n\n", &["\u{FFFD}", "ok"], 1),
        (
            b"data: \xF0\x9F\x98x\xC0\xAF\n\n",
            &["\u{FFFD}x\u{FFFD}\u{FFFD}"],
            3,
        ),
        (b"data: \xED\xA0\x80\n\n", &["\u{FFFD}\u{FFFD}\u{FFFD}"], 3),
        (b"data: a\ndata: \xFF\ndata: b\n\n", &["a\n\u{FFFD}\nb"], 1),
        (b"da\xFFta: x\n\n: \xFF\n\ndata: ok\n\n", &["ok"], 1),
        (b"\xEF\xBBdata: x\n\ndata: ok\n\n", &["ok"], 1),
    ];
    for (body, expected, replaced) in cases {
        for length in 1..=body.len() {
            let mut decoder = SseDecoder::new();
            let mut events = Vec::new();
            for chunk in body.chunks(length) {
                feed(&mut decoder, chunk, &mut events).unwrap();
            }
            let data: Vec<_> = events.iter().map(|(_, data, _)| data).collect();
            assert_eq!(data, *expected);
            assert_eq!(decoder.finish().replaced_utf8, *replaced);
        }
    }
}

#[test]
fn every_pair_of_cuts_gives_the_same_text() {
    let body = "\u{FEFF}event: 名前\r\ndata: 日本語 한국어 😀👩‍👩‍👧\r\n\r\ndata: ñ€𐍈\n\n".as_bytes();
    let whole = decode([body]);
    assert_eq!(whole.events[0].0, "名前");
    assert_eq!(whole.events[0].1, "日本語 한국어 😀👩‍👩‍👧");
    assert_eq!(whole.events[1].1, "ñ€𐍈");
    assert_eq!(decode(body.chunks(1)), whole);
    for second in 0..=body.len() {
        for first in 0..=second {
            let chunks = [&body[..first], &body[first..second], &body[second..]];
            assert_eq!(decode(chunks), whole, "{first} {second}");
        }
    }
}

#[test]
fn a_sole_data_line_inside_a_chunk_is_lent_and_not_copied() {
    let chunk = b"id: 7\ndata: {\"delta\":\"hi\"}\n\n";
    let mut decoder = SseDecoder::new();
    decoder
        .feed(chunk, |event| {
            assert!(chunk.as_ptr_range().contains(&event.data.as_ptr()));
            Ok::<(), SseError>(())
        })
        .unwrap();
    assert_eq!(decoder.finish().events, 1);
}

#[test]
fn the_work_is_linear_however_a_long_line_is_cut() {
    let mut body = b"data: ".to_vec();
    body.resize(4 << 20, b'x');
    body.extend_from_slice(b"\n\n");
    for length in [1, 2, 1000, body.len()] {
        let mut decoder = SseDecoder::new();
        for chunk in body.chunks(length) {
            decoder.feed(chunk, |_| Ok::<(), SseError>(())).unwrap();
        }
        assert_eq!(decoder.finish().events, 1);
        assert!(
            decoder.work <= 4 * body.len(),
            "{} for chunks of {length}",
            decoder.work
        );
    }
}

/// How far a body gets with these limits, fed in chunks of `length` bytes.
fn limited(line: usize, event: usize, body: &[u8], length: usize) -> (usize, Option<SseError>) {
    let limits = SseLimits::default()
        .max_line_bytes(line)
        .max_event_bytes(event);
    let mut decoder = SseDecoder::with_limits(limits);
    let mut events = Vec::new();
    let mut error = None;
    for chunk in body.chunks(length) {
        error = feed(&mut decoder, chunk, &mut events).err();
        assert!(decoder.line.len() <= line && decoder.pending.data_bytes() <= event);
    }
    assert_eq!(decoder.finish().unfinished, error.is_some());
    (events.len(), error)
}

/// The expected error: its kind and its limit.
type Refusal = Option<(SseErrorKind, usize)>;

#[test]
fn a_limit_is_the_last_length_that_passes() {
    use SseErrorKind::{EventTooLong, LineTooLong};
    let big = usize::MAX;
    let cases: &[(usize, usize, &[u8], usize, Refusal)] = &[
        (9, big, b"data: abc\r\n\r\ndata: def\n\n", 2, None),
        (
            8,
            big,
            b"data:ab\n\ndata: abc\n\ndata:x\n\n",
            1,
            Some((LineTooLong, 8)),
        ),
        (
            8,
            big,
            b": a comment without an end",
            0,
            Some((LineTooLong, 8)),
        ),
        (big, 3, b"data: abc\n\ndata: a\ndata: b\n\n", 2, None),
        (
            big,
            3,
            b"data: abcd\n\ndata: a\n\n",
            0,
            Some((EventTooLong, 3)),
        ),
        (big, 3, b"data: abc\ndata\n\n", 0, Some((EventTooLong, 3))),
        (
            big,
            3,
            b"data: abc\nevent: e\n\n",
            0,
            Some((EventTooLong, 3)),
        ),
        (big, 3, b"data: a\nevent: b\nid: c\n\n", 1, None),
        (big, 3, b"id: abcd\n\n", 0, Some((EventTooLong, 3))),
        (
            big,
            3,
            b"event: a\nevent: bcd\nevent: c\ndata: ab\n\n",
            1,
            None,
        ),
        (big, 3, b"data: \xFF\n\n", 1, None),
        (big, 3, b"data: \xFF.\n\n", 0, Some((EventTooLong, 3))),
    ];
    for (line, event, body, events, error) in cases {
        for length in 1..=body.len() {
            let expected = error.map(|(kind, limit)| SseError::new(kind, limit));
            let got = limited(*line, *event, body, length);
            assert_eq!(
                got,
                (*events, expected),
                "{:?}",
                body.escape_ascii().to_string()
            );
        }
    }
}

#[test]
fn endless_input_is_refused_at_the_default_limits() {
    let refused = |start: &[u8], more: &[u8]| {
        let mut decoder = SseDecoder::new();
        let never = |_: super::SseEvent<'_>| -> Result<(), SseError> { unreachable!() };
        decoder.feed(start, never).unwrap();
        let error = (0..20 << 10)
            .find_map(|_| decoder.feed(more, never).err())
            .unwrap();
        assert!(decoder.line.len() + decoder.pending.data_bytes() <= 16 << 20);
        error
    };
    let error = refused(b"data: ", &[b'x'; 1024]);
    assert_eq!(
        (error.kind(), error.limit()),
        (SseErrorKind::LineTooLong, 8 << 20)
    );
    let error = refused(b"data: x\n", &b"data: 1 line of many\n".repeat(50));
    assert_eq!(
        (error.kind(), error.limit()),
        (SseErrorKind::EventTooLong, 8 << 20)
    );
}

#[test]
fn an_error_of_the_caller_stops_the_stream() {
    let mut decoder = SseDecoder::new();
    let mut seen = 0;
    let mut stop = |event: super::SseEvent<'_>| {
        seen += 1;
        if event.data == "stop" {
            Err(Box::<dyn std::error::Error>::from("stop"))
        } else {
            Ok(())
        }
    };
    assert!(
        decoder
            .feed(b"data: x\n\ndata: stop\n\ndata: y\n\n", &mut stop)
            .is_err()
    );
    assert!(decoder.feed(b"data: z\n\n", &mut stop).is_ok());
    assert_eq!(seen, 2);
    assert_eq!(decoder.finish().events, 2);
}

#[test]
fn the_message_names_the_setting_to_change() {
    let error = SseError::new(SseErrorKind::LineTooLong, 8);
    assert_eq!(
        error.to_string(),
        "event stream refused: a line passed the 8 bytes of `max_line_bytes`"
    );
    assert!(!error.kind().is_retryable());
}

/// Bodies made of what the format treats specially.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let tokens: &[&[u8]] = &[
        b"\xEF\xBB\xBF",
        b"\r",
        b"\n",
        b"\r\n",
        b"\n\n",
        b"data:",
        b"data: ",
        b"data",
        b":",
        b": ",
        b" ",
        b"event",
        b"event: ",
        b"id",
        b"id: ",
        b"retry",
        b"retry: ",
        b"10",
        b"x",
        b"\0",
        "é".as_bytes(),
        "語".as_bytes(),
        "😀".as_bytes(),
        b"\xFF",
        b"\xE8\xAA",
        b"\xF0\x9F",
        b"\xEF",
        b"\xBB",
        b"\xBF",
        b"\x80",
    ];
    vec(select(tokens.to_vec()), 0..60).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn any_body_in_any_chunks_decodes_like_the_reference(
        body in bodies(),
        lengths in vec(1_usize..9, 1..8),
    ) {
        let expected = reference::decode(&body);
        prop_assert_eq!(&decode([&body[..]]), &expected);
        prop_assert_eq!(&decode(body.chunks(1)), &expected);
        prop_assert_eq!(&decode(cut(&body, &lengths)), &expected);
    }
}

//! What collectors do, and what the account says then.

use reqwest::header::HeaderMap;

use super::collector::{Liar, Step, partial, reply};
use super::*;
use crate::otlp::{Compression, Protocol, Target, Trust};

/// Spans of one batch.
const BATCH: u64 = 4;

/// How a script ends for a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ends {
    /// With its last step.
    Last,
    /// Not by itself: attempts end when the time for them is over.
    Never,
    /// When the reply is late.
    Late,
    /// As `Late`, but the reply's first line has to be in time.
    InPart,
}

/// Exported, rejected, failed and unknown, of each batch.
type Fate = [u64; 4];

const EXPORTED: Fate = [BATCH, 0, 0, 0];
const FAILED: Fate = [0, 0, BATCH, 0];
const UNKNOWN: Fate = [0, 0, 0, BATCH];

struct Script {
    name: String,
    steps: Vec<Step>,
    ends: Ends,
    fate: Fate,
}

fn script(name: impl Into<String>, ends: Ends, fate: Fate, steps: Vec<Step>) -> Script {
    Script {
        name: name.into(),
        steps,
        ends,
        fate,
    }
}

fn ok() -> Step {
    Step::Keep(0, reply(200, "", b""))
}

fn status(code: u16) -> Step {
    Step::Refuse(reply(code, "", b"no"))
}

fn refusals() -> Vec<Script> {
    let final_ones = [
        301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 406, 408, 409, 410, 411, 413, 414, 415,
        418, 422, 431, 451, 500, 501, 505, 507, 511,
    ];
    let mut scripts: Vec<_> = final_ones
        .into_iter()
        .map(|code| script(format!("{code}"), Ends::Last, FAILED, vec![status(code)]))
        .collect();
    let elsewhere = reply(307, "location: /elsewhere\r\n", b"");
    scripts.push(script(
        "a redirect is not followed",
        Ends::Last,
        FAILED,
        vec![Step::Refuse(elsewhere)],
    ));
    for code in [429, 502, 503, 504] {
        scripts.push(script(
            format!("{code} for ever"),
            Ends::Never,
            FAILED,
            vec![status(code)],
        ));
        scripts.push(script(
            format!("{code}, then OK"),
            Ends::Last,
            EXPORTED,
            vec![status(code), ok()],
        ));
        let again = vec![status(code), status(code), status(code), ok()];
        scripts.push(script(
            format!("{code} three times, then OK"),
            Ends::Last,
            EXPORTED,
            again,
        ));
        let refused = vec![status(code), status(400)];
        scripts.push(script(
            format!("{code}, then 400"),
            Ends::Last,
            FAILED,
            refused,
        ));
    }
    for after in [
        "0",
        "1",
        "-1",
        "99999999999999999999999",
        "soon",
        "",
        "0.5",
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Xyz, 99 Nil 2015 99:99:99 GMT",
    ] {
        let busy = reply(429, &format!("retry-after: {after}\r\n"), b"");
        let steps = vec![Step::Refuse(busy), ok()];
        scripts.push(script(
            format!("Retry-After: {after}"),
            Ends::Last,
            EXPORTED,
            steps,
        ));
    }
    scripts
}

fn successes() -> Vec<Script> {
    let mut scripts = Vec::new();
    for (rejected, fate) in [
        (0, EXPORTED),
        (1, [3, 1, 0, 0]),
        (4, [0, 4, 0, 0]),
        (9, [0, 4, 0, 0]),
        (i64::MAX, [0, 4, 0, 0]),
        (-1, EXPORTED),
        (i64::MIN, EXPORTED),
    ] {
        let kept = u64::try_from(rejected).unwrap_or(0);
        let steps = vec![Step::Keep(kept, reply(200, "", &partial(rejected)))];
        scripts.push(script(
            format!("rejects {rejected}"),
            Ends::Last,
            fate,
            steps,
        ));
    }
    let after_busy = vec![status(503), Step::Keep(1, reply(200, "", &partial(1)))];
    scripts.push(script(
        "busy, then rejects 1",
        Ends::Last,
        [3, 1, 0, 0],
        after_busy,
    ));
    let keep =
        |name: &str, bytes: Vec<u8>| script(name, Ends::Last, EXPORTED, vec![Step::Keep(0, bytes)]);
    let close = |name: &str, bytes: &[u8]| {
        script(
            name,
            Ends::Last,
            EXPORTED,
            vec![Step::KeepAndClose(bytes.to_vec())],
        )
    };
    scripts.extend([
        keep("an empty body", reply(200, "", b"")),
        keep(
            "garbage for a body",
            reply(200, "", b"\xff\xff\xff\xff<html>"),
        ),
        keep(
            "another type",
            reply(200, "content-type: text/html\r\n", b"<html></html>"),
        ),
        keep("202", reply(202, "", b"")),
        keep("204", b"HTTP/1.1 204 X\r\n\r\n".to_vec()),
        keep(
            "a chunked body",
            b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n2\r\n\x0a\x00\r\n0\r\n\r\n"
                .to_vec(),
        ),
        keep(
            "100 before it",
            [
                b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(),
                reply(200, "", b""),
            ]
            .concat(),
        ),
        keep(
            "103 before it",
            [b"HTTP/1.1 103 Hints\r\n\r\n".to_vec(), reply(200, "", b"")].concat(),
        ),
        close(
            "a body cut short",
            b"HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\nabc",
        ),
        close(
            "a chunk cut short",
            b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\nff\r\nabc",
        ),
        close(
            "a chunk without a length",
            b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        ),
        close("HTTP/1.0", b"HTTP/1.0 200 OK\r\n\r\n"),
        close("a body without a length", b"HTTP/1.1 200 X\r\n\r\nabc"),
        close("a huge body", &reply(200, "", &vec![b'x'; 1024 * 1024])),
        close(
            "connection: close",
            &reply(200, "connection: close\r\n", b""),
        ),
    ]);
    let unread = Step::Drip(
        b"HTTP/1.1 200 X\r\ncontent-length: 90\r\n\r\n".to_vec(),
        vec![b'x'; 90],
    );
    scripts.push(script(
        "200 and a body of 1 B/s",
        Ends::InPart,
        EXPORTED,
        vec![unread],
    ));
    scripts
}

#[expect(clippy::too_many_lines, reason = "one list, compared whole")]
fn lost() -> Vec<Script> {
    let head = b"HTTP/1.1 20".to_vec();
    let close = |bytes: &[u8]| Step::Close(bytes.to_vec());
    let keep = |bytes: &[u8]| Step::KeepAndClose(bytes.to_vec());
    let tls = b"\x15\x03\x03\x00\x02\x02\x28";
    let slow = Step::Drip(Vec::new(), reply(200, "", b""));
    vec![
        script(
            "closes unread for ever",
            Ends::Never,
            UNKNOWN,
            vec![Step::CloseUnread],
        ),
        script(
            "closes unread, then OK",
            Ends::Last,
            EXPORTED,
            vec![Step::CloseUnread, ok()],
        ),
        script("closes for ever", Ends::Never, UNKNOWN, vec![close(b"")]),
        script(
            "keeps and closes for ever",
            Ends::Never,
            UNKNOWN,
            vec![keep(b"")],
        ),
        script(
            "closes, then OK",
            Ends::Last,
            EXPORTED,
            vec![close(b""), ok()],
        ),
        script(
            "keeps and closes, then OK",
            Ends::Last,
            EXPORTED,
            vec![keep(b""), ok()],
        ),
        script(
            "closes, then 400",
            Ends::Last,
            UNKNOWN,
            vec![close(b""), status(400)],
        ),
        script(
            "keeps and closes, then 400",
            Ends::Last,
            UNKNOWN,
            vec![keep(b""), status(400)],
        ),
        script(
            "closes or is busy, for ever",
            Ends::Never,
            UNKNOWN,
            vec![close(b""), status(503)],
        ),
        script(
            "busy, closes, then OK",
            Ends::Last,
            EXPORTED,
            vec![status(503), close(b""), ok()],
        ),
        script(
            "half a status for ever",
            Ends::Never,
            UNKNOWN,
            vec![Step::Close(head.clone())],
        ),
        script(
            "keeps and half a status, then OK",
            Ends::Last,
            EXPORTED,
            vec![Step::KeepAndClose(head), ok()],
        ),
        script(
            "no HTTP at all",
            Ends::Never,
            UNKNOWN,
            vec![close(b"hello\r\n\r\n")],
        ),
        script(
            "speaks TLS on a plain port",
            Ends::Never,
            UNKNOWN,
            vec![close(tls)],
        ),
        script(
            "100 and nothing more",
            Ends::Never,
            UNKNOWN,
            vec![close(b"HTTP/1.1 100 X\r\n\r\n")],
        ),
        script("never reads", Ends::Late, UNKNOWN, vec![Step::HangUnread]),
        script("never answers", Ends::Late, UNKNOWN, vec![Step::Hang]),
        script("answers with 1 B/s", Ends::Late, UNKNOWN, vec![slow]),
        script(
            "busy, then never answers",
            Ends::Late,
            UNKNOWN,
            vec![status(503), Step::Hang],
        ),
    ]
}

fn client(url: &str, timeout: Duration, thread: &ExportThread) -> OtlpClient {
    let target = Target {
        url: url.parse().unwrap(),
        headers: HeaderMap::new(),
        timeout,
        compression: Compression::None,
        protocol: Protocol::HttpProtobuf,
        trust: Trust::default(),
    };
    OtlpClient::new(target, thread.clone()).unwrap()
}

/// Sends so many batches to a collector that plays the script.
fn play(script: &Script, batches: u64) {
    let liar = Liar::start(script.steps.clone());
    let url = format!("http://{}/v1/traces", liar.address);
    let account = export(&url, script.ends, batches);
    let case = format!("{}, {batches} batches: {account:?}", script.name);
    assert!(account.balances(), "{case}");
    let fate = [
        account.exported,
        account.rejected,
        account.failed,
        account.unknown,
    ];
    assert_eq!(fate, script.fate.map(|spans| spans * batches), "{case}");

    // What the collector itself counted agrees with all that is not unknown.
    let counted = liar.counted();
    let (kept, rejected) = (counted.kept.len() as u64, counted.rejected.len() as u64);
    assert!(account.exported <= kept, "{case}, kept {kept}");
    assert!(
        kept <= account.exported + account.unknown,
        "{case}, kept {kept}"
    );
    assert_eq!(rejected, account.rejected, "{case}");
}

fn export(url: &str, ends: Ends, batches: u64) -> ExportAccount {
    let thread = ExportThread::start().unwrap();
    let timeout = match ends {
        Ends::Late => Duration::from_millis(500),
        Ends::InPart => Duration::from_secs(4),
        _ => Duration::from_secs(20),
    };
    let retries = Retries {
        first: Duration::from_millis(1),
        longest: Duration::from_millis(5),
        total: match ends {
            Ends::Never => Duration::from_millis(200),
            _ => Duration::from_secs(20),
        },
    };
    let settings = PipelineSettings {
        signal: Signal::Traces,
        limits: BatchLimits {
            retries,
            ..limits(1_000, usize::try_from(BATCH).unwrap())
        },
        when_full: WhenFull::Drop,
        envelope: Envelope::new(&Resource::builder_empty().build()),
    };
    let pipeline = Pipeline::start(settings, &thread, client(url, timeout, &thread)).unwrap();
    let scope = scope("a");
    for span in 0..batches * BATCH {
        pipeline.push(&scope, &item(&format!("span {span}")));
    }
    assert!(pipeline.flush(Duration::from_mins(1)));
    pipeline.shutdown(LIMIT)
}

fn play_all(scripts: &[Script]) {
    // Waits of some overlap.
    std::thread::scope(|threads| {
        for part in 0..8 {
            threads.spawn(move || {
                for script in scripts.iter().skip(part).step_by(8) {
                    (1..=3).for_each(|batches| play(script, batches));
                }
            });
        }
    });
}

#[test]
fn o2_refusals_are_final_or_tried_again_as_otlp_says() {
    let scripts = refusals();
    assert!(scripts.len() >= 50, "{}", scripts.len());
    play_all(&scripts);
}

#[test]
fn o2_a_success_is_one_whatever_stands_around_it() {
    let scripts = successes();
    assert!(scripts.len() >= 20, "{}", scripts.len());
    play_all(&scripts);
}

#[test]
fn o2_a_lost_reply_is_unknown_unless_a_later_one_says_more() {
    play_all(&lost());
}

#[test]
fn o2_nobody_there_and_no_common_language_are_failures() {
    let dead = crate::testing::dead_url();
    let account = export(&format!("{dead}/v1/traces"), Ends::Never, 3);
    assert_eq!((account.failed, account.ended), (12, 12), "{account:?}");
    let liar = Liar::start(vec![Step::Close(b"HTTP/1.1 400 X\r\n\r\n".to_vec())]);
    let url = format!("https://{}/v1/traces", liar.address);
    // Not tried again: it would take the 20 seconds that such a script has.
    let began = Instant::now();
    let account = export(&url, Ends::Last, 2);
    assert_eq!((account.failed, account.ended), (8, 8), "{account:?}");
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[test]
fn o2_a_partial_success_is_never_sent_again() {
    let liar = Liar::start(vec![Step::Keep(1, reply(200, "", &partial(1)))]);
    let url = format!("http://{}/v1/traces", liar.address);
    export(&url, Ends::Last, 3);
    assert_eq!(liar.counted().requests, 3);
}

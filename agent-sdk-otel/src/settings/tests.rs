use super::*;
use crate::error::TelemetryErrorKind;
use crate::pipeline::SpillSettings;

fn settings(vars: &[(&str, &str)]) -> Result<Settings, TelemetryError> {
    read(|name| {
        let found = vars.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn url(vars: &[(&str, &str)], signal: Signal) -> Option<String> {
    let target = settings(vars).unwrap().target(signal).unwrap();
    target.map(|target| target.url.to_string())
}

#[test]
fn addresses_follow_the_standard() {
    const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const OWN: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
    type Row = (
        &'static [(&'static str, &'static str)],
        Option<&'static str>,
    );
    let table: &[Row] = &[
        (&[], None),
        (&[(BASE, "")], None),
        (&[(BASE, "http://c:4318")], Some("http://c:4318/v1/traces")),
        (
            &[(BASE, "https://c/otel/")],
            Some("https://c/otel/v1/traces"),
        ),
        (&[(OWN, "http://t/x")], Some("http://t/x")),
        (&[(BASE, "http://c"), (OWN, "http://t")], Some("http://t/")),
        (
            &[(EXPORTER, "otlp")],
            Some("http://localhost:4318/v1/traces"),
        ),
        (&[(BASE, "http://c"), (EXPORTER, "none")], None),
        (&[(BASE, "http://c"), ("OTEL_SDK_DISABLED", "True")], None),
        (&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m")], None),
    ];
    for (vars, expected) in table {
        assert_eq!(url(vars, Signal::Traces).as_deref(), *expected, "{vars:?}");
    }
    assert_eq!(
        url(&[(BASE, "http://c:4318")], Signal::Metrics).as_deref(),
        Some("http://c:4318/v1/metrics")
    );
}

#[test]
fn metric_exporters_are_chosen_by_name() {
    let table = [
        (None, true, None),
        (Some("none"), false, Some(false)),
        (Some("prometheus"), true, Some(false)),
        (Some("otlp, prometheus"), true, Some(true)),
        (Some("otlp"), false, Some(true)),
    ];
    for (value, prometheus, otlp) in table {
        let vars: Vec<_> = value
            .map(|value| ("OTEL_METRICS_EXPORTER", value))
            .into_iter()
            .collect();
        let settings = settings(&vars).unwrap();
        assert_eq!(settings.prometheus, prometheus, "{value:?}");
        assert_eq!(settings.metrics.otlp, otlp, "{value:?}");
    }
}

#[test]
fn numbers_and_names_are_read() {
    let settings = settings(&[
        ("OTEL_SERVICE_NAME", "triage"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=a%20b",
        ),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "3000"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "2000"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
        ("OTEL_EXPORTER_PROMETHEUS_HOST", "0.0.0.0"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "9999"),
        (
            "OTEL_SEMCONV_STABILITY_OPT_IN",
            "gen_ai_latest_experimental",
        ),
        (
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
            "SPAN_ONLY",
        ),
    ])
    .unwrap();
    assert_eq!(settings.timeout, Duration::from_secs(3));
    assert_eq!(settings.traces.timeout, Some(Duration::from_secs(2)));
    let batch = BatchLimits {
        queue: 10,
        batch: 4,
        largest: 4,
        delay: Duration::from_millis(50),
        ..BatchLimits::default()
    };
    assert_eq!(settings.batch, batch);
    assert_eq!(settings.metric_interval, Duration::from_secs(1));
    assert_eq!(settings.prometheus_address.to_string(), "0.0.0.0:9999");
    assert_eq!(settings.profile, EmissionProfile::Latest);
    assert_eq!(settings.content, ContentCapture::Spans);
    let resource = settings.resource();
    let get = |name: &'static str| resource.get(&name.into()).map(|value| value.to_string());
    assert_eq!(get("service.name").as_deref(), Some("triage"));
    assert_eq!(get("deployment.environment.name").as_deref(), Some("a b"));
    assert_eq!(get("telemetry.sdk.language").as_deref(), Some("rust"));
}

#[test]
fn samplers_have_their_standard_names() {
    let table = [
        ("always_on", "AlwaysOn"),
        ("always_off", "AlwaysOff"),
        ("traceidratio", "TraceIdRatioBased(0.25)"),
        ("parentbased_always_off", "ParentBased(AlwaysOff)"),
    ];
    for (name, expected) in table {
        let vars = [
            ("OTEL_TRACES_SAMPLER", name),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ];
        let sampler = settings(&vars).unwrap().sampler();
        assert_eq!(format!("{sampler:?}"), expected);
    }
}

#[test]
fn what_cannot_be_used_is_named() {
    let table = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "GZIP"),
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_METRICS_EXPORTER", "otlp,statsd"),
        ("OTEL_TRACES_SAMPLER", "xray"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "70000"),
        (
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
            "maybe",
        ),
    ];
    for (name, value) in table {
        let error = settings(&[(name, value)]).unwrap_err();
        assert_eq!(error.kind(), TelemetryErrorKind::Setting);
        assert!(error.to_string().contains(name), "{error}");
    }
    let vars = [
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ];
    assert!(settings(&vars).is_err());
    let off = [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_TRACES_SAMPLER", "xray"),
    ];
    assert!(settings(&off).unwrap().disabled);
}

#[test]
fn secrets_are_in_no_error_and_no_debug_text() {
    let secret = "sk-123";
    let header = format!("x-key={secret}");
    let base = format!("http://user:{secret}@c");
    let set = settings(&[
        ("OTEL_EXPORTER_OTLP_HEADERS", &header),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &base),
    ])
    .unwrap();
    let target = set.target(Signal::Traces).unwrap().unwrap();
    assert_eq!(target.headers["x-key"], secret);
    let shown = format!("{set:?} {target:?}");
    assert!(
        shown.contains("x-key") && !shown.contains(secret),
        "{shown}"
    );

    for bad in [
        secret.to_owned(),
        format!("x=a\n{secret}"),
        format!("ü={secret}"),
    ] {
        let error = settings(&[("OTEL_EXPORTER_OTLP_HEADERS", &bad)]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(secret));
    }
}

#[test]
fn an_address_that_cannot_be_used_says_who_set_it_and_what_is_wrong() {
    const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let no_scheme = "does not begin with http:// or https://";
    let table = [
        (BASE, "sk-123", no_scheme),
        (BASE, "sk-123:4318", no_scheme),
        (BASE, "grpc://u:sk-123@host:4317", no_scheme),
        (BASE, "http://u:sk-123@host:70000/", "invalid port number"),
        (BASE, "http://", "empty host"),
        (BASE, "https://sk 123/", "invalid international domain name"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "sk-123", "/v1/logs;"),
    ];
    for (name, value, what) in table {
        let error = settings(&[(name, value)]).unwrap_err();
        assert_eq!(error.kind(), TelemetryErrorKind::Setting);
        let text = format!("{error} {error:?}");
        for words in [name, what, "such as http://localhost:4318"] {
            assert!(text.contains(words), "{words} is not in {text}");
        }
        assert!(!text.contains("123"), "{text}");
    }
    // Where nothing is sent, nothing can be wrong.
    assert!(settings(&[(BASE, "sk-123"), ("OTEL_SDK_DISABLED", "true")]).is_ok());

    let builder = crate::Telemetry::builder;
    for (builder, method) in [
        (builder().endpoint("sk-123"), "endpoint"),
        (builder().traces_endpoint("sk-123"), "traces_endpoint"),
        (builder().metrics_endpoint("sk-123"), "metrics_endpoint"),
        (builder().logs_endpoint("sk-123"), "logs_endpoint"),
    ] {
        let shown = format!("{builder:?}");
        let error = builder.build().unwrap_err().to_string();
        let begin = format!(
            "telemetry setting cannot be used: TelemetryBuilder::{method} takes an address"
        );
        assert!(error.starts_with(&begin), "{error}");
        assert!(!format!("{error} {shown}").contains("sk-123"));
    }
}

#[test]
fn rules_of_tail_sampling_that_cannot_be_used_are_named() {
    const NAME: &str = "AGENT_SDK_OTEL_TAIL";
    let table = [
        ("errors,slow=10", "entry 2 takes", "slow=10s"),
        ("slow", "entry 1 is none of errors, budget", "slow=10s"),
        ("errors=1", "entry 1 is none of", "errors"),
        ("errors,,budget", "entry 2 is none of", "budget"),
        ("cost=much", "entry 1 takes US dollars", "cost=0.5"),
        ("share=2", "entry 1 takes a number from 0 to 1", "share=0.1"),
        ("memory=1k", "entry 1 takes bytes", "memory=67108864"),
        ("traces=-1", "entry 1 takes a whole number", "traces=20000"),
    ];
    for (value, what, example) in table {
        let error = settings(&[(NAME, value)]).unwrap_err();
        assert_eq!(error.kind(), TelemetryErrorKind::Setting);
        let error = error.to_string();
        for words in [NAME, what, example] {
            assert!(error.contains(words), "{words} is not in {error}");
        }
        let error = value.parse::<TailSampling>().unwrap_err().to_string();
        assert!(error.contains(what) && !error.contains(NAME), "{error}");
    }
    let rules = settings(&[(NAME, "errors, slow=10s, traces=5")]).unwrap();
    let expected = TailSampling::keep_errors().slower_than(Duration::from_secs(10));
    assert_eq!(rules.tail, Some(expected.traces(5)));
}

#[test]
fn the_policy_of_a_full_queue_is_read() {
    let directory = "/var/spool/agent";
    let settings = settings(&[
        ("AGENT_SDK_OTEL_WHEN_FULL", "spill:/var/spool/agent"),
        ("AGENT_SDK_OTEL_SPILL_MAX_BYTES", "1000"),
    ]);
    let spill = SpillSettings::new(directory).max_bytes(1_000);
    assert_eq!(settings.unwrap().when_full, WhenFull::Spill(spill));
}

#[test]
fn files_of_content_need_a_directory_of_this_machine() {
    const HOOK: &str = "OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK";
    const PATH: &str = "OTEL_INSTRUMENTATION_GENAI_UPLOAD_BASE_PATH";
    assert!(
        settings(&[(PATH, "/tmp/x")])
            .unwrap()
            .capture
            .files
            .is_none()
    );
    for path in ["/tmp/x", "file:///tmp/x"] {
        let vars = [
            (HOOK, "upload"),
            (PATH, path),
            ("OTEL_INSTRUMENTATION_GENAI_UPLOAD_FORMAT", "jsonl"),
            ("OTEL_INSTRUMENTATION_GENAI_UPLOAD_MAX_QUEUE_SIZE", "3"),
        ];
        let files = format!("{:?}", settings(&vars).unwrap().capture.files.unwrap());
        for part in ["\"/tmp/x\"", "JsonLines", "queue: 3"] {
            assert!(files.contains(part), "{files}");
        }
    }
    for vars in [
        &[(HOOK, "upload")][..],
        &[(HOOK, "upload"), (PATH, "s3://bucket/x")],
        &[(HOOK, "other"), (PATH, "/tmp/x")],
    ] {
        let error = settings(vars).unwrap_err();
        assert_eq!(error.kind(), TelemetryErrorKind::Setting, "{vars:?}");
    }
}

#[test]
fn compression_is_common_or_a_signal_s_own() {
    let set = settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "none"),
    ]);
    let set = set.unwrap();
    let of = |signal| set.target(signal).unwrap().unwrap().compression;
    assert_eq!(of(Signal::Traces), Compression::Gzip);
    assert_eq!(of(Signal::Metrics), Compression::None);
    assert_eq!(of(Signal::Logs), Compression::Gzip);
}

#[test]
#[cfg(not(feature = "grpc"))]
fn grpc_is_refused_by_a_build_without_it() {
    let name = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
    let error = settings(&[(name, "grpc")]).unwrap_err().to_string();
    assert!(
        error.contains(name) && error.contains("feature `grpc`"),
        "{error}"
    );
    let built = crate::Telemetry::builder()
        .endpoint("http://localhost")
        .protocol(Protocol::Grpc)
        .build();
    let error = built.unwrap_err().to_string();
    assert!(error.contains("feature `grpc`"), "{error}");
}

#[test]
#[cfg(feature = "grpc")]
fn grpc_addresses_are_those_of_a_host() {
    const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const TRACES: &str = "opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    for (own, host) in [
        (("OTEL_TRACES_EXPORTER", "otlp"), "http://localhost:4317"),
        ((BASE, "https://c:4317"), "https://c:4317"),
        ((BASE, "http://c/v1/traces?x=y"), "http://c"),
        (
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:1/"),
            "http://t:1",
        ),
    ] {
        let url = url(&[grpc, own], Signal::Traces);
        assert_eq!(url.unwrap(), format!("{host}/{TRACES}"));
    }
    // One signal alone.
    let own = [
        (BASE, "http://c"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc"),
    ];
    assert_eq!(url(&own, Signal::Traces).unwrap(), "http://c/v1/traces");
    let logs = "http://c/opentelemetry.proto.collector.logs.v1.LogsService/Export";
    assert_eq!(url(&own, Signal::Logs).unwrap(), logs);
}

#[test]
fn the_documents_of_from_env_have_every_variable_that_is_read() {
    let asked = std::cell::RefCell::new(std::collections::BTreeSet::new());
    let set = [
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK", "upload"),
        ("OTEL_INSTRUMENTATION_GENAI_UPLOAD_BASE_PATH", "/tmp/x"),
    ];
    let settings = read(|name| {
        asked.borrow_mut().insert(name.to_owned());
        let found = set.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    });
    settings.unwrap();
    let source = include_str!("../builder.rs");
    let (documents, _) = source.split_once("pub fn from_env()").unwrap();
    let mut read: std::collections::BTreeSet<_> = asked
        .into_inner()
        .into_iter()
        .map(|name| {
            let own = name.strip_prefix("OTEL_EXPORTER_OTLP_");
            let own = own.and_then(|own| {
                let signals = ["TRACES_", "METRICS_", "LOGS_"];
                signals.iter().find_map(|signal| own.strip_prefix(signal))
            });
            own.map_or(name.clone(), |own| format!("OTEL_EXPORTER_OTLP_{own}"))
        })
        .collect();
    assert!(read.len() > 40, "{read:?}");
    let named = documents.split('`').filter(|word| {
        ["OTEL_", "AGENT_SDK_", "RUST_"]
            .iter()
            .any(|start| word.starts_with(start))
            && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
    });
    for name in named {
        assert!(read.remove(name), "{name} is not read, or named twice");
    }
    assert!(read.is_empty(), "not in the documents: {read:?}");
}

#[test]
fn a_certificate_that_cannot_be_used_is_said_with_who_named_it() {
    const BASE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:4318");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/otlp/tests");
    let file = |name: &str| format!("{folder}/{name}");
    let [certificate, key, text] = ["loopback.pem", "loopback.key", "tls.rs"].map(file);
    let said = |variables: &[(&str, &str)]| {
        let settings = settings(&[&[BASE], variables].concat()).unwrap();
        let target = settings.target(Signal::Traces).unwrap().unwrap();
        let client = target.trust.given_to(reqwest::Client::builder());
        client.map(|_| ()).map_err(|error| error.to_string())
    };
    let refused = |what: &str| Err(format!("telemetry setting cannot be used: {what}"));
    let (authorities, own) = (
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    );
    let (client, client_key) = (
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
    );
    assert_eq!(said(&[(authorities, &certificate)]), Ok(()));
    assert_eq!(
        said(&[(authorities, "/nowhere.pem")]),
        refused("OTEL_EXPORTER_OTLP_CERTIFICATE: /nowhere.pem cannot be read")
    );
    // A signal's own goes before.
    assert_eq!(said(&[(authorities, "/no"), (own, &certificate)]), Ok(()));
    assert_eq!(
        said(&[(authorities, &text)]),
        refused(&format!(
            "OTEL_EXPORTER_OTLP_CERTIFICATE: {text} holds no certificate in PEM form"
        ))
    );
    assert_eq!(said(&[(client, &certificate), (client_key, &key)]), Ok(()));
    assert_eq!(
        said(&[(client_key, &key)]),
        refused(&format!(
            "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY: {key} is a key whose certificate is not named"
        ))
    );
    assert_eq!(
        said(&[(client, &certificate), (client_key, &text)]),
        refused(&format!(
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: {certificate} and OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY: {text} are no certificate and its key in PEM form"
        ))
    );
}

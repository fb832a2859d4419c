//! Holds every metric and label that `dashboards/` names against what can be emitted.
//!
//! Names come out of the real exporter, fed with every definition of `agent_sdk_otel::metric`;
//! labels are held against those that the contract gives each metric. `dashboards/check.sh` does
//! the rest with Prometheus' own tools.

mod promql;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use agent_sdk_otel::metric::{self, MetricDef};
use agent_sdk_otel::opentelemetry::metrics::MeterProvider;
use agent_sdk_otel::{Telemetry, attrs};
use serde_json::Value;

use promql::{Label, Names};

/// The metrics that are neither histograms nor counters.
const GAUGES: &[MetricDef] = &[
    metric::BUDGET_LIMIT,
    metric::BUDGET_COMMITTED,
    metric::BUDGET_RESERVED,
    metric::OPERATIONS_ACTIVE,
    metric::TOOL_QUEUE_DEPTH,
    metric::BREAKER_STATE,
    metric::TAIL_SAMPLING_UNDECIDED,
    metric::TAIL_SAMPLING_HELD,
    metric::SPANS_QUEUED,
    metric::SPANS_SPILLED,
];

/// Labels of every request to a model.
const REQUEST: &[&str] = &[
    attrs::OPERATION_NAME,
    attrs::PROVIDER_NAME,
    attrs::REQUEST_MODEL,
    attrs::RESPONSE_MODEL,
    attrs::SERVER_ADDRESS,
    attrs::SERVER_PORT,
];

/// The labels of each metric that `dashboards/` uses: those that all have, and its own.
const LABELS: &[(MetricDef, &[&str], &[&str])] = &[
    (metric::INFERENCE_DURATION, REQUEST, &[attrs::ERROR_TYPE]),
    (metric::INFERENCE_TIME_TO_FIRST_CHUNK, REQUEST, &[]),
    (
        metric::INFERENCE_INPUT_TOKENS,
        REQUEST,
        &[attrs::TOKEN_MODALITY],
    ),
    (
        metric::INFERENCE_OUTPUT_TOKENS,
        REQUEST,
        &[attrs::TOKEN_MODALITY],
    ),
    (
        metric::INFERENCE_CACHE_READ_TOKENS,
        REQUEST,
        &[attrs::TOKEN_MODALITY],
    ),
    (
        metric::INFERENCE_REASONING_TOKENS,
        REQUEST,
        &[attrs::TOKEN_MODALITY],
    ),
    (
        metric::AGENT_DURATION,
        &[],
        &[attrs::AGENT_NAME, attrs::REQUEST_MODEL, attrs::ERROR_TYPE],
    ),
    (metric::AGENT_INFERENCE_CALLS, &[], &[attrs::AGENT_NAME]),
    (
        metric::TOOL_DURATION,
        &[],
        &[
            attrs::TOOL_NAME,
            attrs::TOOL_TYPE,
            attrs::AGENT_NAME,
            attrs::ERROR_TYPE,
        ],
    ),
    (
        metric::COST,
        &[],
        &[
            attrs::PROVIDER_NAME,
            attrs::REQUEST_MODEL,
            attrs::AGENT_NAME,
            attrs::COST_SOURCE,
        ],
    ),
    (
        metric::UNPRICED_REQUESTS,
        &[],
        &[attrs::PROVIDER_NAME, attrs::REQUEST_MODEL],
    ),
    (metric::BUDGET_LIMIT, &[], &[attrs::BUDGET_NAME]),
    (metric::BUDGET_COMMITTED, &[], &[attrs::BUDGET_NAME]),
    (metric::BUDGET_RESERVED, &[], &[attrs::BUDGET_NAME]),
    (metric::BUDGET_REFUSALS, &[], &[attrs::BUDGET_NAME]),
    (
        metric::BUDGET_ALERTS,
        &[],
        &[attrs::BUDGET_NAME, attrs::BUDGET_ALERT],
    ),
    (
        metric::OPERATIONS_ACTIVE,
        &[],
        &[attrs::OPERATION_KIND, attrs::AGENT_NAME],
    ),
];

/// Labels that Prometheus itself puts on what it scrapes.
const TARGET: &[&str] = &["job", "instance"];

/// Series that Prometheus itself makes, with their labels.
const BUILT_IN: &[(&str, &[&str])] = &[("up", TARGET), ("ALERTS", &["alertname", "alertstate"])];

/// A name or label as Prometheus has it.
fn exported(name: &str) -> String {
    name.replace('.', "_")
}

/// Every metric as it is scraped, histograms as their three series, with the labels it may have.
#[derive(Debug)]
struct Scraped {
    series: BTreeMap<String, HashSet<String>>,
    labels: HashSet<String>,
}

impl Scraped {
    fn new() -> Self {
        let telemetry = Telemetry::builder().prometheus(true).build().unwrap();
        let meter = telemetry.meter_provider().meter("dashboards");
        for def in metric::ALL {
            if !def.buckets.is_empty() {
                def.f64_histogram(&meter).record(1.0, &[]);
            } else if GAUGES.contains(def) {
                let gauge = meter.f64_gauge(def.name).with_unit(def.unit);
                gauge.build().record(1.0, &[]);
            } else {
                def.f64_counter(&meter).add(1.0, &[]);
            }
        }
        let text = telemetry.metrics_text().unwrap();
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let types: Vec<_> = types.filter_map(|line| line.split_once(' ')).collect();
        // The exporter adds what it knows of the process.
        assert_eq!(types.len(), metric::ALL.len() + 1, "{text}");

        let mut series = BTreeMap::new();
        for (name, kind) in types {
            let mut labels: HashSet<_> = TARGET.iter().copied().map(str::to_owned).collect();
            let def = |def: &MetricDef| {
                let rest = name.strip_prefix(&exported(def.name));
                rest.is_some_and(|rest| ["", "_total", "_seconds", "_ratio"].contains(&rest))
            };
            if let Some((_, shared, own)) = LABELS.iter().find(|(of, ..)| def(of)) {
                labels.extend(shared.iter().chain(*own).map(|label| exported(label)));
            }
            if kind == "histogram" {
                series.insert(format!("{name}_sum"), labels.clone());
                series.insert(format!("{name}_count"), labels.clone());
                labels.insert("le".into());
                series.insert(format!("{name}_bucket"), labels);
            } else {
                series.insert(name.to_owned(), labels);
            }
        }
        for (name, labels) in BUILT_IN {
            series.insert(
                (*name).to_owned(),
                labels.iter().copied().map(str::to_owned).collect(),
            );
        }
        let labels = attrs::ALL.iter().map(|label| exported(label));
        let labels = labels.chain(TARGET.iter().copied().map(str::to_owned));
        Self {
            series,
            labels: labels.collect(),
        }
    }

    /// What a query names that is never scraped.
    fn unknown(&self, query: &str, recorded: &[Rule]) -> Vec<String> {
        let names = promql::names(query).unwrap_or_else(|error| panic!("{error} in {query}"));
        let Names { metrics, labels } = names;
        let recorded = |name: &str| recorded.iter().any(|rule| rule.name == name);
        let metrics = metrics
            .into_iter()
            .filter(|name| !self.series.contains_key(*name) && !recorded(name))
            .map(|name| format!("metric {name}"));
        let labels = labels
            .into_iter()
            .filter(|Label { metric, name }| {
                let own = metric.and_then(|metric| self.series.get(metric));
                !own.unwrap_or(&self.labels).contains(*name)
            })
            .map(|Label { metric, name }| format!("label {name} of {metric:?}"));
        metrics.chain(labels).collect()
    }
}

/// A rule, as far as these tests read it.
#[derive(Debug, Default)]
struct Rule {
    name: String,
    alerts: bool,
    query: String,
    /// Every line of the rule, comments left out.
    lines: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(folder().join(path)).unwrap()
}

/// Reads the rule file by its layout: `- record:` or `- alert:`, and `expr:` with a query on the
/// same line or, after `|`, on the deeper lines that follow.
fn rules(text: &str) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut query_depth = None;
    for line in text.lines() {
        let depth = line.len() - line.trim_start().len();
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let new = ["- record: ", "- alert: "];
        if let Some(name) = new.iter().find_map(|prefix| line.strip_prefix(prefix)) {
            rules.push(Rule {
                name: name.to_owned(),
                alerts: line.starts_with("- alert"),
                ..Rule::default()
            });
            query_depth = None;
        }
        let Some(rule) = rules.last_mut() else {
            continue;
        };
        rule.lines.push(line.to_owned());
        if query_depth.is_some_and(|query| depth > query) {
            rule.query.push_str(line);
            rule.query.push('\n');
        } else {
            query_depth = None;
            if let Some(query) = line.strip_prefix("expr: ") {
                if query == "|" {
                    query_depth = Some(depth);
                } else {
                    query.clone_into(&mut rule.query);
                }
            }
        }
    }
    rules
}

fn dashboard() -> Value {
    serde_json::from_str(&text("grafana/agent-sdk.json")).unwrap()
}

/// The panels that show something, which is all but the rows' titles.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    panels.filter(|panel| panel["type"] != "row")
}

/// Every value under a key, at any depth.
fn under<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match value.as_str() {
                    Some(text) if name == key => found.push(text),
                    _ => under(value, key, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| under(item, key, found)),
        _ => {}
    }
}

#[test]
fn every_name_in_the_dashboard_can_be_emitted() {
    let dashboard = dashboard();
    let mut queries = Vec::new();
    under(&dashboard, "expr", &mut queries);
    assert!(queries.len() > 30, "{}", queries.len());

    // `label_values(metric, label)` says the same as `sum by (label) (metric)`.
    let mut variables = Vec::new();
    under(&dashboard["templating"], "query", &mut variables);
    under(&dashboard["templating"], "definition", &mut variables);
    let variables: Vec<_> = variables
        .into_iter()
        .filter(|query| *query != "prometheus")
        .map(|query| {
            let inside = query.strip_prefix("label_values(").unwrap();
            let (metric, label) = inside.strip_suffix(')').unwrap().rsplit_once(", ").unwrap();
            format!("sum by ({label}) ({metric})")
        })
        .collect();
    assert_eq!(variables.len(), 4);

    let scraped = Scraped::new();
    for query in queries
        .into_iter()
        .chain(variables.iter().map(String::as_str))
    {
        // Recorded series do not count: the dashboard works without the rule file.
        assert_eq!(scraped.unknown(query, &[]), [""; 0], "{query}");
    }
}

#[test]
fn every_name_in_the_rules_can_be_emitted() {
    let rules = rules(&text("prometheus/rules/agent-sdk.rules.yml"));
    assert!(rules.len() > 10, "{}", rules.len());
    let scraped = Scraped::new();
    for rule in &rules {
        let unknown = scraped.unknown(&rule.query, &rules);
        assert_eq!(unknown, [""; 0], "{}: {}", rule.name, rule.query);
    }
    let text = rules.iter().flat_map(|rule| &rule.lines);
    for line in text {
        for label in line.split("$labels.").skip(1) {
            let label = label.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let label = label.into_iter().next().unwrap();
            assert!(scraped.labels.contains(label), "{label} in {line}");
        }
    }
}

#[test]
fn every_legend_names_a_label_of_its_query() {
    for panel in panels(&dashboard()) {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let names = promql::names(query).unwrap();
            let labels: BTreeSet<_> = names.labels.iter().map(|label| label.name).collect();
            let legend = target["legendFormat"].as_str().unwrap();
            for label in legend.split("{{").skip(1) {
                let label = label.split("}}").next().unwrap();
                assert!(labels.contains(label), "{label} in {query}");
            }
            assert!(!legend.is_empty(), "{query}");
        }
    }
}

#[test]
fn a_misspelt_name_is_found() {
    let scraped = Scraped::new();
    let finds = |query: &str| scraped.unknown(query, &[]).len();
    let good = r#"sum by (le, gen_ai_tool_name) (gen_ai_execute_tool_duration_seconds_bucket{error_type="x"})"#;
    assert_eq!(finds(good), 0);
    // A metric, a unit, a counter without its ending, a histogram without one of its three.
    for metric in [
        "gen_ai_execute_tools_duration_seconds_count",
        "gen_ai_execute_tool_duration_count",
        "agent_sdk_cost",
        "agent_sdk_cost_usd_total",
        "gen_ai_execute_tool_duration_seconds",
        "agent_sdk_operations_active_total",
    ] {
        assert_eq!(finds(metric), 1, "{metric}");
    }
    // A label that is nobody's, one of another metric, `le` where there is no bucket.
    assert_eq!(finds(&good.replace("error_type", "error_kind")), 1);
    assert_eq!(finds("sum by (gen_ai_tool_name) (agent_sdk_cost_total)"), 1);
    assert_eq!(finds("agent_sdk_cost_total{le=\"1\"}"), 1);
    assert_eq!(finds(r#"label_replace(up, "eror_type", "", "job", "")"#), 1);
}

#[test]
fn every_panel_says_what_it_shows() {
    let dashboard = dashboard();
    let mut ids = HashSet::new();
    let mut titles = HashSet::new();
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap();
        assert!(!title.is_empty() && titles.insert(title), "{title}");
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        assert!(
            panel["description"].as_str().unwrap().ends_with('.'),
            "{title}"
        );
        assert!(
            panel["fieldConfig"]["defaults"]["unit"].is_string(),
            "{title}"
        );
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
        }
    }
    assert!(titles.len() > 20);
}

#[test]
fn every_alert_says_what_to_do_and_is_tested() {
    let tests = text("prometheus/rules/agent-sdk.test.yml");
    let dashboard = dashboard();
    let titles: Vec<_> = panels(&dashboard)
        .map(|panel| panel["title"].as_str().unwrap())
        .collect();
    for rule in rules(&text("prometheus/rules/agent-sdk.rules.yml")) {
        if !rule.alerts {
            continue;
        }
        for key in ["for: ", "severity: ", "summary: ", "description: "] {
            let has = rule.lines.iter().any(|line| line.starts_with(key));
            assert!(has, "{} has no {key}", rule.name);
        }
        assert!(rule.name.starts_with("AgentSdk"), "{}", rule.name);
        let fires = format!("alertname: {}\n        exp_alerts:\n", rule.name);
        assert!(tests.contains(&fires), "no test sees {} fire", rule.name);
        // A panel that a description points at exists.
        let prose = rule.lines.join(" ");
        let description = prose.split("description: >-").nth(1).unwrap();
        for panel in description.split('"').skip(1).step_by(2) {
            let known = titles.iter().any(|title| title.ends_with(panel));
            assert!(known, "{} points at {panel}", rule.name);
        }
    }
}

#[test]
fn the_scraped_address_is_the_default_one() {
    let port = agent_sdk_otel::DEFAULT_METRICS_ADDRESS.port();
    assert!(text("prometheus/prometheus.yml").contains(&format!("host.docker.internal:{port}")));
}

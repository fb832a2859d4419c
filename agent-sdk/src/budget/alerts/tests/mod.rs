//! Alerts, from a settlement to whoever is told.

#[cfg(all(unix, feature = "command"))]
mod command;
mod outlet;
#[cfg(feature = "http")]
mod webhook;

use jiff::Timestamp;

use crate::{
    budget::{Alert, AlertKind, Amounts, Caps, Period, Standing},
    cost::Usd,
};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// 80 % of a budget of 200 dollars a month.
fn alert(budget: &str, scope: &str) -> Alert {
    let standing = Standing {
        budget: budget.into(),
        scope: scope.into(),
        caps: Caps {
            usd: Some(Usd::from_nanos(200_000_000_000)),
            ..Caps::default()
        },
        committed: Amounts {
            usd: Usd::from_nanos(161_000_000_001),
            tokens: 90_000,
            requests: 41,
            tool_calls: 0,
        },
        reserved: Amounts::usd(Usd::from_nanos(12)),
        debt: Amounts::ZERO,
        period: Period {
            start: time("2026-11-01T00:00:00Z"),
            end: time("2026-12-01T00:00:00Z"),
        },
        percent: 80,
    };
    let kind = AlertKind::Threshold { percent: 80 };
    Alert::new(kind, standing, time("2026-11-21T14:10:00Z"))
}

const PLAIN: &str = r#"{"id":"team/acme/2026-11-21T14:10:00Z/threshold-80","alert":"threshold","threshold":80,"budget":"team","scope":"acme","caps":{"usd":"200"},"committed":{"nano_usd":161000000001,"tokens":90000,"requests":41,"tool_calls":0},"reserved":{"nano_usd":12,"tokens":0,"requests":0,"tool_calls":0},"debt":{"nano_usd":0,"tokens":0,"requests":0,"tool_calls":0},"period":{"start":"2026-11-01T00:00:00Z","end":"2026-12-01T00:00:00Z"},"percent":80,"time":"2026-11-21T14:10:00Z"}"#;

#[test]
fn an_alert_is_this_json_and_is_read_back_from_it() {
    let told = alert("team", "acme");
    assert_eq!(serde_json::to_string(&told).unwrap(), PLAIN);
    assert_eq!(serde_json::from_str::<Alert>(PLAIN).unwrap(), told);
}

#[test]
fn every_kind_of_alert_is_read_back_and_no_field_stands_twice() {
    use crate::budget::Measure;
    let mut told = alert("team", "");
    told.standing.period = Period::ALWAYS;
    told.standing.debt = Amounts::usd(Usd::from_nanos(7));
    for (kind, own) in [
        (AlertKind::Exhausted, r#""alert":"exhausted","budget""#),
        (
            AlertKind::Pace {
                gone: time("2026-11-30T01:00:00Z"),
            },
            r#""alert":"pace","gone":"2026-11-30T01:00:00Z","budget""#,
        ),
        (
            AlertKind::Debt {
                measure: Measure::ToolCalls,
                debt: 3,
            },
            r#""alert":"debt","measure":"tool_calls","excess":3,"budget""#,
        ),
    ] {
        told.kind = kind;
        let text = serde_json::to_string(&told).unwrap();
        assert!(text.contains(own) && !text.contains("period"), "{text}");
        assert_eq!(serde_json::from_str::<Alert>(&text).unwrap(), told);
    }
}

//! `agent doctor`: whether what the command needs is in order. Each check is a function that says what it found.

mod telemetry;

use std::borrow::Cow;

use agent_sdk::{
    cost::{LayerKind, PriceBook, PriceLayer},
    store::{self, SqliteStore},
    text::escape_json,
};
use jiff::{civil::Date, tz::TimeZone};
use serde::Serialize;

use crate::{
    args::DoctorArguments,
    exit::{Exit, Failure},
    home,
    output::Output,
    prices, secret,
    terminal::{Paint, safe_line},
};

/// From this age on, prices are likely to have changed.
const OLD_DAYS: i32 = 60;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
    Warning,
    Failed,
}

/// What a check found.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    status: Status,
    says: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<Cow<'static, str>>,
    /// The age of a price table.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_days: Option<i32>,
}

const CHECKS: [fn() -> Vec<Finding>; 6] = [
    version,
    folder,
    the_store,
    price_tables,
    telemetry::variables,
    telemetry::exports,
];

/// Does what `agent doctor` says.
///
/// # Errors
///
/// The answer cannot be written. What is out of order is no error but an exit code.
pub(crate) fn run(arguments: &DoctorArguments, output: &mut Output) -> Result<Exit, Failure> {
    let findings: Vec<_> = CHECKS.iter().flat_map(|check| check()).collect();
    for finding in &findings {
        if arguments.json {
            let json = serde_json::to_string(finding).map_err(|error| {
                Failure::new(Exit::Failed, format!("a finding is no JSON: {error}"))
            })?;
            let json = secret::redact(&json);
            output.line(escape_json(&json))?;
            continue;
        }
        let (word, paint) = match finding.status {
            Status::Ok => ("ok", Paint::Dim),
            Status::Warning => ("warning", Paint::Critical),
            Status::Failed => ("failed", Paint::Bad),
        };
        let word = format!("{word:<7}");
        let word = output.out_style.paint(paint, &word);
        let says = secret::redact(&finding.says);
        let (check, says) = (finding.check, safe_line(&says));
        output.line(format_args!("{word}  {check:<10}  {says}"))?;
        if let Some(advice) = &finding.advice {
            output.line(format_args!("{:21}{advice}", ""))?;
        }
    }
    let is_failed = |finding: &Finding| finding.status == Status::Failed;
    Ok(if findings.iter().any(is_failed) {
        Exit::Failed
    } else {
        Exit::Ok
    })
}

impl Finding {
    fn new(check: &'static str, status: Status, says: impl Into<String>) -> Self {
        Self {
            check,
            status,
            says: says.into(),
            advice: None,
            age_days: None,
        }
    }

    fn advice(mut self, advice: &'static str) -> Self {
        self.advice = Some(Cow::Borrowed(advice));
        self
    }
}

fn version() -> Vec<Finding> {
    let says = format!("agent {}", env!("CARGO_PKG_VERSION"));
    vec![Finding::new("version", Status::Ok, says)]
}

fn folder() -> Vec<Finding> {
    vec![match store::home() {
        Ok(home) => Finding::new("home", Status::Ok, home.display().to_string()),
        Err(error) => Finding::new("home", Status::Failed, error.to_string()),
    }]
}

fn the_store() -> Vec<Finding> {
    // Without a folder there is nothing to open, and the check before this said so.
    let Ok(home) = store::home() else {
        return Vec::new();
    };
    let path = home.join("store.db");
    let shown = path.display();
    // To look is not to make one.
    if !path.exists() {
        let says = format!("{shown} is not there yet: the first run makes it");
        return vec![Finding::new("store", Status::Ok, says)];
    }
    vec![match SqliteStore::open(&path) {
        Ok(_) => Finding::new("store", Status::Ok, format!("{shown} opens")),
        Err(error) => Finding::new("store", Status::Failed, error.to_string())
            .advice("AGENT_SDK_HOME names its folder."),
    }]
}

fn price_tables() -> Vec<Finding> {
    let today = home::now().to_zoned(TimeZone::UTC).date();
    let (book, mut findings) = match prices::book() {
        Ok(book) => (book, Vec::new()),
        Err(failure) => {
            let broken = Finding::new("prices", Status::Failed, failure.to_string());
            (PriceBook::embedded(), vec![broken])
        }
    };
    let layers = book.layers();
    findings.extend(layers.iter().map(|layer| table(layer, today)));
    let is_refreshed = |layer: &PriceLayer| layer.kind == LayerKind::Refreshed;
    if let Ok(Some(table)) = prices::refreshed()
        && !layers.iter().any(is_refreshed)
        && findings
            .iter()
            .all(|finding| finding.status != Status::Failed)
    {
        let says = format!(
            "the refreshed table of {} is older than the built-in one and not used",
            table.date()
        );
        findings.push(
            Finding::new("prices", Status::Warning, says)
                .advice("`agent prices refresh --remove` drops it."),
        );
    }
    findings
}

/// One table and its age. That of the user's own is theirs to know.
fn table(layer: &PriceLayer, today: Date) -> Finding {
    let date = layer.date.as_deref();
    let age = date.and_then(|date| age(date, today));
    let days = match age {
        Some(1) => ", 1 day old".to_owned(),
        Some(age) => format!(", {age} days old"),
        None => String::new(),
    };
    let says = format!(
        "{} table of {}{days}, {} models",
        layer.kind.as_str(),
        date.unwrap_or("an unknown day"),
        layer.models
    );
    let is_old = layer.kind != LayerKind::Override && age.is_some_and(|age| age > OLD_DAYS);
    let mut finding = if is_old {
        Finding::new("prices", Status::Warning, says)
            .advice("`agent prices refresh --url URL` or `--file FILE` puts a newer one in place.")
    } else {
        Finding::new("prices", Status::Ok, says)
    };
    finding.age_days = age;
    finding
}

fn age(date: &str, today: Date) -> Option<i32> {
    let date: Date = date.parse().ok()?;
    Some(today.since((jiff::Unit::Day, date)).ok()?.get_days())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(kind: LayerKind) -> PriceLayer {
        let book = PriceBook::embedded();
        let mut layer = book.layers().into_iter().next().unwrap();
        layer.kind = kind;
        layer
    }

    #[test]
    fn a_table_is_old_after_sixty_days_unless_it_is_the_users_own() {
        let on = |kind, today: &str| {
            let finding = table(&layer(kind), today.parse().unwrap());
            (finding.status, finding.age_days)
        };
        let embedded = LayerKind::Embedded;
        assert_eq!(on(embedded, "2027-01-19"), (Status::Ok, Some(60)));
        assert_eq!(on(embedded, "2027-01-20"), (Status::Warning, Some(61)));
        assert_eq!(on(embedded, "2026-11-19"), (Status::Ok, Some(-1)));
        assert_eq!(on(LayerKind::Override, "2030-01-01").0, Status::Ok);
    }
}

//! `agent budget list`: each budget, how its accounts stand, and what was charged in doubt.

use std::fmt::Write;

use agent_sdk::{
    budget::{Amounts, Budget, Dimension, InDoubt, Measure, Period, Scope, Standing},
    text::escape_json,
};
use serde_json::{Value, json};

use super::{
    definitions::{Definition, Definitions},
    failure, purse,
};
use crate::{
    columns::{Align, Columns},
    exit::{Exit, Failure},
    home::Home,
    output::Output,
    screen,
    terminal::{Paint, Style, safe_line},
    text::{count, dollars, moment},
};

/// The account of a budget of everything.
pub(super) const ALL: &str = "all";

/// The most charges in doubt that are listed.
const DOUBTS: usize = 20;

pub(super) fn run(home: &Home, json: bool, output: &mut Output) -> Result<(), Failure> {
    let definitions = Definitions::read(home.folder())?;
    let ledger = purse::open(home, definitions.budgets())?;
    let read = home.block_on(async {
        let standings = ledger.standings().await?;
        Ok((standings, ledger.in_doubt(DOUBTS).await?))
    });
    let (standings, doubts) = read.map_err(|error| failure(&error))?;
    if json {
        return output.line(escape_json(
            &document(&definitions, &standings, &doubts)?.to_string(),
        ));
    }
    if definitions.is_empty() && doubts.is_empty() {
        output.note("no budgets; `agent budget set NAME --usd X` makes one");
        return Ok(());
    }
    let style = output.out_style;
    output.write(draw(
        &definitions,
        &standings,
        &doubts,
        style,
        screen::width(),
    ))
}

/// The accounts of a budget in which there is something.
fn of<'a>(
    budget: &'a Budget,
    standings: &'a [Standing],
) -> impl Iterator<Item = &'a Standing> + use<'a> {
    standings
        .iter()
        .filter(|it| it.budget == budget.name && belongs(&budget.scope, &it.scope))
        .filter(|it| {
            ![it.committed, it.reserved, it.debt]
                .iter()
                .all(Amounts::is_zero)
        })
}

/// Whether an account is one of a scope: not one of a scope that the budget had before.
fn belongs(scope: &Scope, account: &str) -> bool {
    let dimension = scope.dimension();
    match dimension {
        Dimension::Global => account.is_empty(),
        _ if account.is_empty() => false,
        _ => {
            let alone = || Scope::one(dimension.clone(), account);
            *scope == Scope::each(dimension.clone()) || *scope == alone()
        }
    }
}

pub(super) fn draw(
    definitions: &Definitions,
    standings: &[Standing],
    doubts: &[InDoubt],
    style: Style,
    width: usize,
) -> String {
    let mut drawn = String::new();
    for definition in &definitions.all {
        if !drawn.is_empty() {
            drawn.push('\n');
        }
        let mut accounts = of(&definition.budget, standings).peekable();
        let first = accounts.peek().copied();
        drawn.push_str(&heading(definition, first, style));
        if first.is_none() {
            // Writing to a `String` cannot fail.
            let _ = writeln!(
                drawn,
                "  nothing is spent yet of {}",
                definition.budget.caps
            );
            continue;
        }
        drawn.push_str(&table(&definition.budget, accounts, style, width));
    }
    if !doubts.is_empty() {
        drawn.push_str(&in_doubt(doubts, style, width));
    }
    drawn
}

/// What a budget says, in two lines.
fn heading(definition: &Definition, account: Option<&Standing>, style: Style) -> String {
    let budget = &definition.budget;
    let limit = if budget.is_hard() { "hard" } else { "soft" };
    let mut drawn = style
        .paint(Paint::Strong, &safe_line(&budget.name))
        .into_owned();
    // Writing to a `String` cannot fail.
    let _ = write!(
        drawn,
        ": {limit}, {}, {}",
        safe_line(&budget.scope.to_string()),
        budget.window
    );
    if let Some(period) = account.map(|it| it.period).filter(Period::ends) {
        let _ = write!(drawn, " until {}", moment(period.end));
    }
    let alerts: Vec<_> = budget.alerts.iter().map(u8::to_string).collect();
    let alerts = if alerts.is_empty() {
        "no alerts".to_owned()
    } else {
        format!("alerts at {} %", alerts.join(", "))
    };
    let _ = write!(drawn, "\n  {alerts}");
    if let Some((at, to)) = &definition.degrade {
        let to = to.to_string();
        let _ = write!(drawn, "; from {at} % on {} is asked", safe_line(&to));
    }
    drawn.push('\n');
    drawn
}

fn table<'a>(
    budget: &Budget,
    accounts: impl Iterator<Item = &'a Standing>,
    style: Style,
    width: usize,
) -> String {
    let mut table = Columns::new([
        ("  account", Align::Left),
        ("of", Align::Left),
        ("spent", Align::Right),
        ("reserved", Align::Right),
        ("cap", Align::Right),
        ("part", Align::Right),
    ]);
    let mut is_full = Vec::new();
    let mut owed = String::new();
    for account in accounts {
        let name = match &*account.scope {
            "" => ALL.into(),
            scope => safe_line(scope),
        };
        let name = crate::live::cut(&name, 20);
        for (place, (measure, cap)) in budget.caps.iter().enumerate() {
            let spent = account.committed.plus(&account.debt).get(measure);
            let part = u128::from(spent) * 100;
            let part = part.checked_div(u128::from(cap)).unwrap_or(100);
            is_full.push(part >= 100);
            table.row([
                format!("  {}", if place == 0 { &name } else { "" }),
                noun(measure).to_owned(),
                amount(measure, spent),
                amount(measure, account.reserved.get(measure)),
                amount(measure, cap),
                format!("{part} %"),
            ]);
        }
        owed.push_str(&debt(budget, account));
    }
    let paint = |row: usize| is_full.get(row).filter(|full| **full).map(|_| Paint::Bad);
    let mut drawn = table.draw(style, width, paint);
    drawn.push_str(&owed);
    drawn
}

/// What an account owes, in a line; nothing where it does not.
fn debt(budget: &Budget, account: &Standing) -> String {
    if account.debt.is_zero() {
        return String::new();
    }
    let name = safe_line(&budget.name);
    let (of, scope) = match &*account.scope {
        "" => (String::new(), String::new()),
        scope => {
            let scope = safe_line(scope);
            (format!("{scope} "), format!(" --scope {scope}"))
        }
    };
    format!(
        "  {of}owes {}, billed above what was put aside:\n    agent budget accept-debt {name}{scope}\n",
        sum(&account.debt)
    )
}

fn in_doubt(doubts: &[InDoubt], style: Style, width: usize) -> String {
    let mut table = Columns::new([
        ("  begun", Align::Left),
        ("run", Align::Left),
        ("charged", Align::Left),
        ("for", Align::Left),
    ]);
    for doubt in doubts {
        table.row([
            format!("  {}", moment(doubt.reserved_at)),
            crate::live::cut(&safe_line(&doubt.run_id), 24),
            sum(&doubt.charged),
            safe_line(&doubt.what).into_owned(),
        ]);
    }
    let label = style.paint(Paint::Strong, "In doubt, so charged whole");
    format!(
        "\n{label}: what was under way in processes that were killed\n{}",
        table.draw(style, width, |_| None)
    )
}

const fn noun(measure: Measure) -> &'static str {
    match measure {
        Measure::Usd => "money",
        Measure::Tokens => "tokens",
        Measure::Requests => "requests",
        _ => "tool calls",
    }
}

fn amount(measure: Measure, amount: u64) -> String {
    match measure {
        Measure::Usd => dollars(agent_sdk::cost::Usd::from_nanos(amount)),
        _ => count(amount),
    }
}

/// All that is in it, in words.
fn sum(amounts: &Amounts) -> String {
    let parts = Measure::ALL.into_iter().filter_map(|measure| {
        let amount = amounts.get(measure);
        (amount > 0).then(|| measure.show(amount))
    });
    parts.collect::<Vec<_>>().join(", ")
}

fn document(
    definitions: &Definitions,
    standings: &[Standing],
    doubts: &[InDoubt],
) -> Result<Value, Failure> {
    let failed = |error: serde_json::Error| {
        Failure::new(Exit::Failed, format!("the budgets are no JSON: {error}"))
    };
    let mut budgets = Vec::new();
    for Definition { budget, degrade } in &definitions.all {
        let mut known = serde_json::to_value(budget).map_err(failed)?;
        if let Some(fields) = known.as_object_mut() {
            let degrade = degrade.as_ref();
            let degrade = degrade.map(|(at, to)| json!({"at": at, "to": to.to_string()}));
            let accounts: Vec<_> = of(budget, standings).map(account).collect();
            fields.insert("degrade".into(), json!(degrade));
            fields.insert("accounts".into(), json!(accounts));
        }
        budgets.push(known);
    }
    Ok(json!({"budgets": budgets, "in_doubt": doubts}))
}

fn account(standing: &Standing) -> Value {
    let period = standing.period;
    json!({
        "scope": standing.scope,
        "committed": standing.committed,
        "reserved": standing.reserved,
        "debt": standing.debt,
        "percent": standing.percent,
        "period_start": period.ends().then_some(period.start),
        "period_end": period.ends().then_some(period.end),
    })
}

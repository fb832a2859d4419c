//! What a run may spend from: the user's budgets and its own cap, kept in the user's store.

use std::fmt;

use agent_sdk::{
    budget::{Amounts, Budget, Ledger, LedgerBuilder, Measure},
    cost::Usd,
    operation::{RunContext, RunId},
    store,
};

use super::{
    OF_RUN,
    definitions::Definitions,
    failure,
    told::{self, Told},
};
use crate::{
    args::ModelName,
    exit::{Exit, Failure},
    home::Home,
    model::{self, Tape},
    recipe::Recipe,
};

/// A run's ledger, and what it tells.
#[derive(Debug)]
pub(crate) struct Purse {
    ledger: Ledger,
    cap: Option<Usd>,
    told: Option<Told>,
}

/// How a budget of the run stands.
#[derive(Debug)]
pub(crate) struct Stands {
    pub(crate) budget: String,
    pub(crate) account: String,
    pub(crate) spent: Vec<(Measure, u64, u64)>,
    pub(crate) percent: u64,
}

impl Purse {
    /// The purse of a run; `None` where nothing limits what it spends. `home` is where the run is kept: the budgets hold also where
    /// it is not.
    ///
    /// # Errors
    ///
    /// budgets.toml has a mistake, the store cannot be opened, or a model that a budget names cannot be asked.
    pub(crate) fn of(
        home: Option<&Home>,
        recipe: &Recipe,
        tape: &Tape,
    ) -> Result<Option<Self>, Failure> {
        let definitions = match store::home() {
            // What comes from a recording is paid by nobody.
            Ok(folder) if !matches!(tape, Tape::Replay(_)) => Definitions::read(&folder)?,
            _ => Definitions::default(),
        };
        let cap = recipe.max_cost_usd;
        if definitions.is_empty() && cap.is_none() {
            return Ok(None);
        }
        let own;
        let home = match home {
            None if !definitions.is_empty() => {
                own = Home::open()?;
                Some(&own)
            }
            home => home.filter(|_| !matches!(tape, Tape::Replay(_))),
        };
        let (teller, told) = told::way();
        let mut ledger = builder(home).alert(teller);
        for alert in &definitions.alerts {
            ledger = alert
                .add(ledger)
                .map_err(|failure| failure.at(definitions.path.display()))?;
        }
        for definition in &definitions.all {
            let budget = &definition.budget;
            ledger = ledger.budget(budget.clone());
            // Where no model is asked, none is asked in its place.
            if let Some((percent, to)) = &definition.degrade
                && recipe.asks_model()
            {
                let (name, percent) = (budget.name.clone(), *percent);
                let chosen = cheaper(to, recipe, tape).map_err(|failure| {
                    failure.at(format_args!(
                        "{}, `degrade` of {name}",
                        definitions.path.display()
                    ))
                })?;
                ledger = ledger.degrade(name, percent, chosen.model);
            }
        }
        if let Some(cap) = cap {
            ledger = ledger.budget(of_run(cap));
        }
        Ok(Some(Self {
            ledger: ledger.build().map_err(|error| failure(&error))?,
            cap,
            told: Some(told),
        }))
    }

    /// Counts what a run has cost before its cap knew of it.
    ///
    /// # Errors
    ///
    /// It has cost more than it may; the accounts cannot be read.
    pub(crate) fn count_earlier(&self, home: &Home, run: &RunId, cost: Usd) -> Result<(), Failure> {
        let Some(cap) = self.cap else { return Ok(()) };
        if cost > cap {
            let what = format!("run {run} has cost ${cost} already, and may cost ${cap}");
            return Err(Failure::new(Exit::Budget, what).advice(format!(
                "`agent resume {run} --max-cost-usd X` raises its cap."
            )));
        }
        // Of the run's cap alone: the other budgets were charged when it was spent.
        let ledger = open(home, [of_run(cap)])?;
        let context = RunContext::builder().run_id(run.clone()).build();
        home.block_on(async {
            let standings = ledger.standings_of(&context).await;
            let standings = standings.map_err(|error| failure(&error))?;
            let known = standings.first();
            let known = known.map_or(Usd::ZERO, |it| it.committed.plus(&it.debt).usd);
            let missing = cost.nanos().saturating_sub(known.nanos());
            if missing > 0 {
                ledger.charge(&context, Amounts::usd(Usd::from_nanos(missing)));
            }
            Ok(())
        })
    }

    /// What admits the run's requests.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What the run may cost.
    pub(crate) fn cap(&self) -> Option<Usd> {
        self.cap
    }

    /// What it tells; once.
    pub(crate) fn told(&mut self) -> Option<Told> {
        self.told.take()
    }

    /// How the budgets stand that a run belongs to.
    pub(crate) async fn stands(&self, context: &RunContext) -> Vec<Stands> {
        // That they cannot be read is said when something is refused because of it.
        let standings = self.ledger.standings_of(context).await.unwrap_or_default();
        let stands = standings.into_iter().map(|standing| {
            let spent = standing.committed.plus(&standing.debt);
            let caps = standing.caps.iter();
            Stands {
                budget: standing.budget.to_string(),
                account: standing.scope.to_string(),
                spent: caps
                    .map(|(measure, cap)| (measure, spent.get(measure), cap))
                    .collect(),
                percent: standing.percent,
            }
        });
        stands.collect()
    }
}

impl Stands {
    /// Whether it is the cap of the run.
    pub(crate) fn is_of_run(&self) -> bool {
        self.budget == OF_RUN
    }
}

/// `day $1.23 of $5 (24 %)`.
impl fmt::Display for Stands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.account {
            _ if self.is_of_run() => f.write_str("this run")?,
            "" => f.write_str(&self.budget)?,
            account => write!(f, "{} of {account}", self.budget)?,
        }
        let spent = self.spent.iter().map(|(measure, spent, cap)| {
            let cap = measure.show(*cap);
            match measure {
                Measure::Usd => format!("{} of {cap}", measure.show(*spent)),
                _ => format!("{spent} of {cap}"),
            }
        });
        let spent: Vec<_> = spent.collect();
        write!(f, " {} ({} %)", spent.join(", "), self.percent)
    }
}

/// A ledger of these budgets in the user's store.
pub(super) fn open(
    home: &Home,
    budgets: impl IntoIterator<Item = Budget>,
) -> Result<Ledger, Failure> {
    let ledger = budgets
        .into_iter()
        .fold(builder(Some(home)), LedgerBuilder::budget);
    ledger.build().map_err(|error| failure(&error))
}

/// Where accounts are kept: in the store, or where there is none in memory.
fn builder(home: Option<&Home>) -> LedgerBuilder {
    let builder = Ledger::builder();
    match home {
        Some(home) => builder.store(home.sqlite()),
        None => builder,
    }
}

/// The cap of a run.
fn of_run(cap: Usd) -> Budget {
    Budget::per_run(OF_RUN).max_usd(cap)
}

/// The model that is asked from a part of a cap on: where the run's own is, if the same provider has it.
fn cheaper(name: &ModelName, recipe: &Recipe, tape: &Tape) -> Result<model::Chosen, Failure> {
    let is_same = |own: ModelName| own.provider == name.provider;
    let base_url = recipe.base_url.as_deref();
    let base_url = base_url.filter(|_| recipe.model.parse().is_ok_and(is_same));
    model::choose(name, base_url, !recipe.no_stream, tape, |name| {
        std::env::var(name).ok()
    })
}

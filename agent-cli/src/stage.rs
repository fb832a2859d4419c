//! What is set around a run: who watches it, where its events and its costs are kept, what it may spend, and the screen that shows it.

use std::sync::Arc;

use agent_sdk::{
    cost::{CostKeeper, PriceBook},
    journal::EventKeeper,
    operation::{RunContext, RunId},
    store::Store,
};
use tokio::task::AbortHandle;

use crate::{
    args::Shown,
    budget::Purse,
    exit::{Exit, Failure},
    interrupt::Interrupt,
    model::Tape,
    output::Output,
    screen::{Form, Screen},
    text::counted,
    watch::{Logs, Watch},
};

/// Whose run it is, and how it is to be watched.
pub(crate) struct Setting<'a> {
    /// The agent whose text is the answer.
    pub(crate) name: &'a str,
    pub(crate) id: &'a RunId,
    pub(crate) user: Option<&'a str>,
    pub(crate) tags: &'a [(String, String)],
    pub(crate) shown: &'a Shown,
    pub(crate) prices: &'a PriceBook,
    pub(crate) tape: &'a Tape,
    /// Where its costs are kept.
    pub(crate) store: Option<&'a Arc<dyn Store>>,
    pub(crate) purse: Option<Purse>,
}

/// What is set around a run.
pub(crate) struct Stage {
    pub(crate) screen: Screen,
    /// The run's.
    pub(crate) context: RunContext,
    pub(crate) watch: Watch,
    pub(crate) purse: Option<Purse>,
    events: Option<(EventKeeper, AbortHandle)>,
    costs: Option<CostKeeper>,
}

impl Stage {
    /// Sets it, does work on it, and takes it away; answers with the code that the command ends with. Where the work fails, it is said.
    pub(crate) async fn during(
        setting: Setting<'_>,
        output: Output,
        interrupt: Interrupt,
        work: impl AsyncFnOnce(&mut Self) -> Result<Exit, Failure>,
    ) -> Exit {
        let tape = setting.tape;
        let mut stage = match Self::set(setting, output, interrupt).await {
            Ok(stage) => stage,
            Err(exit) => return exit,
        };
        let exit = work(&mut stage).await.unwrap_or_else(|failure| {
            stage.screen.output.note(&failure);
            failure.exit
        });
        stage.end(tape).await;
        exit
    }

    /// Sets it. Where that fails, it is said, and the command is over.
    ///
    /// # Errors
    ///
    /// A variable cannot be used, or the metrics address is taken.
    async fn set(
        setting: Setting<'_>,
        mut output: Output,
        interrupt: Interrupt,
    ) -> Result<Self, Exit> {
        let shown = setting.shown;
        let watch = match Watch::start(shown.metrics, Logs::of(shown)).await {
            Ok(watch) => watch,
            Err(failure) => {
                output.note(&failure);
                return Err(failure.exit);
            }
        };
        watch.begin(&mut output, &interrupt);
        if let Some(url) = watch.metrics_url() {
            output.note(format_args!("metrics: {url}"));
        }
        let form = if shown.json { Form::Json } else { Form::Text };
        let token = interrupt.token().clone();
        let mut screen = Screen::new(output, form, setting.name, shown.verbose, interrupt);
        let mut observers = watch.observers().with_shared(screen.observer());
        // What comes from a recording is charged to nobody.
        let is_paid = !matches!(setting.tape, Tape::Replay(_));
        let costs = setting.store.filter(|_| is_paid).cloned();
        let costs = costs.map(CostKeeper::new);
        if let Some(costs) = &costs {
            observers = observers.with(costs.clone());
            tokio::spawn(costs.clone().run());
        }
        let mut context = RunContext::builder()
            .run_id(setting.id.clone())
            .observers(observers)
            .prices(setting.prices.clone())
            .cancellation(token);
        for (key, value) in setting.tags {
            context = context.tag(key.as_str(), value.as_str());
        }
        if let Some(user) = setting.user {
            context = context.user(user);
        }
        let mut purse = setting.purse;
        if let Some(purse) = &purse {
            context = context.ledger(purse.ledger());
        }
        let context = context.build();
        if let Some(purse) = &mut purse {
            screen.purse(purse, &context).await;
        }
        Ok(Self {
            screen,
            context,
            watch,
            purse,
            events: None,
            costs,
        })
    }

    /// Keeps the events of the run from now on.
    pub(crate) fn keep_events(&mut self, store: Arc<dyn Store>) {
        let events = EventKeeper::new(store);
        self.context.subscribe(Arc::new(events.clone()));
        let keeping = tokio::spawn(events.clone().run());
        self.events = Some((events, keeping.abort_handle()));
    }

    /// Takes it away: what is still to be kept and sent is, and what was not is said.
    async fn end(mut self, tape: &Tape) {
        if let Some(purse) = &self.purse {
            purse.ledger().flush().await;
            self.screen.alerts();
        }
        if let Some((events, keeping)) = self.events {
            // The run itself is kept; of its events those that the store refuses are missing.
            let _ = events.flush().await;
            keeping.abort();
        }
        let output = &mut self.screen.output;
        if let Some(costs) = self.costs
            && let Err(error) = costs.close().await
        {
            output.note(format_args!(
                "warning: {} of this run's cost could not be kept for `agent cost report`: {error}",
                counted(costs.waiting() as u64, "line")
            ));
        }
        for remark in tape.remarks() {
            output.note(remark);
        }
        self.watch.end(output).await;
    }
}

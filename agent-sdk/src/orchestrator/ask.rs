//! What a person is asked while a plan runs.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use serde_json::Value;

use super::{
    drive::{Drive, Waits},
    error::Cause,
    kept,
};
use crate::{
    journal::{Question, QuestionKind, Record, Verdict},
    message::CallId,
    operation::EventKind,
    plan::{Ended, Fault, Input, Step, Task, Work},
    tool::Effect,
};

impl Drive<'_> {
    /// Whether a try must be asked about before it is made, and why.
    pub(super) fn must_be_asked(
        &mut self,
        step: &Step,
        task: Task,
        path: &str,
    ) -> Option<(QuestionKind, String)> {
        let work = step.work_of(task.choice);
        let (effect, needs_approval) = match work {
            Work::Tool { name, .. } => {
                let tool = self.settings.registry.find_tool(name).ok()?;
                let options = tool.options();
                let within = self.context.within();
                let is_named =
                    within.is_some_and(|within| within.control.ask_before.contains(name));
                (options.effect, options.needs_approval || is_named)
            }
            Work::Function { .. } => (Effect::Write, false),
            _ => return None,
        };
        let name = work.name();
        if let Some(journal) = &self.journal
            && effect == Effect::Write
        {
            let begun = journal.take_earlier(path).len();
            let decided = self.doubts.get(path).map_or(0, Vec::len);
            if begun > decided {
                let text = format!(
                    "step `{}` was under way when the run stopped, and it is not known whether `{name}` took effect: run it again?",
                    step.id
                );
                return Some((QuestionKind::InDoubt, text));
            }
        }
        // A step that is asked about is not asked about twice.
        (needs_approval && step.approval.is_none()).then(|| {
            let text = format!("may `{name}` be called in step `{}`?", step.id);
            (QuestionKind::Approval, text)
        })
    }

    pub(super) fn question(
        &self,
        step: &Step,
        path: &Arc<str>,
        (kind, text): (QuestionKind, String),
        input: &Value,
    ) -> Question {
        let doubts = self.doubts.get(path).map_or(0, Vec::len);
        Question {
            path: path.clone(),
            number: u32::try_from(doubts).unwrap_or(u32::MAX).saturating_add(1),
            call_id: CallId::from(&*step.id),
            tool: step.work.name().clone(),
            arguments: input.to_string().into(),
            kind,
            text: text.into(),
        }
    }

    /// Asks whether a step may begin.
    pub(super) async fn ask_about_step(&mut self, number: u32) -> Result<(), Cause> {
        let Some(step) = self.machine.step(number).cloned() else {
            return Ok(());
        };
        let text = step.approval.as_deref().unwrap_or_default().to_owned();
        let path = kept::place(&self.path, &step.id);
        let question = self.question(&step, &path, (QuestionKind::Approval, text), &step.input);
        self.ask(&step, Waits::Step(number), question).await
    }

    /// Asks whoever can be asked; where nobody can, the answer is no.
    pub(super) async fn ask(
        &mut self,
        step: &Step,
        waits: Waits,
        question: Question,
    ) -> Result<(), Cause> {
        let within = self.context.within().cloned();
        let Some(within) = within.filter(|within| within.can_ask()) else {
            let why = "this step needs a person's approval, and nobody can be asked here";
            self.decide(waits, &Verdict::deny(why));
            return Ok(());
        };
        // What an earlier life asked is asked again, and kept once.
        if self.asked.remove(&step.id).as_ref() != Some(&question) {
            let record = Record::StepAsked {
                step: step.id.clone(),
                question: question.clone(),
            };
            self.keep(&[record]).await?;
        }
        self.context.publish(|| EventKind::ApprovalRequested {
            tool: question.tool.clone(),
            call_id: question.call_id.clone(),
            path: question.path.clone(),
            reason: question.kind,
            question: question.text.clone(),
            input: question.arguments.clone(),
        });
        within.control.asked(question.clone());
        let journal = self.journal.clone();
        let id = step.id.clone();
        let answer = async move {
            let verdict = within.control.ask(journal.as_deref(), &question).await;
            within.control.answered(&question.path);
            (id, question, waits, verdict)
        };
        self.answers.push(answer.boxed());
        Ok(())
    }

    /// A person decided.
    pub(super) async fn decided(
        &mut self,
        step: Arc<str>,
        question: &Question,
        waits: Waits,
        verdict: Verdict,
    ) -> Result<(), Cause> {
        let record = Record::StepDecided {
            step,
            verdict: verdict.clone(),
        };
        self.keep(&[record]).await?;
        self.context.publish(|| EventKind::ApprovalGiven {
            tool: question.tool.clone(),
            call_id: question.call_id.clone(),
            path: question.path.clone(),
            answer: verdict.allowed,
            by: verdict.by.as_deref().map(Arc::from),
        });
        self.decide(waits, &verdict);
        Ok(())
    }

    fn decide(&mut self, waits: Waits, verdict: &Verdict) {
        match waits {
            Waits::Step(step) => {
                self.machine.apply(Input::Decided {
                    step,
                    allowed: verdict.allowed,
                    reason: verdict.reason.clone(),
                });
            }
            Waits::Try(task, input) if verdict.allowed => {
                // It may have been given up meanwhile.
                if self.machine.runs(task)
                    && let Some(step) = self.machine.step(task.step).cloned()
                {
                    let path = kept::path(&self.path, &step.id, task);
                    self.begin(&step, task, input, path);
                }
            }
            Waits::Try(task, _) => {
                let why = verdict.reason.as_deref().unwrap_or("no reason was given");
                let fault = Fault::new("rejected", format!("a person did not allow it: {why}"));
                let ended = Ended::Failed { fault };
                self.machine.apply(Input::Ended { task, ended });
            }
        }
    }

    /// The questions that are open.
    pub(super) fn questions(&self) -> Vec<Question> {
        let within = self.context.within();
        within.map_or_else(Vec::new, |within| within.control.questions())
    }

    /// Where nothing runs and nobody is there to be asked, takes an answer that was left; whether there was one.
    ///
    /// # Errors
    ///
    /// Where there is none, that the run is to pause.
    pub(super) async fn take_left_answer(&mut self) -> Result<bool, Cause> {
        if self.answers.is_empty() || self.machine.is_resting() {
            return Ok(false);
        }
        let within = self.context.within();
        if within.is_some_and(|within| within.control.approver.is_some()) {
            return Ok(false);
        }
        match self.answers.next().now_or_never().flatten() {
            Some((step, question, waits, verdict)) => {
                self.decided(step, &question, waits, verdict).await?;
                Ok(true)
            }
            None => Err(Cause::Paused(self.questions())),
        }
    }
}

//! What a person is asked while a plan runs.

use std::sync::Arc;

use futures_util::{
    FutureExt, StreamExt,
    future::{AbortHandle, Abortable},
};
use serde_json::Value;

use super::{
    drive::Drive,
    error::Cause,
    kept::{self, About},
};
use crate::{
    journal::{Question, QuestionKind, Record, StepTask, Verdict},
    message::CallId,
    operation::EventKind,
    plan::{Ended, Fault, Input, Step, Task, Work},
    run::{Standing, needs_approval},
    tool::Effect,
};

/// A question that is open.
pub(super) struct Open {
    question: Question,
    /// What a try is given that waits for the answer.
    input: Value,
    waiting: AbortHandle,
}

/// What was asked about, and the answer.
pub(super) type Answer = (About, Verdict);

impl Drive<'_> {
    /// What must be asked about a try before it is made.
    pub(super) fn question_about(
        &mut self,
        step: &Step,
        task: Task,
        path: &Arc<str>,
        input: &Value,
    ) -> Option<Question> {
        // What an earlier life asked is what is still to be known.
        if let Some(question) = self.asked.get(&About::Try(task)) {
            return Some(question.clone());
        }
        let work = step.work_of(task.choice);
        let (effect, needs_approval) = match work {
            Work::Tool { name, .. } => {
                let tool = self.settings.registry.find_tool(name).ok()?;
                let needs_approval = needs_approval(&self.context, &tool);
                (tool.options().effect, needs_approval)
            }
            Work::Function { .. } => (Effect::Write, false),
            _ => return None,
        };
        let heard = self.heard.get(&task).copied().unwrap_or_default();
        let begun = match &self.journal {
            Some(journal) if effect == Effect::Write => journal.take_earlier(path).len(),
            _ => 0,
        };
        // A step that is asked about is not asked about twice; what stands in for it was not asked about.
        let is_approved = task.choice == 0 && step.approval.is_some();
        let standing = if begun > heard.settled {
            Standing::Begun
        } else if heard.is_allowed || is_approved {
            Standing::Allowed
        } else {
            Standing::New
        };
        let kind = standing.must_ask(effect, needs_approval)?;
        let (name, id) = (work.name(), &step.id);
        let text = match kind {
            QuestionKind::Approval => format!("may `{name}` be called in step `{id}`?"),
            QuestionKind::InDoubt => format!(
                "step `{id}` was under way when the run stopped, and it is not known whether `{name}` took effect: run it again?"
            ),
        };
        Some(self.question(step, task, path, (kind, text), input))
    }

    fn question(
        &self,
        step: &Step,
        task: Task,
        path: &Arc<str>,
        (kind, text): (QuestionKind, String),
        input: &Value,
    ) -> Question {
        let answers = self.heard.get(&task).map_or(0, |heard| heard.answers);
        Question {
            path: path.clone(),
            number: answers.saturating_add(1),
            call_id: CallId::from(&*step.id),
            tool: step.work_of(task.choice).name().clone(),
            arguments: input.to_string().into(),
            kind,
            text: text.into(),
        }
    }

    /// Asks whether a step may begin, which will be given this.
    pub(super) async fn ask_about_step(
        &mut self,
        number: u32,
        round: u32,
        input: &Value,
    ) -> Result<(), Cause> {
        let Some(step) = self.machine.step(number).cloned() else {
            return Ok(());
        };
        let question = Question {
            path: kept::place_of_question(&self.path, &step.id, round),
            number: 1,
            call_id: CallId::from(&*step.id),
            tool: step.work.name().clone(),
            arguments: input.to_string().into(),
            kind: QuestionKind::Approval,
            text: step.approval.as_deref().unwrap_or_default().into(),
        };
        let about = About::Step {
            step: number,
            round,
        };
        self.ask(&step, about, Value::Null, question, false).await
    }

    /// Asks what a tool asks by itself, which has done nothing yet.
    pub(super) async fn ask_by_itself(
        &mut self,
        task: Task,
        input: Value,
        text: String,
    ) -> Result<(), Cause> {
        // It may have been given up meanwhile.
        let step = self.machine.step(task.step).cloned();
        let Some(step) = step.filter(|_| self.machine.runs(task)) else {
            self.nothing_runs_of(task);
            return Ok(());
        };
        let path = kept::path(&self.path, &step.id, task);
        let question = self.question(&step, task, &path, (QuestionKind::Approval, text), &input);
        self.ask(&step, About::Try(task), input, question, true)
            .await
    }

    /// Asks whoever can be asked; where nobody can, the answer is no.
    pub(super) async fn ask(
        &mut self,
        step: &Step,
        about: About,
        input: Value,
        question: Question,
        by_itself: bool,
    ) -> Result<(), Cause> {
        let within = self.context.within().cloned();
        let Some(within) = within.filter(|within| within.can_ask()) else {
            let why = "this step needs a person's approval, and nobody can be asked here";
            self.decide(about, input, &Verdict::deny(why));
            return Ok(());
        };
        // What an earlier life asked is asked again, and kept once.
        if self.asked.remove(&about).as_ref() != Some(&question) {
            self.flush().await?;
            if !self.is_awaited(about) {
                return Ok(());
            }
            let (round, task) = match about {
                About::Step { round, .. } => (round, None),
                About::Try(task) => (task.round, Some(StepTask::new(step.id.clone(), task))),
            };
            let record = Record::StepAsked {
                step: step.id.clone(),
                round,
                task,
                by_itself,
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
        let (journal, asked) = (self.journal.clone(), question.clone());
        let answer = async move {
            let verdict = within.control.ask(journal.as_deref(), &asked).await;
            (about, verdict)
        };
        let (waiting, registration) = AbortHandle::new_pair();
        let answer = Abortable::new(answer.boxed(), registration);
        self.answers.push(answer);
        let open = Open {
            question,
            input,
            waiting,
        };
        self.open.insert(about, open);
        Ok(())
    }

    /// Whether an answer is waited for.
    fn is_awaited(&self, about: About) -> bool {
        match about {
            About::Step { step, round } => self.machine.asks(step, round),
            About::Try(task) => self.machine.runs(task),
        }
    }

    /// Takes back the questions whose answers nobody waits for any more.
    pub(super) fn withdraw(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let mut open = std::mem::take(&mut self.open);
        open.retain(|about, it| {
            let is_awaited = self.is_awaited(*about);
            if !is_awaited {
                it.waiting.abort();
                self.closed(&it.question);
            }
            is_awaited
        });
        self.open = open;
    }

    fn closed(&self, question: &Question) {
        if let Some(within) = self.context.within() {
            within.control.answered(&question.path);
        }
    }

    /// A person decided.
    pub(super) async fn decided(&mut self, (about, verdict): Answer) -> Result<(), Cause> {
        self.flush().await?;
        self.withdraw();
        let Some(Open {
            question, input, ..
        }) = self.open.remove(&about)
        else {
            return Ok(());
        };
        self.closed(&question);
        let number = match about {
            About::Step { step, .. } => step,
            About::Try(task) => task.step,
        };
        let step = self.machine.step(number).map(|step| step.id.clone());
        let step = step.unwrap_or_default();
        let mut records = vec![Record::StepDecided {
            step: step.clone(),
            path: question.path.clone(),
            verdict: verdict.clone(),
        }];
        if let About::Try(task) = about {
            let heard = self.heard.entry(task).or_default();
            heard.hear(&question, verdict.allowed);
            if !verdict.allowed {
                let ended = refused(&verdict);
                records.push(kept::step_ended(step, task, &ended, 0.0));
            }
        }
        self.keep(&records).await?;
        self.context.publish(|| EventKind::ApprovalGiven {
            tool: question.tool.clone(),
            call_id: question.call_id.clone(),
            path: question.path.clone(),
            answer: verdict.allowed,
            by: verdict.by.as_deref().map(Arc::from),
        });
        self.decide(about, input, &verdict);
        Ok(())
    }

    fn decide(&mut self, about: About, input: Value, verdict: &Verdict) {
        match about {
            About::Step { step, round } => {
                self.machine.apply(Input::Decided {
                    step,
                    round,
                    allowed: verdict.allowed,
                    reason: verdict.reason.clone(),
                });
            }
            About::Try(task) if verdict.allowed => {
                if let Some(step) = self.machine.step(task.step).cloned() {
                    let path = kept::path(&self.path, &step.id, task);
                    self.begin(&step, task, input, path);
                }
            }
            About::Try(task) => {
                let ended = refused(verdict);
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
        if self.open.is_empty() || self.machine.is_resting() {
            return Ok(false);
        }
        let within = self.context.within();
        if within.is_some_and(|within| within.control.approver.is_some()) {
            return Ok(false);
        }
        match self.answers.next().now_or_never().flatten() {
            Some(Ok(answer)) => {
                self.decided(answer).await?;
                Ok(true)
            }
            // One that was taken back.
            Some(Err(_)) => Ok(true),
            None => Err(Cause::Paused(self.questions())),
        }
    }
}

/// How a try ends that a person did not allow.
fn refused(verdict: &Verdict) -> Ended {
    let why = verdict.reason.as_deref().unwrap_or("no reason was given");
    let fault = Fault::new("rejected", format!("a person did not allow it: {why}"));
    Ended::Failed { fault }
}

//! The calls of one turn: asked about where they must be, made, and their results applied.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};

use super::{
    Machine, Stage,
    asking::{Standing, needs_approval},
    driver::Driver,
    error::Cause,
    outputs,
};
use crate::{
    journal::{Question, QuestionKind, Record, Verdict},
    message::{ToolCall, ToolResult},
    operation::{EventKind, Totals, decision},
    tool::{Admitted, Batch, Finished, Returned, ToolErrorKind, Turn},
};

type Answers<'a> = FuturesUnordered<BoxFuture<'a, (usize, Verdict)>>;

impl Driver<'_> {
    /// Brings the calls of a turn to their results, or pauses where one of them waits for a person who is not there.
    pub(super) async fn call(
        &self,
        machine: &mut Machine,
        calls: &[ToolCall],
    ) -> Result<(), Cause> {
        let mut ready = Vec::new();
        let mut asked = BTreeMap::new();
        let mut new = Vec::new();
        for (place, stage) in machine.pending() {
            let Some(call) = calls.get(place) else {
                continue;
            };
            let question = match stage {
                Stage::Asked(question) => {
                    asked.insert(place, question);
                    continue;
                }
                Stage::Started => self.must_ask(machine, place, call, Standing::Begun),
                Stage::Waiting => self.must_ask(machine, place, call, Standing::New),
                Stage::Allowed | Stage::Returned(_) => None,
            };
            match question {
                Some(question) => new.push((place, question)),
                None => ready.push(Admitted {
                    place,
                    is_approved: matches!(stage, Stage::Allowed),
                }),
            }
        }
        if !new.is_empty() {
            asked.extend(Box::pin(self.request(machine, calls, new)).await?);
        }
        self.work(machine, calls, ready, asked).await
    }

    async fn work(
        &self,
        machine: &mut Machine,
        calls: &[ToolCall],
        ready: Vec<Admitted>,
        asked: BTreeMap<usize, Question>,
    ) -> Result<(), Cause> {
        let settings = self.settings;
        let turn = Turn {
            context: self.context,
            tools: &settings.tools,
            state: &settings.state,
            width: settings.limits.parallel_tools.get(),
            number: machine.turns(),
            calls,
            scheduler: settings.scheduler.as_ref(),
        };
        let mut batch = Batch::new(turn, ready);
        let mut answers = Answers::new();
        for (place, question) in asked {
            self.await_answer(&mut answers, place, question);
        }
        let within = self.context.within();
        let pausing = within.and_then(|within| within.pausing());
        let is_anybody_there = within.is_some_and(|within| within.control.approver.is_some());
        let mut is_held = false;
        let mut refused = None;
        loop {
            if batch.is_empty() && (answers.is_empty() || !is_anybody_there) {
                // Nobody is waited for, but an answer may have been left.
                let Some(Some((place, verdict))) = answers.next().now_or_never() else {
                    break;
                };
                Box::pin(self.decide(machine, place, verdict, &mut batch)).await?;
                continue;
            }
            let pausing = async {
                match pausing {
                    Some(pausing) if !is_held => pausing.cancelled().await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some((place, returned)) = batch.next() => match returned {
                    Returned::Result(Finished { result, took, spent, changes }) => {
                        let record = Record::ToolReturned {
                            place,
                            result,
                            changes,
                            files: outputs::new_files(settings),
                            took_ms: took.as_secs_f64() * 1e3,
                        };
                        self.apply(machine, record, spent).await?;
                    }
                    Returned::Asks(text) => {
                        let Some(call) = calls.get(place) else { continue };
                        let question = self.question(machine, place, call, QuestionKind::Approval, text);
                        for (place, question) in Box::pin(self.request(machine, calls, vec![(place, question)])).await? {
                            self.await_answer(&mut answers, place, question);
                        }
                        if is_held {
                            answers.clear();
                        }
                    }
                    Returned::Paused => {
                        let halt = within.and_then(|within| within.control.take_halt());
                        if let Some(cause) = halt {
                            return Err(cause);
                        }
                    }
                    Returned::NotJournaled(error) => return Err(Cause::Journal(error)),
                    // What is under way is finished and kept, and nothing more is begun.
                    Returned::Refused(error) => {
                        refused = Some(error);
                        is_held = true;
                        batch.hold();
                        answers.clear();
                    }
                },
                Some((place, verdict)) = answers.next() => {
                    Box::pin(self.decide(machine, place, verdict, &mut batch)).await?;
                }
                () = pausing => {
                    is_held = true;
                    batch.hold();
                    answers.clear();
                }
            }
        }
        if let Some(error) = refused {
            return Err(Cause::Budget(error));
        }
        if machine.pending().is_empty() {
            Ok(())
        } else {
            Err(Cause::Paused)
        }
    }

    /// Waits for the answer to a question, which an approver gives or anybody leaves in the inbox.
    fn await_answer<'a>(&'a self, answers: &mut Answers<'a>, place: usize, question: Question) {
        let Some(within) = self.context.within() else {
            return;
        };
        within.control.asked(question.clone());
        let journal = within.journal.as_deref();
        let answer = async move { (place, within.control.ask(journal, &question).await) };
        answers.push(answer.boxed());
    }

    /// Whether a call has to be asked about before it is made.
    fn must_ask(
        &self,
        machine: &Machine,
        place: usize,
        call: &ToolCall,
        standing: Standing,
    ) -> Option<Question> {
        let tool = self.settings.tools.get(&call.name)?;
        let needs_approval = needs_approval(self.context, tool);
        let kind = standing.must_ask(tool.options().effect, needs_approval)?;
        let text = match kind {
            QuestionKind::Approval => may_call(&call.name),
            QuestionKind::InDoubt => format!(
                "the call of `{}` was under way when the run stopped, and it is not known whether it took effect: make it again?",
                call.name
            ),
        };
        Some(self.question(machine, place, call, kind, text))
    }

    fn question(
        &self,
        machine: &Machine,
        place: usize,
        call: &ToolCall,
        kind: QuestionKind,
        text: String,
    ) -> Question {
        let path = self.context.call_path(machine.turns(), call.id.as_str());
        Question {
            path,
            number: machine.times_asked(place) + 1,
            call_id: call.id.clone(),
            tool: call.name.clone(),
            arguments: call.arguments.clone(),
            kind,
            text: text.into(),
        }
    }

    /// Journals that questions are open; gives back those that somebody can answer, now or later. A call that nobody can be
    /// asked about is not made.
    async fn request(
        &self,
        machine: &mut Machine,
        calls: &[ToolCall],
        questions: Vec<(usize, Question)>,
    ) -> Result<Vec<(usize, Question)>, Cause> {
        if questions.is_empty() {
            return Ok(questions);
        }
        let within = self.context.within();
        if !within.is_some_and(|within| within.can_ask()) {
            for (place, _) in questions {
                let Some(call) = calls.get(place) else {
                    continue;
                };
                let class = ToolErrorKind::Rejected.as_str();
                let why = format!(
                    "{class}: this call needs a person's approval, and nobody can be asked here"
                );
                let result = ToolResult::error(call, why);
                let record = Record::tool_returned(place, result);
                self.apply(machine, record, Totals::default()).await?;
            }
            return Ok(Vec::new());
        }
        let records: Vec<Record> = questions
            .iter()
            .map(|(place, question)| Record::ApprovalRequested {
                place: *place,
                question: question.clone(),
            })
            .collect();
        self.commit(&records, Totals::default()).await?;
        for record in records {
            machine.apply(record);
        }
        for (_, question) in &questions {
            decision::approval_requested(self.context, &question.tool, &question.call_id);
            self.context.publish(|| EventKind::ApprovalRequested {
                tool: question.tool.clone(),
                call_id: question.call_id.clone(),
                path: question.path.clone(),
                reason: question.kind,
                question: question.text.clone(),
                input: question.arguments.clone(),
            });
        }
        Ok(questions)
    }

    async fn decide(
        &self,
        machine: &mut Machine,
        place: usize,
        verdict: Verdict,
        batch: &mut Batch<'_>,
    ) -> Result<(), Cause> {
        let asked = machine.pending().into_iter().find(|(at, _)| *at == place);
        let Some((_, Stage::Asked(question))) = asked else {
            return Ok(());
        };
        let (answer, by) = (verdict.allowed, verdict.by.clone());
        let record = Record::ApprovalGiven { place, verdict };
        self.apply(machine, record, Totals::default()).await?;
        if let Some(within) = self.context.within() {
            within.control.answered(&question.path);
        }
        decision::approval_given(self.context, &question.tool, &question.call_id, answer);
        self.context.publish(|| EventKind::ApprovalGiven {
            tool: question.tool.clone(),
            call_id: question.call_id.clone(),
            path: question.path.clone(),
            answer,
            by: by.map(Arc::from),
        });
        if answer {
            batch.add(Admitted {
                place,
                is_approved: true,
            });
        }
        Ok(())
    }
}

/// What is asked before a call whose tool, or whose run, wants a person's approval; a tool that asks by itself has other words.
pub(super) fn may_call(tool: &str) -> String {
    format!("may `{tool}` be called?")
}

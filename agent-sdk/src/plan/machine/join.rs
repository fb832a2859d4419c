//! When a step's turn comes: what it waits for, its condition, whether a person must be asked.

use std::{cmp::Reverse, sync::Arc};

use serde_json::Value;

use super::{
    Active, Command, End, FailurePolicy, Fault, Inside, Machine, SkipReason, State, StepEnd,
};

use crate::plan::Join;

impl Machine {
    /// Brings every step whose place changed to where it belongs.
    pub(super) fn settle(&mut self) {
        while let Some(Reverse(number)) = self.unsettled.pop() {
            let Some(slot) = self.slot(number) else {
                continue;
            };
            if slot.is_removed || !matches!(slot.state, State::Waiting) {
                continue;
            }
            if slot.has_enough() {
                self.turn(number);
            } else if slot.has_too_few() {
                self.cannot(number);
            }
        }
        let is_doomed = std::mem::take(&mut self.is_doomed);
        if is_doomed && self.frame.on_failure == FailurePolicy::Stop && self.stopped.is_none() {
            self.stop(End::Failed);
            self.unsettled.clear();
        }
    }

    /// Too few of those that a step waits for succeeded.
    fn cannot(&mut self, number: u32) {
        let Some(slot) = self.slot(number) else {
            return;
        };
        let ended = slot.node.waits_for.iter();
        let ended = ended.filter_map(|other| {
            let other = self.slot(*other)?;
            match &other.state {
                State::Ended(end) if !end.is_ok() => Some((&other.node.step.id, end.is_harmless())),
                _ => None,
            }
        });
        let mut because = None;
        let mut is_harmless = true;
        for (id, harmless) in ended {
            // The one that failed is named before one that did not have to succeed.
            if because.is_none() || (is_harmless && !harmless) {
                because = Some(id.clone());
            }
            is_harmless &= harmless;
        }
        let because = because.map_or(SkipReason::Stopped, SkipReason::Step);
        self.end_step(
            number,
            StepEnd::Skipped {
                because,
                is_harmless,
            },
        );
    }

    /// Enough of those that a step waits for succeeded.
    fn turn(&mut self, number: u32) {
        if self.stopped.is_some() {
            return self.skip(number, SkipReason::Stopped, false);
        }
        let Some(slot) = self.slot(number) else {
            return;
        };
        if let Some(when) = &slot.node.when {
            let held = when.holds(&self.params, |id| {
                let other = self.number(id).and_then(|number| self.slot(number));
                match other.map(|other| &other.state) {
                    Some(State::Ended(StepEnd::Ok { output, .. })) => (Some(output), "ok"),
                    Some(State::Ended(end)) => (None, end.as_str()),
                    _ => (None, "open"),
                }
            });
            match held {
                Ok(true) => {}
                Ok(false) => return self.skip(number, SkipReason::Condition, true),
                Err(why) => return self.refuse(number, Fault::new("condition", why)),
            }
        }
        let unseen = slot.node.waits_for.iter().copied();
        let unseen = unseen.filter(|other| self.slot(*other).is_none_or(|o| o.output().is_none()));
        let unseen: Box<[u32]> = unseen.collect();
        if slot.node.step.approval.is_none() {
            return self.activate(number, unseen);
        }
        if let Some(slot) = self.slot_mut(number) {
            slot.state = State::Asking(unseen);
        }
        self.commands.extend(self.question_about(number));
    }

    /// Lets a step begin as soon as there is room.
    pub(super) fn activate(&mut self, number: u32, unseen: Box<[u32]>) {
        let Some(slot) = self.slot(number) else {
            return;
        };
        let over: Option<Arc<[Value]>> = match &slot.node.over {
            None => None,
            Some(over) => {
                let scope = Inside {
                    machine: self,
                    unseen: &unseen,
                    item: None,
                };
                match over.resolve(&scope) {
                    Ok(Value::Array(list)) => Some(list.into()),
                    Ok(_) => {
                        let why = "what it should run over is no list";
                        return self.refuse(number, Fault::new("input", why));
                    }
                    Err(why) => return self.refuse(number, Fault::new("input", why)),
                }
            }
        };
        let join = slot.node.step.map.as_ref().map(|map| map.join);
        if let (Some(over), Some(Join::Quorum(needed))) = (&over, join)
            && over.len() < needed.get() as usize
        {
            let many = over.len();
            let why = format!("{needed} elements must succeed, and its list has {many}");
            return self.refuse(number, Fault::new("input", why));
        }
        let round = slot.round;
        let active = Active::new(over, unseen, round);
        let is_empty = active.items.is_empty();
        if let Some(slot) = self.slot_mut(number) {
            slot.state = State::Active(Box::new(active));
        }
        if is_empty {
            self.end_step(
                number,
                StepEnd::Ok {
                    output: Value::Array(Vec::new()),
                    fallback: 0,
                    causes: Vec::new(),
                },
            );
        } else {
            self.offer(number);
        }
    }

    pub(super) fn skip(&mut self, number: u32, because: SkipReason, is_harmless: bool) {
        self.end_step(
            number,
            StepEnd::Skipped {
                because,
                is_harmless,
            },
        );
    }

    /// A step that cannot even begin.
    pub(super) fn refuse(&mut self, number: u32, fault: Fault) {
        self.end_step(
            number,
            StepEnd::Failed {
                causes: vec![fault],
            },
        );
    }

    /// Ends a step, and has those looked at that wait for it.
    pub(super) fn end_step(&mut self, number: u32, end: StepEnd) {
        let (is_ok, is_harmless) = (end.is_ok(), end.is_harmless());
        let Some(slot) = self.slots.get_mut(number as usize) else {
            return;
        };
        if slot.has_ended() {
            return;
        }
        slot.state = State::Ended(end);
        if slot.attempts == 0 {
            self.commands.push_back(Command::Passed { step: number });
        }
        self.open = self.open.saturating_sub(1);
        let waited_for_by = std::mem::take(&mut slot.waited_for_by);
        if waited_for_by.is_empty() && !is_harmless {
            self.is_doomed = true;
        }
        for other in &waited_for_by {
            if let Some(slot) = self.slots.get_mut(*other as usize) {
                slot.waiting = slot.waiting.saturating_sub(1);
                slot.ok += u32::from(is_ok);
                let is_waiting = matches!(slot.state, State::Waiting);
                if is_waiting && (slot.has_enough() || slot.has_too_few()) {
                    self.unsettled.push(Reverse(*other));
                }
            }
        }
        if let Some(slot) = self.slots.get_mut(number as usize) {
            slot.waited_for_by = waited_for_by;
        }
    }
}

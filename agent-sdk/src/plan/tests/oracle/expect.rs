//! What must come of a plan that is as wide as there is to do: worked out step by step from what those before it came to.

use serde_json::Value;

use super::{
    draft::{Draft, Part, Sketch, When},
    world::{SECOND, World},
};
use crate::plan::{End, Ended, Join, SkipReason, Task};

/// What must come of a step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fate {
    /// When it ends.
    pub(crate) at: u64,
    pub(crate) kind: Kind,
    /// Tries that were begun.
    pub(crate) attempts: u32,
    /// What went wrong, and when.
    noted: Vec<(u64, Cause)>,
    /// What it would try if nothing came between.
    tries: Vec<Try>,
    /// When elements were lost.
    lost: Vec<u64>,
    is_list: bool,
    elements: usize,
    needed: usize,
}

/// The element, the choice, the try and the class.
pub(crate) type Cause = (Option<u32>, u32, u32, String);

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Ok {
        output: Value,
        fallback: u32,
    },
    Failed,
    TimedOut,
    Cancelled,
    Skipped {
        because: SkipReason,
        is_harmless: bool,
    },
}

impl Kind {
    fn is_harmless(&self) -> bool {
        matches!(
            self,
            Self::Ok { .. }
                | Self::Skipped {
                    is_harmless: true,
                    ..
                }
        )
    }

    fn status(&self) -> &'static str {
        match self {
            Self::Ok { .. } => "ok",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Skipped { .. } => "skipped",
        }
    }
}

/// A try of one element.
#[derive(Clone, Debug, PartialEq)]
struct Try {
    task: Task,
    from: u64,
    to: u64,
    ended: Ended,
}

/// What must come of a plan.
#[derive(Debug)]
pub(crate) struct Fates {
    pub(crate) steps: Vec<Fate>,
    pub(crate) end: End,
    /// When it is over.
    pub(crate) at: u64,
    /// The numbers of the steps that nothing waits for.
    pub(crate) last: Vec<usize>,
}

pub(crate) fn fates(sketch: &Sketch) -> Fates {
    let mut steps: Vec<Fate> = Vec::new();
    for (number, draft) in sketch.steps.iter().enumerate() {
        let fate = Eval {
            world: sketch.world,
            number,
            draft,
            before: &steps,
        };
        steps.push(fate.fate());
    }
    let all = sketch.steps.iter().enumerate();
    let waited: Vec<_> = all
        .flat_map(|(number, draft)| draft.waits_for(number))
        .collect();
    let last: Vec<usize> = (0..steps.len()).filter(|n| !waited.contains(n)).collect();
    let worst = last.iter().filter(|n| !steps[**n].kind.is_harmless());
    let first_lost = worst.map(|n| steps[*n].at).min();
    let mut early = Vec::new();
    early.extend(sketch.timeout().map(|at| (at, End::TimedOut)));
    early.extend(sketch.stop().map(|at| (at, End::Cancelled)));
    if sketch.stops {
        early.extend(first_lost.map(|at| (at, End::Failed)));
    }
    let over = steps.iter().map(|step| step.at).max().unwrap();
    early.retain(|(at, _)| *at < over);
    let mut end = if first_lost.is_some() {
        End::Failed
    } else {
        End::Ok
    };
    if let Some((at, because)) = early.into_iter().min_by_key(|(at, _)| *at) {
        end = because;
        for (number, step) in steps.iter_mut().enumerate() {
            let deadline = sketch.world.time_of(number, &sketch.steps[number]);
            step.stop(at, deadline, sketch.world);
        }
    }
    let at = steps.iter().map(|step| step.at).max().unwrap();
    Fates {
        steps,
        end,
        at,
        last,
    }
}

struct Eval<'a> {
    world: World,
    number: usize,
    draft: &'a Draft,
    before: &'a [Fate],
}

impl Eval<'_> {
    fn fate(&self) -> Fate {
        let waits_for: Vec<usize> = self.draft.waits_for(self.number).into_iter().collect();
        let needed = match self.draft.join(self.number) {
            Join::All => waits_for.len(),
            Join::Any => 1,
            Join::Quorum(n) => n.get() as usize,
        };
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for number in &waits_for {
            let fate = &self.before[*number];
            let list = if matches!(fate.kind, Kind::Ok { .. }) {
                &mut good
            } else {
                &mut bad
            };
            list.push((fate.at, *number));
        }
        good.sort_unstable();
        bad.sort_unstable();
        if good.len() < needed {
            let (at, _) = bad[waits_for.len() - needed];
            return self.in_vain(at, &bad);
        }
        let turn = if needed == 0 { 0 } else { good[needed - 1].0 };
        if let Some((other, when)) = self.draft.when(self.number) {
            let other = &self.before[other];
            let status = if other.at <= turn {
                other.kind.status()
            } else {
                "open"
            };
            let holds = match when {
                When::Ok => Some(status == "ok"),
                When::NotOk => Some(status != "ok"),
                When::Large => match &other.kind {
                    Kind::Ok { output, .. } if other.at <= turn => {
                        output.get("n").and_then(Value::as_u64).map(|n| n >= 50)
                    }
                    _ => None,
                },
            };
            match holds {
                Some(true) => {}
                Some(false) => {
                    let because = SkipReason::Condition;
                    let is_harmless = true;
                    return Fate::plain(
                        turn,
                        Kind::Skipped {
                            because,
                            is_harmless,
                        },
                    );
                }
                None => return Fate::refused(turn, "condition"),
            }
        }
        if !self.draft.asks {
            return self.active(turn, turn);
        }
        let (time, is_allowed) = self.world.decides(self.number as u64);
        if is_allowed {
            self.active(turn + time, turn)
        } else {
            Fate::refused(turn + time, "rejected")
        }
    }

    /// Too few of those that it waits for succeeded.
    fn in_vain(&self, at: u64, bad: &[(u64, usize)]) -> Fate {
        let mut known: Vec<usize> = bad
            .iter()
            .filter(|bad| bad.0 <= at)
            .map(|bad| bad.1)
            .collect();
        known.sort_unstable();
        let harmful = known.iter().find(|n| !self.before[**n].kind.is_harmless());
        let named = harmful.unwrap_or(&known[0]);
        Fate::plain(
            at,
            Kind::Skipped {
                because: SkipReason::Step(format!("s{named}").into()),
                is_harmless: harmful.is_none(),
            },
        )
    }

    /// What a step had given at that moment.
    fn seen(&self, step: usize, at: u64) -> Option<&Value> {
        match &self.before[step] {
            Fate {
                at: ended,
                kind: Kind::Ok { output, .. },
                ..
            } if *ended <= at => Some(output),
            _ => None,
        }
    }

    fn is_there(&self, (step, part): (usize, Part), at: u64) -> bool {
        self.seen(step, at)
            .is_none_or(|output| part.of(output).is_some())
    }

    /// Whether what a choice is given is there.
    fn has_input(&self, choice: u32, element: Option<&Value>, at: u64) -> bool {
        let own = (choice as usize).checked_sub(1);
        if let Some(own) = own.and_then(|own| self.draft.fallback(self.number)[own]) {
            return self.is_there(own, at);
        }
        let uses = self.draft.uses(self.number);
        let element =
            element.is_none_or(|element| !self.draft.is_picky() || element.get("n").is_some());
        element && uses.into_iter().all(|part| self.is_there(part, at))
    }

    /// What comes of it when it may begin, with what was there when its turn came.
    fn active(&self, at: u64, turn: u64) -> Fate {
        let over = match self.draft.over(self.number) {
            None => None,
            Some(Ok(list)) => Some(list),
            Some(Err((step, part))) => {
                match self.seen(step, turn).and_then(|output| part.of(output)) {
                    Some(Value::Array(list)) => Some(list.clone()),
                    _ => return Fate::refused(at, "input"),
                }
            }
        };
        let all = over.as_ref().map_or(1, Vec::len);
        let needed = match (&over, self.draft.map_join(self.number)) {
            (None, _) => 1,
            (Some(_), Join::All) => all,
            (Some(_), Join::Any) => all.min(1),
            (Some(_), Join::Quorum(n)) => n.get() as usize,
        };
        if needed > all {
            return Fate::refused(at, "input");
        }
        if all == 0 {
            let output = Value::Array(Vec::new());
            return Fate::plain(
                at,
                Kind::Ok {
                    output,
                    fallback: 0,
                },
            );
        }
        let mut fate = self.elements((at, turn), over.as_deref(), all, needed);
        if let Some(time) = self.world.time_of(self.number, self.draft)
            && let Some(first) = fate.tries.iter().map(|one| one.from).min()
            && first < fate.at
            && first + time < fate.at
        {
            fate.at = first + time;
            fate.kind = Kind::TimedOut;
        }
        fate.close();
        fate
    }

    /// Its elements, of which each begins as soon as there is room in the window.
    fn elements(
        &self,
        (at, turn): (u64, u64),
        over: Option<&[Value]>,
        all: usize,
        needed: usize,
    ) -> Fate {
        let window = over
            .and(self.draft.window)
            .map_or(all, |window| window as usize);
        let mut fate = Fate::plain(at, Kind::Failed);
        (fate.is_list, fate.elements, fate.needed) = (over.is_some(), all, needed);
        let (mut now, mut next, mut lost) = (at, 0, 0);
        let mut running: Vec<(u64, usize, bool)> = Vec::new();
        loop {
            while next < all && running.len() < window {
                let item = over.map(|_| u32::try_from(next).unwrap());
                let element = over.map(|over| &over[next]);
                match self.element(now, turn, item, element, &mut fate) {
                    (end, is_ok) if end == now => {
                        assert!(!is_ok);
                        lost += 1;
                    }
                    (end, is_ok) => running.push((end, next, is_ok)),
                }
                next += 1;
            }
            fate.at = now;
            if all - lost < needed {
                break;
            }
            running.sort_by_key(|(end, item, _)| (*end, *item));
            if running.is_empty() {
                fate.kind = fate.given(now);
                break;
            }
            let (end, _, is_ok) = running.remove(0);
            now = end;
            lost += usize::from(!is_ok);
            fate.at = now;
            if all - lost < needed {
                break;
            }
        }
        fate
    }

    /// One element: its tries, its fallbacks, when it is over and whether it succeeds.
    fn element(
        &self,
        from: u64,
        turn: u64,
        item: Option<u32>,
        element: Option<&Value>,
        fate: &mut Fate,
    ) -> (u64, bool) {
        let choices = u32::try_from(self.draft.fallback(self.number).len()).unwrap();
        let mut now = from;
        for choice in 0..=choices {
            if !self.has_input(choice, element, turn) {
                fate.note(now, (item, choice, 1, "input".to_owned()));
                continue;
            }
            let mut attempt = 1;
            loop {
                let step = u32::try_from(self.number).unwrap();
                let task = Task {
                    step,
                    round: 0,
                    item,
                    choice,
                    attempt,
                };
                let (time, ended) = self.world.does(task);
                let (start, end) = (now, now + time);
                now = end;
                let again = match &ended {
                    Ended::Ok { .. } => {
                        fate.tries.push(Try {
                            task,
                            from: start,
                            to: end,
                            ended,
                        });
                        return (now, true);
                    }
                    Ended::Cancelled => {
                        fate.note(now, (item, choice, attempt, "cancelled".to_owned()));
                        fate.tries.push(Try {
                            task,
                            from: start,
                            to: end,
                            ended,
                        });
                        fate.lost.push(now);
                        return (now, false);
                    }
                    Ended::Failed { fault } => {
                        fate.note(now, (item, choice, attempt, fault.class.to_string()));
                        let is_meant = match self.draft.only {
                            None => fault.may_pass,
                            Some(refused) => (&*fault.class == "refused") == refused,
                        };
                        is_meant && choice == 0 && attempt < self.draft.attempts
                    }
                };
                fate.tries.push(Try {
                    task,
                    from: start,
                    to: end,
                    ended,
                });
                if !again {
                    break;
                }
                let grown = if self.draft.doubles {
                    1 << (attempt - 1)
                } else {
                    1
                };
                now += u64::from(self.draft.wait) * (SECOND / 4) * grown;
                attempt += 1;
            }
        }
        fate.lost.push(now);
        (now, false)
    }
}

impl Fate {
    fn plain(at: u64, kind: Kind) -> Self {
        Self {
            at,
            kind,
            attempts: 0,
            noted: Vec::new(),
            tries: Vec::new(),
            lost: Vec::new(),
            is_list: false,
            elements: 0,
            needed: 0,
        }
    }

    fn refused(at: u64, class: &str) -> Self {
        let mut fate = Self::plain(at, Kind::Failed);
        fate.note(at, (None, 0, 1, class.to_owned()));
        fate
    }

    fn note(&mut self, at: u64, cause: Cause) {
        self.noted.push((at, cause));
    }

    /// What went wrong, in order.
    pub(crate) fn causes(&self) -> Vec<Cause> {
        let mut known: Vec<_> = self
            .noted
            .iter()
            .filter(|noted| noted.0 <= self.at)
            .collect();
        known.sort_by_key(|noted| noted.0);
        known.into_iter().map(|noted| noted.1.clone()).collect()
    }

    /// Counts what was begun before its end.
    fn close(&mut self) {
        let begun = self.tries.iter().filter(|one| one.from < self.at);
        self.attempts = u32::try_from(begun.count()).unwrap();
    }

    /// What was given until then.
    fn given(&self, until: u64) -> Kind {
        let mut values = vec![Value::Null; self.elements];
        let mut highest = 0;
        for one in self.tries.iter().filter(|one| one.to <= until) {
            if let Ended::Ok { output } = &one.ended {
                values[one.task.item.unwrap_or_default() as usize] = output.clone();
                highest = highest.max(one.task.choice);
            }
        }
        let output = if self.is_list {
            Value::Array(values)
        } else {
            values.remove(0)
        };
        Kind::Ok {
            output,
            fallback: highest,
        }
    }

    /// The plan early at this moment.
    fn stop(&mut self, stop: u64, time: Option<u64>, world: World) {
        if self.at <= stop {
            return;
        }
        self.tries.retain(|one| one.from < stop);
        let Some(first) = self.tries.iter().map(|one| one.from).min() else {
            let because = SkipReason::Stopped;
            let is_harmless = false;
            *self = Self::plain(
                stop,
                Kind::Skipped {
                    because,
                    is_harmless,
                },
            );
            return;
        };
        self.noted.retain(|noted| noted.0 <= stop);
        self.lost.retain(|at| *at <= stop);
        let mut lost = self.lost.len();
        for one in &mut self.tries {
            if one.to <= stop {
                continue;
            }
            if let Some(grace) = world.obeys(one.task).filter(|grace| stop + grace < one.to) {
                (one.to, one.ended) = (stop + grace, Ended::Cancelled);
            }
        }
        self.tries.sort_by_key(|one| one.to);
        let ended = self.tries.iter().filter(|one| one.to <= stop);
        let mut ok = ended
            .filter(|one| matches!(one.ended, Ended::Ok { .. }))
            .count();
        (self.at, self.kind) = (stop, Kind::Cancelled);
        let late: Vec<Try> = self
            .tries
            .iter()
            .filter(|one| one.to > stop)
            .cloned()
            .collect();
        for (number, one) in late.iter().enumerate() {
            if let Some(time) = time.filter(|time| first + time < one.to) {
                (self.at, self.kind) = (first + time, Kind::TimedOut);
                break;
            }
            self.at = one.to;
            let class = match &one.ended {
                Ended::Ok { .. } => None,
                Ended::Failed { fault } => Some(&*fault.class),
                Ended::Cancelled => Some("cancelled"),
            };
            let Task {
                item,
                choice,
                attempt,
                ..
            } = one.task;
            match class {
                None => ok += 1,
                Some(class) => {
                    lost += 1;
                    self.note(one.to, (item, choice, attempt, class.to_owned()));
                }
            }
            let still = self.elements - ok - lost;
            if still == 0 && ok >= self.needed {
                self.kind = self.given(one.to);
                break;
            }
            if ok + still < self.needed {
                // What failed by itself has failed, what did as it was told was cancelled.
                self.kind = match class {
                    Some("cancelled") => Kind::Cancelled,
                    _ => Kind::Failed,
                };
                break;
            }
            if number + 1 == late.len() {
                self.kind = Kind::Cancelled;
            }
        }
        self.attempts = u32::try_from(self.tries.len()).unwrap();
    }
}

//! What a plan does.

use std::time::Duration;

use serde_json::{Value, json};

use super::hand::{Hand, plan, step};
use crate::plan::{
    Change, Command, End, Ended, FailurePolicy, Fault, Input, Join, Machine, Map, Open, Params,
    Plan, Retry, Work,
};

fn diamond() -> Plan {
    plan([
        step("top"),
        step("left").after(["top"]),
        step("right").after(["top"]),
        step("bottom").input(json!({"left": "${steps.left}", "right": "${steps.right}"})),
    ])
}

#[test]
fn steps_begin_as_soon_as_what_they_wait_for_is_there() {
    let mut hand = Hand::of(&diamond());
    assert_eq!(hand.said(), ["start top"]);
    hand.ok("top");
    assert_eq!(hand.said(), ["start left", "start right"]);
    hand.ok("right");
    assert!(hand.said().is_empty());
    hand.ok("left");
    assert_eq!(hand.said(), ["start bottom"]);
    assert_eq!(
        *hand.input("bottom"),
        json!({"left": "left is done", "right": "right is done"})
    );
    hand.ok("bottom");
    assert_eq!(hand.said(), ["finish ok"]);
    assert_eq!(hand.machine.output().unwrap(), json!("bottom is done"));
}

#[test]
fn p5_what_waits_for_a_failed_step_is_skipped_and_its_siblings_finish() {
    let mut hand = Hand::of(&diamond());
    hand.ok("top");
    hand.fail("left");
    assert_eq!(
        hand.said(),
        ["start top", "start left", "start right", "passed bottom"]
    );
    hand.ok("right");
    assert_eq!(hand.said(), ["finish failed"]);
    let ends: Vec<_> = hand.ends().into_iter().collect();
    let expected = [
        ("bottom", "skipped"),
        ("left", "failed"),
        ("right", "ok"),
        ("top", "ok"),
    ];
    assert_eq!(ends, expected.map(|(id, end)| (id.to_owned(), end)));
}

#[test]
fn a_plan_that_stops_at_a_failure_tells_what_runs_and_begins_nothing_more() {
    let steps = [step("a"), step("b"), step("c").after(["b"])];
    let stop = Plan::builder("test")
        .steps(steps)
        .on_failure(FailurePolicy::Stop);
    let mut hand = Hand::of(&stop.build().unwrap());
    hand.fail("a");
    assert_eq!(
        hand.said(),
        ["start a", "start b", "interrupt b", "passed c"]
    );
    hand.end("b", Ended::Cancelled);
    assert_eq!(hand.said(), ["finish failed"]);
    assert_eq!(hand.ends()["b"], "cancelled");
}

#[test]
fn one_that_can_do_without_a_failed_step_does_not_stop_the_plan() {
    let steps = [
        step("a"),
        step("b"),
        step("join")
            .after(["a", "b"])
            .join(Join::Any)
            .input("${steps.a}|${steps.b}"),
    ];
    let stop = Plan::builder("test")
        .steps(steps)
        .on_failure(FailurePolicy::Stop);
    let mut hand = Hand::of(&stop.build().unwrap());
    hand.fail("a");
    hand.ok("b");
    assert_eq!(*hand.input("join"), json!("null|b is done"));
    hand.ok("join");
    assert_eq!(hand.machine.over(), Some(End::Ok));
}

#[test]
fn a_failed_step_is_tried_again_after_its_wait_and_then_its_fallbacks_run_in_order() {
    let mut hand = Hand::of(&plan([step("a")
        .retry(Retry::attempts(2).with_jitter(0.0))
        .fallback(Work::function("second"))
        .fallback_with(Work::function("third"), "other")]));
    hand.fail("a");
    assert_eq!(hand.timers[0].1, Duration::from_secs(1));
    hand.ring();
    hand.fail("a try 2");
    hand.fail("a fallback 1");
    assert_eq!(*hand.input("a fallback 2"), json!("other"));
    hand.fail("a fallback 2");
    let said = hand.said();
    assert_eq!(
        said,
        [
            "start a",
            "start a try 2",
            "start a fallback 1",
            "start a fallback 2",
            "finish failed"
        ]
    );
    let causes: Vec<_> = hand
        .machine
        .end(0)
        .unwrap()
        .causes()
        .iter()
        .map(ToString::to_string)
        .collect();
    let expected = [
        "try 1: broken: a broke",
        "try 2: broken: a try 2 broke",
        "fallback 1: broken: a fallback 1 broke",
        "fallback 2: broken: a fallback 2 broke",
    ];
    assert_eq!(causes, expected);
}

#[test]
fn a_condition_skips_a_step_harmlessly_and_what_waits_for_it_with_it() {
    let steps = [
        step("score"),
        step("good").when("steps.score.points >= 5"),
        step("bad").when("steps.score.points < 5"),
        step("after").after(["bad"]),
        step("end").after(["good", "bad"]).join(Join::Any),
    ];
    let mut hand = Hand::of(&plan(steps));
    hand.end(
        "score",
        Ended::Ok {
            output: json!({"points": 7}),
        },
    );
    assert_eq!(
        hand.said(),
        ["start score", "passed bad", "passed after", "start good"]
    );
    hand.ok("good");
    hand.ok("end");
    assert_eq!(hand.machine.over(), Some(End::Ok));
}

#[test]
fn a_list_is_worked_through_in_a_window_and_gives_its_results_in_order() {
    let map = Map {
        concurrency: std::num::NonZeroU32::new(2),
        ..Map::over("${params.list}")
    };
    let each = step("each").map(map).input("${index}:${item}");
    let list = Plan::builder("test")
        .param("list", crate::plan::Param::new())
        .step(each)
        .build()
        .unwrap();
    let mut hand = Hand::with(&list, &[("list", json!(["x", "y", "z"]))]);
    assert_eq!(hand.said(), ["start each[0]", "start each[1]"]);
    assert_eq!(*hand.input("each[1]"), json!("1:y"));
    hand.ok("each[1]");
    assert_eq!(hand.said(), ["start each[2]"]);
    hand.ok("each[2]");
    hand.ok("each[0]");
    assert_eq!(
        hand.machine.output().unwrap(),
        json!(["each[0] is done", "each[1] is done", "each[2] is done"])
    );
}

#[test]
fn a_step_whose_time_is_up_is_dropped_and_its_late_end_is_no_more_than_room() {
    let mut hand = Hand::of(
        &Plan::builder("test")
            .sequential()
            .step(step("slow").timeout(Duration::from_secs(3)))
            .step(step("next"))
            .build()
            .unwrap(),
    );
    assert_eq!(hand.timers[0].1, Duration::from_secs(3));
    hand.ring();
    assert_eq!(hand.said(), ["start slow", "drop slow"]);
    hand.ok("slow");
    assert_eq!(hand.said(), ["start next"]);
    hand.ok("next");
    assert_eq!(hand.ends()["slow"], "timed_out");
    assert_eq!(hand.said(), ["finish failed"]);
}

#[test]
fn a_stopped_plan_keeps_what_ends_well_in_its_grace() {
    let mut hand = Hand::of(&plan([step("a"), step("b"), step("c").after(["a"])]));
    hand.say(Input::Stop);
    assert_eq!(
        hand.said(),
        [
            "start a",
            "start b",
            "interrupt a",
            "interrupt b",
            "passed c"
        ]
    );
    hand.ok("a");
    hand.end("b", Ended::Cancelled);
    assert_eq!(hand.said(), ["finish cancelled"]);
    let ends: Vec<_> = hand.ends().into_values().collect();
    assert_eq!(ends, ["ok", "cancelled", "skipped"]);
}

#[test]
fn steps_are_added_changed_and_taken_out_while_others_run() {
    let mut hand = Hand::of(&plan([
        step("a"),
        step("b").after(["a"]),
        step("c").after(["b"]),
    ]));
    let add = |builder: crate::plan::StepBuilder| Change::Add {
        step: Box::new(builder.into()),
    };
    hand.change(&add(step("beside"))).unwrap();
    hand.change(&add(step("behind").after(["c"]))).unwrap();
    let wrong = hand
        .change(&add(step("lost").after(["nobody"])))
        .unwrap_err();
    assert_eq!(
        wrong,
        "the plan is wrong: steps[5].depends_on[0]: there is no step `nobody`"
    );
    let wrong = hand.change(&Change::Remove { id: "c".into() }).unwrap_err();
    assert_eq!(
        wrong,
        "the plan is wrong: steps[3].depends_on[0]: there is no step `c`"
    );
    hand.change(&Change::Modify {
        step: Box::new(step("c").after(["a"]).input("new").into()),
    })
    .unwrap();
    let wrong = hand.change(&Change::Remove { id: "a".into() }).unwrap_err();
    assert_eq!(
        wrong,
        "the plan is wrong: step `a` cannot be removed: it has begun"
    );
    assert_eq!(hand.said(), ["start a", "start beside"]);
    hand.ok("a");
    assert_eq!(hand.said(), ["start b", "start c"]);
    hand.change(&Change::Skip { id: "b".into() }).unwrap();
    assert_eq!(hand.said(), ["drop b"]);
    hand.end("b", Ended::Cancelled);
    hand.ok("c");
    hand.change(&Change::Remove {
        id: "behind".into(),
    })
    .unwrap_err();
    hand.ok("behind");
    hand.ok("beside");
    assert_eq!(hand.said(), ["start behind", "finish ok"]);
}

#[test]
fn a_failed_step_is_retried_with_all_that_was_skipped_for_it_also_when_the_plan_is_over() {
    let mut hand = Hand::of(&diamond());
    hand.ok("top");
    hand.fail("left");
    hand.ok("right");
    assert_eq!(hand.machine.over(), Some(End::Failed));
    hand.said();
    hand.change(&Change::Retry { id: "left".into() }).unwrap();
    assert_eq!(hand.said(), ["start left"]);
    hand.ok("left");
    hand.ok("bottom");
    assert_eq!(hand.said(), ["start bottom", "finish ok"]);
    hand.change(&Change::Restart { id: "right".into() })
        .unwrap();
    hand.ok("right");
    hand.ok("bottom");
    assert_eq!(hand.said(), ["start right", "start bottom", "finish ok"]);
}

#[test]
fn a_paused_plan_begins_nothing_until_it_is_resumed() {
    let mut hand = Hand::of(&plan([step("a"), step("b").after(["a"])]));
    hand.change(&Change::Pause).unwrap();
    hand.ok("a");
    assert_eq!(hand.said(), ["start a"]);
    hand.change(&Change::Resume).unwrap();
    assert_eq!(hand.said(), ["start b"]);
}

#[test]
fn what_is_decided_about_an_earlier_version_of_a_step_does_not_count() {
    let mut hand = Hand::of(&plan([step("a").approval("may it?")]));
    let other = Box::new(step("a").approval("may it with another?").into());
    hand.change(&Change::Modify { step: other }).unwrap();
    assert_eq!(hand.said(), ["ask a", "ask a"]);
    let decided = |round| Input::Decided {
        step: 0,
        round,
        allowed: true,
        reason: None,
    };
    assert!(!hand.say(decided(0)));
    assert!(hand.say(decided(1)));
    assert_eq!(hand.said(), ["start a"]);
}

#[test]
fn a_person_is_asked_and_a_step_that_is_not_allowed_fails() {
    let mut hand = Hand::of(&plan([
        step("a").approval("may it?"),
        step("b").approval("and this?"),
    ]));
    assert_eq!(hand.said(), ["ask a", "ask b"]);
    assert!(hand.say(Input::Decided {
        step: 0,
        round: 0,
        allowed: true,
        reason: None
    }));
    assert!(hand.say(Input::Decided {
        step: 1,
        round: 0,
        allowed: false,
        reason: Some("no".to_owned())
    }));
    assert!(!hand.say(Input::Decided {
        step: 1,
        round: 0,
        allowed: true,
        reason: None
    }));
    assert_eq!(hand.said(), ["start a", "passed b"]);
    assert_eq!(
        hand.machine.end(1).unwrap().causes()[0].to_string(),
        "try 1: rejected: a person did not allow this step: no"
    );
}

#[test]
fn priority_decides_between_steps_that_could_begin_and_the_plan_s_order_where_it_does_not() {
    let mut hand = Hand::of(
        &Plan::builder("test")
            .sequential()
            .steps([
                step("a"),
                step("b").priority(2),
                step("c").priority(2),
                step("d").priority(-1),
            ])
            .build()
            .unwrap(),
    );
    for name in ["b", "c", "a", "d"] {
        hand.ok(name);
    }
    assert_eq!(
        hand.said(),
        ["start b", "start c", "start a", "start d", "finish ok"]
    );
}

#[test]
fn the_same_inputs_bring_another_machine_to_the_same_place() {
    let retried = step("a").retry(Retry::attempts(3));
    let whole = plan([retried, step("b").after(["a"]), step("c")]);
    let mut hand = Hand::of(&whole);
    let mut told = Vec::new();
    let tasks = |hand: &Hand| {
        hand.running
            .iter()
            .map(|(task, _)| *task)
            .collect::<Vec<_>>()
    };
    let fault = Fault::new("broken", "it broke").passing();
    let task = tasks(&hand)[0];
    told.push(Input::Ended {
        task,
        ended: Ended::Failed { fault },
    });
    hand.fail("a");
    let wait = hand.timers[0].1;
    assert!(
        wait > Duration::from_millis(500) && wait <= Duration::from_secs(1),
        "{wait:?}"
    );
    hand.ring();
    let task = tasks(&hand)[1];
    told.push(Input::Ended {
        task,
        ended: Ended::Ok {
            output: json!("a try 2 is done"),
        },
    });
    hand.ok("a try 2");

    let mut other = Machine::new(&whole, &Open, &Params::new(), 7).unwrap();
    for input in told {
        assert!(other.apply(input));
    }
    other.go_on();
    let mut commands = Vec::new();
    while let Some(command) = other.command() {
        if let Command::Start { task, .. } = command {
            commands.push(other.step(task.step).unwrap().id.to_string());
        }
    }
    assert_eq!(commands, ["b", "c"]);
}

#[test]
fn p2_a_chain_and_a_fan_of_100_000_steps_overflow_nothing() {
    const MANY: usize = 100_000;
    let chain = (0..MANY).map(|n| {
        let it = step(&format!("s{n}"));
        if n == 0 {
            it
        } else {
            it.after([format!("s{}", n - 1)])
        }
    });
    let mut machine = Machine::new(&plan(chain), &Open, &Params::new(), 0).unwrap();
    let mut first = true;
    while let Some(command) = machine.command() {
        if let Command::Start { task, .. } = command {
            assert!(std::mem::take(&mut first));
            let fault = Fault::new("broken", "");
            machine.apply(Input::Ended {
                task,
                ended: Ended::Failed { fault },
            });
        }
    }
    assert_eq!(machine.over(), Some(End::Failed));
    let fan = (0..MANY).map(|n| step(&format!("s{n}")));
    let join = step("join").after((0..MANY).map(|n| format!("s{n}")));
    let mut machine = Machine::new(&plan(fan.chain([join])), &Open, &Params::new(), 0).unwrap();
    let mut begun = 0;
    while let Some(command) = machine.command() {
        if let Command::Start { task, .. } = command {
            begun += 1;
            machine.apply(Input::Ended {
                task,
                ended: Ended::Ok {
                    output: Value::Null,
                },
            });
        }
    }
    assert_eq!((begun, machine.over()), (MANY + 1, Some(End::Ok)));
}

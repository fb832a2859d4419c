//! Whatever a model answers, it is a plan that can be run or a refusal of bounded length.

use std::num::NonZeroU32;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{registry, report};
use crate::plan::planner::draft;

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,300}".prop_map(Value::from),
        prop_oneof![
            Just("${steps.news}"),
            Just("${steps.write/x}"),
            Just("${item}"),
            Just("$${x}"),
            Just("${"),
            Just("writer"),
            Just("search"),
            Just("\u{1b}[2J\u{202e}"),
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z\\x1b]{0,8}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// A place in a plan.
fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "name",
        "steps",
        "id",
        "description",
        "agent",
        "tool",
        "function",
        "action",
        "input",
        "depends_on",
        "when",
        "map",
        "retry",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn an_answer_is_a_plan_that_can_be_run_or_is_refused_in_few_words(
        changes in prop::collection::vec((prop::option::of(0_usize..5), key(), json()), 1..4),
    ) {
        let mut answer = report();
        for (step, key, value) in changes {
            let place = match step {
                Some(step) => answer.get_mut("steps").and_then(|steps| steps.get_mut(step)),
                None => Some(&mut answer),
            };
            if let Some(object) = place.and_then(Value::as_object_mut) {
                object.insert(key.to_owned(), value);
            }
        }
        let (registry, most) = (registry(), NonZeroU32::new(24).unwrap());
        match draft::read(&answer.to_string(), most, &registry) {
            Ok((plan, _)) => {
                prop_assert!(plan.check(&registry).is_ok());
                prop_assert!(plan.steps.len() <= 24);
            }
            Err(wrong) => {
                prop_assert!((1..=64).contains(&wrong.problems().len()));
                let words = wrong.to_string();
                prop_assert!(words.len() < 64 * 2_500, "{} bytes", words.len());
                prop_assert!(!words.contains(|c| c != '\n' && crate::text::is_control(c)));
            }
        }
    }
}

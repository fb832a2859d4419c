//! Plans as drawings.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use crate::{
    plan::{Join, Map, Plan, Retry, Step, Work},
    text::{is_control, is_invisible},
};

/// The plans whose drawings are kept, and each with its three drawings.
const GOLDEN: [[&str; 4]; 3] = [
    [
        include_str!("drawings/diamond.toml"),
        include_str!("drawings/diamond.txt"),
        include_str!("drawings/diamond.mmd"),
        include_str!("drawings/diamond.svg"),
    ],
    [
        include_str!("drawings/nested.toml"),
        include_str!("drawings/nested.txt"),
        include_str!("drawings/nested.mmd"),
        include_str!("drawings/nested.svg"),
    ],
    [
        include_str!("drawings/marks.toml"),
        include_str!("drawings/marks.txt"),
        include_str!("drawings/marks.mmd"),
        include_str!("drawings/marks.svg"),
    ],
];

#[test]
fn drawings_are_as_they_were() {
    for [toml, text, mermaid, svg] in GOLDEN {
        let plan = Plan::from_toml(toml).unwrap();
        plan.check(&crate::plan::Open).unwrap();
        // A change that is meant: `agent plan show FILE.toml -o FILE.svg`, and look at it.
        assert_eq!(plan.to_text(), text);
        assert_eq!(plan.to_mermaid(), mermaid);
        assert_eq!(plan.to_svg(), svg);
    }
}

#[test]
fn a_step_is_in_the_layer_behind_the_last_that_it_waits_for() {
    let plan = Plan::builder("p")
        .step(Step::tool("d", "t").after(["a", "c"]))
        .step(Step::tool("a", "t"))
        .step(Step::tool("c", "t").after(["b"]))
        .step(Step::tool("b", "t"))
        .step(Step::tool("e", "t").after(["a"]))
        .build()
        .unwrap();
    let layers = plan.layers();
    let ids: Vec<Vec<&str>> = layers
        .iter()
        .map(|layer| layer.iter().map(|step| &*step.id).collect())
        .collect();
    assert_eq!(ids, [vec!["a", "b"], vec!["c", "e"], vec!["d"]]);
}

#[test]
fn a_plan_that_is_wrong_is_drawn_as_far_as_it_goes() {
    let plan = Plan::from_toml(
        r#"
name = ""
steps = [
  { id = "a", tool = "t", depends_on = ["b", "nobody"] },
  { id = "b", tool = "t", depends_on = ["a"] },
  { id = "c", tool = "t" },
  { id = "c", tool = "t" },
  { id = "d", tool = "t", depends_on = ["b"], when = "1 +" },
]
"#,
    )
    .unwrap();
    assert_eq!(
        plan.to_text(),
        "\
plan : 5 steps, 2 layers, width 3
├─ layer 1
│  ├─ c  tool t
│  └─ c  tool t
└─ layer 2
   ├─ a  tool t  ← b
   ├─ b  tool t  ← a
   └─ d  tool t  ← b  [when 1 +]
"
    );
    assert_eq!(plan.to_mermaid().matches("-->").count(), 3);
    assert_eq!(arrows(&plan.to_svg()), 3);
    let empty = Plan::from_toml("name = 'p'").unwrap();
    assert_eq!(empty.to_text(), "plan p: 0 steps, 0 layers, width 0\n");
    assert!(empty.to_svg().ends_with("</svg>\n"));
    assert!(empty.to_mermaid().ends_with("  end\n"));
}

/// Text that would break out of whatever it is put into; short enough to be shown whole, as a name is.
const HOSTILE: &str = "\x1b\u{202e}\u{feff}\u{fffe}\n</text><script>\"'`]])-->end%%#35;&lt;";

fn hostile() -> Plan {
    // A plan that nobody checked, in which even ids and names are hostile.
    let mut inner = Plan::builder("inner")
        .step(Step::agent("in", HOSTILE).description(HOSTILE))
        .build()
        .unwrap();
    inner.name = HOSTILE.into();
    let json = json!({
        "name": HOSTILE,
        "description": HOSTILE,
        "params": {HOSTILE: {}},
        "steps": [
            {"id": HOSTILE, "tool": HOSTILE, "action": HOSTILE, "approval": HOSTILE, "when": HOSTILE,
             "map": {"over": HOSTILE}, "fallback": [{"agent": HOSTILE, "action": HOSTILE}]},
            {"id": "two", "plan": inner, "description": HOSTILE, "depends_on": [HOSTILE]},
        ],
        "fallback": inner,
    });
    Plan::from_json(&json.to_string()).unwrap()
}

#[test]
fn c3_no_text_acts_on_whoever_looks_at_a_drawing() {
    let plan = hostile();
    for drawing in [plan.to_text(), plan.to_mermaid(), plan.to_svg()] {
        let acts = |c: char| (is_control(c) && c != '\n') || is_invisible(c);
        assert!(!drawing.contains(acts), "{drawing}");
        assert!(drawing.contains("202e"), "it is there to be seen");
    }
}

#[test]
fn no_text_ends_its_place_in_a_drawing() {
    let mut mild = hostile();
    let svg = mild.to_svg();
    let mermaid = mild.to_mermaid();
    // The same plan with other texts has the same structure.
    let json = serde_json::to_string(&mild).unwrap();
    let text = serde_json::to_string(HOSTILE).unwrap();
    mild = Plan::from_json(&json.replace(&text, "\"mild\"")).unwrap();
    assert_eq!(tags(&svg), tags(&mild.to_svg()));
    assert!(!svg.contains('\u{fffe}'));
    let shape = |chart: &str| -> Vec<String> {
        let lines = chart.lines();
        lines
            .map(|line| match line.split_once('"') {
                None => line.to_owned(),
                Some((before, label)) => {
                    let (label, after) = label.rsplit_once('"').unwrap();
                    let is_inert = |c: char| c.is_alphanumeric() || " -_.#;".contains(c);
                    let label = label.replace("<br/>", "");
                    assert!(label.chars().all(is_inert), "{label}");
                    format!("{before}{after}")
                }
            })
            .collect()
    };
    assert_eq!(shape(&mermaid), shape(&mild.to_mermaid()));
    assert_eq!(plan_lines(&hostile()), plan_lines(&mild));
}

fn plan_lines(plan: &Plan) -> usize {
    plan.to_text().lines().count()
}

/// The tags of a document, without what stands between them and in their coordinates.
fn tags(svg: &str) -> Vec<String> {
    let (_, body) = svg.split_once("</style>").unwrap();
    let tags = body.split('<').skip(1);
    tags.map(|tag| {
        let (inside, _) = tag.split_once('>').unwrap();
        let name = inside.split([' ', '/']).next().unwrap_or_default();
        let class = inside.split("class=\"").nth(1);
        let class = class.and_then(|class| class.split('"').next());
        format!("{name} {}", class.unwrap_or_default())
    })
    .collect()
}

fn arrows(svg: &str) -> usize {
    // One more is in the legend.
    svg.matches("class=\"arrow\"").count() - 1
}

#[test]
fn an_svg_has_nothing_from_elsewhere_and_no_script() {
    let svg = hostile().to_svg();
    assert_eq!(svg.matches("http").count(), 1, "its own namespace alone");
    let tags = svg.split('<').filter_map(|tag| tag.split_once('>'));
    for (tag, _) in tags {
        for name in ["script", "image", "foreignObject", "a ", "use"] {
            assert!(!tag.starts_with(name), "{tag}");
        }
        assert!(!tag.contains(" on") && !tag.contains("href"), "{tag}");
    }
    assert!(!svg.contains("@import"));
    assert_eq!(svg.matches("url(").count(), svg.matches("url(#").count());
    assert!(svg.contains("@media (prefers-color-scheme:dark)"));
}

#[test]
fn p2_drawings_of_large_plans_end() {
    const MANY: usize = 100_000;
    let mut chain = Plan::builder("chain").step(Step::tool("s0", "t"));
    for number in 1..MANY {
        let step = Step::tool(format!("s{number}"), "t").after([format!("s{}", number - 1)]);
        chain = chain.step(step);
    }
    let chain = chain.build().unwrap();
    assert_eq!(chain.layers().len(), MANY);
    assert_eq!(chain.to_text().lines().count(), 1 + MANY * 2);
    assert_eq!(chain.to_mermaid().matches("-->").count(), MANY - 1);
    let svg = chain.to_svg();
    assert_eq!((cards(&svg), arrows(&svg)), (2_000, 1_999));
    assert!(svg.contains("left out: 98000 steps and 0 arrows"));

    let ids = |many: usize| (0..many).map(|number| format!("s{number}"));
    let fan = Plan::builder("fan")
        .steps(ids(10_000).map(|id| Step::tool(id, "t")))
        .step(Step::tool("last", "t").after(ids(10_000)))
        .build()
        .unwrap();
    assert_eq!(cards(&fan.to_svg()), 2_000);

    // Everything waits for everything before it: the arrows alone would be millions of lengths.
    let all = Plan::builder("all")
        .steps((0..500).map(|number| Step::tool(format!("s{number}"), "t").after(ids(number))))
        .build()
        .unwrap();
    let svg = all.to_svg();
    assert_eq!(cards(&svg), 500);
    let drawn = arrows(&svg);
    assert!(svg.contains(&format!(
        "left out: 0 steps and {} arrows",
        500 * 499 / 2 - drawn
    )));
    assert!(svg.len() < 2_000_000, "{}", svg.len());
}

fn cards(svg: &str) -> usize {
    svg.matches("class=\"card\"").count()
}

#[test]
fn plans_that_are_too_deep_are_not_drawn_for_ever() {
    let mut plan = Plan::builder("p")
        .step(Step::tool("s", "t"))
        .build()
        .unwrap();
    for _ in 0..40 {
        let mut outer = Plan::builder("p")
            .step(Step::tool("s", "t"))
            .build()
            .unwrap();
        outer.steps[0].work = Work::Plan(Box::new(plan));
        plan = outer;
    }
    assert!(plan.to_text().contains("too deep"));
    assert!(plan.to_mermaid().contains("too deep"));
    assert!(plan.to_svg().contains("left out: 33 steps"));
}

#[test]
fn steps_are_ordered_so_that_arrows_do_not_cross() {
    let plan = Plan::builder("crossed")
        .steps(["a", "b", "c", "d"].map(|id| Step::tool(id, "t")))
        .steps(
            [("w", "d"), ("x", "c"), ("y", "b"), ("z", "a")]
                .map(|(id, after)| Step::tool(id, "t").after([after])),
        )
        .build()
        .unwrap();
    let svg = plan.to_svg();
    let y = |id: &str| -> i64 {
        let (before, _) = svg.split_once(&format!("<title>{id}\n")).unwrap();
        let place = before.rsplit("translate(").next().unwrap();
        let y = place.split([' ', ')']).nth(1).unwrap();
        y.parse().unwrap()
    };
    for (from, to) in [("a", "z"), ("b", "y"), ("c", "x"), ("d", "w")] {
        assert_eq!(y(from), y(to), "{from} and {to} face each other");
    }
}

/// A plan of some steps, each of which waits for some of those before it.
fn plans() -> impl Strategy<Value = Plan> {
    let step = (any::<u64>(), 0..6u8, any::<bool>());
    proptest::collection::vec(step, 1..24).prop_map(|steps| {
        let mut plan = Plan::builder("p");
        for (number, (edges, kind, has_fallback)) in steps.into_iter().enumerate() {
            let id = format!("id-{number}-");
            let before =
                (0..number).filter(|other| edges >> other & 1 == 1 && edges >> 32 & 1 == 0);
            let before: Vec<_> = before.map(|other| format!("id-{other}-")).collect();
            let inner = || {
                let steps = ["x", "y"].map(|other| Step::tool(format!("{id}{other}-"), "t"));
                Plan::builder("inner").steps(steps).build().unwrap()
            };
            let mut step = match kind {
                0 => Step::plan(&*id, inner()),
                1 => Step::agent(&*id, "a").map(Map::over(json!([1, 2]))),
                2 => Step::function(&*id, "f").retry(Retry::attempts(3)),
                _ => Step::tool(&*id, "t"),
            };
            if has_fallback {
                step = step.fallback(Work::agent("other"));
            }
            if kind == 3 && !before.is_empty() {
                step = step.join(Join::Any);
            }
            plan = plan.step(step.after(before));
        }
        plan.build().unwrap()
    })
}

fn ids(plan: &Plan) -> Vec<String> {
    let mut ids = Vec::new();
    for step in &plan.steps {
        ids.push(step.id.to_string());
        if let Work::Plan(inner) = &step.work {
            ids.extend(inner.steps.iter().map(|step| step.id.to_string()));
        }
    }
    ids
}

/// Who waits for whom, as the text says it.
fn edges_of_text(text: &str) -> BTreeSet<(String, String)> {
    let mut edges = BTreeSet::new();
    for line in text.lines() {
        let Some((before, after)) = line.split_once("  ← ") else {
            continue;
        };
        let id = before.trim_start_matches(['│', '├', '└', '─', ' ']);
        let id = id.split(' ').next().unwrap();
        let after = after.split("  [").next().unwrap();
        for other in after.split(", ") {
            edges.insert((other.to_owned(), id.to_owned()));
        }
    }
    edges
}

/// The same, as the chart says it.
fn edges_of_chart(chart: &str) -> BTreeSet<(String, String)> {
    let mut names = std::collections::BTreeMap::new();
    for line in chart.lines() {
        let line = line.trim().trim_start_matches("subgraph ");
        if let Some((name, label)) = line.split_once('"') {
            let name = name.trim_end_matches(['(', '[']);
            let id = label.replace("#44;", "<").replace("#45;", "-");
            let id = id.split(['<', '"']).next().unwrap();
            names.insert(name.to_owned(), id.to_owned());
        }
    }
    let edges = chart
        .lines()
        .filter_map(|line| line.trim().split_once(" --> "));
    edges
        .map(|(from, to)| (names[from].clone(), names[to].clone()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_step_is_drawn_once_and_every_edge_is_there(plan in plans()) {
        let expected: BTreeSet<_> = plan.steps.iter().flat_map(|step| {
            step.depends_on.iter().map(|other| (other.to_string(), step.id.to_string()))
        }).collect();
        let (text, chart, svg) = (plan.to_text(), plan.to_mermaid(), plan.to_svg());
        prop_assert_eq!(&edges_of_text(&text), &expected);
        prop_assert_eq!(&edges_of_chart(&chart), &expected);
        prop_assert_eq!(svg.matches("class=\"arrow\"").count(), if expected.is_empty() { 0 } else { expected.len() + 1 });
        for id in ids(&plan) {
            prop_assert_eq!(text.matches(&format!("─ {id} ")).count(), 1, "{} {}", id, text);
            let label = format!("\"{}#45;", id.trim_end_matches('-'));
            let labels = [format!("{label}<br/>"), format!("{label}#44; ")];
            let drawn: usize = labels.iter().map(|label| chart.matches(&**label).count()).sum();
            prop_assert_eq!(drawn, 1, "{} {}", id, chart);
            prop_assert_eq!(svg.matches(&format!(">{id}</text>")).count(), 1, "{} {}", id, svg);
        }
        let alternatives: usize = plan.steps.iter().map(|step| step.fallback.len()).sum();
        prop_assert_eq!(chart.matches("-.->").count(), alternatives);
        prop_assert_eq!(svg.matches("class=\"down\"").count(), alternatives);
    }
}

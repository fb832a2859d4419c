//! What a report looks like, also where its names are hostile.

use super::*;

fn named(names: &[&str]) -> CostReport {
    let tracker = CostTracker::new();
    for name in names {
        let context = RunContext::builder()
            .observers(tracker.observers())
            .user(*name)
            .build();
        paid(&context, "p:m", 1);
    }
    tracker.report(&by(["user"]))
}

#[test]
fn json_has_its_documented_form_and_exact_amounts() {
    let tracker = CostTracker::new();
    let context = run(&tracker, "r", "2026-11-20T12:00:00Z").build();
    paid(&context, "p:m", u64::MAX - 1);
    unpriced(&context, "q:n", Usage::unknown());
    let query = by(["model", "user"]).since("2026-11-01T00:00:00Z".parse().unwrap());
    let mut json = serde_json::to_value(tracker.report(&query)).unwrap();
    json["unpriced_calls"][0]["time"].take();
    let sums = |requests: u64, unpriced: u64, usage: serde_json::Value, cost: &str| {
        serde_json::json!({
            "requests": requests, "charges": 0, "unpriced": unpriced, "estimated": 0, "usage": usage, "cost_usd": cost,
        })
    };
    let row = |model: &str, mut sums: serde_json::Value| {
        sums["row"] = "group".into();
        sums["group"] = serde_json::json!({"model": model, "user": null});
        sums
    };
    let used = serde_json::json!({"input_tokens": 1000, "output_tokens": 10});
    let none = || serde_json::json!({});
    assert_eq!(
        json,
        serde_json::json!({
            "dimensions": ["model", "user"],
            "since": "2026-11-01T00:00:00Z",
            "until": null,
            "time_zone": "UTC",
            "inclusive_agents": false,
            "rows": [row("m", sums(1, 0, used.clone(), "18446744073.709551614")), row("n", sums(1, 1, none(), "0"))],
            "total": sums(2, 1, used, "18446744073.709551614"),
            "unpriced_calls": [{
                "time": null, "run_id": "r", "operation": 2, "provider": "q", "model": "n", "agent": null,
                "reason": "usage not reported",
            }],
            "folded": 0,
            "undecided": sums(0, 0, none(), "0"),
        })
    );
}

#[test]
fn csv_is_quoted_as_rfc_4180_says() {
    assert_eq!(
        named(&["plain", "a,b", "say \"hi\"", " space "]).csv(),
        "row,user,requests,charges,unpriced,estimated,input_tokens,output_tokens,cache_read_tokens,cache_write_tokens,\
         reasoning_tokens,cost_usd\r\n\
         group,\" space \",1,0,0,0,1000,10,,,,0.000000001\r\n\
         group,\"a,b\",1,0,0,0,1000,10,,,,0.000000001\r\n\
         group,plain,1,0,0,0,1000,10,,,,0.000000001\r\n\
         group,\"say \"\"hi\"\"\",1,0,0,0,1000,10,,,,0.000000001\r\n\
         total,,4,0,0,0,4000,40,,,,0.000000004\r\n"
    );
}

#[test]
fn no_value_is_a_formula_or_acts_on_a_terminal() {
    let hostile = [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        " =1",
        "\t=1",
        "\r=1",
        "\u{feff}=1",
        "\u{200b}@x",
        "＝1",
        "\x1b[31m=1",
        "\u{202e}+1",
        "a\r\n=1",
        "\x1b[2Ja",
    ];
    let report = named(&hostile);
    let acts = |c: char| {
        (crate::text::is_control(c) && c != '\n' && c != '\r') || crate::text::is_invisible(c)
    };
    let csv = report.csv();
    assert!(!csv.contains(acts), "{csv:?}");
    assert_eq!(
        csv.split("\r\n").count(),
        hostile.len() + 3,
        "no line is broken"
    );
    for line in csv
        .split("\r\n")
        .skip(1)
        .filter(|line| line.starts_with("group"))
    {
        let value = line
            .split(',')
            .nth(1)
            .unwrap()
            .trim_start_matches('"')
            .trim_start();
        assert!(!value.starts_with(['=', '+', '-', '@', '＝']), "{line}");
    }
    assert!(
        csv.contains(",'=1+1,") && csv.contains(",'@SUM(A1),"),
        "{csv}"
    );
    let table = report.to_string();
    assert!(!table.contains(|c| acts(c) || c == '\r'), "{table:?}");
    assert_eq!(table.lines().count(), hostile.len() + 2);
}

#[test]
fn a_table_fits_where_its_values_may_be_cut() {
    let long = "x".repeat(200);
    let report = named(&[&long, "y"]);
    let table = report.table(80);
    assert!(
        table.lines().all(|line| line.chars().count() <= 80),
        "{table}"
    );
    assert!(table.contains("x…"), "{table}");
    assert!(report.to_string().contains(&long));
    let widths: Vec<usize> = table.lines().map(|line| line.chars().count()).collect();
    assert!(widths.iter().all(|width| *width == widths[0]), "{table}");
}

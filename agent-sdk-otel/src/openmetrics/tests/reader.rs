//! A strict reader of both formats, written from their texts and from nothing of the encoder's.

use std::collections::HashSet;

/// A page as it was read.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) families: Vec<Family>,
}

#[derive(Debug, Default)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) unit: Option<String>,
    pub(crate) samples: Vec<Sample>,
}

#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
    pub(crate) exemplar: Option<Exemplar>,
}

#[derive(Debug)]
pub(crate) struct Exemplar {
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
    pub(crate) time: f64,
}

impl Sample {
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        let mut labels = self.labels.iter();
        labels
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The labels without the bucket's bound.
    fn series(&self) -> Vec<&(String, String)> {
        self.labels
            .iter()
            .filter(|(name, _)| name != "le")
            .collect()
    }
}

impl Page {
    pub(crate) fn family(&self, name: &str) -> &Family {
        let found = self.families.iter().find(|family| family.name == name);
        found.unwrap_or_else(|| panic!("no family {name}"))
    }

    /// The sum over the samples of a name.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        self.samples(name).map(|sample| sample.value).sum()
    }

    pub(crate) fn samples<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        let samples = self.families.iter().flat_map(|family| &family.samples);
        samples.filter(move |sample| sample.name == name)
    }
}

/// Reads a page, and panics with the line that is not as it has to be.
pub(crate) fn read(text: &str, open_metrics: bool) -> Page {
    let mut page = Page::default();
    let mut names = HashSet::new();
    if text.is_empty() && !open_metrics {
        return page;
    }
    let body = text.strip_suffix('\n').expect("the last line ends");
    let body = if open_metrics {
        let body = body.strip_suffix("# EOF").expect("# EOF is last");
        body.strip_suffix('\n').unwrap_or(body)
    } else {
        body
    };
    for line in body
        .split('\n')
        .filter(|line| !body.is_empty() || !line.is_empty())
    {
        assert!(
            !line.chars().any(|c| c.is_control() && c != '\t'),
            "{line:?}"
        );
        if let Some(comment) = line.strip_prefix("# ") {
            let (keyword, rest) = comment.split_once(' ').expect("a keyword");
            let (name, rest) = rest.split_once(' ').expect("a name");
            assert!(is_name(name, true), "{line}");
            let is_new = page
                .families
                .last()
                .is_none_or(|family| family.name != name);
            if is_new {
                assert!(names.insert(name.to_owned()), "twice: {line}");
                page.families.push(Family {
                    name: name.to_owned(),
                    ..Family::default()
                });
            }
            let family = page.families.last_mut().unwrap();
            assert!(family.samples.is_empty(), "late: {line}");
            match keyword {
                "HELP" => drop(unescaped(rest, open_metrics)),
                "TYPE" => {
                    assert!(family.kind.is_empty(), "{line}");
                    rest.clone_into(&mut family.kind);
                }
                "UNIT" if open_metrics => {
                    assert!(name.ends_with(&format!("_{rest}")), "{line}");
                    family.unit = Some(rest.to_owned());
                }
                _ => panic!("{line}"),
            }
        } else {
            let sample = sample(line, open_metrics);
            let family = page.families.last_mut().expect("a type before a sample");
            check_name(family, &sample, open_metrics);
            family.samples.push(sample);
        }
    }
    page.families
        .iter()
        .for_each(|family| check(family, open_metrics));
    page
}

fn check_name(family: &Family, sample: &Sample, open_metrics: bool) {
    let rest = sample.name.strip_prefix(&family.name).unwrap_or("!");
    let allowed: &[&str] = match (family.kind.as_str(), open_metrics) {
        ("counter", true) => &["_total"],
        ("info", true) => &["_info"],
        ("counter" | "gauge", _) => &[""],
        ("histogram", _) => &["_bucket", "_sum", "_count"],
        other => panic!("{other:?}"),
    };
    assert!(
        allowed.contains(&rest),
        "{} in {}",
        sample.name,
        family.name
    );
    assert_eq!(rest == "_bucket", sample.label("le").is_some());
    let may_have_exemplar = open_metrics && (rest == "_bucket" || rest == "_total");
    assert!(may_have_exemplar || sample.exemplar.is_none());
}

fn check(family: &Family, open_metrics: bool) {
    assert!(
        !family.kind.is_empty() && !family.samples.is_empty(),
        "{}",
        family.name
    );
    assert!(!(open_metrics && family.name.ends_with("_total")));
    let mut seen = HashSet::new();
    for sample in &family.samples {
        assert!(
            seen.insert((&sample.name, &sample.labels)),
            "twice: {sample:?}"
        );
        assert!(family.kind != "counter" || sample.value >= 0.0);
    }
    if family.kind == "histogram" {
        let is_same = |a: &Sample, b: &Sample| a.series() == b.series();
        for series in family.samples.chunk_by(is_same) {
            check_histogram(series, open_metrics);
        }
    }
}

fn check_histogram(series: &[Sample], open_metrics: bool) {
    let (buckets, end) = series.split_at(series.len() - 2);
    assert!(end[0].name.ends_with("_sum") && end[1].name.ends_with("_count"));
    let (mut bound, mut count) = (f64::NEG_INFINITY, 0.0);
    for bucket in buckets {
        let text = bucket.label("le").unwrap();
        let next = number(text);
        assert!(next > bound && bucket.value >= count, "{bucket:?}");
        assert!(
            !open_metrics || text.contains(['.', 'e', 'I']),
            "not canonical: {text}"
        );
        if let Some(exemplar) = &bucket.exemplar {
            assert!(
                exemplar.value > bound && exemplar.value <= next,
                "{bucket:?}"
            );
            assert!(
                bucket.value > count,
                "an exemplar in an empty bucket: {bucket:?}"
            );
        }
        (bound, count) = (next, bucket.value);
    }
    assert!(bound.is_infinite() && count == end[1].value, "{series:?}");
}

fn sample(line: &str, open_metrics: bool) -> Sample {
    let end = line.find(['{', ' ']).expect("a value");
    let (name, rest) = line.split_at(end);
    assert!(is_name(name, true), "{line}");
    let (labels, rest) = labels(rest);
    let rest = rest.strip_prefix(' ').expect("a space before the value");
    let (value, exemplar) = match rest.split_once(" # ") {
        Some((value, exemplar)) => (value, Some(exemplar)),
        None => (rest, None),
    };
    assert!(open_metrics || exemplar.is_none(), "{line}");
    Sample {
        name: name.to_owned(),
        labels,
        value: number(value),
        exemplar: exemplar.map(|text| {
            let (labels, rest) = self::labels(text);
            let runes = labels
                .iter()
                .map(|(name, value)| (name.clone() + value).chars().count());
            assert!(runes.sum::<usize>() <= 128, "{line}");
            let mut parts = rest.strip_prefix(' ').expect("a value").split(' ');
            let value = number(parts.next().unwrap());
            let time = number(parts.next().expect("a time"));
            assert!(parts.next().is_none(), "{line}");
            Exemplar {
                labels,
                value,
                time,
            }
        }),
    }
}

/// Reads labels in braces, if there are any, and answers with what is behind them.
fn labels(text: &str) -> (Vec<(String, String)>, &str) {
    let mut labels = Vec::new();
    let Some(mut rest) = text.strip_prefix('{') else {
        return (labels, text);
    };
    loop {
        let (name, quoted) = rest.split_once("=\"").expect("a label");
        assert!(is_name(name, false), "{name:?} in {text}");
        assert!(
            labels.iter().all(|(known, _)| known != name),
            "{name} twice in {text}"
        );
        let mut escaped = false;
        let end = quoted.find(|c| {
            let is_end = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            is_end
        });
        let (value, behind) = quoted.split_at(end.expect("an end"));
        labels.push((name.to_owned(), unescaped(value, true)));
        rest = behind.strip_prefix('"').expect("a quote");
        match rest.strip_prefix('}') {
            Some(rest) => return (labels, rest),
            None => rest = rest.strip_prefix(',').expect("a comma"),
        }
    }
}

fn unescaped(text: &str, quotes: bool) -> String {
    let mut chars = text.chars();
    let mut plain = String::new();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next().expect("something behind a backslash") {
                'n' => '\n',
                '\\' => '\\',
                '"' if quotes => '"',
                other => panic!("\\{other} in {text}"),
            },
            '"' if quotes => panic!("a bare quote in {text}"),
            other => other,
        });
    }
    plain
}

fn is_name(name: &str, colons: bool) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(allowed)
}

fn number(text: &str) -> f64 {
    match text {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        _ => {
            assert!(text.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']));
            text.parse()
                .unwrap_or_else(|_| panic!("{text:?} is no number"))
        }
    }
}

//! Reads from a `PromQL` query which metrics it selects, and which labels it expects of them.
//!
//! It knows as much of the language as the dashboards use, and refuses the rest. Whether a query
//! is valid is for Prometheus to judge (`dashboards/check.sh`).

use std::collections::BTreeSet;

/// A label that a query names: of one metric, or of any where the query does not say.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Label<'a> {
    pub(crate) metric: Option<&'a str>,
    pub(crate) name: &'a str,
}

/// What a query names.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Names<'a> {
    pub(crate) metrics: BTreeSet<&'a str>,
    pub(crate) labels: BTreeSet<Label<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    /// The inside of a string.
    Text(&'a str),
    Mark(char),
}

/// Words that are neither metrics nor functions.
const OPERATORS: [&str; 6] = ["and", "or", "unless", "offset", "bool", "atan2"];

/// Words before a list of labels.
const GROUPINGS: [&str; 2] = ["by", "without"];
const MATCHINGS: [&str; 4] = ["on", "ignoring", "group_left", "group_right"];

/// An open parenthesis.
#[derive(Default)]
struct Frame<'a> {
    function: Option<&'a str>,
    /// Labels by which what is inside is grouped.
    grouped: Vec<&'a str>,
    texts: Vec<&'a str>,
}

/// Reads a query; an error says what it does not understand.
pub(crate) fn names(query: &str) -> Result<Names<'_>, String> {
    Reader {
        tokens: tokens(query)?,
        at: 0,
        names: Names::default(),
        open: Vec::new(),
    }
    .read()
}

struct Reader<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    names: Names<'a>,
    open: Vec<Frame<'a>>,
}

impl<'a> Reader<'a> {
    fn read(mut self) -> Result<Names<'a>, String> {
        let mut next = Frame::default();
        while let Some(token) = self.next() {
            match token {
                Token::Word(word) if OPERATORS.contains(&word) => {}
                Token::Word(word) if GROUPINGS.contains(&word) => next.grouped = self.list()?,
                Token::Word(word) if MATCHINGS.contains(&word) => {
                    if self.peek() == Some(Token::Mark('(')) {
                        for name in self.list()? {
                            self.names.labels.insert(Label { metric: None, name });
                        }
                    }
                }
                Token::Word(word) => match self.peek() {
                    Some(Token::Mark('(')) => next.function = Some(word),
                    Some(Token::Word(after)) if GROUPINGS.contains(&after) => {
                        next.function = Some(word);
                    }
                    _ => self.selector(word)?,
                },
                Token::Text(text) => match self.open.last_mut() {
                    Some(frame) => frame.texts.push(text),
                    None => return Err(format!("a string outside of a call: {text:?}")),
                },
                Token::Mark('(') => self.open.push(std::mem::take(&mut next)),
                Token::Mark(')') => self.close()?,
                Token::Mark('{') => return Err("a selector without a metric".into()),
                Token::Mark(_) => {}
            }
        }
        if self.open.is_empty() {
            Ok(self.names)
        } else {
            Err("a parenthesis is not closed".into())
        }
    }

    /// A metric, its matchers, and the labels by which it is grouped.
    fn selector(&mut self, metric: &'a str) -> Result<(), String> {
        let grouped = self.open.iter().flat_map(|frame| &frame.grouped);
        let mut labels: Vec<_> = grouped.copied().collect();
        if self.peek() == Some(Token::Mark('{')) {
            self.at += 1;
            loop {
                match self.next() {
                    Some(Token::Word(label)) => labels.push(label),
                    Some(Token::Mark('=' | '!' | '~' | ',') | Token::Text(_)) => {}
                    Some(Token::Mark('}')) => break,
                    other => return Err(format!("{other:?} among the matchers of {metric}")),
                }
            }
        }
        self.names.metrics.insert(metric);
        self.names
            .labels
            .extend(labels.into_iter().map(|name| Label {
                metric: Some(metric),
                name,
            }));
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let frame = self.open.pop().ok_or("a parenthesis was never opened")?;
        match (frame.function, &*frame.texts) {
            (Some("label_replace"), [into, _, from, _]) => {
                for name in [into, from] {
                    self.names.labels.insert(Label { metric: None, name });
                }
                Ok(())
            }
            (_, []) => Ok(()),
            (function, _) => Err(format!("strings in a call of {function:?}")),
        }
    }

    /// The labels between two parentheses.
    fn list(&mut self) -> Result<Vec<&'a str>, String> {
        let mut labels = Vec::new();
        loop {
            match self.next() {
                Some(Token::Word(label)) => labels.push(label),
                Some(Token::Mark('(' | ',')) => {}
                Some(Token::Mark(')')) => return Ok(labels),
                other => return Err(format!("{other:?} in a list of labels")),
            }
        }
    }

    fn next(&mut self) -> Option<Token<'a>> {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).copied()
    }
}

/// Splits a query. Numbers, durations and Grafana's variables say nothing here and are left out.
fn tokens(query: &str) -> Result<Vec<Token<'_>>, String> {
    let mut tokens = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        rest = match first {
            'a'..='z' | 'A'..='Z' | '_' | ':' => {
                let (word, after) = split(rest, |c| c.is_ascii_alphanumeric() || "_:".contains(c));
                tokens.push(Token::Word(word));
                after
            }
            '0'..='9' | '.' => split(rest, |c| c.is_ascii_alphanumeric() || c == '.').1,
            '$' => split(rest, |c| c.is_ascii_alphanumeric() || "$_{}".contains(c)).1,
            '"' | '\'' => {
                let (inside, after) = rest
                    .split_at(1)
                    .1
                    .split_once(first)
                    .ok_or("a string is not closed")?;
                if inside.contains('\\') {
                    return Err(format!("an escape in {inside:?}"));
                }
                tokens.push(Token::Text(inside));
                after
            }
            _ if first.is_ascii() => {
                tokens.push(Token::Mark(first));
                rest.split_at(1).1
            }
            _ => return Err(format!("{first:?} in a query")),
        };
        rest = rest.trim_start();
    }
    Ok(tokens)
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

fn of<'a>(metric: &'a str, name: &'a str) -> Label<'a> {
    Label {
        metric: Some(metric),
        name,
    }
}

#[test]
fn a_selector_has_its_matchers() {
    let names =
        names(r#"rate(runs_total{agent=~"$agent", error!~"|cancelled"}[$__rate_interval])"#)
            .unwrap();
    assert_eq!(names.metrics, ["runs_total"].into());
    assert_eq!(
        names.labels,
        [of("runs_total", "agent"), of("runs_total", "error")].into()
    );
}

#[test]
fn grouping_reaches_what_is_inside_and_nothing_else() {
    let names =
        names("0.5 * sum by (le, model) (rate(a_bucket[5m])) / avg(b) without (x)").unwrap();
    assert_eq!(names.metrics, ["a_bucket", "b"].into());
    assert_eq!(
        names.labels,
        [of("a_bucket", "le"), of("a_bucket", "model")].into()
    );
}

#[test]
fn names_come_from_set_operators_and_matching_too() {
    let any = |name| Label { metric: None, name };
    let names = names(
        r#"a offset 1h unless on (job) group_left b or label_replace(vector(1e3), "to", "x", "from", "")"#,
    )
    .unwrap();
    assert_eq!(names.metrics, ["a", "b"].into());
    assert_eq!(names.labels, [any("from"), any("job"), any("to")].into());
}

#[test]
fn what_it_does_not_understand_it_refuses() {
    for query in [
        r#"{__name__=~"agent.*"}"#,
        r#"label_join(a, "to", ",", "from")"#,
        r#"a{b="\""}"#,
        r#"a{b="c}"#,
        "sum(a",
        "a)",
        "sum by (1 + 2) (a)",
        "a{b=1",
    ] {
        assert!(names(query).is_err(), "{query}");
    }
}

//! Conditions: CEL expressions over what steps gave.

use std::{collections::BTreeSet, panic::AssertUnwindSafe, sync::Arc};

use cel::{
    Context, Program, Value as Cel,
    common::ast::{EntryExpr, Expr, LiteralValue, operators},
};
use serde_json::{Map, Value};

use super::Params;

/// The longest condition, in bytes.
const MAX_BYTES: usize = 2_048;

/// The most brackets inside each other, and the most sums, products and indices: each is a level of recursion where a condition is
/// worked out, of up to 40 KiB in a debug build.
const MAX_NESTING: usize = 8;
const MAX_SUMS: usize = 16;

/// The most brackets, operators and dots.
const MAX_JOINTS: usize = 96;

/// How much of what the parser says is handed on, in characters.
const MAX_SAID: usize = 200;

/// The stack on which a condition is read: the parser takes up to 200 KiB for a bracket in a debug build.
const PARSER_STACK: usize = 16 << 20;

/// A condition that was read.
pub(super) struct Condition {
    program: Program,
    steps: BTreeSet<Arc<str>>,
    params: BTreeSet<Arc<str>>,
}

impl Condition {
    /// # Errors
    ///
    /// What is wrong with it, in words for people.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("a condition is at most {MAX_BYTES} bytes long"));
        }
        if !is_small(text) {
            return Err(format!(
                "a condition has at most {MAX_NESTING} brackets inside each other, {MAX_SUMS} sums, products and indices, and {MAX_JOINTS} brackets, operators and dots: let a step work out the rest"
            ));
        }
        let program = compiled(text)?;
        let mut condition = Self {
            program,
            steps: BTreeSet::new(),
            params: BTreeSet::new(),
        };
        condition.look_through()?;
        Ok(condition)
    }

    /// The steps that it speaks of.
    pub(super) fn steps(&self) -> impl Iterator<Item = &Arc<str>> {
        self.steps.iter()
    }

    /// The parameters that it speaks of.
    pub(super) fn params(&self) -> impl Iterator<Item = &Arc<str>> {
        self.params.iter()
    }

    /// Whether it is true. `step` is what a step gave and how it ended.
    ///
    /// # Errors
    ///
    /// Why it is neither true nor false, without what the values say.
    pub(super) fn holds<'v>(
        &self,
        params: &Params,
        step: impl Fn(&str) -> (Option<&'v Value>, &'static str),
    ) -> Result<bool, String> {
        let (mut steps, mut status) = (Map::new(), Map::new());
        for id in &self.steps {
            let (output, ended) = step(id);
            steps.insert(id.to_string(), output.cloned().unwrap_or(Value::Null));
            status.insert(id.to_string(), Value::from(ended));
        }
        let params: Map<_, _> = params
            .iter()
            .filter(|(name, _)| self.params.contains(*name))
            .map(|(name, value)| (name.to_string(), value.clone()))
            .collect();
        let mut context = Context::default();
        for (name, value) in [("steps", steps), ("status", status), ("params", params)] {
            let value = cel::to_value(Value::Object(value));
            let value = value.map_err(|_| format!("`{name}` cannot be a value of CEL"))?;
            context.add_variable_from_value(name, value);
        }
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| self.program.execute(&context)));
        match result {
            Ok(Ok(Cel::Bool(holds))) => Ok(holds),
            Ok(Ok(other)) => Err(format!(
                "the condition is a {} where true or false is needed",
                other.type_of()
            )),
            Ok(Err(error)) => Err(format!("the condition has no value: {}", in_words(&error))),
            Err(_) => Err("the condition has no value".to_owned()),
        }
    }

    /// Notes the steps and parameters that the expression names.
    fn look_through(&mut self) -> Result<(), String> {
        let mut open = vec![&self.program.expression().expr];
        while let Some(expr) = open.pop() {
            let named = match expr {
                Expr::Select(select) => match &select.operand.expr {
                    Expr::Ident(whole) => Some((whole.as_str(), Some(select.field.as_str()))),
                    _ => None,
                },
                Expr::Call(call) if call.func_name == operators::INDEX => {
                    match call.args.as_slice() {
                        [whole, key] => match (&whole.expr, &key.expr) {
                            (Expr::Ident(whole), Expr::Literal(LiteralValue::String(key))) => {
                                Some((whole.as_str(), Some(key.inner())))
                            }
                            (Expr::Ident(whole), _) => Some((whole.as_str(), None)),
                            _ => None,
                        },
                        _ => None,
                    }
                }
                _ => None,
            };
            match named {
                Some(("steps" | "status", Some(id))) => drop(self.steps.insert(id.into())),
                Some(("params", Some(name))) => drop(self.params.insert(name.into())),
                Some((whole @ ("steps" | "status" | "params"), None)) => {
                    return Err(format!(
                        "`{whole}[…]` needs a name that is written out, so that it is known what the step waits for"
                    ));
                }
                Some(_) => {}
                None => match expr {
                    Expr::Ident(whole)
                        if ["steps", "status", "params"].contains(&whole.as_str()) =>
                    {
                        return Err(format!("`{whole}` needs a name after it: `{whole}.name`"));
                    }
                    _ => open.extend(inside(expr)),
                },
            }
        }
        Ok(())
    }
}

/// The expressions right inside of one.
fn inside(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Call(call) => call
            .target
            .iter()
            .map(|target| &target.expr)
            .chain(call.args.iter().map(|arg| &arg.expr))
            .collect(),
        Expr::Comprehension(all) => vec![
            &all.iter_range.expr,
            &all.accu_init.expr,
            &all.loop_cond.expr,
            &all.loop_step.expr,
            &all.result.expr,
        ],
        Expr::List(list) => list.elements.iter().map(|element| &element.expr).collect(),
        Expr::Map(map) => map
            .entries
            .iter()
            .flat_map(|entry| entries(&entry.expr))
            .collect(),
        Expr::Struct(all) => all
            .entries
            .iter()
            .flat_map(|entry| entries(&entry.expr))
            .collect(),
        Expr::Select(select) => vec![&select.operand.expr],
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => Vec::new(),
    }
}

fn entries(entry: &EntryExpr) -> Vec<&Expr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value.expr],
        EntryExpr::MapEntry(entry) => vec![&entry.key.expr, &entry.value.expr],
    }
}

/// Reads a condition where there is room for it.
fn compiled(text: &str) -> Result<Program, String> {
    let read = |text: &str| {
        Program::compile(text).map_err(|errors| {
            // The first line says what and where; those below draw it.
            let said = errors.to_string();
            let first = said.lines().next().unwrap_or_default();
            let first: String = first.chars().take(MAX_SAID).collect();
            format!(
                "this is not CEL: {}",
                first.trim_start_matches("ERROR: <input>:")
            )
        })
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(PARSER_STACK);
        let thread = thread.spawn_scoped(scope, || read(text));
        let thread =
            thread.map_err(|error| format!("no thread could be had to read it: {error}"))?;
        let read = thread.join();
        read.unwrap_or_else(|_| Err("this cannot be read as CEL".to_owned()))
    })
}

/// Whether it is small enough to be read and worked out, judged by its signs, those in strings included.
fn is_small(text: &str) -> bool {
    let (mut deep, mut deepest, mut sums, mut joints) = (0_usize, 0, 0, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => deep += 1,
            b')' | b']' | b'}' => deep = deep.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(deep);
        sums += usize::from(b"[+-*/%".contains(&byte));
        joints += usize::from(b"([{?.!-+*/%<>=&|,".contains(&byte));
    }
    deepest <= MAX_NESTING && sums <= MAX_SUMS && joints <= MAX_JOINTS
}

/// An error of CEL without the values in it.
fn in_words(error: &cel::ExecutionError) -> String {
    use cel::ExecutionError as E;
    match error {
        E::NoSuchKey(key) => format!("there is no `{key}`"),
        E::UndeclaredReference(name) => {
            format!("there is no `{name}`; it may use `steps`, `status` and `params`")
        }
        E::NoSuchOverload(overload) => overload.to_string(),
        E::ValuesNotComparable(..) => "two values cannot be compared".to_owned(),
        E::UnexpectedType { got, want } => format!("a {got} stands where a {want} is needed"),
        E::DivisionByZero(_) | E::RemainderByZero(_) => "it divides by zero".to_owned(),
        E::Overflow(..) => "a number grows too large".to_owned(),
        E::IndexOutOfBounds(_) => "a list is shorter than that".to_owned(),
        _ => "it does not fit the values".to_owned(),
    }
}

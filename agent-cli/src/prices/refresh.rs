//! `agent prices refresh`: puts a newer price table in place.

use std::{collections::BTreeMap, fs, io, path::Path};

use agent_sdk::{
    cost::{PriceBook, PriceErrorKind, PriceTable, Unread},
    store,
};

use super::{diff::Differences, failure};
use crate::{
    args::RefreshPricesArguments,
    exit::{Exit, Failure},
    file, home,
    output::Output,
    terminal::safe_line,
    text::counted,
};

pub(super) fn run(arguments: &RefreshPricesArguments, output: &mut Output) -> Result<(), Failure> {
    let home = store::home().map_err(|error| Failure::usage(error.to_string()))?;
    let path = home.join(super::FILE);
    if arguments.remove {
        return remove(&path, output);
    }
    let table = read(arguments, output)?;
    // A table in place that cannot be read is replaced, not an obstacle.
    let book = super::book().unwrap_or_else(|_| PriceBook::embedded());
    let before = book.models();
    if arguments.older {
        book.roll_back(table.clone());
    } else {
        book.refresh(table.clone()).map_err(|error| {
            let failure = failure(&error);
            match error.kind() {
                PriceErrorKind::Older => failure.advice("`--older` takes it all the same."),
                _ => failure,
            }
        })?;
    }
    folder(&home)
        .map_err(|error| {
            Failure::new(
                Exit::Failed,
                format!("{} cannot be made: {error}", home.display()),
            )
        })
        .and_then(|()| file::write(&path, &table.to_json()))?;
    let differences = Differences::new(&before, &table.models());
    output.line(format_args!(
        "prices of {}, {}: {}",
        safe_line(table.date()),
        counted(table.len() as u64, "model"),
        differences.summary()
    ))?;
    output.line(format_args!("written to {}", path.display()))?;
    if arguments.older && super::book()?.date().as_deref() != Some(table.date()) {
        output.note("the built-in table is newer than this one, which is therefore not used");
    }
    Ok(())
}

fn read(arguments: &RefreshPricesArguments, output: &mut Output) -> Result<PriceTable, Failure> {
    if let Some(file) = &arguments.file {
        return PriceTable::from_file(file).map_err(|error| failure(&error));
    }
    if let Some(url) = &arguments.url {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| {
                Failure::new(Exit::Failed, format!("no runtime can be started: {error}"))
            })?;
        let table = runtime.block_on(PriceTable::fetch(url));
        return table.map_err(|error| failure(&error).advice("The prices in use stay in use."));
    }
    let file = arguments.litellm.as_deref().unwrap_or(Path::new(""));
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", file.display())))?;
    let today = home::now().strftime("%Y-%m-%d").to_string();
    let import = PriceTable::from_litellm(&text, &today).map_err(|error| failure(&error))?;
    for line in summed(&import.unread) {
        output.note(line);
    }
    Ok(import.table)
}

/// What was not read, each kind on a line.
fn summed(unread: &[Unread]) -> Vec<String> {
    let mut kinds: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for Unread {
        model,
        field,
        reason,
        ..
    } in unread
    {
        kinds.entry((field, reason)).or_default().push(model);
    }
    let line = |((field, reason), models): ((&str, &str), Vec<&str>)| {
        let field = if field.is_empty() { "entry" } else { field };
        let (shown, more) = models.split_at(models.len().min(3));
        let more = match more.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("not read: {field} of {}{more}: {reason}", shown.join(", "))
    };
    kinds.into_iter().map(line).collect()
}

/// The folder of what outlives a process, for this user alone.
fn folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn remove(path: &Path, output: &mut Output) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Ok(()) => output.line(format_args!("removed {}", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            output.note(format_args!("there is no {}", path.display()));
            Ok(())
        }
        Err(error) => Err(Failure::new(
            Exit::Failed,
            format!("{} cannot be removed: {error}", path.display()),
        )),
    }
}

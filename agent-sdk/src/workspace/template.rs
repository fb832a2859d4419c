//! Where the directories of runs go.

use std::fmt::Write;

use jiff::{Zoned, civil::ISOWeekDate};

use super::{
    Named, WorkspaceError,
    name::{self, portable},
};

/// The longest template, in bytes, and the most names in it.
const TEMPLATE_BYTES: usize = 512;
const TEMPLATE_NAMES: usize = 16;
/// The longest name that a template may give, in bytes; what tells it from others of the same name comes after it.
const RENDERED_BYTES: usize = 240;

/// The path of a directory, with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Vec<Piece>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Placeholder(Placeholder),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placeholder {
    Year,
    Week,
    Date,
    Time,
    Slug,
    Run,
    Agent,
    User,
    Session,
}

impl Placeholder {
    const ALL: [Self; 9] = [
        Self::Year,
        Self::Week,
        Self::Date,
        Self::Time,
        Self::Slug,
        Self::Run,
        Self::Agent,
        Self::User,
        Self::Session,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Week => "week",
            Self::Date => "date",
            Self::Time => "time",
            Self::Slug => "slug",
            Self::Run => "run",
            Self::Agent => "agent",
            Self::User => "user",
            Self::Session => "session",
        }
    }
}

impl Default for Template {
    /// `week-{week}/{date}/{slug}-{time}`.
    fn default() -> Self {
        let text = |text: &str| Piece::Text(text.to_owned());
        let [week, date, slug, time] = [
            Placeholder::Week,
            Placeholder::Date,
            Placeholder::Slug,
            Placeholder::Time,
        ]
        .map(Piece::Placeholder);
        Self(vec![
            vec![text("week-"), week],
            vec![date],
            vec![slug, text("-"), time],
        ])
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// A placeholder that does not exist, an absolute path, `..`, or names that not every system allows.
    pub(super) fn parse(template: &str) -> Result<Self, WorkspaceError> {
        let wrong = |why: &str| {
            let shown: String = template.chars().take(120).collect();
            WorkspaceError::invalid(format!("the template `{}` {why}", shown.escape_debug()))
        };
        if template.len() > TEMPLATE_BYTES {
            return Err(wrong("is longer than 512 bytes"));
        }
        if template.starts_with('/') {
            return Err(wrong("is absolute; it begins below the root"));
        }
        let names: Vec<&str> = template.split('/').collect();
        if names.len() > TEMPLATE_NAMES {
            return Err(wrong("has more than 16 names"));
        }
        names
            .into_iter()
            .map(|name| {
                let pieces = pieces(name).map_err(|why| wrong(&why))?;
                // Placeholders give letters, digits and hyphens: any of them stands for all.
                let example: String = pieces.iter().map(Piece::example).collect();
                portable(&example).map_err(&wrong)?;
                if name::is_version_control(&example) {
                    return Err(wrong("belongs to version control"));
                }
                Ok(pieces)
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The names of a run's directory, from the root.
    ///
    /// # Errors
    ///
    /// A placeholder for something that was not given, or a name that is too long or means something else on some system.
    pub(super) fn render(&self, named: &Named) -> Result<Vec<String>, WorkspaceError> {
        let at = named.at.to_zoned(named.time_zone.clone());
        let render = |pieces: &Vec<Piece>| {
            let mut name = String::new();
            for piece in pieces {
                match piece {
                    Piece::Text(text) => name.push_str(text),
                    Piece::Placeholder(placeholder) => fill(&mut name, *placeholder, named, &at)?,
                }
            }
            let wrong = |why| WorkspaceError::invalid(format!("the directory `{name}` {why}"));
            if name.len() > RENDERED_BYTES {
                return Err(wrong("has a name of more than 240 bytes"));
            }
            portable(&name).map_err(wrong)?;
            if name::is_version_control(&name) {
                return Err(wrong("belongs to version control"));
            }
            Ok(name)
        };
        self.0.iter().map(render).collect()
    }
}

impl Piece {
    fn example(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Placeholder(_) => "0",
        }
    }
}

fn pieces(name: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = name;
    while let Some((text, after)) = rest.split_once('{') {
        let Some((word, behind)) = after.split_once('}') else {
            return Err("has a `{` without its `}`".to_owned());
        };
        if text.contains('}') {
            return Err("has a `}` without its `{`".to_owned());
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        let known = Placeholder::ALL
            .into_iter()
            .find(|known| known.as_str() == word);
        let Some(placeholder) = known else {
            let known = Placeholder::ALL.map(|known| format!("{{{}}}", known.as_str()));
            let word: String = word.chars().take(40).collect();
            return Err(format!(
                "has a placeholder `{{{}}}`, which does not exist; there are {}",
                word.escape_debug(),
                known.join(" ")
            ));
        };
        pieces.push(Piece::Placeholder(placeholder));
        rest = behind;
    }
    if rest.contains('}') {
        return Err("has a `}` without its `{`".to_owned());
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

fn fill(
    name: &mut String,
    placeholder: Placeholder,
    named: &Named,
    at: &Zoned,
) -> Result<(), WorkspaceError> {
    let id = |id: &Option<String>| {
        let word = placeholder.as_str();
        let id = id.as_ref().ok_or_else(|| {
            WorkspaceError::invalid(format!(
                "the template asks for {{{word}}}, which was not given"
            ))
        })?;
        Ok(name::from_id(id, word))
    };
    // Writing to a `String` cannot fail.
    let _ = match placeholder {
        Placeholder::Year => write!(name, "{:04}", at.year()),
        Placeholder::Week => write!(name, "{:02}", ISOWeekDate::from(at.date()).week()),
        Placeholder::Date => write!(name, "{}", at.date()),
        Placeholder::Time => write!(name, "{:02}{:02}{:02}", at.hour(), at.minute(), at.second()),
        Placeholder::Slug => name.write_str(&name::slug(&named.task)),
        Placeholder::Run => name.write_str(&id(&named.run)?),
        Placeholder::Agent => name.write_str(&id(&named.agent)?),
        Placeholder::User => name.write_str(&id(&named.user)?),
        Placeholder::Session => name.write_str(&id(&named.session)?),
    };
    Ok(())
}

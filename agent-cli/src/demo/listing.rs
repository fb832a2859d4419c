//! What `list_files` answered, as data.

use super::place::FOLDER;

/// The files of a folder, as far as they were listed.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) files: Vec<File>,
    pub(super) folders: usize,
    /// Links, pipes and the like, which are not read.
    pub(super) others: usize,
    /// Not everything is listed.
    pub(super) is_cut: bool,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) bytes: u64,
}

/// Endings of file names, what they are, and whether people write them as source code.
const KINDS: [(&str, &str, bool); 32] = [
    ("rs", "Rust", true),
    ("py", "Python", true),
    ("js", "JavaScript", true),
    ("mjs", "JavaScript", true),
    ("jsx", "JavaScript", true),
    ("ts", "TypeScript", true),
    ("tsx", "TypeScript", true),
    ("go", "Go", true),
    ("java", "Java", true),
    ("kt", "Kotlin", true),
    ("c", "C", true),
    ("h", "C", true),
    ("cc", "C++", true),
    ("cpp", "C++", true),
    ("hpp", "C++", true),
    ("cs", "C#", true),
    ("rb", "Ruby", true),
    ("php", "PHP", true),
    ("swift", "Swift", true),
    ("scala", "Scala", true),
    ("ex", "Elixir", true),
    ("sh", "Shell", true),
    ("sql", "SQL", true),
    ("md", "Markdown", false),
    ("txt", "text", false),
    ("toml", "TOML", false),
    ("yaml", "YAML", false),
    ("yml", "YAML", false),
    ("json", "JSON", false),
    ("html", "HTML", false),
    ("css", "CSS", false),
    ("lock", "lock file", false),
];

/// Files that say what a project is made of.
const MANIFESTS: [&str; 9] = [
    "cargo.toml",
    "package.json",
    "pyproject.toml",
    "go.mod",
    "pom.xml",
    "build.gradle",
    "gemfile",
    "composer.json",
    "makefile",
];

/// The largest file that is worth a look.
const BYTES: u64 = 512 * 1024;
/// The most files that a reviewer reads.
const PICKS: usize = 3;

impl Listing {
    pub(super) fn parse(text: &str) -> Self {
        let mut listing = Self::default();
        let lines = text.lines();
        for line in lines.filter(|line| !line.starts_with(FOLDER)) {
            if line.ends_with('/') || line.ends_with("/ ...") {
                listing.folders += 1;
            } else if line.ends_with(')') {
                listing.others += 1;
            } else if let Some(file) = File::parse(line) {
                listing.files.push(file);
            } else if line.starts_with("[cut") || line.starts_with("[some") {
                listing.is_cut = true;
            }
        }
        listing
    }

    /// The file that says what the folder is made of.
    pub(super) fn manifest(&self) -> Option<&File> {
        let mut files = self.readable().into_iter();
        files.find(|file| MANIFESTS.contains(&&*file.name().to_lowercase()))
    }

    /// The texts worth reading: what introduces the folder, then what lies least deep in it.
    pub(super) fn texts(&self) -> Vec<&File> {
        let mut texts: Vec<_> = self
            .readable()
            .into_iter()
            .filter(|file| file.is_text())
            .collect();
        texts.sort_by_key(|file| !file.name().to_lowercase().starts_with("readme"));
        texts.truncate(PICKS);
        texts
    }

    /// The largest sources.
    pub(super) fn sources(&self) -> Vec<&File> {
        let sources = self.readable().into_iter().filter(|file| file.is_source());
        let mut sources: Vec<_> = sources.collect();
        sources.sort_by_key(|file| std::cmp::Reverse(file.bytes));
        sources.truncate(PICKS);
        sources
    }

    /// What can be read, the least deep first.
    fn readable(&self) -> Vec<&File> {
        let files = self.files.iter();
        let mut readable: Vec<_> = files.filter(|file| file.is_readable()).collect();
        readable.sort_by_key(|file| (file.depth(), file.path.clone()));
        readable
    }

    /// How many files there are of each kind, most first.
    pub(super) fn kinds(&self) -> Vec<(String, usize)> {
        let mut kinds: Vec<(String, usize)> = Vec::new();
        for kind in self.files.iter().map(File::kind) {
            match kinds.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, count)) => *count += 1,
                None => kinds.push((kind, 1)),
            }
        }
        kinds.sort_by(|(a, many), (b, more)| more.cmp(many).then(a.cmp(b)));
        kinds
    }

    /// The largest file.
    pub(super) fn largest(&self) -> Option<&File> {
        self.files.iter().max_by_key(|file| file.bytes)
    }

    /// Whether a file's name begins so, in any case.
    pub(super) fn has(&self, beginning: &str) -> bool {
        let mut names = self.files.iter().map(|file| file.name().to_lowercase());
        names.any(|name| name.starts_with(beginning))
    }

    /// Files whose names hold characters that had to be made visible.
    pub(super) fn odd_names(&self) -> usize {
        self.files.iter().filter(|file| file.is_odd()).count()
    }
}

impl File {
    fn parse(line: &str) -> Option<Self> {
        let (path, bytes) = line.rsplit_once(' ')?;
        let (path, bytes) = (path.to_owned(), bytes.parse().ok()?);
        Some(Self { path, bytes })
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    fn depth(&self) -> usize {
        self.path.matches('/').count()
    }

    fn ending(&self) -> Option<String> {
        let (before, ending) = self.name().rsplit_once('.')?;
        (!before.is_empty() && !ending.is_empty()).then(|| ending.to_lowercase())
    }

    fn kind(&self) -> String {
        let Some(ending) = self.ending() else {
            return "without an ending".to_owned();
        };
        let known = KINDS.iter().find(|(known, ..)| *known == ending);
        known.map_or_else(|| format!(".{ending}"), |(_, kind, _)| (*kind).to_owned())
    }

    /// It is written to be read: a README, or text by its ending.
    fn is_text(&self) -> bool {
        let ending = self.ending();
        let is_text = matches!(ending.as_deref(), Some("md" | "txt" | "rst" | "adoc"));
        is_text || self.name().to_lowercase().starts_with("readme")
    }

    /// It is written by people as source code.
    fn is_source(&self) -> bool {
        let ending = self.ending();
        KINDS
            .iter()
            .any(|(known, _, is_source)| *is_source && ending.as_deref() == Some(known))
    }

    /// Its name holds what the listing had to escape; it cannot be asked for by that name.
    fn is_odd(&self) -> bool {
        self.path.contains('\\')
    }

    /// It is worth a try: not empty, not huge, and of a kind that holds text.
    fn is_readable(&self) -> bool {
        let ending = self.ending();
        let is_text = ending.is_none_or(|ending| {
            ending != "lock" && KINDS.iter().any(|(known, ..)| *known == ending)
        });
        is_text && !self.is_odd() && (1..=BYTES).contains(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_becomes_data() {
        let listing = Listing::parse(
            "README.md 120\nCargo.toml 90\n.agent-demo/\n.agent-demo/review.md 9000\nsrc/\nsrc/a file.rs 900\nsrc/lib.rs 2000\ntarget/ ...\nlink (link, not followed)\n\
             evil\\u{1b}[2J.rs 7\nlogo.png 5000\n[cut at 1,000 entries: list a folder inside, or less deep]\n",
        );
        assert_eq!(listing.files.len(), 6);
        assert_eq!((listing.folders, listing.others), (2, 1));
        assert!(listing.is_cut);
        assert_eq!(listing.odd_names(), 1);
        let paths = |files: Vec<&File>| {
            files
                .iter()
                .map(|file| file.path.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(paths(listing.texts()), ["README.md"]);
        assert_eq!(paths(listing.sources()), ["src/lib.rs", "src/a file.rs"]);
        assert_eq!(listing.manifest().unwrap().path, "Cargo.toml");
        assert_eq!(listing.kinds().first(), Some(&("Rust".to_owned(), 3)));
        assert_eq!(listing.largest().unwrap().path, "logo.png");
    }

    #[test]
    fn an_empty_folder_has_nothing_to_read() {
        let listing = Listing::parse("[empty]\n");
        assert!(listing.files.is_empty() && listing.texts().is_empty());
        assert!(!listing.is_cut);
    }
}

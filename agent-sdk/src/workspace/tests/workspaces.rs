//! Directories for runs.

use std::fs;

use jiff::{Timestamp, tz};

use crate::workspace::{Named, WorkspaceErrorKind, Workspaces};

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// The path below the root that a template gives.
fn rendered(template: &str, named: &Named) -> String {
    let root = tempfile::tempdir().unwrap();
    let workspaces = Workspaces::new(root.path()).template(template).unwrap();
    let workspace = workspaces.create(named).unwrap();
    assert!(workspace.path().is_dir());
    let below = workspace.path().strip_prefix(root.path()).unwrap();
    below.to_str().unwrap().to_owned()
}

#[test]
fn a_template_says_where_a_run_works() {
    let named = Named::new("Review the code!", at("2026-11-20T14:09:05Z"))
        .run("01936f1e")
        .agent("My Agent")
        .user("ada@example.org")
        .session("s/1");
    for (template, expected) in [
        (
            "week-{week}/{date}/{slug}-{time}",
            "week-47/2026-11-20/review-the-code-140905",
        ),
        ("{year}/{week}", "2026/47"),
        ("{run}", "01936f1e"),
        ("{agent}_{user}/{session}", "My-Agent_ada-example-org/s-1"),
        ("plain", "plain"),
        ("runs/{slug}{slug}", "runs/review-the-codereview-the-code"),
    ] {
        assert_eq!(rendered(template, &named), expected, "{template}");
    }
    let root = tempfile::tempdir().unwrap();
    let workspace = Workspaces::new(root.path()).create(&named).unwrap();
    assert!(
        workspace
            .path()
            .ends_with("week-47/2026-11-20/review-the-code-140905")
    );
}

#[test]
fn dates_are_those_of_the_time_zone_and_weeks_those_of_iso() {
    for (time, offset, expected) in [
        ("2026-11-20T23:30:00Z", 0, "2026/47/2026-11-20/233000"),
        ("2026-11-20T23:30:00Z", 1, "2026/47/2026-11-21/003000"),
        ("2026-11-23T01:00:00Z", -2, "2026/47/2026-11-22/230000"),
        ("2027-01-01T12:00:00Z", 0, "2027/53/2027-01-01/120000"),
        ("2024-12-30T12:00:00Z", 0, "2024/01/2024-12-30/120000"),
        ("2026-01-05T00:00:00Z", 0, "2026/02/2026-01-05/000000"),
        ("0001-01-02T00:00:00Z", 0, "0001/01/0001-01-02/000000"),
    ] {
        let named = Named::new("x", at(time)).time_zone(tz::TimeZone::fixed(tz::offset(offset)));
        assert_eq!(
            rendered("{year}/{week}/{date}/{time}", &named),
            expected,
            "{time}"
        );
    }
}

#[test]
fn a_wrong_template_is_refused_with_the_reason() {
    for (template, reason) in [
        (
            "{day}",
            "has a placeholder `{day}`, which does not exist; there are {year} {week} {date} {time}",
        ),
        ("{Date}", "has a placeholder `{Date}`"),
        ("{}", "has a placeholder `{}`"),
        ("{{date}}", "has a placeholder `{{date}`"),
        ("{date", "has a `{` without its `}`"),
        ("date}", "has a `}` without its `{`"),
        ("a}{date}", "has a `}` without its `{`"),
        ("/tmp/{date}", "is absolute"),
        ("/", "is absolute"),
        ("..", "has a name of dots alone"),
        ("../{date}", "has a name of dots alone"),
        ("{date}/../..", "has a name of dots alone"),
        (".", "has a name of dots alone"),
        ("", "has an empty name"),
        ("a//b", "has an empty name"),
        ("a/", "has an empty name"),
        ("C:\\{date}", "has a name with one of"),
        ("a\0b", "has a name with characters that do not show"),
        ("~/{date}", "begins with `~`"),
        ("con/{date}", "has a name that Windows keeps for a device"),
        (".git/{date}", "belongs to version control"),
        (&"a/".repeat(20), "has more than 16 names"),
        (&"a".repeat(600), "is longer than 512 bytes"),
    ] {
        let error = Workspaces::new("unused").template(template).unwrap_err();
        assert_eq!(error.kind(), WorkspaceErrorKind::Invalid);
        assert!(error.to_string().contains(reason), "{template:?}: {error}");
    }
}

#[test]
fn what_the_template_asks_for_must_be_given() {
    let root = tempfile::tempdir().unwrap();
    for word in ["run", "agent", "user", "session"] {
        let template = format!("{{{word}}}/{{date}}");
        let workspaces = Workspaces::new(root.path()).template(&template).unwrap();
        let error = workspaces
            .create(&Named::new("x", Timestamp::UNIX_EPOCH))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the template asks for {{{word}}}, which was not given")
        );
    }
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn t6_no_id_leads_out_of_the_root() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let workspaces = Workspaces::new(&root)
        .template("{user}/{agent}/{slug}")
        .unwrap();
    for hostile in [
        "..", "../..", "/etc", "a/b", "a\\b", "\0", "", "~", "C:", "con", ".git", "\u{202e}",
        "..\n",
    ] {
        let named = Named::new(hostile, Timestamp::UNIX_EPOCH)
            .user(hostile)
            .agent(hostile);
        let workspace = workspaces.create(&named).unwrap();
        let below = workspace.path().strip_prefix(&root).unwrap();
        assert_eq!(below.components().count(), 3, "{hostile:?}: {below:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_directory_is_always_a_new_one() {
    let root = tempfile::tempdir().unwrap();
    let workspaces = Workspaces::new(root.path()).template("{slug}").unwrap();
    let named = Named::new("same", Timestamp::UNIX_EPOCH);
    let name = || {
        let workspace = workspaces.create(&named).unwrap();
        assert_eq!(workspace.files().unwrap().entries, []);
        workspace.write("mark", "x").unwrap();
        workspace
            .path()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!([name(), name(), name()], ["same", "same-2", "same-3"]);
    fs::write(root.path().join("same-4"), "a file of this name").unwrap();
    assert_eq!(name(), "same-5");
}

#[test]
fn runs_that_begin_at_the_same_moment_share_nothing() {
    let root = tempfile::tempdir().unwrap();
    let workspaces = Workspaces::new(root.path());
    let named = Named::new("same", Timestamp::UNIX_EPOCH);
    let mut paths: Vec<_> = std::thread::scope(|scope| {
        let make = || {
            let made = (0..20).map(|_| workspaces.create(&named).unwrap().path().to_owned());
            made.collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), 80);
}

#[cfg(unix)]
#[test]
fn only_the_owner_gets_in() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("a/workspaces");
    let workspaces = Workspaces::new(&root).template("{date}/{slug}").unwrap();
    let workspace = workspaces
        .create(&Named::new("x", Timestamp::UNIX_EPOCH))
        .unwrap();
    for path in [&root, &root.join("1970-01-01"), workspace.path()] {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", path.display());
    }
}

#[cfg(unix)]
#[test]
fn t6_a_link_below_the_root_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    std::os::unix::fs::symlink("..", root.join("1970-01-01")).unwrap();
    let workspaces = Workspaces::new(&root).template("{date}/{slug}").unwrap();
    let error = workspaces
        .create(&Named::new("x", Timestamp::UNIX_EPOCH))
        .unwrap_err();
    assert_eq!(error.kind(), WorkspaceErrorKind::Refused);
    assert_eq!(
        workspaces.open("1970-01-01").unwrap_err().kind(),
        WorkspaceErrorKind::Refused
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_directory_is_found_again() {
    let root = tempfile::tempdir().unwrap();
    let workspaces = Workspaces::new(root.path());
    let made = workspaces
        .create(&Named::new("x", Timestamp::UNIX_EPOCH))
        .unwrap();
    made.write("f", "kept").unwrap();
    let below = made.path().strip_prefix(workspaces.root()).unwrap();
    for path in [made.path(), below] {
        let opened = workspaces.open(path).unwrap();
        assert_eq!(opened.path(), made.path());
        assert_eq!(opened.read("f").unwrap(), b"kept");
    }
    assert_eq!(
        workspaces.open("none").unwrap_err().kind(),
        WorkspaceErrorKind::NotFound
    );
    for path in ["..", "/", "week-01/..", "/etc"] {
        assert_eq!(
            workspaces.open(path).unwrap_err().kind(),
            WorkspaceErrorKind::Refused,
            "{path}"
        );
    }
    assert_eq!(
        workspaces.open("").unwrap_err().kind(),
        WorkspaceErrorKind::Invalid
    );
    assert_eq!(
        workspaces.open(root.path()).unwrap_err().kind(),
        WorkspaceErrorKind::Invalid
    );
}

//! What tries to leave the workspace.

use std::{collections::BTreeMap, fs, path::Path, time::SystemTime};

use super::{SECRET, Sandbox};

/// Asks all tools for a path; none may answer with anything of the outside.
fn assert_refused(sandbox: &Sandbox, path: &str) {
    assert_not_read(sandbox, path);
    assert_not_written(sandbox, path);
}

fn assert_not_written(sandbox: &Sandbox, path: &str) {
    let shown = path.chars().take(60).collect::<String>();
    for (tool, answer) in [
        ("write", sandbox.write(path, "evil")),
        ("append", sandbox.append(path, "evil")),
    ] {
        match answer {
            Ok(answer) => panic!("{tool} of {shown:?} answered {answer:?}"),
            Err(error) => assert!(
                !error.to_string().contains(SECRET),
                "{tool} of {shown:?}: {error}"
            ),
        }
    }
}

fn assert_not_read(sandbox: &Sandbox, path: &str) {
    let shown = path.chars().take(60).collect::<String>();
    for (tool, answer) in [
        ("read", sandbox.read(path)),
        ("list", sandbox.list(path)),
        ("search", sandbox.search("secret", path)),
    ] {
        match answer {
            Ok(answer) => panic!("{tool} of {shown:?} answered {answer:?}"),
            Err(error) => assert!(
                !error.to_string().contains(SECRET),
                "{tool} of {shown:?}: {error}"
            ),
        }
    }
}

#[test]
fn t6_no_path_leads_out_of_the_workspace() {
    let sandbox = Sandbox::new(&[
        ("inside/file", "x"),
        (".git/config", "token = secret"),
        (".hg/hgrc", "secret"),
    ]);
    fs::create_dir(sandbox.outside().join("ws-evil")).unwrap();
    fs::write(sandbox.outside().join("ws-evil/secret.txt"), SECRET).unwrap();
    let before = everything(sandbox.outside());
    let outside = sandbox.outside().to_str().unwrap().to_owned();
    let mut payloads: Vec<String> = [
        "..",
        "../",
        "../secret.txt",
        "./../secret.txt",
        "inside/../../secret.txt",
        "inside/../file",
        "inside/..",
        "inside/./../../secret.txt",
        "none/../../secret.txt",
        "../../../../../../../../etc/passwd",
        "../ws-evil",
        "../ws-evil/secret.txt",
        "../ws/inside/file",
        "..//secret.txt",
        ".././secret.txt",
        "/",
        "//",
        "/etc/passwd",
        "//etc/passwd",
        "/../etc/passwd",
        "/proc/self/environ",
        "/proc/self/cwd/secret.txt",
        "/dev/stdin",
        "/inside/file",
        "file:///etc/passwd",
        "~",
        "~/.ssh/id_rsa",
        "..\\secret.txt",
        "inside\\..\\..\\secret.txt",
        "C:\\Windows\\win.ini",
        "\\\\server\\share\\file",
        "\\\\?\\C:\\secret",
        "%2e%2e/secret.txt",
        "%2e%2e%2fsecret.txt",
        "..%2fsecret.txt",
        "..%00/secret.txt",
        "....//secret.txt",
        ".../secret.txt",
        "..\u{2215}secret.txt",
        "\u{ff0e}\u{ff0e}/secret.txt",
        "\u{2025}/secret.txt",
        "..\0",
        "inside/file\0",
        "inside/file\0.txt",
        "\0",
        "inside/file/..",
        "inside/file/../../../secret.txt",
        ".git",
        ".git/config",
        "./.git/config",
        ".GIT/config",
        ".hg/hgrc",
        "inside/.git/config",
        " ../secret.txt",
        "../secret.txt ",
        "..\n/secret.txt",
    ]
    .map(str::to_owned)
    .into();
    payloads.extend([
        outside.clone(),
        format!("{outside}/secret.txt"),
        format!("{outside}/ws/inside/file"),
        format!("{outside}/ws-evil/secret.txt"),
        "a".repeat(5000),
        "a/".repeat(2500),
        "../".repeat(1700),
        format!("{}secret.txt", "./".repeat(2500)),
        "é".repeat(600),
        "a/".repeat(65),
    ]);
    assert!(payloads.len() >= 40);
    for payload in payloads {
        assert_refused(&sandbox, &payload);
        assert!(sandbox.workspace.read(&payload).is_err(), "{payload:?}");
        assert!(
            sandbox.workspace.write(&payload, "evil").is_err(),
            "{payload:?}"
        );
    }
    assert_eq!(everything(sandbox.outside()), before);
}

#[cfg(unix)]
#[test]
fn t6_no_link_leads_out_of_the_workspace() {
    use std::os::unix::fs::symlink;

    let sandbox = Sandbox::new(&[("inside/file", "x"), (".git/config", "secret")]);
    let root = sandbox.outside().join("ws");
    let links = [
        ("to-file", "../secret.txt".to_owned()),
        ("to-folder", "..".to_owned()),
        (
            "to-absolute",
            sandbox.outside().to_str().unwrap().to_owned(),
        ),
        ("to-root", "/".to_owned()),
        ("to-self", "to-self".to_owned()),
        ("to-proc", "/proc/self/cwd".to_owned()),
        ("to-vcs", ".git".to_owned()),
        ("to-link", "to-folder".to_owned()),
        ("to-inside", "inside".to_owned()),
        ("inside/up", "../../secret.txt".to_owned()),
    ];
    for (link, target) in &links {
        symlink(target, root.join(link)).unwrap();
    }
    let before = everything(sandbox.outside());
    for path in [
        "to-file",
        "to-folder",
        "to-folder/secret.txt",
        "to-absolute",
        "to-absolute/secret.txt",
        "to-root/etc/passwd",
        "to-self",
        "to-self/x",
        "to-proc/Cargo.toml",
        "to-vcs/config",
        "to-link/secret.txt",
        "to-inside/file",
        "to-inside/up",
        "inside/up",
        "inside/up/",
        "to-folder/new.txt",
        "to-absolute/new/new.txt",
        "to-inside/new.txt",
    ] {
        assert_refused(&sandbox, path);
    }
    assert_eq!(everything(sandbox.outside()), before);
    let error = sandbox.read("to-file").unwrap_err().to_string();
    assert_eq!(
        error,
        "`to-file` leads over a symbolic link, which is not followed"
    );
    let listed = sandbox.list(".").unwrap();
    assert!(
        listed.contains("to-folder (link, not followed)\n"),
        "{listed}"
    );
    assert!(!listed.contains("secret.txt"), "{listed}");
    assert_eq!(
        sandbox.search("secret", ".").unwrap(),
        "[no match in 1 files]\n"
    );
}

#[cfg(unix)]
#[test]
fn t6_hard_links_and_special_files_are_refused_at_once() {
    let sandbox = Sandbox::new(&[("file", "x")]);
    let root = sandbox.outside().join("ws");
    fs::hard_link(sandbox.outside().join("secret.txt"), root.join("hard")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(root.join("pipe"))
        .status();
    std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    let before = everything(sandbox.outside());
    assert_refused(&sandbox, "hard");
    assert_refused(&sandbox, "socket");
    if made.is_ok_and(|status| status.success()) {
        assert_refused(&sandbox, "pipe");
    }
    assert_eq!(everything(sandbox.outside()), before);
    assert_eq!(
        sandbox.search("secret", ".").unwrap(),
        "[no match in 1 files]\n"
    );
}

#[test]
fn t6_a_path_that_only_looks_dangerous_stays_inside() {
    let sandbox = Sandbox::new(&[]);
    for path in [
        "$HOME/.ssh/id_rsa",
        "etc/passwd",
        "-rf",
        "a/./b",
        "tmp//x",
        ".env",
        "..a",
        "a..b",
    ] {
        sandbox.write(path, "x").unwrap();
        assert_eq!(sandbox.workspace.read(path).unwrap(), b"x");
    }
    let mut after = everything(sandbox.outside());
    after.retain(|path, _| !path.starts_with("ws/"));
    assert_eq!(after.into_keys().collect::<Vec<_>>(), ["secret.txt", "ws"]);
}

#[test]
fn t6_what_came_to_lie_under_the_path_of_the_workspace_is_not_it() {
    let sandbox = Sandbox::new(&[("file", "of the workspace")]);
    let path = sandbox.outside().join("ws");
    fs::rename(&path, sandbox.outside().join("moved")).unwrap();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("file"), SECRET).unwrap();
    assert_eq!(sandbox.workspace.read("file").unwrap(), b"of the workspace");
    sandbox.write("new", "x").unwrap();
    assert!(sandbox.outside().join("moved/new").exists());
    assert!(!path.join("new").exists());
}

/// All files below a folder, with what they hold and when they were changed.
pub(super) fn everything(folder: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(inside).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .strip_prefix(folder)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let held = if metadata.is_dir() {
                folders.push(path);
                Vec::new()
            } else if metadata.is_file() {
                fs::read(path).unwrap()
            } else {
                Vec::new()
            };
            found.insert(name, (held, metadata.modified().unwrap()));
        }
    }
    found
}

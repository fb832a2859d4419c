//! What tries to leave the workspace.

use std::fs;

use super::{SECRET, Sandbox};

/// Asks all three tools for a path; none may answer with anything of the outside.
fn assert_refused(sandbox: &Sandbox, path: &str) {
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
fn no_path_leads_out_of_the_workspace() {
    let sandbox = Sandbox::new(&[
        ("inside/file", "x"),
        (".git/config", "token = secret"),
        (".hg/hgrc", "secret"),
    ]);
    fs::create_dir(sandbox.outside().join("ws-evil")).unwrap();
    fs::write(sandbox.outside().join("ws-evil/secret.txt"), SECRET).unwrap();
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
        "$HOME/.ssh/id_rsa",
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
    }
}

#[cfg(unix)]
#[test]
fn no_link_leads_out_of_the_workspace() {
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
    ] {
        assert_refused(&sandbox, path);
    }
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
fn hard_links_and_special_files_are_refused_at_once() {
    let sandbox = Sandbox::new(&[("file", "x")]);
    let root = sandbox.outside().join("ws");
    fs::hard_link(sandbox.outside().join("secret.txt"), root.join("hard")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(root.join("pipe"))
        .status();
    std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    assert_refused(&sandbox, "hard");
    assert_refused(&sandbox, "socket");
    if made.is_ok_and(|status| status.success()) {
        assert_refused(&sandbox, "pipe");
    }
    assert_eq!(
        sandbox.search("secret", ".").unwrap(),
        "[no match in 1 files]\n"
    );
}

#[cfg(unix)]
#[test]
fn what_is_swapped_for_a_link_meanwhile_is_not_followed() {
    use std::{
        os::unix::fs::symlink,
        sync::atomic::{AtomicBool, Ordering},
    };

    let sandbox = Sandbox::new(&[("real/secret.txt", "harmless"), ("real-file", "harmless")]);
    let root = sandbox.outside().join("ws");
    symlink(sandbox.outside(), root.join("evil")).unwrap();
    symlink("../secret.txt", root.join("evil-file")).unwrap();
    let done = AtomicBool::new(false);
    let (mut read, mut refused) = (0_u32, 0_u32);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Both names alternate between something real and a link that leads out.
            while !done.load(Ordering::Relaxed) {
                for (a, b) in [("real", "evil"), ("real-file", "evil-file")] {
                    let swapped = if a == "real" { "folder" } else { "file" };
                    for from in [a, b] {
                        let _ = fs::rename(root.join(from), root.join(swapped));
                        let _ = fs::rename(root.join(swapped), root.join(from));
                    }
                }
            }
        });
        for _ in 0..50_000 {
            for path in ["folder/secret.txt", "file"] {
                match sandbox.read(path) {
                    Ok(text) => {
                        assert_eq!(text, "harmless");
                        read += 1;
                    }
                    Err(_) => refused += 1,
                }
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(
        refused > 0,
        "{read} read, {refused} refused: nothing was swapped"
    );
}

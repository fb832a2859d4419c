//! `agent plan`: what it says of plans that are right and wrong, and that the examples are right.
#![cfg(test)]

mod support;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;
use support::{agent, ended, text};
use tempfile::TempDir;

const PLAN: &str = "\
name = \"two\"
[[steps]]
id = \"a\"
agent = \"writer\"
[[steps]]
id = \"b\"
agent = \"reader\"
input = \"${steps.a}\"
";

const DRAWN: &str = "\
plan two: 2 steps, 2 layers, width 1
├─ layer 1
│  └─ a  agent writer
└─ layer 2
   └─ b  agent reader  ← a
";

/// Wrong plans, and what is said of each.
const MISTAKES: &str = include_str!("plans/mistakes.txt");

/// A folder with a file in it.
fn folder(name: &str, bytes: impl AsRef<[u8]>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), bytes).unwrap();
    folder
}

/// `agent plan …` in a folder.
fn plan(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = agent(&["plan"]);
    let output = command
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let (code, out, err) = ended(&output);
    (code, out.to_owned(), err.to_owned())
}

fn with_input(arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = agent(arguments);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let (code, out, err) = ended(&output);
    (code, out.to_owned(), err.to_owned())
}

fn same(answer: &(Option<i32>, String, String), code: i32, out: &str, err: &str) {
    assert_eq!(
        (answer.0, &*answer.1, &*answer.2),
        (Some(code), out, err),
        "{answer:?}"
    );
}

#[test]
fn a_plan_that_is_right_is_summed_up() {
    let folder = folder("p.toml", PLAN);
    let said = "plan two: 2 steps, 2 layers, width 1\n";
    same(&plan(folder.path(), &["check", "p.toml"]), 0, said, "");
    let json = "{\"layers\":2,\"name\":\"two\",\"ok\":true,\"steps\":2,\"width\":1}\n";
    let arguments = ["check", "p.toml", "--json"];
    same(&plan(folder.path(), &arguments), 0, json, "");
}

#[test]
fn standard_input_is_read_as_what_it_looks_like() {
    let said = "plan two: 2 steps, 2 layers, width 1\n";
    same(&with_input(&["plan", "check", "-"], PLAN), 0, said, "");
    let json = r#" {"name": "p", "steps": [{"id": "a", "agent": "w"}]}"#;
    let said = "plan p: 1 step, 1 layer, width 1\n";
    same(&with_input(&["plan", "check", "-"], json), 0, said, "");
    same(&with_input(&["plan", "show", "-"], PLAN), 0, DRAWN, "");
    let (code, out, err) = with_input(&["plan", "check", "-"], "name = 'p'");
    assert_eq!((code, &*out), (Some(2), ""));
    assert!(err.starts_with("<stdin>:1:1: steps: "), "{err}");
}

#[test]
fn a_plan_is_drawn_as_asked() {
    let folder = folder("p.toml", PLAN);
    let at = folder.path();
    same(&plan(at, &["show", "p.toml"]), 0, DRAWN, "");
    let (code, mermaid, _) = plan(at, &["show", "p.toml", "--format", "mermaid"]);
    assert_eq!(code, Some(0));
    assert!(mermaid.starts_with("flowchart TD\n"), "{mermaid}");
    let (code, svg, _) = plan(at, &["show", "p.toml", "--format", "svg"]);
    assert_eq!(code, Some(0));
    assert!(
        svg.starts_with("<svg ") && svg.ends_with("</svg>\n"),
        "{svg}"
    );

    // The ending of a file says the form, the flag says it first.
    for (arguments, file, drawing) in [
        (&["-o", "p.svg"][..], "p.svg", &*svg),
        (&["--output", "p.mmd"], "p.mmd", &*mermaid),
        (&["-o", "p.txt"], "p.txt", DRAWN),
        (&["-o", "q.svg", "--format", "text"], "q.svg", DRAWN),
    ] {
        let answer = plan(at, &[&["show", "p.toml"], arguments].concat());
        let size = drawing.len();
        let said = if size < 1000 {
            format!("drew plan two to {file}, {size} bytes\n")
        } else {
            answer.1.clone()
        };
        same(&answer, 0, &said, "");
        assert_eq!(fs::read_to_string(at.join(file)).unwrap(), drawing);
    }
    let (code, _, err) = plan(at, &["show", "p.toml", "-o", "no/such/folder.svg"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("cannot be written"), "{err}");
}

#[test]
fn a_template_is_drawn_with_its_parameters() {
    let text = format!(
        "{PLAN}map = {{ over = \"${{params.list}}\" }}\n[params]\nlist = {{ type = \"array\", default = [1, 2] }}\nname = {{}}\n"
    );
    let folder = folder("p.toml", text);
    let at = folder.path();
    let (code, out, _) = plan(at, &["show", "p.toml", "--param", "name=x"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("[map of 2]"), "{out}");
    assert!(
        out.ends_with("\nparams\n  list = [1,2]\n  name = \"x\"\n"),
        "{out}"
    );
    let (code, out, err) = plan(at, &["show", "p.toml", "--param", "list=3"]);
    assert_eq!((code, &*out), (Some(2), ""));
    assert!(err.contains("params.list: must be of type array"), "{err}");
    assert!(err.contains("params.name: must be given"), "{err}");
}

#[test]
fn the_schema_is_json_that_knows_the_keys() {
    let (code, out, _) = plan(Path::new("."), &["schema"]);
    assert_eq!(code, Some(0));
    let schema: Value = serde_json::from_str(&out).unwrap();
    assert!(schema["properties"]["steps"].is_object());
}

#[test]
fn a_file_that_cannot_be_read_is_said() {
    let folder = folder("p.toml", b"name = \"\xff\"");
    let (code, out, err) = plan(folder.path(), &["check", "p.toml"]);
    let said = "error: p.toml is no UTF-8 text: byte 8 is wrong. Convert it to UTF-8 first.\n";
    assert_eq!((code, &*out, &*err), (Some(2), "", said));
    for arguments in [["check", "none.toml"], ["show", "."]] {
        let (code, out, err) = plan(folder.path(), &arguments);
        assert_eq!((code, &*out), (Some(2), ""));
        assert!(err.contains("cannot be read"), "{err}");
    }
    let large = format!("name = \"p\"\n#{}", "x".repeat(16 << 20));
    let folder = self::folder("p.toml", large);
    let (code, _, err) = plan(folder.path(), &["check", "p.toml"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("longer than 16 MiB"), "{err}");
}

#[test]
fn c1_every_mistake_is_said_with_file_line_and_column() {
    let mut cases = 0;
    for case in MISTAKES.split("=== ").skip(1) {
        let (name, rest) = case.split_once('\n').unwrap();
        let (file, said) = rest.split_once("--- says\n").unwrap();
        let folder = folder(name, file);
        let answer = plan(folder.path(), &["check", name]);
        same(&answer, 2, "", said);
        let shown = plan(folder.path(), &["show", name]);
        assert_eq!(shown, answer);

        let (code, json, err) = plan(folder.path(), &["check", name, "--json"]);
        assert_eq!((code, &*err), (Some(2), ""));
        let json: Value = serde_json::from_str(&json).unwrap();
        let mistakes = json["mistakes"].as_array().unwrap();
        assert_eq!(json["ok"], false);
        assert_eq!(mistakes.len(), said.lines().count() - 1, "{json}");
        for (mistake, line) in mistakes.iter().zip(said.lines()) {
            let place = format!("{name}:{}:{}: ", mistake["line"], mistake["column"]);
            assert!(line.starts_with(&place), "{mistake} {line}");
        }
        cases += 1;
    }
    assert!(cases >= 60, "{cases}");
}

#[test]
fn c3_what_a_wrong_plan_says_does_not_act_on_a_terminal() {
    let folder = folder(
        "p.toml",
        "name = \"p\\u202e\\u001b[2J\"\n[[steps]]\nid = \"a\\u001b[2J\"\nagent = \"x\"\ndepends_on = [\"\\u009b1m\"]\n",
    );
    let (code, _, err) = plan(folder.path(), &["check", "p.toml"]);
    assert_eq!(code, Some(2));
    assert!(!err.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{err}");
}

#[test]
fn of_very_many_mistakes_the_first_are_said() {
    let steps = "[[steps]]\nid = \"a\"\nagent = \"x\"\ntimeout = \"0s\"\n".repeat(3_000);
    let folder = folder("p.toml", format!("name = \"p\"\n{steps}"));
    let (code, _, err) = plan(folder.path(), &["check", "p.toml"]);
    assert_eq!(code, Some(2));
    assert_eq!(err.lines().count(), 101);
    assert!(err.contains("and 5,899 mistakes more"), "{err}");
}

#[test]
fn the_example_plans_are_right_and_can_be_drawn() {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "examples", "plans"]
        .iter()
        .collect();
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "approval.toml",
            "fallback.toml",
            "fan_out.toml",
            "map.toml",
            "template.toml"
        ]
    );
    for name in &names {
        let (code, summary, err) = plan(&folder, &["check", name]);
        assert_eq!((code, &*err), (Some(0), ""), "{name}");
        for (format, begin) in [
            ("text", summary.trim_end()),
            ("mermaid", "flowchart TD\n"),
            ("svg", "<svg "),
        ] {
            let (code, drawing, err) = plan(&folder, &["show", name, "--format", format]);
            assert_eq!((code, &*err), (Some(0), ""), "{name}");
            assert!(drawing.starts_with(begin), "{drawing}");
        }
    }
    let output = agent(&["plan", "check", "--json"])
        .arg(folder.join("map.toml"))
        .output()
        .unwrap();
    let json: Value = serde_json::from_str(text(&output.stdout)).unwrap();
    assert_eq!((&json["steps"], &json["layers"]), (&3.into(), &3.into()));
}

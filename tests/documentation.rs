//! Promise: the documents say what is so. Their manifests are valid, their commands work, and the
//! reference has every key.
//!
//! The convention, for README.md, ARCHITECTURE.md, docs/ and the READMEs of the examples:
//!
//! | fence | is |
//! | --- | --- |
//! | `toml` | a whole manifest |
//! | `toml fragment` | part of one; a name and a program are put above it |
//! | `toml policy` | a host policy |
//! | a language and a name, `python x.py` | a file of that name, which can be executed |
//! | `sh`, `console` | lines that begin with `hostctl` or `jq` (`$ hostctl` in a console) are run |
//!
//! A command runs in a folder that holds `examples/`, the files of the hello example, and as its
//! app.toml the last whole manifest above; only `hostctl init` finds a script and no app.toml. It
//! must exit with 0, or with what a comment behind it says (`# … exit code 2 …`), or listen on a port
//! until it is stopped. Lines behind it in a console must be among what it says. A document that
//! deploys has a hostd.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::support::hostd::Hostd;
use crate::support::{As, Ran, Scene, eventually, hostctl, kill};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every document, by its path from the root.
fn documents() -> Vec<PathBuf> {
    let folder = |path: &str| {
        let entries = std::fs::read_dir(root().join(path)).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let examples = folder("examples").into_iter().map(|path| path.join("README.md"));
    let mut all: Vec<_> = ["README.md", "ARCHITECTURE.md"].map(|name| root().join(name)).into();
    all.extend(folder("docs").into_iter().chain(examples));
    all.retain(|path| path.extension().is_some_and(|end| end == "md") && path.exists());
    all
}

/// A fenced block: its words behind the fence, its text, and where it is.
struct Block {
    kind: String,
    text: String,
    place: String,
}

fn blocks(document: &Path) -> Vec<Block> {
    let text = std::fs::read_to_string(document).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in (1..).zip(text.lines()) {
        match (line.strip_prefix("```"), &mut open) {
            (Some(kind), None) => {
                let place = format!("{}:{number}", document.display());
                open = Some(Block { kind: kind.to_owned(), text: String::new(), place });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.text.push_str(&format!("{line}\n")),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{}: a fence is not closed", document.display());
    blocks
}

#[test]
fn every_manifest_is_valid() {
    let scene = Scene::new(As::User);
    let mut count = 0;
    for block in documents().iter().flat_map(|document| blocks(document)) {
        let text = match block.kind.as_str() {
            "toml" => block.text,
            "toml fragment" => format!("name = \"app\"\nrun = \"true\"\n{}", block.text),
            _ => continue,
        };
        scene.write("app.toml", &text);
        let ran = scene.run(["check", "app.toml"]);
        assert_eq!(ran.code, 0, "{}: {}", block.place, ran.err);
        count += 1;
    }
    assert!(count >= 10, "only {count} manifests in the documents");
}

#[test]
fn every_host_policy_is_valid() {
    let scene = Scene::new(As::Root);
    let policies = documents().into_iter().flat_map(|document| blocks(&document));
    for block in policies.filter(|block| block.kind == "toml policy") {
        std::fs::write(scene.config().join("policy.toml"), block.text).unwrap();
        let limits = ["--set", "limits.memory=1G", "--set", "limits.processes=8"];
        scene.write("app.toml", "name = \"app\"\nrun = \"true\"\n");
        let run = ["run", "--allow-unenforced", "app.toml"];
        let ran = scene.run(run.iter().chain(&limits));
        assert_eq!(ran.code, 0, "{}: {}", block.place, ran.err);
    }
}

/// A command of a document and the lines that follow it.
struct Typed<'a> {
    line: &'a str,
    shown: Vec<&'a str>,
}

fn commands(block: &Block) -> Vec<Typed<'_>> {
    let prompt = if block.kind == "console" { "$ " } else { "" };
    let mut all: Vec<Typed<'_>> = Vec::new();
    for line in block.text.lines() {
        match line.strip_prefix(prompt) {
            Some(line) => all.push(Typed { line, shown: Vec::new() }),
            None => all.iter_mut().last().into_iter().for_each(|typed| typed.shown.push(line)),
        }
    }
    all.retain(|typed| ["hostctl ", "jq "].iter().any(|start| typed.line.starts_with(start)));
    all
}

/// The exit code that a line has by its comment.
fn code(line: &str) -> i32 {
    let said = line.split_once(" # ").and_then(|(_, comment)| comment.split_once("exit code "));
    let digits = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
    said.and_then(|(_, text)| digits(text)).unwrap_or(0)
}

/// A folder as a reader has it.
fn folder() -> Scene {
    let scene = Scene::new(As::Root);
    scene.copy_app(&root().join("examples/hello"));
    let examples = scene.app().join("examples");
    std::fs::create_dir(&examples).unwrap();
    let status = std::process::Command::new("cp")
        .args(["-R", &root().join("examples/.").display().to_string()])
        .arg(&examples)
        .status()
        .unwrap();
    assert!(status.success());
    scene
}

/// Run a line in a network namespace of its own, where every port is free; if it listens, stop it.
fn run(scene: &Scene, line: &str) -> Ran {
    if line.starts_with("hostctl init") {
        let scene = Scene::new(As::Root);
        scene.script("server", "#!/bin/sh\n");
        return run_in(&scene, line);
    }
    run_in(scene, line)
}

fn run_in(scene: &Scene, line: &str) -> Ran {
    let line = line.replace("/var/lib/hostctl/", &format!("{}/", scene.state().display()));
    let up = format!("busybox ip link set lo up && exec {line}");
    let mut command = scene.command(Path::new("unshare"));
    let bin = scene.outside().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let _ = std::os::unix::fs::symlink(hostctl(), bin.join("hostctl"));
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", bin.display());
    command.args(["--net", "sh", "-c", &up]).env("PATH", path);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let mut listens = false;
    eventually(&line, || {
        listens = is_listening(pid);
        listens || child.try_wait().unwrap().is_some()
    });
    if listens {
        kill("TERM", pid as i32);
    }
    let mut ran = Ran::from(child.wait_with_output().unwrap());
    if listens && ran.code == 128 + 15 {
        ran.code = 0;
    }
    ran
}

/// Whether anything listens in this process's network namespace (proc_pid_net(5): state 0A).
fn is_listening(pid: u32) -> bool {
    // Until it has a namespace of its own, this is the machine's.
    let namespace = |path: &str| std::fs::read_link(path).ok();
    let own = namespace(&format!("/proc/{pid}/ns/net"));
    let table = |name| std::fs::read_to_string(format!("/proc/{pid}/net/{name}"));
    let listens = ["tcp", "tcp6"]
        .into_iter()
        .flat_map(table)
        .any(|table| table.lines().any(|line| line.split_whitespace().nth(3) == Some("0A")));
    listens && own.is_some() && own != namespace("/proc/self/ns/net")
}

#[test]
fn every_command_works() {
    let mut count = 0;
    for document in documents() {
        let scene = folder();
        let all = blocks(&document);
        let deploys = |block: &Block| {
            commands(block).iter().any(|typed| typed.line.starts_with("hostctl deploy"))
        };
        let _hostd = all.iter().any(deploys).then(|| Hostd::start_alone(&scene));
        for block in all {
            match block.kind.split_once(' ') {
                None if block.kind == "toml" => _ = scene.write("app.toml", &block.text),
                Some((language, name)) if language != "toml" => _ = scene.script(name, &block.text),
                _ => {}
            }
            if !["sh", "console"].contains(&block.kind.as_str()) {
                continue;
            }
            for typed in commands(&block) {
                let ran = run(&scene, typed.line);
                let said = format!("{}{}", ran.out, ran.err);
                assert_eq!(ran.code, code(typed.line), "{}: {}\n{said}", block.place, typed.line);
                for line in typed.shown {
                    assert!(said.contains(line), "{}: {line:?} is not in\n{said}", block.place);
                }
                count += 1;
            }
        }
    }
    assert!(count >= 15, "only {count} commands in the documents");
}

#[test]
fn the_reference_has_every_key() {
    let schema: Value = {
        let scene = Scene::new(As::User);
        serde_json::from_str(&scene.run(["schema"]).exited(0).out).unwrap()
    };
    let reference = std::fs::read_to_string(root().join("docs/manifest.md")).unwrap();
    let keys = |table: &Value| -> Vec<String> {
        table["properties"].as_object().unwrap().keys().cloned().collect()
    };
    let service = keys(&schema["$defs"]["Service"]);
    let app = keys(&schema).into_iter().filter(|key| !service.contains(key)).collect();
    let tables = schema["$defs"].as_object().unwrap().iter();
    let tables = tables.filter(|(name, _)| !name.ends_with("Override"));
    let named = tables.map(|(name, table)| (name.to_lowercase(), keys(table)));
    for (name, keys) in std::iter::once(("app".to_owned(), app)).chain(named) {
        let section = section(&reference, &name);
        for key in keys {
            let row = format!("\n| `{key}` |");
            assert!(section.contains(&row), "{key} is not in the section about {name}");
        }
    }
}

/// From the first heading with this word to the next heading.
fn section<'a>(document: &'a str, word: &str) -> &'a str {
    let is_named = |text: &str| {
        let heading = text.lines().next().unwrap_or_default().to_lowercase();
        heading.split_whitespace().any(|one| one == word)
    };
    let mut sections = document.split("\n#").skip(1);
    sections.find(|text| is_named(text)).unwrap_or_else(|| panic!("no section about {word}"))
}

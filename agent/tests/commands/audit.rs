//! Promise: `audit` shows who did what, and `audit verify` fails when anybody touched it.

use std::path::PathBuf;

use agent::audit::{Actor, Deed, Log};
use agent::plan::Directories;
use serde_json::{Value, json};

use crate::scene::{Run, Scene};

fn state(scene: &Scene) -> PathBuf {
    scene.kept().join("state")
}

/// Two entries, the second refused.
fn recorded(name: &str) -> Scene {
    let scene = Scene::new(name);
    let (state, run, config) = (state(&scene), scene.kept(), scene.kept());
    let log = Log::new(&Directories { state, run, config });
    let alice = Actor { uid: 1000, gid: 100, pid: 7, user: Some("alice".to_owned()) };
    let deed = Deed::done("deploy", "shop", json!({ "version": 8 }));
    log.append(&alice, 1_767_322_800_123, deed).unwrap();
    let stranger = Actor { uid: 1002, gid: 100, pid: 9, user: None };
    let deed = Deed::refused("exec", "shop.web.1", "sh \u{1b}[2J", "not allowed to");
    log.append(&stranger, 1_767_322_801_000, deed).unwrap();
    scene
}

#[test]
fn the_last_entries_are_shown() {
    let scene = recorded("audit-list");
    let ran = exited(&scene, &["audit"], 0);
    let lines: Vec<_> = ran.out.lines().map(str::split_whitespace).map(words).collect();
    assert_eq!(
        lines,
        [
            "1 2026-01-02T03:00:00.123Z alice (1000) deploy shop done {\"version\":8}",
            "2 2026-01-02T03:00:01.000Z uid 1002 exec shop.web.1 refused sh \\u{1b}[2J: not allowed to",
        ]
    );
    let ran = exited(&scene, &["audit", "-n", "1", "--json"], 0);
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(found["entries"].as_array().unwrap().len(), 1);
    assert_eq!(found["entries"][0]["target"], "shop.web.1");
}

#[track_caller]
fn exited(scene: &Scene, arguments: &[&str], code: i32) -> Run {
    let run = scene.hostctl(arguments);
    assert_eq!(run.code, code, "{run:#?}");
    run
}

fn words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_whole_log_is_verified_and_its_last_entry_told() {
    let scene = recorded("audit-verify");
    let ran = exited(&scene, &["audit", "verify"], 0);
    assert!(ran.out.starts_with("2 entries, 2026-01-02T03:00:00.123Z to "), "{}", ran.out);
    let noted = ran.out.lines().last().unwrap().rsplit(' ').next().unwrap();
    exited(&scene, &["audit", "verify", "--noted", noted], 0);
    let other = format!("2:{}", "0".repeat(64));
    let ran = exited(&scene, &["audit", "verify", "--noted", &other], 1);
    assert!(ran.err.contains("entry 2 is not the one"), "{}", ran.err);
    exited(&scene, &["audit", "verify", "--noted", "2:xyz"], 2);
}

#[test]
fn no_log_has_no_entries() {
    let scene = Scene::new("audit-none");
    assert_eq!(exited(&scene, &["audit"], 0).out, "");
    let ran = exited(&scene, &["audit", "verify"], 0);
    assert_eq!(ran.out, "the audit log has no entries\n");
}

#[test]
fn a_log_that_was_touched_ends_with_1() {
    let scene = recorded("audit-touched");
    let path = state(&scene).join("audit.log");
    let log = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, log.replace("alice", "mally")).unwrap();
    let ran = exited(&scene, &["audit", "verify"], 1);
    assert!(ran.err.contains("audit.log:1: the entry was changed"), "{}", ran.err);
    assert!(ran.err.contains("hint: "), "{}", ran.err);
    let ran = exited(&scene, &["audit", "verify", "--json"], 1);
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(found["broken"]["line"], 1);
}

//! Promise: the audit log takes one entry after the other, whatever is killed when, and any entry
//! that is changed, removed, moved or inserted shows.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a test that can't go on should stop there

use std::fs;
use std::path::PathBuf;

use agent::audit::chain::{Head, LINE_BYTES, seal};
use agent::audit::verify::{Noted, verify};
use agent::audit::{Actor, AuditError, Broken, Deed, Log, Why};
use agent::plan::Directories;
use manifest_spec::api::{AuditEntry, AuditOutcome};
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
use proptest::sample::Index;
use serde_json::json;

/// A log of `texts.len()` entries, by its lines and its head after each.
fn written(texts: &[String]) -> (Vec<String>, Vec<Head>) {
    let (mut lines, mut heads) = (Vec::new(), vec![Head::start()]);
    for text in texts {
        let last = heads.last().unwrap();
        let entry = AuditEntry {
            n: last.n + 1,
            at_ms: 1_767_322_800_000 + last.n,
            uid: 1000,
            gid: 100,
            pid: 7,
            user: (text.len() % 2 == 0).then(|| text.clone()),
            action: "deploy".to_owned(),
            target: text.clone(),
            parameters: json!({ "text": text, "fraction": 0.1 + last.n as f64 }),
            outcome: AuditOutcome::Done,
            reason: None,
            previous: last.hash.clone(),
            hash: String::new(),
        };
        let (entry, line) = seal(entry);
        heads.push(Head { n: entry.n, bytes: last.bytes + line.len() as u64, hash: entry.hash });
        lines.push(line);
    }
    (lines, heads)
}

fn broken(lines: &[String], head: &Head) -> Option<Broken> {
    verify(lines.concat().as_bytes(), Some(&head.text())).err()
}

proptest! {
    #[test]
    fn what_was_written_is_found_again(
        texts in prop::collection::vec(".{0,12}", 0..8),
        behind in any::<Index>(),
        torn in any::<Index>(),
    ) {
        let (lines, heads) = written(&texts);
        let log = lines.concat();
        let head = &heads[behind.index(heads.len())];
        let whole = verify(log.as_bytes(), Some(&head.text())).unwrap();
        prop_assert_eq!(whole.entries, texts.len() as u64);
        prop_assert_eq!(whole.beyond, texts.len() as u64 - head.n);
        prop_assert_eq!(whole.last.map(|entry| entry.target), texts.last().cloned());
        // Cut by a crash while the entry after the head was written.
        if let Some(line) = lines.get(head.n as usize) {
            let cut = head.bytes as usize + torn.index(line.len());
            let found = verify(&log.as_bytes()[..cut], Some(&head.text())).unwrap();
            prop_assert_eq!((found.entries, found.unfinished), (head.n, cut as u64 - head.bytes));
        }
    }

    #[test]
    fn a_byte_that_was_changed_shows(
        texts in prop::collection::vec("[a-z]{0,4}", 1..4),
        at in any::<Index>(),
        change in 1_u8..,
    ) {
        let (lines, heads) = written(&texts);
        let head = heads.last().unwrap();
        let mut log = lines.concat().into_bytes();
        let at = at.index(log.len());
        log[at] ^= change;
        prop_assert!(verify(&log, Some(&head.text())).is_err(), "byte {} of the log", at);
        let mut text = head.text().into_bytes();
        let at = at % text.len();
        text[at] ^= change;
        // What is no text is no head either.
        if let Ok(text) = String::from_utf8(text) {
            let found = verify(lines.concat().as_bytes(), Some(&text));
            prop_assert!(found.is_err(), "byte {} of the head", at);
        }
    }

    #[test]
    fn an_entry_that_is_gone_moved_or_added_shows(
        texts in prop::collection::vec("[a-z]{0,4}", 2..7),
        one in any::<Index>(),
        other in any::<Index>(),
    ) {
        let (lines, heads) = written(&texts);
        let head = heads.last().unwrap();
        let (one, other) = (one.index(lines.len()), other.index(lines.len()));
        let mut gone = lines.clone();
        gone.remove(one);
        let found = broken(&gone, head).unwrap();
        prop_assert_eq!(found.line, Some(one as u64 + 1));
        let mut moved = lines.clone();
        moved.swap(one, other);
        prop_assert_eq!(broken(&moved, head).is_some(), one != other);
        let mut twice = lines.clone();
        twice.insert(other, lines[one].clone());
        prop_assert!(broken(&twice, head).is_some() || other == lines.len());
        let mut short = lines.clone();
        short.truncate(one);
        let why = broken(&short, head).unwrap().why;
        prop_assert_eq!(why, Why::CutOff { last: one as u64, head: head.n });
    }

    #[test]
    fn no_bytes_make_it_panic(log in prop::collection::vec(any::<u8>(), 0..300), head in ".{0,90}") {
        let _ = verify(&log, None);
        let _ = verify(&log, Some(&head));
    }
}

/// A chain that somebody wrote anew from one entry on is right by itself: only a head shows it.
#[test]
fn a_log_written_anew_shows_by_its_head() {
    let texts = ["a", "b", "c"].map(str::to_owned);
    let (_, heads) = written(&texts);
    let (forged, _) = written(&["a", "x", "c"].map(str::to_owned));
    assert_eq!(verify(forged.concat().as_bytes(), Some(&heads[1].text())).unwrap().beyond, 2);
    let found = broken(&forged, &heads[3]).unwrap();
    assert_eq!(found, Broken { line: Some(3), why: Why::OtherHead(3) });
    let found = verify(forged.concat().as_bytes(), None).unwrap_err();
    assert_eq!(found, Broken { line: None, why: Why::HeadMissing });
}

/// A head that names no entry is held to what it says all the same.
#[test]
fn a_head_made_to_name_nothing_shows() {
    let (lines, heads) = written(&["a".to_owned()]);
    let nothing = heads[1].text().replace("\"n\":1", "\"n\":0");
    let found = verify(lines.concat().as_bytes(), Some(&nothing)).unwrap_err();
    assert_eq!(found, Broken { line: None, why: Why::NoHead });
}

/// An entry that is right by itself, in the place of another, is not what the next one follows.
#[test]
fn an_entry_that_was_exchanged_for_a_right_one_shows() {
    let (mut lines, heads) = written(&["a", "b", "c"].map(str::to_owned));
    let (forged, _) = written(&["a", "x", "c"].map(str::to_owned));
    lines[1].clone_from(&forged[1]);
    let found = broken(&lines, &heads[3]).unwrap();
    assert_eq!(found, Broken { line: Some(3), why: Why::Exchanged });
}

/// A state directory of a test's own.
struct Scene {
    state: PathBuf,
    log: Log,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.state);
    }
}

impl Scene {
    fn new(name: &str) -> Self {
        let state = std::env::temp_dir().join(format!("audit-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&state);
        let (run, config) = (state.join("run"), state.join("config"));
        let log = Log::new(&Directories { state: state.clone(), run, config });
        Scene { state, log }
    }

    fn append(&self, target: &str) -> Result<(), AuditError> {
        let actor = Actor { uid: 1000, gid: 100, pid: 7, user: Some("ann".to_owned()) };
        self.log.append(&actor, 42, Deed::done("deploy", target, json!({ "version": 8 })))
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.state.join(name)).unwrap()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.state.join(name), bytes).unwrap();
    }

    fn targets(&self) -> Vec<(String, String)> {
        let entries = self.log.newest(100).unwrap();
        entries.into_iter().map(|entry| (entry.action, entry.target)).collect()
    }

    fn broken(&self) -> Broken {
        match self.log.verify(None).unwrap_err() {
            AuditError::Broken(broken) => broken,
            other => panic!("{other}"),
        }
    }
}

fn deployed(target: &str) -> (String, String) {
    ("deploy".to_owned(), target.to_owned())
}

#[test]
fn entries_follow_each_other() {
    let scene = Scene::new("follow");
    assert_eq!(scene.log.verify(None).unwrap().entries, 0);
    assert!(scene.log.newest(3).unwrap().is_empty());
    assert!(!scene.state.exists(), "looking makes nothing");
    for target in ["a", "b", "c"] {
        scene.append(target).unwrap();
    }
    let found = scene.log.verify(None).unwrap();
    assert_eq!((found.entries, found.beyond, found.unfinished), (3, 0, 0));
    assert_eq!((found.first.unwrap().target, found.last.unwrap().target), ("a".into(), "c".into()));
    assert_eq!(scene.targets(), [deployed("a"), deployed("b"), deployed("c")]);
    let newest = scene.log.newest(2).unwrap();
    assert_eq!((newest[0].n, newest[1].n, newest.len()), (2, 3, 2));
    assert_eq!(newest[0].hash, newest[1].previous);
}

/// The line is what its documentation says: sha256sum(1) over its content finds the hash.
#[test]
fn a_line_keeps_its_form() {
    let scene = Scene::new("form");
    scene.append("shop").unwrap();
    let line = String::from_utf8(scene.read("audit.log")).unwrap();
    let zeros = "0".repeat(64);
    let hash = "c0a34dca9368d357ae96a0df30b5995c2fc5f6c4ee7bb7b8b20832ad4a591201";
    let content = format!(
        "{{\"n\":1,\"at_ms\":42,\"uid\":1000,\"gid\":100,\"pid\":7,\"user\":\"ann\",\
         \"action\":\"deploy\",\"target\":\"shop\",\"parameters\":{{\"version\":8}},\
         \"outcome\":\"done\",\"previous\":\"{zeros}\""
    );
    assert_eq!(line, format!("{content},\"hash\":\"{hash}\"}}\n"));
    let bytes = line.len();
    let head = String::from_utf8(scene.read("audit.head")).unwrap();
    assert_eq!(head, format!("{{\"n\":1,\"bytes\":{bytes},\"hash\":\"{hash}\"}}\n"));
}

#[test]
fn a_line_that_a_crash_cut_short_is_cut_off_and_told() {
    let scene = Scene::new("torn");
    scene.append("a").unwrap();
    let whole = scene.read("audit.log");
    scene.write("audit.log", &[&whole, &b"{\"n\":2,\"at"[..]].concat());
    assert_eq!(scene.log.verify(None).unwrap().unfinished, 10);
    scene.append("b").unwrap();
    let recovered = ("recovered".to_owned(), String::new());
    assert_eq!(scene.targets(), [deployed("a"), recovered, deployed("b")]);
    assert_eq!(scene.log.newest(2).unwrap()[0].parameters, json!({ "cut_bytes": 10 }));
    assert_eq!(scene.log.verify(None).unwrap().entries, 3);
}

#[test]
fn an_entry_that_its_head_does_not_know_yet_is_kept() {
    let scene = Scene::new("ahead");
    // The very first one, too.
    scene.append("a").unwrap();
    fs::remove_file(scene.state.join("audit.head")).unwrap();
    scene.append("b").unwrap();
    let head = scene.read("audit.head");
    scene.append("c").unwrap();
    scene.write("audit.head", &head);
    assert_eq!(scene.log.verify(None).unwrap().beyond, 1);
    scene.append("d").unwrap();
    assert_eq!(scene.targets(), ["a", "b", "c", "d"].map(deployed));
    assert_eq!(scene.log.verify(None).unwrap().beyond, 0);
}

/// Were the entry kept, it would tell of something that was not done.
#[test]
fn an_entry_whose_head_can_not_be_written_is_taken_back() {
    let scene = Scene::new("taken-back");
    scene.append("a").unwrap();
    let before = (scene.read("audit.log"), scene.read("audit.head"));
    let in_the_way = scene.state.join("audit.head.new");
    fs::create_dir(&in_the_way).unwrap();
    assert!(matches!(scene.append("b"), Err(AuditError::Io(..))));
    assert_eq!((scene.read("audit.log"), scene.read("audit.head")), before);
    fs::remove_dir(&in_the_way).unwrap();
    scene.append("c").unwrap();
    assert_eq!(scene.targets(), [deployed("a"), deployed("c")]);
}

#[test]
fn nothing_is_recorded_behind_what_was_tampered_with() {
    let scene = Scene::new("refused");
    for target in ["a", "b", "c"] {
        scene.append(target).unwrap();
    }
    let (log, head) = (scene.read("audit.log"), scene.read("audit.head"));
    let lines: Vec<&[u8]> = log.split_inclusive(|byte| *byte == b'\n').collect();
    let refused = |scene: &Scene| match scene.append("d") {
        Err(AuditError::Broken(broken)) => broken,
        other => panic!("{other:?}"),
    };
    scene.write("audit.log", &lines[..2].concat());
    let cut_off = Broken { line: Some(3), why: Why::CutOff { last: 2, head: 3 } };
    assert_eq!((scene.broken(), refused(&scene)), (cut_off.clone(), cut_off));
    scene.write("audit.log", &[&log[..], lines[2]].concat());
    let twice = Broken { line: Some(4), why: Why::OutOfOrder { expected: 4, found: 3 } };
    assert_eq!((scene.broken(), refused(&scene)), (twice.clone(), twice));
    scene.write("audit.log", &log);
    fs::remove_file(scene.state.join("audit.head")).unwrap();
    let missing = Broken { line: None, why: Why::HeadMissing };
    assert_eq!((scene.broken(), refused(&scene)), (missing.clone(), missing));
    scene.write("audit.head", b"\xff\n");
    let none = Broken { line: None, why: Why::NoHead };
    assert_eq!((scene.broken(), refused(&scene)), (none.clone(), none));
    fs::remove_file(scene.state.join("audit.log")).unwrap();
    scene.write("audit.head", &head);
    let gone = Broken { line: Some(1), why: Why::CutOff { last: 0, head: 3 } };
    assert_eq!(scene.broken(), gone);
    assert_eq!(refused(&scene), gone);
    scene.write("audit.log", &log);
    scene.append("d").unwrap();
}

#[test]
fn a_noted_entry_shows_a_log_that_began_anew() {
    let scene = Scene::new("noted");
    for target in ["a", "b"] {
        scene.append(target).unwrap();
    }
    let last = scene.log.verify(None).unwrap().last.unwrap();
    let noted = Noted { n: last.n, hash: last.hash };
    assert_eq!(scene.log.verify(Some(noted.clone())).unwrap().entries, 2);
    for file in ["audit.log", "audit.head"] {
        fs::remove_file(scene.state.join(file)).unwrap();
    }
    scene.append("x").unwrap();
    let found = scene.log.verify(Some(noted.clone())).unwrap_err().to_string();
    assert!(found.contains("audit.log:2: the log ends with entry 1"), "{found}");
    scene.append("b").unwrap();
    let found = scene.log.verify(Some(noted)).unwrap_err().to_string();
    assert_eq!(found, "audit.log:2: entry 2 is not the one that was last once");
}

#[test]
fn what_is_too_long_is_told_by_its_length() {
    let scene = Scene::new("long");
    let actor = Actor { uid: 0, gid: 0, pid: 1, user: None };
    let long = "x".repeat(LINE_BYTES);
    for _ in 0..2 {
        let deed = Deed::failed("exec", "shop", json!({ "command": [long] }), long.clone());
        scene.log.append(&actor, 1, deed).unwrap();
    }
    let entry = scene.log.newest(1).unwrap().remove(0);
    assert_eq!(entry.parameters, json!({ "left_out_bytes": LINE_BYTES + 16 }));
    assert_eq!((entry.n, entry.outcome), (2, AuditOutcome::Failed));
    assert_eq!(scene.log.verify(None).unwrap().entries, 2);
}

#[test]
fn the_newest_are_found_in_a_long_log() {
    let scene = Scene::new("newest");
    let actor = Actor { uid: 0, gid: 0, pid: 1, user: None };
    let text = "x".repeat(LINE_BYTES / 4);
    for n in 0..20 {
        scene.log.append(&actor, n, Deed::refused("stop", "shop", text.as_str(), "no")).unwrap();
    }
    for count in [0, 1, 3, 4, 19, 20, 21] {
        let found = scene.log.newest(count).unwrap();
        let first = 21 - count.min(20) as u64;
        let numbers: Vec<u64> = found.iter().map(|entry| entry.n).collect();
        assert_eq!(numbers, (first..=20).collect::<Vec<_>>(), "{count}");
    }
}

#[test]
fn several_at_once_wait_for_each_other() {
    let scene = Scene::new("several");
    std::thread::scope(|threads| {
        for thread in 0..4 {
            let scene = &scene;
            threads.spawn(move || {
                for number in 0..5 {
                    scene.append(&format!("{thread}-{number}")).unwrap();
                    scene.log.verify(None).unwrap();
                }
            });
        }
    });
    assert_eq!(scene.log.verify(None).unwrap().entries, 20);
}

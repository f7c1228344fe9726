//! Stack traces as file pairs: `traces/NAME.txt` is what programs wrote, `traces/NAME.records` the
//! records of it. `UPDATE_GOLDENS=1` rewrites the latter. Where interpreters could be asked they have
//! written it: CPython 3.6, 3.11 and 3.13, OpenJDK 17, Node.js 20, Ruby 3.1, Rust 1.95.
//!
//! `NAME.new.txt`, `NAME.old.txt` and `NAME.full.txt` tell of the same bugs as `NAME.txt`: of a program
//! with other lines in another folder, written by another version, or with all frames.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a test that can't go on should stop there
#![allow(clippy::disallowed_methods)] // the environment says whether goldens are rewritten

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent::logs::shape::{Draft, Settings, Shaper, Stream};
use manifest_spec::log::attribute;
use serde_json::Value;

/// What is written with the names of other cases.
const VARIANTS: [&str; 3] = [".new", ".old", ".full"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces")
}

fn names(extension: &str) -> BTreeSet<String> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let names = files.map(|name| name.into_string().unwrap());
    names.filter_map(|name| Some(name.strip_suffix(extension)?.to_owned())).collect()
}

fn text(name: &str) -> Vec<u8> {
    fs::read(folder().join(format!("{name}.txt"))).unwrap()
}

fn settings() -> Arc<Settings> {
    Arc::new(Settings::default())
}

/// The drafts of a stream that comes in these pieces.
fn drafts<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Draft<'static>> {
    let mut shaper = Shaper::new(Stream::Error, settings(), 0);
    let mut drafts = Vec::new();
    for piece in pieces {
        shaper.push(piece, &mut |draft| drafts.push(draft.clone().into_owned()));
    }
    shaper.end(&mut |draft| drafts.push(draft.clone().into_owned()));
    drafts
}

/// Records without their number and time, one below the other.
fn shown(drafts: &[Draft<'_>]) -> String {
    let mut shown = String::new();
    for draft in drafts {
        let mut record = serde_json::to_value(draft.record(0, "")).unwrap();
        let members = record.as_object_mut().unwrap();
        ["v", "seq", "ts"].into_iter().for_each(|name| drop(members.shift_remove(name)));
        members["attributes"].as_object_mut().unwrap().shift_remove(attribute::STREAM);
        shown.push_str(&serde_json::to_string_pretty(&record).unwrap());
        shown.push('\n');
    }
    shown
}

fn field<'a>(draft: &'a Draft<'_>, name: &str) -> Option<&'a str> {
    draft.attributes.fields.get(name).and_then(Value::as_str)
}

/// The lines that a text record has.
fn lines(draft: &Draft<'_>) -> String {
    let text = field(draft, attribute::EXCEPTION_STACKTRACE);
    format!("{}\n", text.unwrap_or(&draft.body))
}

#[test]
fn records_are_the_goldens() {
    let update = std::env::var_os("UPDATE_GOLDENS").is_some();
    let mut drift = Vec::new();
    for name in names(".txt") {
        let found = shown(&drafts([&text(&name)[..]]));
        let path = folder().join(format!("{name}.records"));
        if update {
            fs::write(&path, &found).unwrap();
        } else if fs::read_to_string(&path).unwrap_or_default() != found {
            drift.push(format!("{} says something else than\n{found}", path.display()));
        }
    }
    let orphans: Vec<_> = names(".records").difference(&names(".txt")).cloned().collect();
    assert!(orphans.is_empty(), "records of nothing: {orphans:?}");
    assert!(drift.is_empty(), "{}\n(UPDATE_GOLDENS=1 rewrites them)", drift.join("\n"));
}

#[test]
fn no_line_is_lost_or_changed() {
    // What is structured is read, and what is no text is shown as such.
    let others = ["json-lines", "not-utf-8"];
    for name in names(".txt").into_iter().filter(|name| !others.contains(&name.as_str())) {
        let written = String::from_utf8(text(&name)).unwrap();
        let recorded: String = drafts([written.as_bytes()]).iter().map(lines).collect();
        assert_eq!(recorded, written, "{name}");
    }
}

#[test]
fn records_are_the_same_wherever_the_stream_is_cut() {
    for name in names(".txt") {
        let text = text(&name);
        let whole = drafts([&text[..]]);
        for size in [1, 7, 100] {
            assert_eq!(drafts(text.chunks(size)), whole, "{name} in pieces of {size} bytes");
        }
    }
}

#[test]
fn a_shaper_goes_on_after_any_record() {
    for name in names(".txt") {
        let text = text(&name);
        let whole = drafts([&text[..]]);
        for (index, last) in whole.iter().enumerate() {
            let record = last.record(1, "");
            let mut shaper = Shaper::after(Stream::Error, settings(), &record);
            let mut rest = Vec::new();
            let behind = &text[usize::try_from(last.end).unwrap()..];
            shaper.push(behind, &mut |draft| rest.push(draft.clone().into_owned()));
            shaper.end(&mut |draft| rest.push(draft.clone().into_owned()));
            assert_eq!(rest, whole[index + 1..], "{name} after record {index}");
        }
    }
}

#[test]
fn the_same_bug_has_the_same_fingerprint() {
    let fingerprints = |name: &str| -> Vec<String> {
        let drafts = drafts([&text(name)[..]]);
        let of = |draft| field(draft, attribute::EXCEPTION_FINGERPRINT).map(str::to_owned);
        drafts.iter().filter_map(of).collect()
    };
    let mut pairs = 0;
    for name in names(".txt") {
        for variant in VARIANTS {
            let Some(original) = name.strip_suffix(variant) else { continue };
            assert_eq!(fingerprints(&name), fingerprints(original), "{name}");
            assert!(!fingerprints(&name).is_empty(), "{name}");
            pairs += 1;
        }
    }
    assert!(pairs >= 12, "{pairs} pairs");
    // And what is another one has another.
    let others = names(".txt").into_iter().filter(|name| !name.contains('.'));
    let mut seen: Vec<(String, String)> = Vec::new();
    for name in others.filter(|name| !["json-lines", "two-threads"].contains(&name.as_str())) {
        for fingerprint in fingerprints(&name) {
            let same = seen.iter().find(|(_, other)| *other == fingerprint);
            let is_same_bug = same.is_some_and(|(other, _)| bug(other) != bug(&name));
            assert!(!is_same_bug, "{name} has the fingerprint of {same:?}");
            seen.push((name.clone(), fingerprint));
        }
    }
}

/// Cases that tell of the same bugs in other ways.
fn bug(name: &str) -> &str {
    match name {
        "ruby-quoted" | "ruby-reverse" => "ruby-chain",
        "ruby-reverse1" => "ruby-logger",
        "carriage-returns" => "python-chain",
        "rust-old" => "rust-index",
        "java-logger" => "java-chain",
        "python-syntax-import" => "python-syntax",
        name => name,
    }
}

#[test]
fn a_silence_ends_a_trace() {
    let trace = "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n";
    let mut shaper = Shaper::new(Stream::Error, settings(), 0);
    let mut drafts: Vec<Draft<'static>> = Vec::new();
    let mut take = |draft: &Draft<'_>| drafts.push(draft.clone().into_owned());
    shaper.push(b"before\n", &mut take);
    assert!(!shaper.is_holding_trace());
    shaper.push(trace.as_bytes(), &mut take);
    assert!(shaper.is_holding_trace());
    shaper.push(b"ValueError: no\n\nbehi", &mut take);
    assert!(shaper.is_holding_trace());
    shaper.expire(&mut take);
    assert!(!shaper.is_holding_trace());
    shaper.push(b"nd\n", &mut take);
    let found: Vec<_> = drafts.iter().map(|draft| (draft.body.as_ref(), draft.end)).collect();
    let end = 7 + trace.len() as u64 + 15;
    let all = [("before", 7), ("ValueError: no", end), ("", end + 1), ("behind", end + 8)];
    assert_eq!(found, all);
}

#[test]
fn a_trace_is_bounded_and_goes_on_in_parts() {
    let head = "java.lang.IllegalStateException: no\n";
    let frame =
        |number: usize| format!("\tat com.example.A.f{}(A.java:{number})\n", "x".repeat(200));
    let frames: String = (0..4_000).map(frame).collect();
    let written = format!("{head}{frames}behind\n");
    let drafts = drafts([written.as_bytes()]);
    let recorded: String = drafts.iter().map(lines).collect();
    assert_eq!(recorded, written);
    let (behind, parts) = drafts.split_last().unwrap();
    assert_eq!((behind.body.as_ref(), behind.attributes.part), ("behind", None));
    assert_eq!(parts.len(), 5);
    for (number, draft) in (0..).zip(parts) {
        let part = draft.attributes.part.unwrap();
        assert_eq!((part.number, part.last), (number, number == 4));
        assert_eq!(draft.body, "java.lang.IllegalStateException: no");
        assert!(lines(draft).len() <= 256 * 1024 && lines(draft).lines().count() <= 1000);
        let told = |draft| field(draft, attribute::EXCEPTION_FINGERPRINT).map(str::to_owned);
        assert!(told(draft).is_some() && told(draft) == told(&parts[0]));
    }
}

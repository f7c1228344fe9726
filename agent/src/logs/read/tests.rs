//! What a reader of several logs is promised.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use manifest_spec::log::{Resource, Severity};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::logs::segment::Writer;
use crate::logs::shape::{Attributes, Draft, Stream, line};
use crate::logs::stamp;

/// A folder of logs; removed with it.
struct Logs(PathBuf);

impl Logs {
    fn new() -> Logs {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("reading-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Logs(path)
    }

    /// A start of an instance of the app `shop`, whose files are full at 1 KiB.
    fn start(&self, service: &str, instance: u32, version: u64) -> Instance {
        let folder = self.0.join("shop").join(format!("{service}.{instance}"));
        fs::create_dir_all(&folder).unwrap();
        let resource = Resource {
            app: "shop".into(),
            service: service.into(),
            instance,
            version: Some(version),
            host: "h".into(),
            boot_id: "b".into(),
            started: stamp(Duration::from_secs(version)),
        };
        Instance(Writer::open(&folder, resource, 1024).unwrap().0)
    }

    fn open(&self, query: &LogQuery) -> Reading {
        Reading::open(&self.0, query).unwrap()
    }

    /// All that passes, `web.1 7 text`.
    fn all(&self, query: &LogQuery) -> Vec<String> {
        let mut found = Vec::new();
        let mut reading = self.open(query);
        drain(&mut reading, 1 << 20, &mut found);
        found
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Instance(Writer);

impl Instance {
    fn write(&mut self, second: u64, body: &str) {
        self.say(second, Severity::Info, body, json!({}));
    }

    fn say(&mut self, second: u64, severity: Severity, body: &str, fields: Value) {
        let mut lines = Vec::new();
        let mut attributes = Attributes::new(Stream::Output);
        attributes.fields = fields.as_object().cloned().unwrap_or_else(Map::new);
        let draft = Draft {
            severity,
            body: body.into(),
            attributes,
            trace_id: None,
            span_id: None,
            end: 0,
        };
        let seq = self.0.next_seq();
        line::append(&mut lines, seq, &stamp(Duration::from_secs(second)), &draft);
        assert_eq!(self.0.write(seq, &lines, 1).records, 1);
    }
}

fn drain(reading: &mut Reading, budget: usize, found: &mut Vec<String>) {
    let mut take = |line: LogLine| {
        found.push(format!("{}.{} {} {}", line.service, line.instance, line.seq, line.body));
    };
    while reading.step(budget, &mut take).unwrap() == Progress::More {}
}

#[test]
fn instances_are_merged_by_time_and_each_keeps_its_order() {
    let logs = Logs::new();
    let (mut web, mut db) = (logs.start("web", 1, 1), logs.start("db", 1, 1));
    // The clock is put back while web runs.
    for (second, body) in [(10, "a"), (30, "c"), (5, "d"), (6, "e")] {
        web.write(second, body);
    }
    for (second, body) in [(20, "b"), (40, "f")] {
        db.write(second, body);
    }
    let expected = ["web.1 1 a", "db.1 1 b", "web.1 2 c", "web.1 3 d", "web.1 4 e", "db.1 2 f"];
    assert_eq!(logs.all(&LogQuery::default()), expected);
    let one = LogQuery { service: Some("db".into()), ..LogQuery::default() };
    assert_eq!(logs.all(&one), ["db.1 1 b", "db.1 2 f"]);
}

#[test]
fn a_follower_sees_each_record_once_over_rotation_restarts_versions_and_new_instances() {
    let logs = Logs::new();
    let mut web = logs.start("web", 1, 1);
    for number in 1..=20 {
        web.write(number, &format!("before {number}"));
    }
    let query = LogQuery { last: Some(5), follow: true, ..LogQuery::default() };
    let mut reading = logs.open(&query);
    let mut found = Vec::new();
    drain(&mut reading, 100, &mut found);
    assert_eq!(found.len(), 5, "{found:?}");
    let mut number = 20;
    for version in 2..8 {
        let mut web = logs.start("web", 1, version);
        for _ in 0..50 {
            number += 1;
            web.write(number, &"x".repeat(100));
            if number % 7 == 0 {
                drain(&mut reading, 300, &mut found);
            }
        }
    }
    let mut late = logs.start("web", 2, 8);
    late.write(number + 1, "late");
    reading.look_again().unwrap();
    drain(&mut reading, 300, &mut found);
    let numbers: Vec<u64> = found
        .iter()
        .filter(|line| line.starts_with("web.1"))
        .map(|line| line.split(' ').nth(1).unwrap().parse().unwrap())
        .collect();
    assert_eq!(numbers, (16..=number).collect::<Vec<_>>());
    assert_eq!(found.last().unwrap(), "web.2 1 late");
    assert!(fs::read_dir(logs.0.join("shop/web.1")).unwrap().count() > 40, "it was rotated");
}

#[test]
fn what_is_missing_is_told_in_its_place() {
    let logs = Logs::new();
    let mut web = logs.start("web", 1, 1);
    for number in 1..=30 {
        web.write(number, &"x".repeat(100));
    }
    let folder = logs.0.join("shop/web.1");
    let mut files: Vec<PathBuf> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut reading = logs.open(&LogQuery::default());
    let mut found = Vec::new();
    // The first record, and then the next files are gone.
    let mut first = true;
    while first {
        let mut take = |line: LogLine| found.push(line);
        reading.step(1, &mut take).unwrap();
        first = found.is_empty();
    }
    fs::remove_file(&files[1]).unwrap();
    let mut bytes = fs::read(&files[2]).unwrap();
    let line = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(1).unwrap().0;
    bytes[line + 30] ^= 1;
    fs::write(&files[2], bytes).unwrap();
    while reading.step(1 << 20, &mut |line| found.push(line)).unwrap() == Progress::More {}
    let gaps: Vec<&LogLine> =
        found.iter().filter(|line| line.attributes.contains_key("gap")).collect();
    assert_eq!(gaps.len(), 2, "{found:#?}");
    let number = |line: &LogLine, name: &str| line.attributes[name].as_u64().unwrap();
    assert_eq!(gaps[0].attributes["gap.cause"], "deleted before they were read");
    assert_eq!(gaps[1].attributes["gap.cause"], "damaged");
    assert_eq!((number(gaps[1], "gap"), gaps[1].seq), (1, number(gaps[1], "gap.first")));
    assert_eq!((gaps[0].app.as_str(), gaps[0].version), ("shop", Some(1)));
    // Every number from 1 to 30 is a record or in a gap, in order.
    let mut next = 1;
    for line in &found {
        let first = line.attributes.get("gap.first").and_then(Value::as_u64);
        assert_eq!(first.unwrap_or(line.seq), next, "{line:?}");
        next = line.seq + 1;
    }
    assert_eq!(next, 31);
}

#[test]
fn each_condition_is_a_condition() {
    let logs = Logs::new();
    let mut old = logs.start("web", 1, 1);
    old.say(10, Severity::Info, "GET /a", json!({ "status": 200 }));
    old.say(20, Severity::Warn, "GET /b", json!({ "status": 503, "user": "ann" }));
    let mut new = logs.start("web", 1, 2);
    let trace = json!({ "exception.fingerprint": "0f", "exception.stacktrace": "at Pay.java:7" });
    new.say(30, Severity::Error, "it broke", trace);
    let mut second = logs.start("web", 2, 2);
    second.write(40, "GET /c");
    let base = LogQuery::default;
    let time = |second| Some(stamp(Duration::from_secs(second)));
    let text = |text: &str| Some(text.to_owned());
    for (query, expected) in [
        (LogQuery { version: Some(2), ..base() }, &["web.1 3 it broke", "web.2 1 GET /c"][..]),
        (LogQuery { instance: Some(2), ..base() }, &["web.2 1 GET /c"]),
        (LogQuery { service: text("db"), ..base() }, &[]),
        (LogQuery { app: text("other"), ..base() }, &[]),
        (LogQuery { app: text("../logs/shop"), ..base() }, &[]),
        (LogQuery { since: time(20), until: time(30), ..base() }, &["web.1 2 GET /b"]),
        (LogQuery { level: text("warn"), ..base() }, &["web.1 2 GET /b", "web.1 3 it broke"]),
        (LogQuery { stream: text("stderr"), ..base() }, &[]),
        (LogQuery { stream: text("stdout"), instance: Some(2), ..base() }, &["web.2 1 GET /c"]),
        (LogQuery { grep: text("/[bc]$"), ..base() }, &["web.1 2 GET /b", "web.2 1 GET /c"]),
        (LogQuery { grep: text("(?i)pay\\.JAVA"), ..base() }, &["web.1 3 it broke"]),
        (LogQuery { filters: vec!["status>=500".into()], ..base() }, &["web.1 2 GET /b"]),
        (
            LogQuery { filters: vec!["status>=100".into(), "user!=ann".into()], ..base() },
            &["web.1 1 GET /a"],
        ),
        (LogQuery { traces: true, ..base() }, &["web.1 3 it broke"]),
        (LogQuery { last: Some(0), ..base() }, &[]),
        (LogQuery { last: Some(1), level: text("warn"), ..base() }, &["web.1 3 it broke"]),
    ] {
        assert_eq!(logs.all(&query), expected, "{query:?}");
    }
}

#[test]
fn what_can_not_be_understood_is_said() {
    let logs = Logs::new();
    let text = |text: &str| Some(text.to_owned());
    let base = LogQuery::default;
    for (query, part) in [
        (LogQuery { since: text("yesterday"), ..base() }, "since \"yesterday\" is no time"),
        (LogQuery { level: text("loud"), ..base() }, "\"loud\" is no level"),
        (LogQuery { stream: text("std"), ..base() }, "\"std\" is no stream: stdout, stderr"),
        (LogQuery { grep: text("a("), ..base() }, "the regular expression: unclosed group"),
        (LogQuery { grep: text("(a{1000}){1000}"), ..base() }, "the regular expression: "),
        (LogQuery { filters: vec!["status".into()], ..base() }, "the filter \"status\": "),
    ] {
        let said = Reading::open(&logs.0, &query).unwrap_err().to_string();
        assert!(said.contains(part) && !said.contains('\n'), "{said:?}");
    }
}

fn query() -> impl Strategy<Value = LogQuery> {
    let grep = prop_oneof![Just(None), Just(Some("[0-4]$".to_owned()))];
    let level = prop_oneof![Just(None), Just(Some("warn".to_owned()))];
    let since = prop_oneof![Just(None), (0_u64..40).prop_map(Some)];
    (grep, level, since).prop_map(|(grep, level, since)| LogQuery {
        grep,
        level,
        since: since.map(|second| stamp(Duration::from_secs(second))),
        ..LogQuery::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// The last records are the end of all of them, and how much is read at once changes nothing.
    /// With a clock that is put back, that is so of each instance.
    #[test]
    fn the_last_are_the_end_of_all(
        mut records in prop::collection::vec((0_u64..40, 0_usize..3, any::<bool>()), 0..80),
        is_put_back in any::<bool>(),
        query in query(),
        last in 0_u64..12,
        budget in 1_usize..2000,
    ) {
        if !is_put_back {
            records.sort();
        }
        let logs = Logs::new();
        let mut instances: Vec<Instance> = (1..=3).map(|one| logs.start("web", one, 1)).collect();
        for (index, (second, instance, bad)) in records.iter().enumerate() {
            let severity = if *bad { Severity::Error } else { Severity::Info };
            instances[*instance].say(*second, severity, &format!("line {index}"), json!({}));
        }
        let all = logs.all(&query);
        let mut tail = Vec::new();
        let mut reading = logs.open(&LogQuery { last: Some(last), ..query });
        drain(&mut reading, budget, &mut tail);
        prop_assert_eq!(tail.len(), all.len().min(last as usize));
        if !is_put_back {
            prop_assert_eq!(&all[all.len() - tail.len()..], &tail[..]);
        }
        for instance in ["web.1", "web.2", "web.3"] {
            let of = |lines: &[String]| -> Vec<String> {
                lines.iter().filter(|line| line.starts_with(instance)).cloned().collect()
            };
            let (all, tail) = (of(&all), of(&tail));
            prop_assert_eq!(&all[all.len() - tail.len()..], &tail[..]);
        }
    }
}

//! The last lines of a program's output, for whoever asks why it ended.
//!
//! Invariant: bounded, whatever the program writes: 64 lines, each at most 1 KiB, 32 KiB in all. They
//! are those of the instance's log, of this start alone, in its order and without the agent's own; a
//! line that has no end yet is not among them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use manifest_spec::log::{LogRecord, attribute};
use serde_json::Value;

use super::segment::{Reader, Step};
use super::shape::Stream;

/// Most lines.
const LINES: usize = 64;
/// Longest line, in bytes of its text.
const LINE: usize = 1024;
/// All their text, in bytes.
const ALL: usize = 32 * 1024;

/// One line, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailLine {
    /// Where it came by.
    pub source: Stream,
    /// What is not UTF-8 is replaced by U+FFFD. It is the program's: not cleaned for a terminal.
    pub text: String,
    /// Whether it was longer.
    pub cut: bool,
}

/// The last lines of one run. A clone is the same tail, so that one can be kept where the run is
/// watched and one where it is asked for.
#[derive(Debug, Clone, Default)]
pub struct Tail(Rc<RefCell<Known>>);

#[derive(Debug, Default)]
enum Known {
    /// Nothing was written.
    #[default]
    Nothing,
    /// They are in this folder, of this start.
    Log(PathBuf, String),
    /// These were the last.
    Lines(Vec<TailLine>),
}

impl Tail {
    /// From now on they are those of the log in this folder, of the start of this time.
    pub(crate) fn follow(&self, folder: &Path, started: &str) {
        *self.0.borrow_mut() = Known::Log(folder.to_owned(), started.to_owned());
    }

    /// Nothing more will be written: keep what is there now, whatever becomes of the log.
    pub(crate) fn settle(&self) {
        let lines = self.lines();
        *self.0.borrow_mut() = Known::Lines(lines);
    }

    /// What is there now.
    pub fn lines(&self) -> Vec<TailLine> {
        match &*self.0.borrow() {
            Known::Nothing => Vec::new(),
            // Whoever asks for them can't do anything about a log that can't be read.
            Known::Log(folder, started) => read(folder, started).unwrap_or_default(),
            Known::Lines(lines) => lines.clone(),
        }
    }
}

fn read(folder: &Path, started: &str) -> io::Result<Vec<TailLine>> {
    let mut reader = Reader::open(folder)?;
    reader.seek_last(LINES as u64)?;
    let mut ring = Ring::default();
    loop {
        match reader.next()? {
            Step::Entry(entry) if entry.resource.started == started => {
                for line in lines(&entry.record) {
                    ring.add(line);
                }
            }
            Step::End => return Ok(ring.lines.into()),
            Step::Entry(_) | Step::Missing { .. } | Step::Damaged { .. } => {}
        }
    }
}

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<TailLine>,
    size: usize,
}

impl Ring {
    fn add(&mut self, line: TailLine) {
        self.size += line.text.len();
        self.lines.push_back(line);
        while self.lines.len() > LINES || self.size > ALL {
            self.size -= self.lines.pop_front().map_or(self.size, |line| line.text.len());
        }
    }
}

/// A record as lines: what was written, as far as the record still has it.
fn lines(record: &LogRecord) -> Vec<TailLine> {
    let attributes = &record.attributes;
    let text = |name: &str| attributes.get(name).and_then(Value::as_str);
    let source = text(attribute::STREAM).and_then(Stream::named);
    let Some(source) = source.filter(|source| *source != Stream::Agent) else { return Vec::new() };
    let part = attributes.get(attribute::PART).and_then(Value::as_u64);
    if part.is_some_and(|part| part > 0) {
        return Vec::new();
    }
    match text(attribute::EXCEPTION_STACKTRACE) {
        Some(trace) => trace.lines().map(|text| line(source, text.to_owned(), false)).collect(),
        None => vec![line(source, record.body.clone() + &fields(record), part.is_some())],
    }
}

/// What a structured line said besides its message.
fn fields(record: &LogRecord) -> String {
    let own = [attribute::STREAM, attribute::PART, attribute::LAST_PART, attribute::BYTES_HEX];
    let theirs = record.attributes.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    let text = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!(" {name}={text}"),
        value => format!(" {name}={value}"),
    };
    theirs.map(text).collect()
}

fn line(source: Stream, mut text: String, goes_on: bool) -> TailLine {
    let cut = goes_on || text.len() > LINE;
    let end = (0..=text.len().min(LINE)).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or(0));
    TailLine { source, text, cut }
}

#[cfg(test)]
mod tests {
    use manifest_spec::log::{LogRecord, Resource};
    use serde_json::json;

    use super::*;
    use crate::logs::segment::Writer;
    use crate::logs::shape::{Draft, line as text};

    /// A log with these records.
    struct Scene(PathBuf);

    impl Scene {
        fn new(name: &str) -> Scene {
            let folder = std::env::temp_dir().join(format!("tail-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            Scene(folder)
        }

        fn write(&self, started: &str, drafts: &[Draft<'_>]) {
            let resource = Resource {
                app: "a".into(),
                service: "b".into(),
                instance: 1,
                version: None,
                host: String::new(),
                boot_id: String::new(),
                started: started.into(),
            };
            let (mut writer, _) = Writer::open(&self.0, resource, 1 << 20).unwrap();
            for draft in drafts {
                let mut lines = Vec::new();
                text::append(&mut lines, writer.next_seq(), "2026-01-01T00:00:00Z", draft);
                assert!(writer.write(writer.next_seq(), &lines, 1).error.is_none());
            }
        }

        fn lines(&self, started: &str) -> Vec<TailLine> {
            let tail = Tail::default();
            tail.clone().follow(&self.0, started);
            tail.lines()
        }
    }

    impl Drop for Scene {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn said(stream: Stream, text: &str) -> Draft<'_> {
        Draft::plain(stream, text.into(), 0)
    }

    fn texts(lines: &[TailLine]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn they_are_of_one_start_and_not_the_agents_own() {
        let scene = Scene::new("start");
        scene.write("one", &[said(Stream::Output, "before")]);
        let now = [
            said(Stream::Output, "first"),
            said(Stream::Agent, "ours"),
            said(Stream::Error, "bad"),
            said(Stream::Syslog, "by syslog"),
        ];
        scene.write("two", &now);
        let lines = scene.lines("two");
        assert_eq!(texts(&lines), ["first", "bad", "by syslog"]);
        let sources: Vec<_> = lines.iter().map(|line| line.source.name()).collect();
        assert_eq!(sources, ["stdout", "stderr", "syslog"]);
        assert_eq!(texts(&scene.lines("one")), ["before"]);
        assert!(scene.lines("three").is_empty());
    }

    #[test]
    fn lines_and_their_number_and_all_of_them_are_bounded() {
        let scene = Scene::new("bounds");
        let numbers: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let all: Vec<_> = numbers.iter().map(|number| said(Stream::Output, number)).collect();
        scene.write("one", &all);
        let lines = scene.lines("one");
        assert_eq!((lines.len(), lines[0].text.as_str()), (LINES, "36"));
        let long = "\u{1f600}x".repeat(LINE);
        scene.write("one", &vec![said(Stream::Error, &long); LINES]);
        let lines = scene.lines("one");
        assert!(lines.iter().map(|line| line.text.len()).sum::<usize>() <= ALL);
        assert!(lines.iter().all(|line| line.cut && long.starts_with(&line.text)));
        assert!(lines.iter().all(|line| line.text.len() > LINE - 4), "{lines:?}");
    }

    #[test]
    fn what_a_structured_line_or_a_trace_said_is_there() {
        let mut record = LogRecord {
            v: 1,
            seq: 1,
            ts: String::new(),
            severity: manifest_spec::log::Severity::Error,
            body: "failed".into(),
            attributes: serde_json::Map::new(),
            trace_id: None,
            span_id: None,
            at: None,
        };
        let mut put = |name: &str, value| drop(record.attributes.insert(name.to_owned(), value));
        put("stream", json!("stdout"));
        put("status", json!(500));
        put("path", json!("/a b"));
        assert_eq!(texts(&lines(&record)), ["failed status=500 path=/a b"]);
        record.attributes.insert("exception.stacktrace".into(), json!("Traceback\n  at x\nE"));
        assert_eq!(texts(&lines(&record)), ["Traceback", "  at x", "E"]);
        record.attributes.insert("part".into(), json!(1));
        assert!(lines(&record).is_empty());
    }
}

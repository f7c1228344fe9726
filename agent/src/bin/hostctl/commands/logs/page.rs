//! Records as they are shown.
//!
//! Invariant: text has no control character of a program's in it, on a terminal or off it: what
//! drives a terminal is written as `\u{1b}`. JSON holds every record whole, and `--raw` every byte
//! that a program wrote.

use std::fmt::Write as _;

use agent::clock::since_epoch;
use agent::logs::read::when;
use manifest_spec::api::LogLine;
use manifest_spec::log::{Severity, attribute};
use serde_json::Value;

use crate::board::{COLOURS, Look, Tone};
use crate::ui::harmless;

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// One object a line.
    Json,
    /// As it was written.
    Raw,
}

/// What lines of a trace are moved in by.
const INDENT: &str = "    ";

/// Attributes that are told otherwise, or say how the record came about.
const TOLD: [&str; 4] =
    [attribute::STREAM, attribute::PART, attribute::LAST_PART, attribute::BYTES_HEX];

/// Beginnings of the names of others.
const GROUPS: [&str; 3] = ["exception.", "gap", "crash."];

/// See the module's text.
#[derive(Debug)]
pub struct Page {
    form: Form,
    look: Look,
    /// Apps are told apart, not only their instances.
    apps: bool,
    several: bool,
    /// Names in the order in which they came up, for their colours.
    names: Vec<String>,
    width: usize,
}

impl Page {
    pub fn new(form: Form, look: Look, apps: bool) -> Page {
        Page { form, look, apps, several: false, names: Vec::new(), width: 0 }
    }

    /// It is about so many instances.
    pub fn expect(&mut self, instances: usize) {
        self.several |= instances > 1;
    }

    /// Records, as this page has them.
    pub fn lines(&mut self, lines: &[LogLine]) -> Vec<u8> {
        let now = when::nanos(since_epoch());
        let mut bytes = Vec::new();
        for line in lines {
            match self.form {
                Form::Json => {
                    // Text, numbers and maps with text keys: all of that is JSON.
                    let _ = serde_json::to_writer(&mut bytes, line);
                    bytes.push(b'\n');
                }
                Form::Raw => raw(line, &mut bytes),
                Form::Text => {
                    let text = self.text(line, now, &host_sys::clock::local);
                    bytes.extend(text.bytes());
                }
            }
        }
        bytes
    }

    fn text(
        &mut self,
        line: &LogLine,
        now: u64,
        local: &dyn Fn(i64) -> host_sys::clock::Minute,
    ) -> String {
        let colour = self.look.colour;
        let mut text = Tone::Faint.paint(&time(&line.ts, now, local), colour);
        text.push(' ');
        let label = self.label(line);
        text.push_str(&label);
        if line.attributes.contains_key(attribute::GAP) {
            let said = format!("--- {}", harmless(&line.body));
            text.push_str(&Tone::Moving.paint(&said, colour));
            text.push('\n');
            return text;
        }
        let (word, tone) = level(line.severity);
        let _ = write!(text, "{} ", tone.paint(word, colour));
        let (before, behind) = cut_marks(line);
        let mut body = line.body.lines();
        let first = body.next().unwrap_or_default();
        let _ = write!(text, "{before}{}{behind}", harmless(first));
        text.push_str(&Tone::Faint.paint(&fields(line), colour));
        text.push('\n');
        let more = body.map(harmless).chain(trace(line, first));
        for one in more {
            let _ = writeln!(text, "{INDENT}{}", Tone::Faint.paint(&one, colour));
        }
        text
    }

    /// Who wrote it, where that is not clear.
    fn label(&mut self, line: &LogLine) -> String {
        if !self.several {
            return String::new();
        }
        let name = match self.apps {
            true => format!("{}.{}.{}", line.app, line.service, line.instance),
            false => format!("{}.{}", line.service, line.instance),
        };
        let place = self.names.iter().position(|known| *known == name);
        let place = place.unwrap_or_else(|| {
            self.width = self.width.max(name.chars().count());
            self.names.push(name.clone());
            self.names.len() - 1
        });
        let padded = format!("{:width$}", harmless(&name), width = self.width);
        let code = COLOURS[place % COLOURS.len()];
        match self.look.colour {
            true => format!("\x1b[{code}m{padded}\x1b[0m "),
            false => format!("{padded} "),
        }
    }
}

/// When, as clocks here show it: the time alone if it is today.
fn time(ts: &str, now: u64, local: &dyn Fn(i64) -> host_sys::clock::Minute) -> String {
    const SECOND: u64 = 1_000_000_000;
    let Some(at) = when::recorded(ts) else { return harmless(ts) };
    let (then, today) = (local((at / SECOND) as i64), local((now / SECOND) as i64));
    // A zone is away from the world's time by whole minutes.
    let (second, millis) = (at / SECOND % 60, at / 1_000_000 % 1000);
    let clock = format!("{:02}:{:02}:{second:02}.{millis:03}", then.hour, then.minute);
    let same_year = then.year == today.year;
    if same_year && (then.month, then.day) == (today.month, today.day) {
        return clock;
    }
    let year = if same_year { String::new() } else { format!("{:04}-", then.year) };
    format!("{year}{:02}-{:02} {clock}", then.month, then.day)
}

fn level(severity: Severity) -> (&'static str, Tone) {
    match severity {
        Severity::Trace => ("TRACE", Tone::Faint),
        Severity::Debug => ("DEBUG", Tone::Faint),
        Severity::Info => ("INFO ", Tone::Plain),
        Severity::Warn => ("WARN ", Tone::Moving),
        Severity::Error => ("ERROR", Tone::Bad),
        Severity::Fatal => ("FATAL", Tone::Bad),
    }
}

/// What shows that a line was too long for one record.
fn cut_marks(line: &LogLine) -> (&'static str, &'static str) {
    let Some(part) = line.attributes.get(attribute::PART).and_then(Value::as_u64) else {
        return ("", "");
    };
    let last = line.attributes.get(attribute::LAST_PART).and_then(Value::as_bool) == Some(true);
    (if part > 0 { "…" } else { "" }, if last { "" } else { "…" })
}

/// The fields that the program gave, behind the text.
fn fields(line: &LogLine) -> String {
    let told = |name: &str| {
        TOLD.contains(&name) || GROUPS.iter().any(|beginning| name.starts_with(beginning))
    };
    let mut text = String::new();
    for (name, value) in line.attributes.iter().filter(|(name, _)| !told(name)) {
        let value = match value {
            Value::String(text) if !text.is_empty() && !text.contains([' ', '"', '=', '\n']) => {
                text.clone()
            }
            value => value.to_string(),
        };
        let _ = write!(text, " {}={}", harmless(name), harmless(&value));
    }
    text
}

/// The lines of a stack trace or a crash, without the one that is shown as the text already.
fn trace<'a>(line: &'a LogLine, first: &'a str) -> impl Iterator<Item = String> + 'a {
    let text = |name: &str| line.attributes.get(name).and_then(Value::as_str).unwrap_or_default();
    let stack = text(attribute::EXCEPTION_STACKTRACE).lines();
    let stack = stack.enumerate().filter(move |(index, one)| *index > 0 || *one != first);
    let last = line.attributes.get(attribute::CRASH_LAST_LINES).and_then(Value::as_array);
    let last = last.into_iter().flatten().filter_map(Value::as_str);
    let last = last.map(|one| format!("| {}", harmless(&one.replace('\n', " "))));
    let core = text(attribute::CRASH_CORE).lines().map(harmless);
    stack.map(|(_, one)| harmless(one)).chain(last).chain(core)
}

/// The bytes that the program wrote.
fn raw(line: &LogLine, bytes: &mut Vec<u8>) {
    let text = |name: &str| line.attributes.get(name).and_then(Value::as_str);
    if text(attribute::STREAM) == Some("agent") {
        return;
    }
    match text(attribute::BYTES_HEX).and_then(from_hex) {
        Some(written) => bytes.extend(written),
        None => {
            let written = text(attribute::EXCEPTION_STACKTRACE).unwrap_or(&line.body);
            bytes.extend(written.bytes());
        }
    }
    let last = line.attributes.get(attribute::LAST_PART).and_then(Value::as_bool);
    if last != Some(false) {
        bytes.push(b'\n');
    }
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some((digit(high)? * 16 + digit(low)?) as u8),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use host_sys::clock::Minute;
    use serde_json::json;

    use super::*;

    fn line(more: Value) -> LogLine {
        let mut line = json!({
            "v": 1, "app": "shop", "service": "web", "instance": 1, "host": "h", "boot_id": "b",
            "started": "2026-11-27T09:00:00Z", "seq": 7, "ts": "2026-11-27T09:44:24.5Z",
            "severity": "info", "body": "hello", "attributes": { "stream": "stdout" },
        });
        line.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        serde_json::from_value(line).unwrap()
    }

    /// An hour east of UTC.
    fn local(at: i64) -> Minute {
        let minute = at / 60 + 60;
        let day = match minute / 60 / 24 - 20_784 {
            // 2026-11-27 and the days around it.
            days @ -26..=3 => 27 + days as i32,
            _ => 1,
        };
        Minute {
            year: 2026,
            month: 11,
            day,
            hour: (minute / 60 % 24) as i32,
            minute: (minute % 60) as i32,
        }
    }

    fn shown(page: &mut Page, line: &LogLine) -> String {
        page.text(line, when::recorded("2026-11-27T12:00:00Z").unwrap(), &local)
    }

    fn plain() -> Page {
        Page::new(Form::Text, Look::default(), false)
    }

    #[test]
    fn a_record_says_when_how_bad_and_what() {
        assert_eq!(shown(&mut plain(), &line(json!({}))), "10:44:24.500 INFO  hello\n");
        let old = json!({ "ts": "2026-11-26T22:30:00Z", "severity": "error" });
        assert_eq!(shown(&mut plain(), &line(old)), "11-26 23:30:00.000 ERROR hello\n");
        let fields = json!({ "attributes": {
            "stream": "stdout", "status": 500, "path": "/a b", "user": "ann", "no": null,
        }});
        assert_eq!(
            shown(&mut plain(), &line(fields)),
            "10:44:24.500 INFO  hello status=500 path=\"/a b\" user=ann no=null\n"
        );
    }

    #[test]
    fn several_instances_are_told_apart() {
        let mut page = plain();
        page.expect(2);
        assert_eq!(shown(&mut page, &line(json!({}))), "10:44:24.500 web.1 INFO  hello\n");
        let other = line(json!({ "service": "worker", "instance": 12 }));
        assert_eq!(shown(&mut page, &other), "10:44:24.500 worker.12 INFO  hello\n");
        assert_eq!(shown(&mut page, &line(json!({}))), "10:44:24.500 web.1     INFO  hello\n");
        let mut all = Page::new(Form::Text, Look { width: None, colour: true }, true);
        all.expect(2);
        let text = shown(&mut all, &line(json!({})));
        assert!(text.contains("\x1b[36mshop.web.1\x1b[0m "), "{text:?}");
    }

    #[test]
    fn nothing_that_a_program_writes_drives_the_terminal() {
        for odd in ["\x1b[2J", "\x07", "\r", "\u{9b}31m", "\u{202e}", "\u{7f}", "\0"] {
            let evil = format!("a{odd}\tb");
            let attributes = json!({
                "stream": "stdout", evil.clone(): evil, "exception.stacktrace": evil,
                "crash.last_lines": [evil], "crash.core": evil,
            });
            let mut page = plain();
            page.expect(2);
            let record =
                json!({ "body": evil, "service": evil, "ts": evil, "attributes": attributes });
            for line in [line(record), line(json!({ "body": evil, "attributes": { "gap": 1 } }))] {
                let text = shown(&mut page, &line);
                let found = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
                assert_eq!(found, None, "{text:?}");
                assert!(!text.contains('\u{202e}') && text.contains("\tb"), "{text:?}");
                assert!(text.contains("a\\u{"), "{text:?}");
            }
        }
    }

    #[test]
    fn traces_are_moved_in_and_say_each_line_once() {
        let trace = json!({
            "severity": "error", "body": "Traceback (most recent call last):",
            "attributes": {
                "stream": "stderr", "exception.type": "ValueError", "exception.fingerprint": "0f",
                "exception.stacktrace": "Traceback (most recent call last):\n  File \"a.py\", line 1\nValueError: no",
            },
        });
        assert_eq!(
            shown(&mut plain(), &line(trace)),
            "10:44:24.500 ERROR Traceback (most recent call last):\n      File \"a.py\", line 1\n    ValueError: no\n"
        );
        let crash = json!({
            "severity": "fatal", "body": "ended by SIGSEGV: …", "attributes": {
                "stream": "agent", "exception.type": "SIGSEGV", "exception.stacktrace": "#0 main+0x1",
                "crash.last_lines": ["one", "two"], "crash.core": "the core is /srv/core",
            },
        });
        assert_eq!(
            shown(&mut plain(), &line(crash)),
            "10:44:24.500 FATAL ended by SIGSEGV: …\n    #0 main+0x1\n    | one\n    | two\n    the core is /srv/core\n"
        );
    }

    #[test]
    fn parts_and_gaps_are_seen_to_be_some() {
        let part = |part: u32, last: bool| {
            line(json!({ "attributes": { "stream": "stdout", "part": part, "last_part": last } }))
        };
        assert!(shown(&mut plain(), &part(0, false)).ends_with("INFO  hello…\n"));
        assert!(shown(&mut plain(), &part(1, false)).ends_with("INFO  …hello…\n"));
        assert!(shown(&mut plain(), &part(2, true)).ends_with("INFO  …hello\n"));
        let gap =
            line(json!({ "body": "12 records are missing: damaged", "attributes": { "gap": 12 } }));
        assert_eq!(shown(&mut plain(), &gap), "10:44:24.500 --- 12 records are missing: damaged\n");
    }

    #[test]
    fn raw_is_what_was_written_and_json_the_whole_record() {
        let mut raw = Page::new(Form::Raw, Look::default(), false);
        let lines = [
            line(
                json!({ "body": "caf\u{fffd}\0", "attributes": { "stream": "stdout", "bytes_hex": "636166e900" } }),
            ),
            line(json!({ "body": "a", "attributes": { "part": 0, "last_part": false } })),
            line(json!({ "body": "b\x1b", "attributes": { "part": 1, "last_part": true } })),
            line(json!({ "body": "gap", "attributes": { "stream": "agent", "gap": 1 } })),
        ];
        assert_eq!(raw.lines(&lines), b"caf\xe9\0\nab\x1b\n");
        let mut json = Page::new(Form::Json, Look::default(), false);
        let text = String::from_utf8(json.lines(&lines)).unwrap();
        assert_eq!(text.lines().count(), 4);
        let read: LogLine = serde_json::from_str(text.lines().nth(2).unwrap()).unwrap();
        assert_eq!(read, lines[2]);
        assert!(!text.contains('\x1b'), "JSON escapes control characters");
    }
}

//! Traces of Python 3: `traceback.print_exception` (3.6 to 3.14), groups (PEP 654) among them.

use super::grammar::{Grammar, Verdict};
use super::text::{self, is_blank};
use super::{Frame, Thrown};

pub(super) const HEADING: &[u8] = b"Traceback (most recent call last):";
const GROUP: &[u8] = b"  + Exception Group Traceback (most recent call last):";

/// What stands between an exception and the one that came of it.
const LINKS: [&str; 2] = [
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
];

/// Errors that are told without a heading when they are in the program itself.
const OF_SYNTAX: [&str; 3] = ["SyntaxError", "IndentationError", "TabError"];

/// Most lines of code shown with such an error.
const SNIPPET: u8 = 4;

/// What can come next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines {
    state: State,
    is_group: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Frames,
    /// Behind the exception; `loose` are lines that might be text of anybody.
    Message {
        loose: bool,
    },
    Blank,
    Link,
    /// So many lines of code, of an error without a heading.
    Snippet(u8),
}

/// An indented line that begins a trace.
pub(super) fn start(line: &[u8]) -> Option<(Grammar, Verdict)> {
    if line == GROUP {
        let lines = Lines { state: State::Frames, is_group: true };
        return Some((Grammar::Python(lines), Verdict::Sure));
    }
    let is_place = line.starts_with(b"  File \"") && frame(line)?.1.is_none();
    let lines = Lines { state: State::Snippet(0), is_group: false };
    is_place.then_some((Grammar::Python(lines), Verdict::Maybe))
}

/// What `threading` and the interpreter write before a heading.
pub(super) fn is_preface(line: &[u8]) -> bool {
    let thread = line.strip_prefix(b"Exception in thread ");
    thread.is_some_and(|name| !name.starts_with(b"\"") && name.ends_with(b":"))
        || line.starts_with(b"Exception ignored in")
}

pub(super) fn is_frame(line: &[u8]) -> bool {
    line.starts_with(b"  ") && frame(line).is_some()
}

/// `File "PATH", line N, in FUNCTION`, of which the last may be missing.
fn frame(line: &[u8]) -> Option<(&str, Option<&str>)> {
    let line = std::str::from_utf8(text::trimmed(line)).ok()?;
    let rest = line.strip_prefix("File \"")?;
    let (path, rest) = rest.split_once("\", line ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    if digits == 0 {
        return None;
    }
    match &rest[digits..] {
        "" => Some((path, None)),
        rest => Some((path, Some(rest.strip_prefix(", in ")?))),
    }
}

/// A line within a group: without the bars in front.
fn ungrouped(line: &[u8]) -> Option<&[u8]> {
    let start = text::indent(line);
    match line.get(start)? {
        b'|' if start > 0 => {
            let rest = &line[start + 1..];
            Some(rest.strip_prefix(b" ").unwrap_or(rest))
        }
        b'+' if start > 0 => Some(b""),
        _ => None,
    }
}

/// `Type: text` or `Type`, where an exception has to come.
fn is_exception(line: &[u8]) -> bool {
    let name = line.iter().position(|byte| {
        !(byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'.' | b'<' | b'>')
            || *byte >= 0x80)
    });
    let name = &line[..name.unwrap_or(line.len())];
    let is_name = name.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    let is_known = name.contains(&b'.') || name.iter().any(u8::is_ascii_uppercase);
    is_name
        && match &line[name.len()..] {
            [] => is_known,
            [b':', rest @ ..] => rest.is_empty() || rest[0] == b' ',
            _ => false,
        }
}

impl Lines {
    pub(super) const FRAMES: Lines = Lines { state: State::Frames, is_group: false };

    /// The first line behind a heading.
    pub(super) fn behind_heading(line: &[u8]) -> Option<Lines> {
        let mut lines = Lines::FRAMES;
        (is_frame(line) && lines.next(line) == Verdict::Sure).then_some(lines)
    }

    pub(super) fn next(&mut self, line: &[u8]) -> Verdict {
        if self.is_group && ungrouped(line).is_some() {
            self.state = State::Message { loose: false };
            return Verdict::Sure;
        }
        let (state, verdict) = match self.state {
            State::Frames if is_blank(line) => (State::Frames, Verdict::Maybe),
            State::Frames if line.starts_with(b"  ") => (State::Frames, Verdict::Sure),
            State::Frames if is_exception(line) => (State::Message { loose: false }, Verdict::Sure),
            State::Message { .. } if is_blank(line) => (State::Blank, Verdict::Maybe),
            State::Message { loose: false } if text::indent(line) > 0 => {
                (State::Message { loose: false }, Verdict::Sure)
            }
            State::Message { loose } if !text::is_log_line(line) && line != HEADING => {
                // A name alone may be the field that lines behind it tell of.
                let loose = loose || text::indent(line) > 0 || line.contains(&b' ');
                (State::Message { loose }, Verdict::Maybe)
            }
            State::Blank if LINKS.iter().any(|link| link.as_bytes() == line) => {
                (State::Link, Verdict::Sure)
            }
            State::Link if is_blank(line) => (State::Link, Verdict::Sure),
            State::Link if line == HEADING || line.starts_with(b"  File \"") => {
                (State::Frames, Verdict::Sure)
            }
            State::Link if line == GROUP => {
                self.is_group = true;
                (State::Frames, Verdict::Sure)
            }
            State::Snippet(seen) if text::indent(line) > 0 && seen < SNIPPET => {
                (State::Snippet(seen + 1), Verdict::Maybe)
            }
            State::Snippet(_) if is_of_syntax(line) => {
                (State::Message { loose: false }, Verdict::Sure)
            }
            _ => return Verdict::No,
        };
        self.state = state;
        verdict
    }
}

fn is_of_syntax(line: &[u8]) -> bool {
    OF_SYNTAX.iter().any(|name| {
        line.strip_prefix(name.as_bytes())
            .is_some_and(|rest| rest.starts_with(b":") || rest.is_empty())
    })
}

/// Every exception, that which was not handled first.
pub(super) fn read(text: &str) -> Vec<Thrown> {
    blocks(text).unwrap_or_default()
}

fn blocks(text: &str) -> Option<Vec<Thrown>> {
    // Those of a group belong to it, and all of it comes before what came of it.
    let mut blocks: Vec<Vec<Thrown>> = vec![Vec::new()];
    let mut frames: Vec<Frame> = Vec::new();
    let mut is_message = false;
    for line in text.lines() {
        let line = line.trim_end();
        let is_divider = line.trim_start().starts_with('+');
        let inner = ungrouped(line.as_bytes()).and_then(|inner| std::str::from_utf8(inner).ok());
        let own = inner.unwrap_or(line);
        if LINKS.contains(&own) {
            blocks.push(Vec::new());
        } else if own.as_bytes() == HEADING || is_divider {
            (is_message, frames) = (false, Vec::new());
        } else if let Some((path, function)) = frame(own.as_bytes()).filter(|_| !is_message) {
            frames.push(place(path, function));
        } else if !is_message && is_exception(own.as_bytes()) {
            let (kind, message) = own.split_once(':').unwrap_or((own, ""));
            let (kind, message) = (Some(kind.to_owned()), message.trim_start().to_owned());
            let mut frames = std::mem::take(&mut frames);
            frames.reverse();
            blocks.last_mut()?.push(Thrown { kind, message, frames });
            is_message = true;
        } else if let Some(last) = blocks.last_mut()?.last_mut().filter(|_| is_message) {
            last.message.push('\n');
            last.message.push_str(own);
        }
    }
    let mut thrown: Vec<Thrown> = blocks.into_iter().rev().flatten().collect();
    if !frames.is_empty() {
        frames.reverse();
        thrown.push(Thrown { frames, ..Thrown::default() });
    }
    Some(thrown)
}

fn place(path: &str, function: Option<&str>) -> Frame {
    let is_runtime =
        path.starts_with('<') || path.contains("/lib/python") && !path.contains("-packages/");
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    Frame { place: format!("{file}:{}", function.unwrap_or_default()), is_runtime }
}

//! Traces of V8: of Node.js's console, and what it writes as it ends because of one.

use super::grammar::Verdict;
use super::text::{self, Named, indent, is_blank, is_number_before, trimmed};
use super::{Frame, Thrown};

/// What can come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// The code at the place that was named.
    Code,
    /// What points into it.
    Pointer,
    /// What was thrown.
    Value,
    /// More of it, or frames.
    Message,
    Frames,
    /// Members of what was thrown.
    Members,
    /// Blank lines, and the version.
    Tail,
}

impl Lines {
    /// Behind a line that is a place and nothing else.
    pub(super) const PREFACE: Lines = Lines::Code;

    pub(super) fn next(&mut self, line: &[u8]) -> Verdict {
        let (next, verdict) = match *self {
            Lines::Code => match is_blank(line) {
                true => return Verdict::No,
                false => (Lines::Pointer, Verdict::Maybe),
            },
            Lines::Pointer if text::is_pointer(line) => (Lines::Value, Verdict::Sure),
            Lines::Value if is_blank(line) => (Lines::Value, Verdict::Sure),
            Lines::Value => (Lines::Message, Verdict::Sure),
            Lines::Message | Lines::Tail | Lines::Frames if line.starts_with(b"Node.js v") => {
                return Verdict::Last;
            }
            Lines::Message | Lines::Frames if is_frame(line) || is_rest(line) => {
                (if line.ends_with(b" {") { Lines::Members } else { Lines::Frames }, Verdict::Sure)
            }
            Lines::Message if line.starts_with(b"(Use `node --trace-uncaught") => {
                (Lines::Tail, Verdict::Sure)
            }
            Lines::Message if !text::is_log_line(line) => (Lines::Message, Verdict::Maybe),
            Lines::Members if line == b"}" => (Lines::Tail, Verdict::Sure),
            Lines::Members if indent(line) > 1 => (Lines::Members, Verdict::Sure),
            Lines::Frames | Lines::Tail if is_blank(line) => (Lines::Tail, Verdict::Maybe),
            _ => return Verdict::No,
        };
        *self = next;
        verdict
    }
}

/// `/srv/app.js:12`, `file:///srv/app.mjs:12`, `node:fs:12`.
pub(super) fn is_preface(line: &[u8]) -> bool {
    let is_path = [&b"/"[..], b"file:///", b"node:"].iter().any(|start| line.starts_with(start));
    let colon = memchr::memrchr(b':', line);
    is_path
        && colon.is_some_and(|colon| {
            is_number_before(&line[colon + 1..], b"")
                && line[colon + 1..].iter().all(u8::is_ascii_digit)
        })
}

/// `(node:123) ` before a warning that is an exception, `Uncaught ` of the console.
pub(super) fn is_warning(before: &[u8]) -> bool {
    let process = before.strip_prefix(b"(node:");
    process.is_some_and(|rest| is_number_before(rest, b") ")) || before == b"Uncaught "
}

/// `at function (place:1:2)`, `at place:1:2`.
pub(super) fn is_frame(line: &[u8]) -> bool {
    indent(line) > 1 && std::str::from_utf8(trimmed(line)).is_ok_and(|line| place(line).is_some())
}

/// `... 3 lines matching cause stack trace ...`.
fn is_rest(line: &[u8]) -> bool {
    indent(line) > 1 && trimmed(line).starts_with(b"... ")
}

/// A frame without its indentation.
fn place(line: &str) -> Option<Frame> {
    let rest = line.strip_prefix("at ")?;
    let rest = rest.trim_end_matches([' ', '{', ',']);
    let (function, file) = match rest.strip_suffix(')') {
        Some(rest) => rest.rsplit_once(" (").unwrap_or(("", rest)),
        None => ("", rest.strip_prefix("async ").unwrap_or(rest)),
    };
    let file = file.strip_prefix("eval at ").map_or(file, |_| "<eval>");
    let is_known = matches!(file, "<anonymous>" | "native" | "<eval>")
        || file.starts_with("index ")
        || file.rsplit(':').next().is_some_and(|last| {
            file.contains(':') && !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())
        });
    if !is_known {
        return None;
    }
    let path = file.trim_end_matches(|c: char| c.is_ascii_digit() || c == ':');
    let is_runtime = path.starts_with("node:")
        || path.starts_with("internal/")
        || matches!(path, "<anonymous>" | "native");
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let function = function.strip_prefix("async ").unwrap_or(function);
    let function = function.strip_prefix("new ").unwrap_or(function);
    // "[as run]" says by which name it was called.
    let function = function.split(" [as ").next().unwrap_or(function);
    Some(Frame { place: format!("{}:{function}", without_hash(name)), is_runtime })
}

/// `main.js` of `main.3f2a1b9c.js`, as bundlers name files by what is in them.
fn without_hash(file: &str) -> String {
    let is_hash = |part: &str| {
        part.len() >= 8
            && part.bytes().all(|byte| byte.is_ascii_hexdigit())
            && part.bytes().any(|byte| byte.is_ascii_digit())
    };
    let parts: Vec<&str> = file.split(['.', '-']).filter(|part| !is_hash(part)).collect();
    parts.join(".")
}

/// Every exception, the outermost first.
pub(super) fn read(text: &str) -> Vec<Thrown> {
    let mut thrown: Vec<Thrown> = Vec::new();
    let mut is_message = true;
    let mut lines = text.lines().peekable();
    if lines.peek().is_some_and(|line| is_preface(line.as_bytes())) {
        lines.nth(2);
    }
    for line in lines {
        let inner = line.trim_start();
        if inner.starts_with("Node.js v") || inner.starts_with("(Use `node") {
            break;
        }
        if let Some(frame) = place(inner).filter(|_| line.len() > inner.len()) {
            is_message = false;
            match thrown.last_mut() {
                Some(last) => last.frames.push(frame),
                None => thrown.push(Thrown { frames: vec![frame], ..Thrown::default() }),
            }
            continue;
        }
        let cause = inner.strip_prefix("[cause]: ").unwrap_or(inner);
        let found = text::named(cause.as_bytes());
        match thrown.last_mut() {
            None if inner.is_empty() => {}
            None => thrown.push(exception(line, found)),
            Some(last) if is_message => {
                last.message.push('\n');
                last.message.push_str(line);
            }
            // A member that is an exception itself.
            Some(_) if found.is_some_and(|found| found.start == 0) => {
                thrown.push(exception(cause, found));
            }
            Some(_) => {}
        }
    }
    thrown
}

fn exception(line: &str, found: Option<Named>) -> Thrown {
    // Whatever a class is called, its name is before the first colon.
    let first = text::named_at(line.as_bytes(), 0)
        .filter(|found| line[..found.end].starts_with(|c: char| c.is_ascii_uppercase()));
    match first.filter(|first| first.end < line.len()).or(found).or(first) {
        Some(found) => Thrown {
            kind: Some(line[found.start..found.end].to_owned()),
            message: line[found.message..].to_owned(),
            frames: Vec::new(),
        },
        None => Thrown { message: line.to_owned(), ..Thrown::default() },
    }
}

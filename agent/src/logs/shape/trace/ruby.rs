//! Traces of Ruby: `Exception#full_message` in both orders, and lists of frames as its logger writes
//! them. Places are quoted `` `like this' `` up to Ruby 3.3 and `'like this'` since.

use super::grammar::Verdict;
use super::text::{self, is_blank, is_number_before, trimmed};
use super::{Frame, Thrown};

/// What can come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lines {
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// More of the message, code, frames.
    Message,
    Frames,
    /// Names that were perhaps meant.
    Suggestion,
    /// Frames, the outermost first, and then what was thrown.
    Reverse,
    /// Frames without a word in front.
    Bare,
}

impl Lines {
    pub(super) const HEAD: Lines = Lines { state: State::Message };
    pub(super) const FRAMES: Lines = Lines { state: State::Frames };
    pub(super) const BARE: Lines = Lines { state: State::Bare };

    /// The first line behind a heading.
    pub(super) fn behind_heading(line: &[u8]) -> Option<Lines> {
        match line {
            line if is_numbered(line) => Some(Lines { state: State::Reverse }),
            line if is_head(line) => Some(Lines::HEAD),
            _ => None,
        }
    }

    pub(super) fn next(&mut self, line: &[u8]) -> Verdict {
        let (state, verdict) = match self.state {
            State::Bare if is_bare_frame(line) => (State::Bare, Verdict::Sure),
            State::Bare => return Verdict::No,
            _ if is_from(line) => (State::Frames, Verdict::Sure),
            _ if is_numbered(line) => (State::Reverse, Verdict::Sure),
            _ if is_head(line) => (State::Message, Verdict::Sure),
            State::Reverse | State::Frames => return Verdict::No,
            State::Message | State::Suggestion if line.starts_with(b"Did you mean?") => {
                (State::Suggestion, Verdict::Sure)
            }
            State::Suggestion if text::indent(line) > 0 => (State::Suggestion, Verdict::Sure),
            State::Suggestion => return Verdict::No,
            State::Message if text::is_pointer(line) => (State::Message, Verdict::Sure),
            State::Message if is_blank(line) || !text::is_log_line(line) => {
                (State::Message, Verdict::Maybe)
            }
            State::Message => return Verdict::No,
        };
        self.state = state;
        verdict
    }
}

/// `FILE:12:in 'method'` and what is behind it.
fn place(line: &str) -> Option<(&str, &str, &str)> {
    let at = line.find(":in `").or_else(|| line.find(":in '"))?;
    let (file, rest) = line.split_at(at);
    let (path, number) = file.rsplit_once(':')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let rest = &rest[":in `".len()..];
    let end = rest.find('\'')?;
    is_number.then_some((path, &rest[..end], &rest[end + 1..]))
}

/// `FILE:12: syntax error, …`.
fn syntax_error(line: &str) -> Option<(&str, &str)> {
    let (file, message) = line.split_once(": syntax error")?;
    let (path, number) = file.rsplit_once(':')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let start = line.len() - message.len() - "syntax error".len();
    is_number.then_some((path, &line[start..]))
}

/// The first line: `FILE:12:in 'method': text (Class)`.
pub(super) fn is_head(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else { return false };
    let is_told = |rest: &str| {
        rest.strip_prefix(": ")
            .is_some_and(|text| text == "unhandled exception" || kind(text.as_bytes()).is_some())
    };
    place(line).is_some_and(|(_, _, rest)| is_told(rest)) || syntax_error(line).is_some()
}

/// The class in parentheses at the end of a line.
pub(super) fn kind(line: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix(')')?;
    let (_, class) =
        line.rsplit_once(" (").or_else(|| line.strip_prefix('(').map(|class| ("", class)))?;
    let is_class = class.starts_with(|c: char| c.is_ascii_uppercase())
        && class.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ':');
    is_class.then_some(class)
}

/// `\tfrom FILE:12:in 'method'`, `\t ... 12 levels...`.
fn is_from(line: &[u8]) -> bool {
    line.starts_with(b"\tfrom ") || line.starts_with(b"\t ... ") && line.ends_with(b" levels...")
}

/// `\t2: from FILE:12:in 'method'`.
fn is_numbered(line: &[u8]) -> bool {
    line.starts_with(b"\t") && is_number_before(trimmed(line), b": from ")
}

pub(super) fn is_frame(line: &[u8]) -> bool {
    is_from(line) || is_numbered(line) || is_bare_frame(line) || is_head(line)
}

/// `FILE:12:in 'method'` alone.
pub(super) fn is_bare_frame(line: &[u8]) -> bool {
    let line = std::str::from_utf8(line).ok();
    line.is_some_and(|line| place(line).is_some_and(|(_, _, rest)| rest.is_empty()))
}

/// Every exception, that which was not handled first.
pub(super) fn read(text: &str) -> Vec<Thrown> {
    let mut thrown: Vec<Thrown> = Vec::new();
    let mut reversed: Vec<Frame> = Vec::new();
    let mut is_reverse = false;
    let mut is_message = false;
    for line in text.lines() {
        let bytes = line.as_bytes();
        if is_numbered(bytes) || is_from(bytes) {
            let own = line.split_once("from ").map_or("", |(_, own)| own);
            let Some(frame) = place(own).map(|(path, method, _)| frame(path, method)) else {
                continue;
            };
            match thrown.last_mut() {
                Some(last) if is_from(bytes) => last.frames.push(frame),
                _ => {
                    is_reverse = true;
                    reversed.push(frame);
                }
            }
            is_message = false;
        } else if let Some(mut found) = head(line) {
            found.frames.extend(std::mem::take(&mut reversed).into_iter().rev());
            thrown.push(found);
            is_message = true;
        } else if let (Some((path, method, "")), Some(last)) = (place(line), thrown.last_mut()) {
            last.frames.push(frame(path, method));
            is_message = false;
        } else if thrown.is_empty() && line.as_bytes() != super::python::HEADING {
            let kind = kind(bytes).map(str::to_owned);
            let message = kind.as_ref().map_or(line, |kind| &line[..line.len() - kind.len() - 2]);
            // "E, [time #1] ERROR -- : text" of the logger.
            let message = message.rsplit(" -- : ").next().unwrap_or(message).trim_end().to_owned();
            thrown.push(Thrown { kind, message, frames: Vec::new() });
        } else if line.is_empty() {
            // Code that is shown, and names that were perhaps meant.
            is_message = false;
        } else if let Some(last) = thrown.last_mut().filter(|_| is_message) {
            last.message.push('\n');
            last.message.push_str(line);
        }
    }
    if is_reverse {
        thrown.reverse();
    }
    thrown
}

/// A line that tells of an exception and where it was.
fn head(line: &str) -> Option<Thrown> {
    if let Some((path, message)) = syntax_error(line) {
        let message = message.strip_suffix(" (SyntaxError)").unwrap_or(message).to_owned();
        let kind = Some("SyntaxError".to_owned());
        return Some(Thrown { kind, message, frames: vec![frame(path, "")] });
    }
    let (path, method, rest) = place(line).filter(|_| is_head(line.as_bytes()))?;
    let rest = rest.strip_prefix(": ")?;
    let class = kind(rest.as_bytes());
    // `raise` alone is of this class, and does not say so.
    let kind = class.or((rest == "unhandled exception").then_some("RuntimeError"));
    let message = class.map_or(rest, |class| rest[..rest.len() - class.len() - 2].trim_end());
    let (kind, message) = (kind.map(str::to_owned), message.to_owned());
    Some(Thrown { kind, message, frames: vec![frame(path, method)] })
}

fn frame(path: &str, method: &str) -> Frame {
    let is_runtime =
        path.starts_with("<internal:") || path.contains("/lib/ruby/") && !path.contains("/gems/");
    let file = path.rsplit('/').next().unwrap_or(path);
    // "block (2 levels) in m", "rescue in m", and the class that Ruby 3.4 says.
    let own = method.rsplit(" in ").next().unwrap_or(method);
    let own = own.rsplit(['#', '.']).next().unwrap_or(own);
    Frame { place: format!("{file}:{own}"), is_runtime }
}

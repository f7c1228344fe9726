//! What lines of traces of several languages have in common.

use super::super::level;

/// How far into a line an exception's name is looked for, in bytes.
const SEEN: usize = 512;

/// How many blanks and tabs a line begins with.
pub(super) fn indent(line: &[u8]) -> usize {
    line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

/// A line without them.
pub(super) fn trimmed(line: &[u8]) -> &[u8] {
    &line[indent(line)..]
}

pub(super) fn is_blank(line: &[u8]) -> bool {
    indent(line) == line.len()
}

/// Whether a line begins as log lines do: it is no second line of a message.
pub(super) fn is_log_line(line: &[u8]) -> bool {
    match line {
        [b'{', ..] => true,
        [b'[', digit, ..] if digit.is_ascii_digit() => true,
        [a, b, c, d, b'-' | b'/', ..] if [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()) => {
            true
        }
        [a, b, b':', ..] if a.is_ascii_digit() && b.is_ascii_digit() => true,
        _ => level::of_line(line).is_some(),
    }
}

/// Digits, then this.
pub(super) fn is_number_before(line: &[u8], end: &[u8]) -> bool {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && line[digits..].starts_with(end)
}

/// Only `^` and `~` behind blanks: it points at a place in the line before.
pub(super) fn is_pointer(line: &[u8]) -> bool {
    let line = trimmed(line);
    line.contains(&b'^') && line.iter().all(|byte| matches!(byte, b'^' | b'~' | b' '))
}

/// An exception's name within a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named {
    /// Where it begins.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
    /// Where the message begins.
    pub(super) message: usize,
}

/// The first word of a line that is called as exceptions are, with a colon or the line's end behind
/// it.
pub(super) fn named(line: &[u8]) -> Option<Named> {
    let seen = &line[..line.len().min(SEEN)];
    let mut start = 0;
    loop {
        if let Some(found) = named_at(line, start).filter(|found| is_kind(&line[start..found.end]))
        {
            return Some(found);
        }
        start += memchr::memchr2(b' ', b'(', seen.get(start..)?)? + 1;
    }
}

/// A name of the language's form at this place, whatever it is called.
pub(super) fn named_at(line: &[u8], start: usize) -> Option<Named> {
    let rest = &line[start..];
    let length = rest.iter().position(|byte| !is_in_name(*byte)).unwrap_or(rest.len());
    // A Ruby class has "::", every other colon ends the name.
    let mut end = 0;
    while let Some(colon) = rest[end..length].iter().position(|byte| *byte == b':') {
        if rest.get(end + colon + 1) != Some(&b':') {
            return at(line, start, start + end + colon);
        }
        end += colon + 2;
        if end > length {
            return None;
        }
    }
    at(line, start, start + length)
}

fn at(line: &[u8], start: usize, end: usize) -> Option<Named> {
    if start == end || line[start].is_ascii_digit() {
        return None;
    }
    let mut behind = &line[end..];
    // "Error [ERR_CODE]: text" of Node.
    if let Some(code) = behind.strip_prefix(b" [") {
        let close = code.iter().take(64).position(|byte| *byte == b']')?;
        behind = &code[close + 1..];
    }
    let message = line.len() - behind.len();
    match behind {
        [] => Some(Named { start, end, message }),
        [b':'] => Some(Named { start, end, message: message + 1 }),
        [b':', b' ', ..] => Some(Named { start, end, message: message + 2 }),
        _ => None,
    }
}

fn is_in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$' | b'/' | b':') || byte >= 0x80
}

/// The last part of a name: `Inner` of `a.b.Outer$Inner`.
fn last_part(name: &[u8]) -> &[u8] {
    let start = name.iter().rposition(|byte| matches!(byte, b'.' | b'$' | b'/' | b':'));
    start.map_or(name, |start| &name[start + 1..])
}

/// Whether a name says that it is an exception's.
fn is_kind(name: &[u8]) -> bool {
    let last = last_part(name);
    last.first().is_some_and(u8::is_ascii_uppercase)
        && [&b"Error"[..], b"Exception", b"Throwable"].iter().any(|end| last.ends_with(end))
}

/// `package.Class` at a line's beginning, with a colon or the line's end behind it.
pub(super) fn is_qualified(line: &[u8]) -> bool {
    line.first().is_some_and(u8::is_ascii_lowercase)
        && named_at(line, 0).is_some_and(|found| {
            let name = &line[..found.end];
            name.contains(&b'.')
                && !name.contains(&b'/')
                && !name.contains(&b':')
                && last_part(name).first().is_some_and(u8::is_ascii_uppercase)
        })
}

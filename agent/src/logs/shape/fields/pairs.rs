//! logfmt: a line that is pairs of a name and a value from its first byte to its last.
//!
//! Invariant: a line of text that has pairs in it, or one pair alone, is none; a name that comes twice
//! would lose a value, so that such a line is none either. Values are text: logfmt has no types.

use super::json::{self, Members};

/// Whether a line can be one, by the beginning: `name=`.
pub(super) fn is_likely(line: &[u8]) -> bool {
    let end = line.iter().position(|byte| !is_in_name(*byte));
    end.is_some_and(|end| line[end] == b'=' && is_name(&line[..end]))
}

/// The pairs, if there are two or more and nothing else.
pub(super) fn read(text: &str) -> Option<Members> {
    let mut pairs = Members::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, behind) = rest.split_once('=')?;
        if !is_name(name.as_bytes()) {
            return None;
        }
        let (value, behind) = match behind.starts_with('"') {
            true => {
                let (value, length) = json::string(behind)?;
                (value, &behind[length..])
            }
            false => {
                let end = behind.find(' ').unwrap_or(behind.len());
                let (value, behind) = behind.split_at(end);
                let is_bare = |c: char| c != '"' && !c.is_control();
                (value.chars().all(is_bare).then(|| value.to_owned())?, behind)
            }
        };
        // Not "a="b"c=d".
        if !behind.is_empty() && !behind.starts_with(' ') {
            return None;
        }
        rest = behind.trim_start_matches(' ');
        pairs.push((name.to_owned(), value.into()));
    }
    (pairs.len() > 1 && json::is_each_once(&pairs)).then_some(pairs)
}

fn is_name(name: &[u8]) -> bool {
    let is_first = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'@');
    name.first().is_some_and(is_first) && name.iter().all(|byte| is_in_name(*byte))
}

fn is_in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@' | b'/')
}

//! Traces of Rust: what the standard library's panic hook writes, with and without a backtrace (1.40
//! to 1.95; up to 1.72 the message stands in the first line).

use super::grammar::Verdict;
use super::text::{self, indent, is_blank, is_number_before, trimmed};
use super::{Frame, Thrown};

/// What can come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// The message.
    First,
    /// More of it, or a backtrace.
    Message,
    Frames,
    /// What is said at the end.
    Tail,
}

/// What panics of the standard library say first: they are kinds of panics, not words of the program.
const KINDS: [&str; 12] = [
    "index out of bounds",
    "called `Option::",
    "called `Result::",
    "attempt to ",
    "assertion ",
    "not implemented",
    "not yet implemented",
    "internal error: entered unreachable code",
    "range ",
    "byte index ",
    "capacity overflow",
    "explicit panic",
];

/// Most of a symbol that is looked at, in bytes.
const SYMBOL: usize = 1024;

/// Crates of the toolchain.
const RUNTIME: [&str; 7] = ["std", "core", "alloc", "test", "__rustc", "backtrace", "panic_unwind"];

/// Functions that are there before and behind a program's own.
const ENTRIES: [&str; 8] = [
    "rust_begin_unwind",
    "rust_panic",
    "main",
    "_start",
    "__libc_start_main",
    "__libc_start_call_main",
    "__libc_start_main_impl",
    "<unknown>",
];

impl Lines {
    /// Behind the first line.
    pub(super) fn start(line: &[u8]) -> Lines {
        if line.ends_with(b":") { Lines::First } else { Lines::Message }
    }

    pub(super) fn next(&mut self, line: &[u8]) -> Verdict {
        let starts = |start: &str| line.starts_with(start.as_bytes());
        if is_start(line) {
            return Verdict::No;
        }
        let is_tail = starts("note: ")
            || starts("thread caused non-unwinding panic")
            || starts("thread panicked while ");
        let (next, verdict) = match *self {
            _ if is_tail => (Lines::Tail, Verdict::Sure),
            Lines::First | Lines::Message if line == b"stack backtrace:" => {
                (Lines::Frames, Verdict::Sure)
            }
            Lines::First => (Lines::Message, Verdict::Sure),
            Lines::Message if is_blank(line) => (Lines::Message, Verdict::Maybe),
            Lines::Message if indent(line) > 0 => (Lines::Message, Verdict::Sure),
            Lines::Message if !text::is_log_line(line) => (Lines::Message, Verdict::Maybe),
            Lines::Frames if is_frame(line) => (Lines::Frames, Verdict::Sure),
            _ => return Verdict::No,
        };
        *self = next;
        verdict
    }
}

/// `thread 'main' panicked at …`, `thread 'main' (123) panicked at …`.
pub(super) fn is_start(line: &[u8]) -> bool {
    line.starts_with(b"thread '") && memchr::memmem::find(line, b" panicked at ").is_some()
}

/// `   4: path::function`, `             at ./src/main.rs:1:2`.
pub(super) fn is_frame(line: &[u8]) -> bool {
    let rest = trimmed(line);
    indent(line) > 1
        && (is_number_before(rest, b": ") || rest.starts_with(b"at ") && rest.contains(&b':'))
}

/// The panic.
pub(super) fn read(text: &str) -> Vec<Thrown> {
    let mut thrown = Thrown { kind: Some("panic".to_owned()), ..Thrown::default() };
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let said = first.split_once(" panicked at ").map_or("", |(_, said)| said);
    // Since 1.73 the place, and the message behind it; before that 'message', place.
    let mut message = Vec::new();
    let (old, place) = match said.strip_suffix(':') {
        Some(place) => (None, place),
        None => match said.rsplit_once("', ") {
            Some((message, place)) => (Some(message.trim_start_matches('\'')), place),
            None => (Some(said.trim_start_matches('\'')), ""),
        },
    };
    message.extend(old);
    let mut place = place;
    let mut is_backtrace = false;
    for line in lines.chain((!is_start(first.as_bytes())).then_some(first)) {
        let is_end = line.starts_with("note: ") || line.starts_with("thread ");
        if is_backtrace {
            thrown.frames.extend(frame(line));
        } else if line == "stack backtrace:" || is_frame(line.as_bytes()) {
            is_backtrace = true;
            thrown.frames.extend(frame(line));
        } else if !is_end {
            match line.rsplit_once("', ").filter(|_| old.is_some() && place.is_empty()) {
                Some((rest, at)) => {
                    message.push(rest);
                    place = at;
                }
                None => message.push(line),
            }
        }
    }
    thrown.message = message.join("\n");
    if thrown.frames.iter().all(|frame| frame.is_runtime) {
        let file = place.rsplit('/').next().unwrap_or(place);
        let file = file.split(':').next().unwrap_or(file);
        let kind = KINDS.iter().find(|kind| thrown.message.starts_with(*kind)).unwrap_or(&"");
        thrown.frames = vec![Frame { place: format!("{file}:{kind}"), is_runtime: false }];
    }
    vec![thrown]
}

fn frame(line: &str) -> Option<Frame> {
    let (number, rest) = line.trim_start().split_once(": ")?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // "0x55d0c0ffee00 - path::function" of a full one.
    let rest = rest.trim_start();
    let name = match rest.split_once(" - ") {
        Some((address, name)) if address.starts_with("0x") => name,
        _ => rest,
    };
    let place = stable(name);
    let is_runtime = place.contains("::") && RUNTIME.contains(&owner(&place))
        || ENTRIES.contains(&place.as_str());
    Some(Frame { place, is_runtime })
}

/// The crate of a function; of `<Type as Trait>::function` the type's, or the trait's if the language
/// itself has the type.
fn owner(place: &str) -> &str {
    let path = place.trim_start_matches(['<', '&', '*', '(']);
    let path = path.strip_prefix("dyn ").unwrap_or(path);
    let path = match path.split_once(" as ") {
        Some((of, of_trait)) if !of.contains("::") => of_trait,
        _ => path,
    };
    path.split([':', ' ', '<', '>']).next().unwrap_or(path)
}

/// A symbol without hashes, types it was made for and numbers of closures, which compilers write in
/// several ways.
fn stable(name: &str) -> String {
    let name = super::short(name, SYMBOL);
    let name = match name.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            name
        }
        _ => name,
    };
    let mut stable = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find(['[', '{', ':']) {
        stable.push_str(&rest[..at]);
        rest = &rest[at..];
        let close = |c: char| rest.find(c);
        let length = if rest.starts_with('[') {
            // "crate[0123456789abcdef]"
            let end = close(']')
                .filter(|end| *end > 8 && rest[1..*end].bytes().all(|b| b.is_ascii_hexdigit()));
            end.map(|end| end + 1)
        } else if rest.starts_with("{{closure}}") || rest.starts_with("{closure") {
            stable.push_str("{closure}");
            close('}').map(|end| end + 1 + usize::from(rest[end + 1..].starts_with('}')))
        } else if rest.starts_with("::<") && rest.ends_with('>') {
            Some(rest.len())
        } else {
            None
        };
        match length {
            Some(length) => rest = &rest[length..],
            None => {
                let next = rest.chars().next().map_or(0, char::len_utf8);
                stable.push_str(&rest[..next]);
                rest = &rest[next..];
            }
        }
    }
    stable.push_str(rest);
    stable
}

//! Traces of the JVM: `Throwable.printStackTrace`, which loggers write as well.

use super::grammar::Verdict;
use super::text::{self, indent, is_blank, trimmed};
use super::{Frame, Thrown};

/// What stands before an exception that another has.
const CAUSES: [&str; 3] = ["Caused by: ", "Suppressed: ", "Wrapped by: "];

/// Packages of the JDK, with or without the module's name in front.
const RUNTIME: [&str; 6] = ["java.", "javax.", "jdk.", "sun.", "com.sun.", "kotlin.coroutines."];

/// What can come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// More of a message, or the first frame.
    Message,
    Frames,
}

impl Lines {
    pub(super) fn next(&mut self, line: &[u8]) -> Verdict {
        let rest = trimmed(line);
        if is_cause(line) {
            *self = Lines::Message;
            return Verdict::Sure;
        }
        let is_more = rest.starts_with(b"... ")
            || rest.starts_with(b"[CIRCULAR REFERENCE")
            || rest.starts_with(b"- ");
        if indent(line) > 0 && (is_frame(line) || is_more) {
            *self = Lines::Frames;
            return Verdict::Sure;
        }
        match self {
            Lines::Message if is_blank(line) || !text::is_log_line(line) => Verdict::Maybe,
            _ => Verdict::No,
        }
    }
}

/// `at package.Class.method(File.java:12)`.
pub(super) fn is_frame(line: &[u8]) -> bool {
    indent(line) > 0 && std::str::from_utf8(trimmed(line)).is_ok_and(|line| method(line).is_some())
}

pub(super) fn is_cause(line: &[u8]) -> bool {
    CAUSES.iter().any(|cause| trimmed(line).starts_with(cause.as_bytes()))
}

/// Where an exception begins behind `Exception in thread "NAME" `.
pub(super) fn thrown(line: &[u8]) -> Option<usize> {
    let rest = line.strip_prefix(b"Exception in thread \"")?;
    let end = memchr::memmem::find(rest, b"\" ")?;
    Some(line.len() - rest.len() + end + 2)
}

/// Class and method of a frame without its indentation.
fn method(line: &str) -> Option<&str> {
    let (method, place) = line.strip_prefix("at ")?.split_once('(')?;
    let is_one = method.contains('.') && !method.contains(' ') && !method.contains('<')
        || method.ends_with(".<init>")
        || method.ends_with(".<clinit>");
    (is_one && place.contains(')')).then_some(method)
}

/// Every exception, the outermost first.
pub(super) fn read(text: &str) -> Vec<Thrown> {
    let mut thrown: Vec<Thrown> = Vec::new();
    let mut is_message = true;
    for line in text.lines() {
        let inner = line.trim();
        if let Some(method) = method(inner) {
            is_message = false;
            match thrown.last_mut() {
                Some(last) => last.frames.push(place(method)),
                None => thrown.push(Thrown { frames: vec![place(method)], ..Thrown::default() }),
            }
            continue;
        }
        let cause = CAUSES.iter().find_map(|cause| inner.strip_prefix(cause));
        match (cause, thrown.last_mut()) {
            (Some(cause), _) => thrown.push(exception(cause)),
            (None, None) => thrown.push(exception(line)),
            (None, Some(last)) if is_message => {
                last.message.push('\n');
                last.message.push_str(line);
                continue;
            }
            (None, Some(_)) => continue,
        }
        is_message = true;
    }
    thrown
}

/// `Type: text`, behind anything.
fn exception(line: &str) -> Thrown {
    let bytes = line.as_bytes();
    let start = thrown(bytes).unwrap_or(0);
    let first =
        text::named_at(bytes, start).filter(|found| start > 0 || line[..found.end].contains('.'));
    match first.or_else(|| text::named(bytes)) {
        Some(found) => Thrown {
            kind: Some(line[found.start..found.end].to_owned()),
            message: line[found.message..].to_owned(),
            frames: Vec::new(),
        },
        None => Thrown { message: line.to_owned(), ..Thrown::default() },
    }
}

fn place(method: &str) -> Frame {
    // "Service$$EnhancerBySpringCGLIB$$1a2b3c4d.call", "Main$$Lambda$14/0x0000000800c03000.run".
    let (owner, behind) = match method.find("$$") {
        Some(at) => (&method[..at], method.rfind('.').map_or("", |dot| &method[dot..])),
        None => (method, ""),
    };
    // The class loader and the module, which may have a version: "app//m@1.2/package.Class.method".
    let owner = owner.rsplit('/').next().unwrap_or(owner);
    let is_runtime = RUNTIME.iter().any(|package| owner.starts_with(package));
    Frame { place: format!("{}{behind}", stable(owner)), is_runtime }
}

/// A name without the numbers that compilers and class generators give: "$Proxy12.call",
/// "Main.lambda$total$0", "GeneratedMethodAccessor12.invoke".
fn stable(name: &str) -> String {
    let is_generated =
        ["lambda$", "access$", "$Proxy", "Generated"].iter().any(|one| name.contains(one));
    name.chars().filter(|c| !(is_generated && c.is_ascii_digit())).collect()
}

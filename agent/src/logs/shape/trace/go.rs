//! Traces of Go: panics, fatal errors of its runtime, and lists of goroutines (up to Go 1.25).

use super::grammar::Verdict;
use super::text::{self, is_blank, is_number_before};
use super::{Frame, Thrown};

/// How a trace begins, up to its message.
const STARTS: [&str; 7] = [
    "panic: ",
    "fatal error: ",
    "runtime: ",
    "unexpected fault address ",
    "SIGQUIT: ",
    "SIGABRT: ",
    "SIGSEGV: ",
];

/// What net/http writes in front of what a handler's panic said.
const SERVING: &str = "http: panic serving ";

/// What can come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// More of what was said, up to the first goroutine.
    Head,
    Frames,
}

impl Lines {
    pub(super) fn next(&mut self, line: &[u8]) -> Verdict {
        if is_goroutine(line) || line == b"runtime stack:" {
            *self = Lines::Frames;
            return Verdict::Sure;
        }
        let starts = |start: &str| line.starts_with(start.as_bytes());
        match self {
            _ if is_blank(line) => Verdict::Maybe,
            Lines::Head
                if starts("\t") || starts("[signal ") || starts("PC=") || is_start(line) =>
            {
                Verdict::Maybe
            }
            Lines::Head if line.starts_with(b"[recovered]") => Verdict::Maybe,
            Lines::Head => Verdict::No,
            Lines::Frames if starts("\t") || starts("...") || is_register(line) => Verdict::Sure,
            Lines::Frames if starts("exit status ") => Verdict::Last,
            Lines::Frames if starts("created by ") || is_call(line) => Verdict::Maybe,
            Lines::Frames => Verdict::No,
        }
    }
}

pub(super) fn is_start(line: &[u8]) -> bool {
    STARTS.iter().any(|start| line.starts_with(start.as_bytes()))
}

/// `goroutine 1 [running]:`, `goroutine 1 gp=0xc000002380 m=0 mp=0x5a1f20 [running]:`.
pub(super) fn is_goroutine(line: &[u8]) -> bool {
    line.strip_prefix(b"goroutine ").is_some_and(|rest| {
        is_number_before(rest, b" ") && rest.contains(&b'[') && line.ends_with(b"]:")
    })
}

/// `main.total(0x1, ...)`.
fn is_call(line: &[u8]) -> bool {
    line.ends_with(b")") && !text::is_log_line(line) && line.contains(&b'(')
}

/// `\t/srv/app/main.go:12 +0x1d`.
pub(super) fn is_place(line: &[u8]) -> bool {
    let go = memchr::memmem::find(line, b".go:");
    line.starts_with(b"\t") && go.is_some_and(|at| is_number_before(&line[at + 4..], b""))
        || is_goroutine(line)
}

/// `rax    0xca`.
fn is_register(line: &[u8]) -> bool {
    let name = line.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let value = text::trimmed(&line[name..]);
    (2..=6).contains(&name)
        && value.len() < line.len() - name
        && value.strip_prefix(b"0x").is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

/// What happened, with the frames of the goroutine that is shown first.
pub(super) fn read(text: &str) -> Vec<Thrown> {
    let mut thrown = Thrown::default();
    let mut lines = text.lines();
    let (mut is_dump, mut is_message) = (false, false);
    for line in lines.by_ref() {
        if is_goroutine(line.as_bytes()) {
            is_dump = true;
            break;
        }
        if let Some((_, said)) = line.split_once(SERVING) {
            let message = said.split_once(": ").map_or(said, |(_, message)| message);
            (thrown.kind, thrown.message) = (Some("panic".to_owned()), message.to_owned());
        } else if let Some((start, message)) = split_start(line) {
            // What the runtime says before "fatal error" is not yet what happened.
            if thrown.kind.as_deref().is_none_or(|kind| kind == "runtime") {
                (thrown.kind, thrown.message) = (Some(start.to_owned()), message.to_owned());
                is_message = true;
            }
        } else if line.is_empty() {
            is_message = false;
        } else if is_message && line.starts_with('\t') && !line.starts_with("\tpanic: ") {
            thrown.message.push('\n');
            thrown.message.push_str(line.trim_start());
        }
    }
    if let Some(short) = thrown.message.strip_suffix(" [recovered]") {
        thrown.message = short.to_owned();
    }
    if is_dump {
        let own = lines.take_while(|line| !is_goroutine(line.as_bytes()));
        thrown.frames.extend(own.filter_map(frame));
    } else if thrown.kind.is_none() {
        // `debug.Stack` without its first line, as loggers write it.
        thrown.frames.extend(text.lines().filter_map(frame));
    }
    // What called the handler of panics is not where the panic was.
    if let Some(at) = thrown.frames.iter().rposition(|frame| frame.place == "panic") {
        thrown.frames.drain(..=at);
    }
    vec![thrown]
}

fn split_start(line: &str) -> Option<(&str, &str)> {
    let start = STARTS.iter().find(|start| line.starts_with(*start))?;
    match *start {
        "unexpected fault address " => Some(("fatal error", line)),
        start => Some((&line[..start.len() - 2], &line[start.len()..])),
    }
}

/// A function by its whole name, without what it was called with.
fn frame(line: &str) -> Option<Frame> {
    let call = line.strip_prefix("created by ").unwrap_or(line);
    let call = call.split(" in goroutine ").next().unwrap_or(call);
    if line.starts_with('\t') || call.is_empty() {
        return None;
    }
    let name = match call.strip_suffix(')') {
        Some(open) => &call[..open.rfind('(')?],
        None if call.len() < line.len() || !call.contains(' ') => call,
        None => return None,
    };
    if name.contains(' ') || name.is_empty() {
        return None;
    }
    let is_runtime = name == "panic"
        || ["runtime.", "runtime/", "reflect.", "sync.", "net/http.", "testing."]
            .iter()
            .any(|package| name.starts_with(package));
    Some(Frame { place: stable(name), is_runtime })
}

/// `main.total` of `main.total.func2.1`: functions without a name are counted.
fn stable(name: &str) -> String {
    let is_count = |part: &&str| {
        let digits = part.strip_prefix("func").or(part.strip_prefix("gowrap")).unwrap_or(part);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let (path, last) = name.rsplit_once('/').map_or(("", name), |(path, last)| (path, last));
    let mut parts: Vec<&str> = last.split('.').collect();
    while parts.len() > 2 && parts.last().is_some_and(is_count) {
        parts.pop();
    }
    let own = parts.join(".");
    if path.is_empty() { own } else { format!("{path}/{own}") }
}

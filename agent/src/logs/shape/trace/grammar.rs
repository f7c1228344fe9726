//! Which lines belong to a trace.
//!
//! Invariant: whether a line begins one is decided by its first bytes, or by one search of its
//! beginning for the words that all others have.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::{Language, go, java, node, python, ruby, rust, text};

/// What a line is to a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It belongs to it, and so does all before it.
    Sure,
    /// It may: what comes behind it decides.
    Maybe,
    /// It belongs to it and ends it.
    Last,
    /// It does not, so that the trace ended before.
    No,
}

/// What can come next.
#[derive(Debug)]
pub(super) enum Grammar {
    /// Behind `Exception in thread …:` of Python.
    Preface,
    /// Behind `Traceback (most recent call last):`, which Ruby writes as well.
    Heading,
    /// Behind a line with an exception's name: frames say of which language.
    Named {
        /// It begins the line, so that more lines of its message may follow.
        is_first: bool,
    },
    Python(python::Lines),
    Java(java::Lines),
    Node(node::Lines),
    Ruby(ruby::Lines),
    Go(go::Lines),
    Rust(rust::Lines),
}

/// How far into a line words of traces are looked for, in bytes.
const SEEN: usize = 512;

/// Words that a line has which begins a trace, but for those known by their first bytes.
const WORDS: [&str; 7] =
    ["Error", "Exception", "Throwable", ":in `", ":in '", ": syntax error", "http: panic serving "];

static SEARCH: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(WORDS).ok());

impl Grammar {
    /// Whether a word is in these bytes that lines have which begin traces.
    pub(super) fn has_words(bytes: &[u8]) -> bool {
        SEARCH.as_ref().is_some_and(|search| search.is_match(bytes))
    }

    /// Whether a line may begin a trace; one that is dull is known to have none of the words.
    pub(super) fn start(line: &[u8], is_dull: bool) -> Option<(Grammar, Verdict)> {
        let first = match line.first()? {
            b' ' => return python::start(line),
            b'{' | b'\t' => return None,
            b'T' if line == python::HEADING => Some(Grammar::Heading),
            b'E' if python::is_preface(line) => Some(Grammar::Preface),
            b'/' | b'f' | b'n' if node::is_preface(line) => {
                Some(Grammar::Node(node::Lines::PREFACE))
            }
            b't' if rust::is_start(line) => {
                return Some((Grammar::Rust(rust::Lines::start(line)), Verdict::Sure));
            }
            b'g' if go::is_goroutine(line) => {
                return Some((Grammar::Go(go::Lines::Frames), Verdict::Sure));
            }
            b'p' | b'f' | b'r' | b'u' | b'S' if go::is_start(line) => {
                Some(Grammar::Go(go::Lines::Head))
            }
            _ => None,
        };
        if let Some(grammar) = first {
            return Some((grammar, Verdict::Maybe));
        }
        let seen = &line[..line.len().min(SEEN)];
        let found = SEARCH.as_ref().filter(|_| !is_dull).and_then(|search| search.find(seen));
        match found.map(|found| WORDS[found.pattern().as_usize()]) {
            None if text::is_qualified(line) => {
                Some((Grammar::Named { is_first: true }, Verdict::Maybe))
            }
            None => None,
            Some("Error" | "Exception" | "Throwable") => named(line),
            Some("http: panic serving ") => Some((Grammar::Go(go::Lines::Head), Verdict::Maybe)),
            Some(_) if ruby::is_head(line) => {
                Some((Grammar::Ruby(ruby::Lines::HEAD), Verdict::Sure))
            }
            Some(_) => named(line),
        }
    }

    /// Within a trace that was too long for one record.
    pub(super) fn within(language: Language) -> Grammar {
        match language {
            Language::Python => Grammar::Python(python::Lines::FRAMES),
            Language::Java => Grammar::Java(java::Lines::Frames),
            Language::Node => Grammar::Node(node::Lines::Frames),
            Language::Ruby => Grammar::Ruby(ruby::Lines::FRAMES),
            Language::Go => Grammar::Go(go::Lines::Frames),
            Language::Rust => Grammar::Rust(rust::Lines::Frames),
        }
    }

    /// `None` before it is certain.
    pub(super) fn language(&self) -> Option<Language> {
        match self {
            Grammar::Preface | Grammar::Heading | Grammar::Named { .. } => None,
            Grammar::Python(_) => Some(Language::Python),
            Grammar::Java(_) => Some(Language::Java),
            Grammar::Node(_) => Some(Language::Node),
            Grammar::Ruby(_) => Some(Language::Ruby),
            Grammar::Go(_) => Some(Language::Go),
            Grammar::Rust(_) => Some(Language::Rust),
        }
    }

    /// What the next line is.
    pub(super) fn next(&mut self, line: &[u8]) -> Verdict {
        let (grammar, verdict) = match self {
            Grammar::Python(lines) => return lines.next(line),
            Grammar::Java(lines) => return lines.next(line),
            Grammar::Node(lines) => return lines.next(line),
            Grammar::Ruby(lines) => return lines.next(line),
            Grammar::Go(lines) => return lines.next(line),
            Grammar::Rust(lines) => return lines.next(line),
            Grammar::Preface if line == python::HEADING => (Grammar::Heading, Verdict::Maybe),
            Grammar::Preface => return Verdict::No,
            Grammar::Heading => match ruby::Lines::behind_heading(line) {
                Some(lines) => (Grammar::Ruby(lines), Verdict::Sure),
                None => match python::Lines::behind_heading(line) {
                    Some(lines) => (Grammar::Python(lines), Verdict::Sure),
                    None => return Verdict::No,
                },
            },
            Grammar::Named { is_first } => match behind_name(line) {
                Some(grammar) => (grammar, Verdict::Sure),
                None if *is_first && !text::is_log_line(line) && !is_start(line) => {
                    return Verdict::Maybe;
                }
                None => return Verdict::No,
            },
        };
        *self = grammar;
        verdict
    }
}

fn is_start(line: &[u8]) -> bool {
    text::named(line).is_some_and(|found| found.start == 0) || Grammar::start(line, false).is_some()
}

fn named(line: &[u8]) -> Option<(Grammar, Verdict)> {
    // Behind a thread's name whatever comes is an exception's.
    let is_thrown = java::thrown(line).is_some_and(|start| text::named_at(line, start).is_some());
    // "text (KeyError)" of Ruby's logger has no colon behind the name.
    let found = text::named(line);
    let is_first = is_thrown
        || text::is_qualified(line)
        || found.is_some_and(|found| found.start == 0 || node::is_warning(&line[..found.start]));
    let is_named = is_first || found.is_some() || ruby::kind(line).is_some();
    is_named.then_some((Grammar::Named { is_first }, Verdict::Maybe))
}

/// The first line of frames.
fn behind_name(line: &[u8]) -> Option<Grammar> {
    if java::is_frame(line) || java::is_cause(line) {
        let mut lines = java::Lines::Frames;
        lines.next(line);
        return Some(Grammar::Java(lines));
    }
    if node::is_frame(line) {
        let mut lines = node::Lines::Frames;
        lines.next(line);
        return Some(Grammar::Node(lines));
    }
    ruby::is_bare_frame(line).then_some(Grammar::Ruby(ruby::Lines::BARE))
}

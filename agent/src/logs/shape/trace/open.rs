//! A trace whose end has not come yet.
//!
//! Invariant: lines of which it is not certain that they belong to it can be had back, in order,
//! each as it came; what was given out as a part can be gone on with by whoever knows its record
//! alone.

use manifest_spec::log::{LogRecord, Severity, attribute};
use serde_json::{Map, Value};

use super::super::draft::Part;
use super::grammar::{Grammar, Verdict};
use super::{BYTES, Exception, LINES, Language};

/// Most lines that are held to see whether they belong to it.
const UNDECIDED: usize = 16;

/// What an escaped control character takes more than itself, in bytes.
const ESCAPE: usize = 5;

/// Stack trace of which more may come.
#[derive(Debug)]
pub(in super::super) struct Open {
    grammar: Grammar,
    /// Its lines, each with a line end.
    text: Vec<u8>,
    lines: Vec<Line>,
    /// How many of them certainly belong to it.
    sure: usize,
    /// How much of [`BYTES`] they take.
    taken: usize,
    /// Of a trace that was too long for one record.
    earlier: Option<Earlier>,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    /// Where it ends in the text.
    text: usize,
    /// Where it ends in the stream.
    end: u64,
}

/// What is known of the parts before.
#[derive(Debug, Clone)]
struct Earlier {
    language: Language,
    next: u32,
    severity: Severity,
    /// Of a trace whose first part told what happened.
    told: Option<(String, Map<String, Value>)>,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Next {
    /// It is held.
    Held,
    /// It is held, and is the last one.
    Last,
    /// It belongs to it, and there is no room: a part has to be taken first.
    Full,
    /// It does not belong to it: the trace has ended.
    Ended,
}

/// What is to become of a trace's lines.
pub(in super::super) struct Taken<'a> {
    /// Certain to be its own, without the last one's end; empty if it is none.
    pub(in super::super) text: &'a [u8],
    /// Where they end in the stream.
    pub(in super::super) end: u64,
    pub(in super::super) part: Option<Part>,
}

/// What a record says of a trace.
pub(in super::super) struct Told {
    pub(in super::super) severity: Severity,
    pub(in super::super) body: String,
    pub(in super::super) attributes: Map<String, Value>,
}

impl Open {
    /// Whether these bytes have anything by which more than the first bytes of a line say that it
    /// begins a trace. One look at many lines is much less work than one at each.
    pub(in super::super) fn may_start_in(bytes: &[u8]) -> bool {
        Grammar::has_words(bytes)
    }

    /// Whether this line, which ends at `end` in the stream, may begin a trace. One that is dull is
    /// of bytes in which [`Open::may_start_in`] found nothing.
    pub(in super::super) fn start(line: &[u8], end: u64, is_dull: bool) -> Option<Open> {
        let (grammar, verdict) = Grammar::start(stripped(line), is_dull)?;
        let mut open = Open::new(grammar, None);
        open.hold(line, end, verdict);
        Some(open)
    }

    /// The trace that this record is a part of, if it is not the last one.
    pub(in super::super) fn behind(record: &LogRecord) -> Option<Open> {
        let text = |name: &str| record.attributes.get(name).and_then(Value::as_str);
        let language = Language::named(text(attribute::EXCEPTION_LANGUAGE)?)?;
        let part = record.attributes.get(attribute::PART)?.as_u64()?;
        if record.attributes.get(attribute::LAST_PART)? != false {
            return None;
        }
        let earlier = Earlier {
            language,
            next: u32::try_from(part).ok()?.saturating_add(1),
            severity: record.severity,
            told: told(&record.body, &record.attributes),
        };
        Some(Open::new(Grammar::within(language), Some(earlier)))
    }

    fn new(grammar: Grammar, earlier: Option<Earlier>) -> Open {
        Open { grammar, text: Vec::new(), lines: Vec::new(), sure: 0, taken: 0, earlier }
    }

    /// Whether it holds lines.
    pub(in super::super) fn is_holding(&self) -> bool {
        !self.lines.is_empty()
    }

    /// Take the next line, if it may belong to it.
    pub(in super::super) fn next(&mut self, line: &[u8], end: u64) -> Next {
        let own = stripped(line);
        if self.taken + cost(line) > BYTES || self.lines.len() == LINES {
            // Whoever goes on behind the part will know the language, and nothing else.
            let language = self.grammar.language().filter(|_| self.sure == self.lines.len());
            return match language.map(|language| Grammar::within(language).next(own)) {
                Some(Verdict::Sure) if cost(line) <= BYTES => Next::Full,
                _ => Next::Ended,
            };
        }
        let verdict = self.grammar.next(own);
        let is_undecided = self.lines.len() - self.sure >= UNDECIDED;
        match verdict {
            Verdict::No => Next::Ended,
            Verdict::Maybe if is_undecided => Next::Ended,
            verdict => {
                self.hold(line, end, verdict);
                if verdict == Verdict::Last { Next::Last } else { Next::Held }
            }
        }
    }

    fn hold(&mut self, line: &[u8], end: u64, verdict: Verdict) {
        self.text.extend_from_slice(line);
        self.text.push(b'\n');
        self.lines.push(Line { text: self.text.len(), end });
        self.taken += cost(line);
        if verdict != Verdict::Maybe {
            self.sure = self.lines.len();
        }
    }

    /// What is certain, as the trace or as its last part.
    pub(in super::super) fn taken(&self) -> Taken<'_> {
        let part = self.earlier.as_ref().map(|earlier| Part { number: earlier.next, last: true });
        self.certain(part)
    }

    /// What is certain, as a part.
    pub(in super::super) fn part(&self) -> Taken<'_> {
        let number = self.earlier.as_ref().map_or(0, |earlier| earlier.next);
        self.certain(Some(Part { number, last: false }))
    }

    fn certain(&self, part: Option<Part>) -> Taken<'_> {
        let last = self.sure.checked_sub(1).and_then(|last| self.lines.get(last));
        let (text, end) = last.map_or((0, 0), |last| (last.text - 1, last.end));
        Taken { text: &self.text[..text], end, part }
    }

    /// Go on behind the part that was taken.
    pub(in super::super) fn restart(&mut self, told_now: &Told) {
        let Some(language) = self.grammar.language() else { return };
        let earlier = Earlier {
            language,
            next: self.earlier.as_ref().map_or(0, |earlier| earlier.next).saturating_add(1),
            severity: told_now.severity,
            told: told(&told_now.body, &told_now.attributes),
        };
        *self = Open::new(Grammar::within(language), Some(earlier));
    }

    /// The lines that turned out to be none of its own.
    pub(in super::super) fn others(&self) -> impl Iterator<Item = (&[u8], u64)> {
        (self.sure..self.lines.len()).map(|index| {
            let start = index.checked_sub(1).map_or(0, |before| self.lines[before].text);
            let Line { text, end } = self.lines[index];
            (&self.text[start..text - 1], end)
        })
    }

    /// What to say of this text of it.
    pub(in super::super) fn told(&self, text: &str) -> Told {
        let mut attributes = Map::new();
        let earlier = self.earlier.as_ref();
        let language = self.grammar.language().or(earlier.map(|earlier| earlier.language));
        let Some(language) = language else {
            return Told { severity: Severity::Error, body: first_line(text), attributes };
        };
        if let Some((earlier, (body, told))) =
            earlier.and_then(|one| Some((one, one.told.clone()?)))
        {
            attributes.extend(told);
            attributes.insert(attribute::EXCEPTION_STACKTRACE.to_owned(), text.into());
            return Told { severity: earlier.severity, body, attributes };
        }
        let exception = Exception::read(language, text);
        let severity = exception.severity();
        let body = exception.title().unwrap_or_else(|| first_line(text));
        exception.describe(text.to_owned(), &mut attributes);
        Told { severity, body, attributes }
    }
}

/// What later parts say as well, if it is known what happened.
fn told(body: &str, attributes: &Map<String, Value>) -> Option<(String, Map<String, Value>)> {
    attributes.get(attribute::EXCEPTION_TYPE)?;
    let names = [
        attribute::EXCEPTION_TYPE,
        attribute::EXCEPTION_MESSAGE,
        attribute::EXCEPTION_FINGERPRINT,
        attribute::EXCEPTION_LANGUAGE,
    ];
    let told =
        names.iter().filter_map(|name| Some(((*name).to_owned(), attributes.get(*name)?.clone())));
    Some((body.to_owned(), told.collect()))
}

fn first_line(text: &str) -> String {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}

/// A line as grammars see it.
fn stripped(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What a line takes of a record.
fn cost(line: &[u8]) -> usize {
    let is_escaped = |byte: &&u8| **byte < 0x20 && !matches!(**byte, b'\t' | b'\r' | b'\n');
    line.len() + 1 + ESCAPE * line.iter().filter(is_escaped).count()
}

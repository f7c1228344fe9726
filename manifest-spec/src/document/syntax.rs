//! TOML text to the raw tree.
//!
//! Owns the only contact with the TOML parser and the limits on a text. Invariant: the tree's
//! tables are in the order of the text, and no text longer or deeper than [`limits`] permits is
//! walked.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::decode::{Findings, push_segment};
use crate::error::{Diagnostic, Diagnostics, quoted};
use crate::limits;
use crate::origin::Origin;
use crate::tree::{Entry, Locator, Node, SourceKind, Sources, Value};

/// The text of a file.
pub(super) fn utf8<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Diagnostics> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        let origin = Origin::File { file: file.into(), line: clamp(line), column: clamp(column) };
        Diagnostic::new("", "the file is not UTF-8 text").at(origin).into()
    })
}

fn clamp(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Reads a whole document.
pub(crate) fn parse(
    kind: SourceKind,
    text: &str,
    sources: &mut Sources,
) -> Result<Node, Diagnostics> {
    if text.len() > limits::FILE_BYTES {
        let message = format!("the text has {} bytes, more than the limit of 1M", text.len());
        let mut one = Diagnostic::new("", message);
        if let SourceKind::File(file) | SourceKind::DropIn(file) = kind {
            one.origin = Some(Origin::File { file, line: 1, column: 1 });
        }
        return Err(one.into());
    }
    let source = sources.add(kind.clone(), text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let locator = Locator::new(kind, source, text);
    let mut findings = Findings::new(sources);
    syntax_errors(&errors, text, &locator, &mut findings);
    if errors.is_empty() {
        let mut walk = Walk { locator: &locator, findings, path: String::new(), depth: 0 };
        let root = walk.table(table.get_ref(), 0..text.len());
        return walk.findings.finish().map_or(Ok(root), Err);
    }
    findings.finish().map_or_else(|| Err(Diagnostic::new("", "not TOML").into()), Err)
}

/// Reads one value, as an override holds it.
pub(super) fn parse_value(
    kind: SourceKind,
    text: &str,
    sources: &mut Sources,
) -> Result<Node, Diagnostics> {
    let source = sources.add(kind.clone(), text);
    let (value, errors) = DeValue::parse_recoverable(text);
    let locator = Locator::new(kind, source, text);
    let mut findings = Findings::new(sources);
    if !errors.is_empty() {
        syntax_errors(&errors, text, &locator, &mut findings);
        return findings.finish().map_or_else(|| Err(Diagnostic::new("", "not TOML").into()), Err);
    }
    let mut walk = Walk { locator: &locator, findings, path: String::new(), depth: 0 };
    let node = walk.value(&value);
    walk.findings.finish().map_or(Ok(node), Err)
}

/// Puts the parser's errors into our words, where ours are plainer. One a line: what follows on
/// the same line is mostly the parser looking for its footing.
fn syntax_errors(
    errors: &[toml::de::Error],
    text: &str,
    locator: &Locator<'_>,
    findings: &mut Findings<'_>,
) {
    let mut errors: Vec<_> =
        errors.iter().map(|error| (error.span().unwrap_or(0..0), error.message())).collect();
    errors.sort_by_key(|(span, _)| span.start);
    let mut line_end = None;
    for (span, message) in errors {
        if line_end.is_some_and(|end| span.start <= end) {
            continue;
        }
        let start = crate::tree::boundary(text, span.start);
        line_end = Some(text[start..].find('\n').map_or(text.len(), |at| start + at));
        let (span, message, hint) = in_our_words(text, span, message);
        let place = locator.place(span.start, span.end);
        findings.add(&place, "", message).hint = hint;
    }
}

fn in_our_words(
    text: &str,
    span: Range<usize>,
    message: &str,
) -> (Range<usize>, String, Option<String>) {
    let token = text.get(span.clone()).unwrap_or_default();
    if message == "duplicate key" {
        let message = format!("the key {} is set twice", quoted(token));
        return (span, message, Some("remove one of them".to_owned()));
    }
    if let Some(bare) = bare_value(text, span.start) {
        let word = text[bare.clone()].split('#').next().unwrap_or_default().trim_end();
        if word.is_empty() {
            return (span, "expected a value behind =".to_owned(), None);
        }
        let message = format!("expected a value, found {}", quoted(word));
        let hint = if word.starts_with(|c: char| c.is_ascii_digit()) {
            "write one number without blanks or leading zeros, or a string in quotes".to_owned()
        } else {
            let plain = word.replace(['"', '\\'], "");
            format!("write {}: a string stands in quotes", quoted(&plain))
        };
        return (bare.start..bare.start + word.len(), message, Some(hint));
    }
    let (ours, hint) = match message {
        "invalid basic string, expected `\"`" => ("a string is not closed", "add \" at its end"),
        "invalid literal string, expected `'`" => ("a string is not closed", "add ' at its end"),
        _ if message.starts_with("missing escaped value") => {
            ("a backslash that escapes nothing", "write \\\\ for a backslash, or the string in '…'")
        }
        _ if message.starts_with("invalid basic string, expected non-double-quote") => {
            ("a control character in a string", "write it as \\u and four digits")
        }
        _ if message.starts_with("invalid unquoted key") => {
            ("a key with a character that needs quotes", "write key = value, one a line")
        }
        _ if message.starts_with("missing comma") => {
            ("a list goes on without a comma", "add , between its items, or ] behind the last")
        }
        _ => return (span, message.replace('`', "\""), None),
    };
    (span, ours.to_owned(), Some(hint.to_owned()))
}

/// The rest of the line if it is a value that starts like no TOML value does.
fn bare_value(text: &str, at: usize) -> Option<Range<usize>> {
    let at = crate::tree::boundary(text, at);
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
    let (key, value) = text[line_start..line_end].split_once('=')?;
    let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | '\t');
    let value_start = line_end - value.trim_start().len();
    let is_bare = !value.trim_start().starts_with(['"', '\'', '[', '{']);
    (is_bare && at >= value_start && key.chars().all(is_key)).then_some(value_start..line_end)
}

/// The state of one walk over the parser's result.
struct Walk<'a> {
    locator: &'a Locator<'a>,
    findings: Findings<'a>,
    path: String,
    depth: usize,
}

impl Walk<'_> {
    fn value(&mut self, value: &Spanned<DeValue<'_>>) -> Node {
        let span = value.span();
        let value = match value.get_ref() {
            DeValue::Table(table) => return self.table(table, span),
            DeValue::Array(items) => {
                if self.too_many(items.len(), &span) || !self.descend(&span) {
                    Value::List(Vec::new())
                } else {
                    let list = items.iter().map(|item| self.value(item)).collect();
                    self.depth -= 1;
                    Value::List(list)
                }
            }
            DeValue::String(text) => {
                if text.len() > limits::STRING_BYTES {
                    self.report(&span, "a string of more than 64K bytes");
                }
                Value::Text(text.clone().into_owned())
            }
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => Value::Integer(number),
                    Err(_) => Value::Number(number.to_string()),
                }
            }
            DeValue::Float(number) => Value::Number(number.to_string()),
            DeValue::Boolean(truth) => Value::Boolean(*truth),
            DeValue::Datetime(instant) => Value::Datetime(instant.to_string()),
        };
        Node { value, place: self.locator.place(span.start, span.end) }
    }

    fn table(&mut self, table: &DeTable<'_>, span: Range<usize>) -> Node {
        let place = self.locator.place(span.start, span.end);
        if self.too_many(table.len(), &span) || !self.descend(&span) {
            return Node { value: Value::Table(Vec::new()), place };
        }
        let mut entries = Vec::with_capacity(table.len());
        for (key, value) in table {
            let length = self.path.len();
            push_segment(&mut self.path, key.get_ref());
            let span = key.span();
            entries.push(Entry {
                key: key.get_ref().clone().into_owned(),
                key_place: self.locator.place(span.start, span.end),
                node: self.value(value),
            });
            self.path.truncate(length);
        }
        self.depth -= 1;
        // The parser sorts by name; people read in the order they wrote.
        entries.sort_by_key(|entry| entry.key_place.start);
        Node { value: Value::Table(entries), place }
    }

    fn too_many(&mut self, length: usize, span: &Range<usize>) -> bool {
        let is_more = length > limits::ENTRIES;
        if is_more {
            let message = format!("{length} entries, more than the limit of {}", limits::ENTRIES);
            self.report(span, &message);
        }
        is_more
    }

    /// Enters a table or a list; `false`, with an error, if that is too deep.
    fn descend(&mut self, span: &Range<usize>) -> bool {
        if self.depth == limits::DEPTH {
            let message = format!("more than {} tables and lists inside each other", limits::DEPTH);
            self.report(span, &message);
            return false;
        }
        self.depth += 1;
        true
    }

    fn report(&mut self, span: &Range<usize>, message: &str) {
        let place = self.locator.place(span.start, span.end);
        self.findings.add(&place, self.path.clone(), message);
    }
}

//! The printed form of diagnostics: place, key, message, the source line with a caret, the hint.
//!
//! Invariant: the caret stands under the characters it means, whatever was escaped or clipped
//! before them. The only escaping of user text in the crate.

use std::fmt::{self, Write};

use super::{Diagnostic, Diagnostics, Excerpt};
use crate::limits::{KEY_SHOWN, LINE_SHOWN, VALUE_SHOWN};
use crate::tree::boundary;

/// Characters of context kept before the caret in a clipped line.
const CONTEXT: usize = 32;

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, one) in self.shown.iter().enumerate() {
            let separator = if index > 0 { "\n" } else { "" };
            write!(f, "{separator}{one}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl fmt::Display for Diagnostic {
    /// One line or several, without a line break at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{}: ", escaped(&origin.to_string()))?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", escaped(&clipped(&self.key, KEY_SHOWN)))?;
        }
        f.write_str(&escaped(&self.message))?;
        if let (Some(excerpt), Some(line)) = (&self.excerpt, self.origin.as_ref().and_then(line_of))
        {
            excerpt.print(line, f)?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {}", escaped(hint)),
            None => Ok(()),
        }
    }
}

fn line_of(origin: &crate::Origin) -> Option<u32> {
    match origin {
        crate::Origin::File { line, .. }
        | crate::Origin::Profile { line, .. }
        | crate::Origin::DropIn { line, .. } => Some(*line),
        _ => None,
    }
}

impl Excerpt {
    fn print(&self, line: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = line.to_string();
        let gutter = number.len().max(5);
        write!(f, "\n{number:>gutter$} | ")?;
        let first = if self.line.chars().count() > LINE_SHOWN {
            self.start.saturating_sub(CONTEXT)
        } else {
            0
        };
        let mut before = 0;
        let mut under = 0;
        if first > 0 {
            f.write_char('…')?;
            before = 1;
        }
        for (index, c) in self.line.chars().enumerate().skip(first) {
            if index - first >= LINE_SHOWN {
                f.write_char('…')?;
                break;
            }
            let width = print_char(c, f)?;
            if index < self.start {
                before += width;
            } else if index < self.start + self.width {
                under += width;
            }
        }
        write!(f, "\n{:gutter$} | {:before$}{}", "", "", "^".repeat(under.max(1)))
    }
}

/// Prints one character of the user's text safely and returns the columns it takes.
fn print_char(c: char, f: &mut impl Write) -> Result<usize, fmt::Error> {
    if c == '\t' {
        // One column, so that the caret below stays in line whatever the terminal's tab stops.
        f.write_char(' ')?;
        return Ok(1);
    }
    if !is_unsafe(c) {
        f.write_char(c)?;
        return Ok(columns(c));
    }
    let escape = c.escape_unicode();
    write!(f, "{escape}")?;
    Ok(escape.len())
}

/// Control characters, and those that reorder or hide the text around them (Unicode UAX #9 and
/// the zero-width ones).
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Terminal columns: two for the wide East Asian blocks and emoji (UAX #11), roughly.
fn columns(c: char) -> usize {
    match c {
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Writing to a String cannot fail.
        let _ = print_char(c, &mut out);
    }
    out
}

/// A value of the user's, in double quotes and clipped, for a message.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", clipped(text, VALUE_SHOWN))
}

/// The first characters of a text, with a sign that there are more.
fn clipped(text: &str, most: usize) -> String {
    let mut characters = text.chars();
    let mut shown: String = characters.by_ref().take(most).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The line of `text` that holds byte `start`, with the caret up to `end` or the line's end.
pub(crate) fn excerpt(text: &str, start: usize, end: usize) -> Excerpt {
    let start = boundary(text, start);
    let end = boundary(text, end).max(start);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let line = text[line_start..line_end].trim_end_matches('\r');
    let caret_end = end.min(line_start + line.len()).max(start.min(line_start + line.len()));
    let before = text[line_start..start].chars().count();
    let under = text[start.min(caret_end)..caret_end].chars().count();
    // Characters far from the caret are never shown, and the line may be a megabyte.
    let skipped = before.saturating_sub(2 * LINE_SHOWN);
    let line: String = line.chars().skip(skipped).take(4 * LINE_SHOWN).collect();
    Excerpt { line, start: before - skipped, width: under.max(1) }
}

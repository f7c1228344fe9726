//! The string notation of a command: text to words, and words back to text.
//!
//! Invariant: `split(words.map(quoted).join(" "))` is the words again. Reads every character once.

use std::iter::Peekable;
use std::str::Chars;

use super::{CommandError, Piece, Word};

/// What a `$` turned out to be.
enum Dollar {
    Variable(String),
    /// `$$`.
    Literal,
    /// Nothing that the notation knows follows.
    Lone,
}

pub(super) fn split(text: &str) -> Result<Vec<Word>, CommandError> {
    let mut words = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.peek().copied() {
        match next {
            ' ' | '\t' => _ = rest.next(),
            // A string in """ has one at either end; between words it looks like a script.
            '\n' | '\r' if words.is_empty() || rest.clone().all(char::is_whitespace) => {
                _ = rest.next();
            }
            '\n' | '\r' => return Err(CommandError::LineBreak),
            '#' => return Err(CommandError::Comment),
            '~' => return Err(CommandError::Expansion('~')),
            _ => {
                let word = read_word(&mut rest, words.is_empty())?;
                words.extend(word);
            }
        }
    }
    Ok(words)
}

/// Reads up to the next blank; `None` when there was nothing but a continued line.
fn read_word(
    rest: &mut Peekable<Chars<'_>>,
    is_program: bool,
) -> Result<Option<Word>, CommandError> {
    let mut word = Word::default();
    // '' is a word too, though it adds no text.
    let mut exists = false;
    let mut unquoted = String::new();
    while let Some(next) = rest.next_if(|c| !matches!(c, ' ' | '\t' | '\n' | '\r')) {
        match next {
            '\'' => single_quoted(rest, &mut word)?,
            '"' => double_quoted(rest, &mut word)?,
            '\\' => match rest.next() {
                None => return Err(CommandError::TrailingBackslash),
                Some('\n') => continue,
                Some(c) => push(&mut word, c)?,
            },
            '$' => match dollar(rest)? {
                Dollar::Variable(name) => word.0.push(Piece::Variable(name)),
                Dollar::Literal => word.push_str("$"),
                Dollar::Lone => return Err(lone_dollar(rest)),
            },
            '|' | '&' | ';' | '<' | '>' | '(' | ')' => return Err(CommandError::Operator(next)),
            '`' => return Err(CommandError::Substitution),
            '*' | '?' => return Err(CommandError::Expansion(next)),
            '=' if is_program && !unquoted.is_empty() && is_name(&unquoted) => {
                return Err(CommandError::Assignment(unquoted));
            }
            c => {
                unquoted.push(c);
                push(&mut word, c)?;
            }
        }
        exists = true;
    }
    Ok(exists.then_some(word))
}

fn single_quoted(rest: &mut Peekable<Chars<'_>>, word: &mut Word) -> Result<(), CommandError> {
    loop {
        match rest.next() {
            None => return Err(CommandError::UnclosedQuote('\'')),
            Some('\'') => return Ok(()),
            Some(c) => push(word, c)?,
        }
    }
}

fn double_quoted(rest: &mut Peekable<Chars<'_>>, word: &mut Word) -> Result<(), CommandError> {
    loop {
        match rest.next() {
            None => return Err(CommandError::UnclosedQuote('"')),
            Some('"') => return Ok(()),
            Some('`') => return Err(CommandError::Substitution),
            Some('$') => match dollar(rest)? {
                Dollar::Variable(name) => word.0.push(Piece::Variable(name)),
                Dollar::Literal => word.push_str("$"),
                Dollar::Lone => return Err(lone_dollar(rest)),
            },
            Some('\\') => match rest.next_if(|c| matches!(c, '"' | '\\' | '$' | '`' | '\n')) {
                Some('\n') => {}
                Some(c) => push(word, c)?,
                None => push(word, '\\')?,
            },
            Some(c) => push(word, c)?,
        }
    }
}

/// One word of the list notation, or a variable's value.
pub(super) fn word(text: &str) -> Result<Word, CommandError> {
    let mut word = Word::default();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '$' => match dollar(&mut rest)? {
                Dollar::Variable(name) => word.0.push(Piece::Variable(name)),
                Dollar::Literal | Dollar::Lone => word.push_str("$"),
            },
            c => push(&mut word, c)?,
        }
    }
    Ok(word)
}

/// Reads what follows a `$`; leaves `rest` untouched if it is [`Dollar::Lone`].
fn dollar(rest: &mut Peekable<Chars<'_>>) -> Result<Dollar, CommandError> {
    match rest.peek() {
        Some('$') => {
            rest.next();
            Ok(Dollar::Literal)
        }
        Some('{') => {
            rest.next();
            let name = take_name(rest);
            match rest.next() {
                Some('}') if is_name(&name) => Ok(Dollar::Variable(name)),
                _ => Err(CommandError::Braces),
            }
        }
        Some(c) if c.is_ascii_alphabetic() || *c == '_' => Ok(Dollar::Variable(take_name(rest))),
        _ => Ok(Dollar::Lone),
    }
}

fn lone_dollar(rest: &mut Peekable<Chars<'_>>) -> CommandError {
    match rest.peek() {
        Some('(') => CommandError::Substitution,
        _ => CommandError::LoneDollar,
    }
}

fn take_name(rest: &mut Peekable<Chars<'_>>) -> String {
    let mut name = String::new();
    while let Some(c) = rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
        name.push(c);
    }
    name
}

/// Whether a text is a variable's name (POSIX, XBD 8.1).
pub(crate) fn is_name(text: &str) -> bool {
    let first = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    text.bytes().next().is_some_and(first) && text.bytes().all(|b| first(b) || b.is_ascii_digit())
}

fn push(word: &mut Word, c: char) -> Result<(), CommandError> {
    if c == '\0' {
        return Err(CommandError::Nul);
    }
    word.push_str(c.encode_utf8(&mut [0; 4]));
    Ok(())
}

/// The shortest plain notation of a word: bare, in single quotes, or in double quotes.
pub(super) fn quoted(word: &Word, is_program: bool) -> String {
    let is_bare = |c: char| {
        c.is_ascii_alphanumeric() || "_-./:,+@%[]{}".contains(c) || c == '=' && !is_program
    };
    let literals = || {
        word.0.iter().filter_map(|piece| match piece {
            Piece::Literal(text) => Some(text.as_str()),
            Piece::Variable(_) => None,
        })
    };
    if word.0.is_empty() {
        return "''".to_owned();
    }
    if literals().all(|text| text.chars().all(is_bare)) {
        return written(word, |c, out| out.push(c));
    }
    if word.variables().next().is_none() && !literals().any(|text| text.contains('\'')) {
        return format!("'{}'", literals().collect::<String>());
    }
    let inside = written(word, |c, out| {
        if matches!(c, '"' | '\\' | '$' | '`') {
            out.push('\\');
        }
        out.push(c);
    });
    format!("\"{inside}\"")
}

/// The pieces of a word side by side, each literal character by `write`.
fn written(word: &Word, write: impl Fn(char, &mut String)) -> String {
    let mut out = String::new();
    let mut pieces = word.0.iter().peekable();
    while let Some(piece) = pieces.next() {
        match (piece, pieces.peek()) {
            (Piece::Literal(text), _) => text.chars().for_each(|c| write(c, &mut out)),
            (Piece::Variable(name), Some(Piece::Literal(next)))
                if next.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') =>
            {
                out.push_str(&format!("${{{name}}}"));
            }
            (Piece::Variable(name), _) => out.push_str(&format!("${name}")),
        }
    }
    out
}

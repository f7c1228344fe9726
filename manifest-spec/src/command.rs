//! A program and its arguments, without a shell.
//!
//! Owns the two notations of `run`. As a string it is split into words by rules of our own, a
//! small part of the shell's: single and double quotes, backslash, `$NAME` and `${NAME}` outside
//! single quotes, `$$` for a dollar. What only a shell can do is an error that says so, never a
//! word that reads differently than it looks. As a list each item is one word in which only
//! `$NAME`, `${NAME}` and `$$` mean something; any other `$` stands for itself, so that a script
//! behind `sh -c` keeps its `$1` and `$(…)`.
//!
//! Invariant: a variable's value is never split again and never scanned for further variables;
//! what `Display` prints, [`Command::parse`] reads back as the same value.

pub(crate) mod split;

use std::fmt;

use crate::limits::STRING_BYTES;

/// A program and its arguments; at least the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(Vec<Word>);

/// One word of a command, or the value of an environment variable: text with variables in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Word(Vec<Piece>);

/// Part of a word. Two literals never stand side by side, and none is empty: equal words are
/// equal values.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Variable(String),
}

/// Why a text is not a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandError {
    /// No word at all, or a program without a name.
    NoProgram,
    /// A NUL, which no argument can hold.
    Nul,
    /// `'` or `"` that is not closed.
    UnclosedQuote(char),
    /// A backslash at the end.
    TrailingBackslash,
    /// A line break between words, which ends a command in a shell.
    LineBreak,
    /// `|`, `&`, `;`, `<`, `>`, `(` or `)` outside quotes.
    Operator(char),
    /// `$(…)` or a backquote.
    Substitution,
    /// `*`, `?` or a leading `~` outside quotes.
    Expansion(char),
    /// A word that starts with `#`.
    Comment,
    /// `NAME=value` in front of the program.
    Assignment(String),
    /// `$` that no name follows.
    LoneDollar,
    /// `${` with something else than a name and `}` behind it.
    Braces,
}

impl CommandError {
    /// What to write instead.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let shell = "[\"sh\", \"-c\", \"…\"]";
        match self {
            Self::NoProgram | Self::Nul => None,
            Self::UnclosedQuote(quote) => {
                Some(format!("add {quote}, or write \\{quote} for the character"))
            }
            Self::TrailingBackslash => Some("write \\\\ for a backslash".to_owned()),
            Self::LineBreak => {
                Some(format!("end the line with \\ to go on, or write {shell} for a script"))
            }
            Self::Operator(_) | Self::Substitution => {
                Some(format!("there is no shell: quote the character, or write {shell}"))
            }
            Self::Expansion('~') => {
                Some("there is no shell: write the whole path, or $HOME".to_owned())
            }
            Self::Expansion(c) => {
                Some(format!("there is no shell: write '{c}' for the character, or {shell}"))
            }
            Self::Comment => Some("write '#' for the character".to_owned()),
            Self::Assignment(name) => Some(format!("set {name} in [env]")),
            Self::LoneDollar => Some("write $$ for a dollar sign".to_owned()),
            Self::Braces => Some("write ${NAME}, or $${ for the characters".to_owned()),
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProgram => f.write_str("the command names no program"),
            Self::Nul => f.write_str("a command cannot hold a NUL character"),
            Self::UnclosedQuote(quote) => write!(f, "the command has an unclosed {quote}"),
            Self::TrailingBackslash => f.write_str("the command ends with a backslash"),
            Self::LineBreak => f.write_str("the command has more than one line"),
            Self::Operator(c) => write!(f, "the command has a shell operator, {c}"),
            Self::Substitution => f.write_str("the command has a shell substitution"),
            Self::Expansion(c) => write!(f, "the command has a shell pattern, {c}"),
            Self::Comment => f.write_str("the command has a shell comment"),
            Self::Assignment(name) => write!(f, "the command sets a variable, {name}"),
            Self::LoneDollar => f.write_str("the command has a $ without a name behind it"),
            Self::Braces => f.write_str("the command has a ${ without a plain name and }"),
        }
    }
}

impl std::error::Error for CommandError {}

/// Why a word has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpandError {
    /// A variable without a value: its name.
    Undefined(String),
    /// Longer than [`STRING_BYTES`], as values that refer to each other twice soon are.
    TooLong,
}

impl fmt::Display for ExpandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undefined(name) => write!(f, "the variable ${name} is not set"),
            Self::TooLong => write!(f, "longer than {} KiB with its variables", STRING_BYTES >> 10),
        }
    }
}

impl std::error::Error for ExpandError {}

impl Command {
    /// Splits a string into words by the rules of the module.
    ///
    /// # Errors
    /// The first thing that is not part of the notation.
    pub fn parse(text: &str) -> Result<Self, CommandError> {
        split::split(text).and_then(Self::new)
    }

    /// A command of words that are taken as they are, without variables.
    ///
    /// # Errors
    /// No word, an empty program, or a NUL.
    pub fn from_words(words: Vec<String>) -> Result<Self, CommandError> {
        let literal = |text: String| {
            if text.contains('\0') {
                return Err(CommandError::Nul);
            }
            let mut word = Word::default();
            word.push_str(&text);
            Ok(word)
        };
        words.into_iter().map(literal).collect::<Result<_, _>>().and_then(Self::new)
    }

    /// The list notation: each item is one word, see [`Word::parse`].
    ///
    /// # Errors
    /// As [`Command::from_words`], and `${` without a plain name.
    pub fn from_list<'a>(items: impl IntoIterator<Item = &'a str>) -> Result<Self, CommandError> {
        items.into_iter().map(Word::parse).collect::<Result<_, _>>().and_then(Self::new)
    }

    fn new(words: Vec<Word>) -> Result<Self, CommandError> {
        match words.first() {
            Some(program) if !program.0.is_empty() => Ok(Self(words)),
            _ => Err(CommandError::NoProgram),
        }
    }

    /// The words with every variable replaced.
    ///
    /// # Errors
    /// The first variable `lookup` has no value for, or a text that grows too long.
    pub fn expand(
        &self,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Vec<String>, ExpandError> {
        self.0.iter().map(|word| word.expand(lookup)).collect()
    }

    /// The variables used, in order, as often as they are used.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(Word::variables)
    }
}

impl Word {
    /// Reads `$NAME`, `${NAME}` and `$$`; any other `$` stands for itself.
    ///
    /// # Errors
    /// A NUL, or `${` without a plain name and `}`.
    pub fn parse(text: &str) -> Result<Self, CommandError> {
        split::word(text)
    }

    /// The text with every variable replaced.
    ///
    /// # Errors
    /// The first variable `lookup` has no value for, or a text that grows too long.
    pub fn expand(&self, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, ExpandError> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Variable(name) => match lookup(name) {
                    Some(value) => text.push_str(&value),
                    None => return Err(ExpandError::Undefined(name.clone())),
                },
            }
            if text.len() > STRING_BYTES {
                return Err(ExpandError::TooLong);
            }
        }
        Ok(text)
    }

    /// The variables used, in order, as often as they are used.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name.as_str()),
            Piece::Literal(_) => None,
        })
    }

    fn push_str(&mut self, text: &str) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Literal(last)) => last.push_str(text),
            _ => self.0.push(Piece::Literal(text.to_owned())),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.0.iter().enumerate() {
            let separator = if index > 0 { " " } else { "" };
            write!(f, "{separator}{}", split::quoted(word, index == 0))?;
        }
        Ok(())
    }
}

impl serde::Serialize for Command {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

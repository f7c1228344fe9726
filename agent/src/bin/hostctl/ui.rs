//! The only place that prints; bytes of others are passed on by `exec` and `proxy`.
//!
//! Invariant: text of others (paths, names, messages) loses its control characters before it
//! reaches a terminal; colour only on a terminal and without NO_COLOR; a reader that went away
//! (`| head`) ends a command quietly.

pub mod screen;

use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal, Write};

use agent::failure::Error;

use crate::board::Look;
use crate::commands::plan::page;

/// Where things are printed.
#[derive(Debug)]
pub struct Ui {
    terminal: bool,
    colour: bool,
    look: Look,
}

impl Ui {
    pub fn new() -> Self {
        let plain = agent::plan::facts::variable("NO_COLOR").is_some_and(|value| !value.is_empty());
        let terminal = std::io::stderr().is_terminal();
        let width = page::terminal_width();
        let look = Look { width, colour: std::io::stdout().is_terminal() && !plain };
        Ui { terminal, colour: terminal && !plain, look }
    }

    /// How answers are shown.
    pub fn look(&self) -> Look {
        self.look
    }

    /// Ask for a yes; `None` when nobody is there to ask.
    pub fn ask(&self, question: &str) -> Option<bool> {
        if !self.terminal || !std::io::stdin().is_terminal() {
            return None;
        }
        let start = self.paint("2", "hostctl:");
        let _ = write!(std::io::stderr(), "{start} {} [y/N] ", clean(question));
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        Some(read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes"))
    }

    /// Part of an answer that goes on; `false` when nobody reads it any more.
    pub fn stream(&self, text: &str) -> Result<bool, Error> {
        self.stream_bytes(text.as_bytes())
    }

    /// The same for what may be no text.
    pub fn stream_bytes(&self, bytes: &[u8]) -> Result<bool, Error> {
        let mut out = std::io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(Error::Write("standard output".into(), error)),
        }
    }

    /// The answer of a command.
    pub fn answer(&self, text: &str) -> Result<(), Error> {
        let mut out = std::io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Error::Write("standard output".into(), error))
            }
            _ => Ok(()),
        }
    }

    /// Something hostctl says about what it does.
    pub fn say(&self, text: &str) {
        self.line(&self.paint("2", "hostctl:"), text);
    }

    /// A line that a service wrote, behind its name: on the stream that it came by. What drives a
    /// terminal in it is left out where it would reach one.
    pub fn line_of(&self, label: &str, width: usize, colour: &str, bytes: &[u8], error: bool) {
        let label = self.paint(colour, &format!("{label:width$} |"));
        let mut line = label.into_bytes();
        line.push(b' ');
        match self.terminal {
            true => line.extend(clean(&String::from_utf8_lossy(bytes)).into_bytes()),
            false => line.extend(bytes),
        }
        line.push(b'\n');
        // A reader that went away is no reason to stop the services.
        let _ = match error {
            true => std::io::stderr().write_all(&line),
            false => std::io::stdout().write_all(&line),
        };
    }

    /// A failure.
    pub fn error(&self, error: &Error) {
        let told = error.told();
        self.line(&self.paint("1;31", "hostctl:"), &told.message);
        if let Some(hint) = told.hint {
            self.hint(&hint);
        }
    }

    /// What to type about what was said last.
    pub fn hint(&self, text: &str) {
        self.line(&self.paint("36", "  hint:"), text);
    }

    fn line(&self, start: &str, text: &str) {
        // While a program has the terminal it is in raw mode, where a line feed alone only steps down.
        let end = if self.terminal { "\r\n" } else { "\n" };
        let text = clean(text.trim_end()).replace('\n', end);
        // Nobody is left to tell when standard error is gone.
        let _ = write!(std::io::stderr(), "{start} {text}{end}");
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Whether the reader of standard output went away while nothing was written.
pub fn is_unread() -> bool {
    let [_, output, _] = host_sys::file::standard();
    host_sys::poll::is_abandoned(output)
}

/// A line of a program's, tabs and all, without what drives a terminal.
pub fn harmless(line: &str) -> String {
    let odd = |c: char| c != '\t' && (c.is_control() || turns(c));
    match line.contains(odd) {
        false => line.to_owned(),
        true => line
            .split('\t')
            .map(|part| clean(part).replace('\n', "\\n"))
            .collect::<Vec<_>>()
            .join("\t"),
    }
}

/// Text without control characters: a name must not be able to drive the terminal.
pub fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || !(c.is_control() || turns(c)) {
            clean.push(c);
        } else {
            let _ = write!(clean, "{}", c.escape_unicode());
        }
    }
    clean
}

/// Characters that change the direction of what follows (Unicode UAX #9, explicit formatting), by
/// which a text can show as another.
fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

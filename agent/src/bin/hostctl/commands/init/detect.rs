//! What kind of app lies in a directory: the order of the questions, and the shape of an answer.
//!
//! Invariant: the same directory gives the same answer. What says how it runs (a Procfile) goes
//! before what only suggests it (a lone executable). Never runs anything it finds.

use manifest_spec::command::Command;

use super::folder::Folder;
use super::{compiled, node, procfile, python, served};

/// The port of the first service that listens.
pub(super) const PORT: u16 = 8080;

/// Variables that every program gets, beside `$PORT`.
const ALWAYS: [&str; 5] = ["HOME", "HOST", "LANG", "PATH", "USER"];

/// An app that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// What it was made from, `package.json` say; it ends up in the manifest's comment.
    pub source: String,
    /// Its programs; a single one means the short form.
    pub programs: Vec<Program>,
    /// What a person should know or do before it runs.
    pub notes: Vec<String>,
}

/// One service of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    /// A valid service name; the short form shows none.
    pub name: String,
    /// The command line, as [`Command::parse`] or else a shell reads it.
    pub run: String,
    /// Its port, if it listens.
    pub port: Option<u16>,
}

impl Found {
    /// An app with one program.
    pub(super) fn single(source: impl Into<String>, run: impl Into<String>) -> Self {
        let program = Program { name: "main".to_owned(), run: run.into(), port: None };
        Found { source: source.into(), programs: vec![program], notes: Vec::new() }
    }

    /// The same, listening.
    pub(super) fn on_port(mut self) -> Self {
        for program in &mut self.programs {
            program.port = Some(PORT);
        }
        self
    }

    /// The same, listening if its source looks like it does.
    pub(super) fn on_port_if(self, listens: bool) -> Self {
        if listens {
            return self.on_port().note("the program must listen on $PORT, at 127.0.0.1");
        }
        self.note("it gets no network; if it listens, add port = 8080, and let it use $PORT")
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

impl Program {
    /// Whether the command line needs a shell: its notation, or variables nobody sets here.
    pub(super) fn needs_shell(&self) -> bool {
        let known = |name: &str| ALWAYS.contains(&name) || name == "PORT" && self.port.is_some();
        !Command::parse(&self.run).is_ok_and(|command| command.variables().all(known))
    }
}

/// The app in a directory, if it is of a kind that is known.
pub(super) fn detect(folder: &Folder) -> Option<Found> {
    let questions = [
        procfile::detect,
        node::detect,
        python::detect,
        compiled::cargo,
        compiled::go,
        served::ruby,
        served::site,
        compiled::executable,
    ];
    questions.iter().find_map(|question| question(folder))
}

/// A word of a command, quoted where the notation needs it.
pub(super) fn word(text: &str) -> String {
    match Command::from_words(vec![text.to_owned()]) {
        Ok(command) => command.to_string(),
        Err(_) => text.to_owned(),
    }
}

//! What any policy plugin must do, whatever its policy: cases, each a few questions, and the
//! judgement of what it answers.
//!
//! Invariant: a case asks nothing that hostd would not ask, and fails a plugin for nothing that
//! hostd would not hold against it. Which backend gets how much is the policy's own matter.

mod cases;
mod run;

use serde::Serialize;

pub use cases::{Case, Round, cases};
pub use run::{Asker, check};

/// How a plugin did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Version of this format.
    pub v: u32,
    /// The plugin's command.
    pub plugin: Vec<String>,
    /// Time that it had for each answer, in milliseconds.
    pub deadline_ms: u64,
    /// Whether it did all it must.
    pub passed: bool,
    /// Case by case.
    pub cases: Vec<Judged>,
}

/// How it did in one case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// The case's name.
    pub name: &'static str,
    /// What it must do.
    pub promise: &'static str,
    /// Why it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Failure {
    /// In words.
    pub reason: String,
    /// The question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// What it said to that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The last it wrote to standard error.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub errors: String,
}

/// A line as it is shown: its beginning, if it is long.
fn shortened(line: &str) -> String {
    const SHOWN: usize = 400;
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests;

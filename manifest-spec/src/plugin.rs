//! What hostd and a policy plugin say to each other: one JSON object a line, a question in, an
//! answer out.
//!
//! Invariant: an answer is judged against its question, and is taken as a whole or not at all. A
//! plugin ignores keys of a question that it does not know; hostd refuses keys of an answer that it
//! does not know, because a misspelt one would be a policy that nobody asked for. A change of
//! meaning raises `v`.

mod answer;
mod schema;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use answer::{Answer, AnswerError, Key};
pub use schema::{answer_schema, question_schema};

/// Version of the protocol.
pub const VERSION: u32 = 1;
/// The highest weight.
pub const MAX_WEIGHT: u32 = 1000;

/// What hostd asks: who shall get new connections of this service?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Version of the protocol, [`VERSION`].
    pub v: u32,
    /// Rises by one from question to question. The answer repeats it.
    pub id: u64,
    /// The service: `api` or `api.web`.
    pub service: String,
    /// Its backends, those that are not healthy or drain among them.
    pub backends: Vec<Backend>,
}

/// A backend as it was last measured. What is not known is left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backend {
    /// Its name, unique in the question.
    pub id: String,
    /// Its address and port.
    pub address: String,
    /// Whether it answers its health checks.
    pub healthy: bool,
    /// Whether it only ends what it has.
    pub draining: bool,
    /// What the operator wants it to count for, 1 to 1000.
    pub weight: u32,
    /// Open connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u64>,
    /// New connections a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// How long it takes to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<Latency>,
    /// Processors it uses: 0.4 is 40 % of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// Memory it uses, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// What its operator says about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The version it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Quantiles of latency, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of all answers are faster.
    pub p50: f64,
    /// All but a twentieth are faster.
    pub p95: f64,
}

impl Question {
    /// The question as a line, with its newline.
    #[must_use]
    pub fn line(&self) -> String {
        // Strings, numbers and lists of them: nothing here that JSON has not.
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }

    /// Backends that can get new connections.
    pub fn eligible(&self) -> impl Iterator<Item = &Backend> {
        self.backends.iter().filter(|backend| backend.healthy && !backend.draining)
    }
}

#[cfg(test)]
mod tests;

//! Recorded questions, and what a plugin's answers would have made of them.
//!
//! Invariant: pure. Shares are those that the balancer's slots would have, not those that the plugin
//! asked for.

use std::collections::BTreeMap;
use std::fmt;

use loadbalancer::policy::{Candidate, Policy};
use loadbalancer::registry::{BackendId, Weight};
use manifest_spec::plugin::{Answer, Backend, Question, VERSION};
use serde::{Deserialize, Serialize};

/// A line of a trace: a question, which may lack its number and the protocol's version.
#[derive(Debug, Deserialize)]
struct Line {
    service: String,
    backends: Vec<Backend>,
}

/// Why a text is no trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TraceError {
    /// This line is no question: why.
    Line(usize, String),
    /// There is no question in it.
    Empty,
    /// In this line's question nobody can get connections.
    Nobody(usize),
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TraceError::Line(number, error) => write!(f, "line {number} is no question: {error}"),
            TraceError::Empty => f.write_str("there is no question in it"),
            TraceError::Nobody(number) => {
                write!(f, "in line {number} no backend can get connections")
            }
        }
    }
}

impl std::error::Error for TraceError {}

/// Read a trace: a question a line; empty lines and lines that begin with `#` are left out.
///
/// # Errors
/// The first line that is none.
pub fn read(text: &str) -> Result<Vec<Question>, TraceError> {
    let mut questions = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let line: Line = serde_json::from_str(line)
            .map_err(|error| TraceError::Line(number, error.to_string()))?;
        let id = questions.len() as u64 + 1;
        let question = Question { v: VERSION, id, service: line.service, backends: line.backends };
        if question.eligible().next().is_none() {
            return Err(TraceError::Nobody(number));
        }
        questions.push(question);
    }
    if questions.is_empty() { Err(TraceError::Empty) } else { Ok(questions) }
}

/// What an answer comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// What a slot is drawn by: `turn`, `random`, `source` or `source-port`.
    pub key: &'static str,
    /// How many slots there are.
    pub slots: usize,
    /// For each backend of the question, in its order: what of all new connections it gets.
    pub shares: Vec<Share>,
}

/// What one backend gets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Share {
    /// The backend.
    pub id: String,
    /// Its part, 0 to 1; nothing for one that can't get connections.
    pub share: Option<f64>,
    /// The weight that the plugin gave it, if it gives weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
}

/// What the balancer would make of an answer to a question.
#[must_use]
pub fn outcome(question: &Question, answer: &Answer) -> Outcome {
    let ids: Vec<BackendId> =
        question.eligible().filter_map(|backend| BackendId::new(&backend.id).ok()).collect();
    let candidates: Vec<_> = ids
        .iter()
        .map(|id| Candidate { id, weight: Weight::USUAL, version: None, connections: 0 })
        .collect();
    let policy = Policy::Given(answer.clone());
    let count = policy.count(&candidates);
    let mut shares: BTreeMap<&str, usize> = ids.iter().map(|id| (id.as_str(), 0)).collect();
    for slot in policy.slots(&candidates, count) {
        *shares.entry(ids[slot].as_str()).or_default() += 1;
    }
    let (key, weights) = match answer {
        Answer::Weights(weights) => ("turn", Some(weights)),
        Answer::Slots { key, .. } => (key.word(), None),
    };
    let share = |backend: &Backend| Share {
        id: backend.id.clone(),
        share: shares.get(backend.id.as_str()).map(|slots| *slots as f64 / count.get() as f64),
        weight: weights.and_then(|weights| weights.get(&backend.id).copied()),
    };
    Outcome { key, slots: count.get(), shares: question.backends.iter().map(share).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = r#"
# two, then one of them drains
{"v":1,"id":9,"service":"api","backends":[{"id":"a","address":"10.0.0.1:80","healthy":true,"draining":false,"weight":100},{"id":"b","address":"10.0.0.2:80","healthy":true,"draining":false,"weight":100}]}
{"service":"api","backends":[{"id":"a","address":"10.0.0.1:80","healthy":true,"draining":true,"weight":100},{"id":"b","address":"10.0.0.2:80","healthy":true,"draining":false,"weight":100}]}
"#;

    #[test]
    fn a_trace_is_a_question_a_line() {
        let questions = read(TRACE).unwrap();
        assert_eq!(questions.iter().map(|one| one.id).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(read("# nothing\n\n"), Err(TraceError::Empty));
        assert!(matches!(read("{}"), Err(TraceError::Line(1, _))));
        let nobody = TRACE.replace("\"healthy\":true", "\"healthy\":false");
        assert_eq!(read(&nobody), Err(TraceError::Nobody(3)));
    }

    #[test]
    fn shares_are_those_of_the_slots() {
        let questions = read(TRACE).unwrap();
        let weights =
            |a, b| Answer::Weights(BTreeMap::from([("a".to_owned(), a), ("b".to_owned(), b)]));
        let shares = |question: &Question, answer: &Answer| {
            let outcome = outcome(question, answer);
            outcome.shares.into_iter().map(|one| one.share).collect::<Vec<_>>()
        };
        assert_eq!(shares(&questions[0], &weights(3, 1)), [Some(0.75), Some(0.25)]);
        assert_eq!(shares(&questions[0], &weights(0, 1)), [Some(0.0), Some(1.0)]);
        assert_eq!(shares(&questions[1], &weights(3, 1)), [None, Some(1.0)]);
        let names = ["a", "b", "a", "a"].map(str::to_owned).to_vec();
        let slots = Answer::Slots { key: manifest_spec::plugin::Key::Source, slots: names };
        let outcome = outcome(&questions[0], &slots);
        assert_eq!((outcome.key, outcome.slots), ("source", 16));
        assert_eq!(outcome.shares[0].share, Some(0.75));
    }
}

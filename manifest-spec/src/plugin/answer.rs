//! Answers, and why one is none.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{MAX_WEIGHT, Question};
use crate::limits::{PLUGIN_LINE_BYTES as LINE_BYTES, PLUGIN_SLOTS as MAX_SLOTS};

/// What a plugin decided. Only backends that can get new connections are left in it. As JSON it is a
/// daemon's to remember, not a plugin's to write.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// So much of all connections for each. At least one is not 0.
    Weights(BTreeMap<String, u32>),
    /// These slots, drawn by this key. At least one.
    Slots {
        /// What a slot is drawn by.
        key: Key,
        /// Who has each.
        slots: Vec<String>,
    },
}

/// What a slot is drawn by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Key {
    /// `turn`: one after another.
    Turn,
    /// `random`: by chance.
    Random,
    /// `source`: by the client's address.
    Source,
    /// `source-port`: by the client's address and port.
    SourcePort,
}

impl Key {
    /// All of them.
    pub const ALL: [Key; 4] = [Key::Turn, Key::Random, Key::Source, Key::SourcePort];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Key::Turn => "turn",
            Key::Random => "random",
            Key::Source => "source",
            Key::SourcePort => "source-port",
        }
    }
}

/// Why a line is no answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerError {
    /// Longer than [`PLUGIN_LINE_BYTES`](LINE_BYTES).
    TooLong(usize),
    /// No JSON object: where and why, in words.
    NotJson(String),
    /// A key that no answer has.
    UnknownKey(String),
    /// `id` is missing or no number of a question.
    Id,
    /// An answer to another question.
    OtherId(u64),
    /// Neither weights nor slots, or both.
    Kind,
    /// `weights` is no object of numbers from 0 to 1000: of this backend.
    Weight(String),
    /// `key` is none of [`Key::ALL`], or is beside weights.
    Key,
    /// `slots` is no list of 1 to 128 names.
    Slots,
    /// No backend of this name was in the question.
    UnknownBackend(String),
    /// Nobody is left who can get new connections.
    Nobody,
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => write!(f, "a line of {bytes} bytes, not at most {LINE_BYTES}"),
            Self::NotJson(reason) => write!(f, "no JSON object: {reason}"),
            Self::UnknownKey(key) => write!(f, "an answer has no {key:?}"),
            Self::Id => f.write_str("\"id\" is to repeat the question's"),
            Self::OtherId(id) => write!(f, "an answer to question {id}, which is over"),
            Self::Kind => f.write_str("an answer has either \"weights\" or \"slots\""),
            Self::Weight(id) => {
                write!(f, "\"weights\" has numbers from 0 to {MAX_WEIGHT}: see {id:?}")
            }
            Self::Key => {
                let words = Key::ALL.map(Key::word).join("\", \"");
                write!(f, "\"key\" stands beside \"slots\" and is one of \"{words}\"")
            }
            Self::Slots => write!(f, "\"slots\" is a list of 1 to {MAX_SLOTS} names"),
            Self::UnknownBackend(id) => write!(f, "the question has no backend {id:?}"),
            Self::Nobody => f.write_str("nobody is left who can get new connections"),
        }
    }
}

impl std::error::Error for AnswerError {}

impl Answer {
    /// Read a line, without its newline, as the answer to a question.
    ///
    /// # Errors
    /// The first thing that keeps it from being one.
    pub fn read(line: &[u8], question: &Question) -> Result<Answer, AnswerError> {
        if line.len() > LINE_BYTES {
            return Err(AnswerError::TooLong(line.len()));
        }
        let value = serde_json::from_slice(line);
        let object: Map<String, Value> =
            value.map_err(|error| AnswerError::NotJson(error.to_string()))?;
        let known = ["id", "weights", "slots", "key"];
        if let Some(key) = object.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(AnswerError::UnknownKey(key.clone()));
        }
        match object.get("id").and_then(Value::as_u64) {
            None => return Err(AnswerError::Id),
            Some(id) if id != question.id => return Err(AnswerError::OtherId(id)),
            Some(_) => {}
        }
        match (object.get("weights"), object.get("slots")) {
            (Some(_), None) if object.contains_key("key") => Err(AnswerError::Key),
            (Some(weights), None) => read_weights(weights, question),
            (None, Some(slots)) => read_slots(slots, object.get("key"), question),
            _ => Err(AnswerError::Kind),
        }
    }
}

fn read_weights(value: &Value, question: &Question) -> Result<Answer, AnswerError> {
    let object = value.as_object().ok_or_else(|| AnswerError::Weight(value.to_string()))?;
    let mut weights = BTreeMap::new();
    for (id, weight) in object {
        let weight = weight.as_u64().and_then(|weight| u32::try_from(weight).ok());
        let weight = weight.filter(|weight| *weight <= MAX_WEIGHT);
        let weight = weight.ok_or_else(|| AnswerError::Weight(id.clone()))?;
        if is_eligible(id, question)? {
            weights.insert(id.clone(), weight);
        }
    }
    let somebody = weights.values().any(|weight| *weight > 0);
    if somebody { Ok(Answer::Weights(weights)) } else { Err(AnswerError::Nobody) }
}

fn read_slots(
    value: &Value,
    key: Option<&Value>,
    question: &Question,
) -> Result<Answer, AnswerError> {
    let word = key.map_or(Some(Key::Turn.word()), Value::as_str);
    let key = Key::ALL.into_iter().find(|key| Some(key.word()) == word).ok_or(AnswerError::Key)?;
    let list = value.as_array().filter(|list| (1..=MAX_SLOTS).contains(&list.len()));
    let mut slots = Vec::new();
    for slot in list.ok_or(AnswerError::Slots)? {
        let id = slot.as_str().ok_or(AnswerError::Slots)?;
        if is_eligible(id, question)? {
            slots.push(id.to_owned());
        }
    }
    if slots.is_empty() { Err(AnswerError::Nobody) } else { Ok(Answer::Slots { key, slots }) }
}

/// Whether a backend can get new connections. One that failed since the plugin was asked may still
/// be named.
fn is_eligible(id: &str, question: &Question) -> Result<bool, AnswerError> {
    let known = question.backends.iter().any(|backend| backend.id == id);
    if !known {
        return Err(AnswerError::UnknownBackend(id.to_owned()));
    }
    Ok(question.eligible().any(|backend| backend.id == id))
}

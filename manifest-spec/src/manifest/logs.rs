//! What a manifest says about logs.
//!
//! Invariant: `None` is "not said"; options of a sink are only there for a kind that has them.

use serde::{Deserialize, Serialize};

use crate::filter::Filter;
use crate::quantity::{Bytes, Span};
use crate::sink::SinkTarget;

/// Where the app's output goes, how much is kept and what is never shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Logs {
    /// Size bound, from `keep`.
    pub keep_bytes: Option<Bytes>,
    /// Age bound, from `keep`.
    pub keep_for: Option<Span>,
    /// What happens when the disk takes no more.
    pub full: Option<Full>,
    /// Variables whose values are secret; `None` leaves it to their names.
    pub redact: Option<Vec<String>>,
    /// In the order of the file.
    pub sinks: Vec<Sink>,
}

/// What happens to records that the disk has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Full {
    /// The oldest of the instance are deleted for them.
    DropOldest,
    /// They are counted and dropped.
    DropNewest,
    /// The program waits.
    Block,
}

/// One destination of log records.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sink {
    /// Where to.
    pub to: SinkTarget,
    /// Only matching records are sent.
    pub when: Option<Filter>,
    /// For a file: when a new one is begun.
    pub rotate: Option<Rotate>,
    /// For a file: how many earlier ones stay.
    pub copies: Option<u32>,
    /// For Loki: further labels of the streams.
    pub labels: Vec<(String, String)>,
    /// For HTTP of all kinds: further headers. Their values are secrets.
    pub headers: Vec<(String, String)>,
}

/// When a file sink begins a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rotate {
    /// Never: somebody else moves it away, or it grows.
    Never,
    /// When it would get larger than this.
    At(Bytes),
}

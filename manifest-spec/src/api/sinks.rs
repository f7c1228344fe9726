//! Where the records of apps go: how sinks do, and changing which there are.

use serde::{Deserialize, Serialize};

use super::off;
use crate::log::metrics::SinkMetrics;
use crate::log::sinks::SinkEntry;

/// The sinks of one app or of all, an instance each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SinkList {
    /// By app, instance and order in the manifest.
    pub sinks: Vec<SinkStatus>,
}

/// A sink of an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SinkStatus {
    /// The app.
    pub app: String,
    /// The instance, `shop.web.1`; absent for a sink that was added to an app of which none runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Its address.
    pub to: String,
    /// Its filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// It was added beside the manifest.
    #[serde(default, skip_serializing_if = "off")]
    pub added: bool,
    /// How it does; absent where no instance runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SinkMetrics>,
}

/// Sends one record to a sink.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkTestRequest {
    /// This one; absent for every sink of the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<SinkEntry>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkTrials {
    /// One each.
    pub trials: Vec<SinkTrial>,
}

/// What became of one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkTrial {
    /// The sink's address.
    pub to: String,
    /// Whether the sink took it.
    pub taken: bool,
    /// What happened, a sentence.
    pub said: String,
}

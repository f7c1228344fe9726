//! How the pipeline of an instance's log does: `metrics.json` in the instance's folder below RUN.
//!
//! Invariant: counts begin at 0 with each start of the process that keeps the log, and only rise; a
//! reader ignores keys it does not know.

use serde::{Deserialize, Serialize};

/// Version of the format.
pub const VERSION: u32 = 1;

/// The pipeline of one instance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PipelineMetrics {
    /// [`VERSION`].
    pub v: u32,
    /// When this was written, RFC 3339 in UTC.
    pub at: String,
    /// Records that were written to the log.
    pub lines_in: u64,
    /// Records that sinks have taken, all sinks together.
    pub lines_out: u64,
    /// Records that were lost before the log had them.
    pub lines_dropped: u64,
    /// How often the program had to wait for its log.
    pub stalls: u64,
    /// How long it waited, milliseconds.
    pub stalled_ms: u64,
    /// The number of the last record in the log.
    pub last_seq: u64,
    /// In the order in which they are wanted.
    pub sinks: Vec<SinkMetrics>,
}

/// One sink of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SinkMetrics {
    /// Its address.
    pub to: String,
    /// Its filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// What it does.
    pub state: SinkState,
    /// Records that it has taken.
    pub delivered: u64,
    /// Records that its filter left out.
    pub filtered: u64,
    /// Records that were gone before they could be sent. Each gap was told to the sink.
    pub missed: u64,
    /// Records that it did not want, which are in `parked.log`.
    pub parked: u64,
    /// Records that it took and then said it threw away.
    pub rejected: u64,
    /// Requests that failed and were made again.
    pub retries: u64,
    /// Records of the log that it has not been offered yet.
    pub lag_records: u64,
    /// How old the oldest of them is that waits to be sent, in seconds.
    pub lag_seconds: f64,
    /// What went wrong last; the state says whether that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<SinkError>,
}

/// What a sink does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkState {
    /// It has everything.
    #[default]
    Idle,
    /// Records are on their way to it.
    Sending,
    /// It is left alone for a while after something went wrong.
    Waiting,
    /// Nothing can be sent to it as it was described; see what went wrong.
    Unusable,
    /// It was told everything, and nothing more comes.
    Done,
}

impl SinkState {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SinkState::Idle => "idle",
            SinkState::Sending => "sending",
            SinkState::Waiting => "waiting",
            SinkState::Unusable => "unusable",
            SinkState::Done => "done",
        }
    }
}

/// What went wrong with a sink.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkError {
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// In words.
    pub said: String,
}

//! What happened, as a stream of lines: one JSON object each (NDJSON), in the order of `seq`.
//!
//! Invariant: `seq` rises strictly within a state directory, over restarts of the daemon and of
//! the host; order is `seq`, never time. Never holds a program's output.

use serde::{Deserialize, Serialize};

/// One thing that happened to an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number, from 1.
    pub seq: u64,
    /// When, Unix time in milliseconds.
    pub at_ms: u64,
    /// The app it is about; absent if it is about the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The instance, `shop.web.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// What happened.
    pub kind: EventKind,
    /// The same as a sentence, with the reason.
    pub text: String,
    /// The version it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A version was accepted and is being rolled out.
    Deployed,
    /// A version has become the current one.
    Promoted,
    /// A version did not become ready and was given up.
    RolledBack,
    /// The number of instances wanted was changed.
    Scaled,
    /// An app was forgotten.
    Removed,
    /// An instance's program was started.
    Started,
    /// An instance does its work.
    Ready,
    /// An instance has been ready for long enough to forget earlier failures.
    Running,
    /// An instance's health check fails.
    Unhealthy,
    /// An instance was told to end.
    Stopping,
    /// An instance has ended, as wanted.
    Stopped,
    /// An instance's program has ended, by itself.
    Ended,
    /// An instance waits before it is started again.
    BackingOff,
    /// An instance stays down: it has failed too often.
    Failed,
    /// A daemon found an instance running and looks after it from now on.
    Adopted,
    /// A need that was waited for, a takeover, a step of a rollout: progress without a state.
    Progress,
    /// Something the operator should know.
    Warning,
    /// A kind that a later daemon has and this reader does not know; never sent.
    #[serde(other)]
    Unknown,
}

//! A command inside an instance: what to run, and the frames that carry its streams.
//!
//! The request is answered with 101 and `Upgrade: hostctl-exec/1`; from then on both sides send
//! frames (see [`Frame`]). Invariant: the command has the instance's rights, whatever the request
//! says. Never carries a variable of the caller's.

mod frame;

use serde::{Deserialize, Serialize};

pub use frame::{Exit, FRAME_BYTES, Frame, FrameError, Frames};

/// What the connection is upgraded to (RFC 9110, section 7.8).
pub const PROTOCOL: &str = "hostctl-exec/1";

/// Runs a command inside an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecRequest {
    /// The service; absent if the app has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The instance's number; absent for the first that is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<u32>,
    /// The program and its arguments; empty for a shell.
    pub command: Vec<String>,
    /// A terminal for it; absent for three pipes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<Terminal>,
    /// Working directory inside; absent for the service's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
}

/// The terminal of whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// Width in characters.
    pub columns: u16,
    /// Height in lines.
    pub rows: u16,
    /// Its kind, as in `$TERM`.
    pub term: String,
}

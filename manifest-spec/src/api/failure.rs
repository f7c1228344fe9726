//! The answer to a request that did not work: what a client prints and exits with.
//!
//! Invariant: a client that prints `message` (or the diagnostics, if there are any) and `hint`,
//! and exits with `exit_code`, says and does what `hostctl` on the daemon's host would. Never holds
//! a bare errno.

use serde::{Deserialize, Serialize};

use crate::error::Diagnostic;

/// What did not work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The kind, for programs.
    pub code: ErrorCode,
    /// Lower case, names the object, without a full stop.
    pub message: String,
    /// What to type instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What is wrong with a manifest, in the order of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<DiagnosticBody>,
    /// How many diagnostics were left out.
    #[serde(default, skip_serializing_if = "none_more")]
    pub more_diagnostics: u32,
    /// What a client exits with.
    pub exit_code: u8,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn none_more(count: &u32) -> bool {
    *count == 0
}

/// One thing that is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiagnosticBody {
    /// Where it was written, `app.toml:3:8` or the flag as typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Dotted path of the key, empty when it is about no key.
    pub key: String,
    /// What was expected and what was found.
    pub message: String,
    /// What to write instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// All of it as `hostctl` prints it, with the line and the caret: lines without a last break.
    pub text: String,
}

impl From<&Diagnostic> for DiagnosticBody {
    fn from(diagnostic: &Diagnostic) -> Self {
        Self {
            place: diagnostic.origin.as_ref().map(ToString::to_string),
            key: diagnostic.key.clone(),
            message: diagnostic.message.clone(),
            hint: diagnostic.hint.clone(),
            text: diagnostic.to_string(),
        }
    }
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The request is not what the API says.
    BadRequest,
    /// The manifest is wrong.
    BadManifest,
    /// The host policy, or what this host can't hold, does not let the manifest run.
    Refused,
    /// The host policy does not let this user do that.
    Forbidden,
    /// There is no such path, app, service, instance or version.
    NotFound,
    /// There is such a path, for another method.
    BadMethod,
    /// Something that the app needs for itself is held by another.
    Held,
    /// It can't be done in the state the app is in.
    Conflict,
    /// What runs is no longer what the plan's token was made from.
    Moved,
    /// The body is longer than [`crate::limits::REQUEST_BYTES`].
    TooLarge,
    /// It can't be done now: the daemon starts or stops, the disk is full.
    Unavailable,
    /// The daemon failed; its log says more.
    Internal,
    /// A kind that a later daemon has and this reader does not know; never sent.
    #[serde(other)]
    Unknown,
}

impl ErrorCode {
    /// The HTTP status of an answer with it (RFC 9110, section 15).
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::BadMethod => 405,
            Self::Held | Self::Conflict => 409,
            Self::Moved => 412,
            Self::TooLarge => 413,
            Self::BadManifest | Self::Refused => 422,
            Self::Unavailable => 503,
            Self::Internal | Self::Unknown => 500,
        }
    }
}

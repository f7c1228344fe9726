//! What is deployed: the manifest with what was put on top of it, the difference it makes to what
//! runs, and the versions of before.
//!
//! Invariant: a request holds all that a version is made of, so that the same version can be made
//! again from what was kept of it. Never holds a path that is relative.

use serde::{Deserialize, Serialize};

use super::off;

/// A manifest as it was read by whoever deploys it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestSource {
    /// The file as messages name it; it is not read again.
    pub name: String,
    /// Its text, at most [`crate::limits::FILE_BYTES`].
    pub text: String,
    /// The absolute folder that its relative paths start at.
    pub folder: String,
}

/// What the command line put on top of a manifest, in the order of precedence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OverridesWire {
    /// `--profile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// `HOSTCTL_SET_*` with their values, sorted by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<(String, String)>,
    /// `--unset`, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<String>,
    /// `--set`, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<String>,
    /// `--port-offset`.
    #[serde(skip_serializing_if = "PortOffset::is_zero")]
    pub port_offset: PortOffset,
}

/// How far every port is moved: a number, or `"auto"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PortOffsetText", into = "PortOffsetText")]
pub enum PortOffset {
    /// By this much; 0 moves nothing and keeps the app's name.
    By(u16),
    /// By the smallest number with which every port is free; the answer names the app.
    Auto,
}

impl Default for PortOffset {
    fn default() -> Self {
        Self::By(0)
    }
}

impl PortOffset {
    fn is_zero(&self) -> bool {
        *self == Self::By(0)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number from 0 to 65535 or \"auto\"")]
enum PortOffsetText {
    By(u16),
    Word(PortOffsetWord),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PortOffsetWord {
    Auto,
}

impl From<PortOffsetText> for PortOffset {
    fn from(text: PortOffsetText) -> Self {
        match text {
            PortOffsetText::By(number) => Self::By(number),
            PortOffsetText::Word(PortOffsetWord::Auto) => Self::Auto,
        }
    }
}

impl From<PortOffset> for PortOffsetText {
    fn from(offset: PortOffset) -> Self {
        match offset {
            PortOffset::By(number) => Self::By(number),
            PortOffset::Auto => Self::Word(PortOffsetWord::Auto),
        }
    }
}

/// Makes a new version of an app and starts to roll it out; answered before it is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployRequest {
    /// What to deploy.
    pub manifest: ManifestSource,
    /// What is put on top of it.
    #[serde(default)]
    pub overrides: OverridesWire,
    /// Go on where this host can't hold a limit or a wall that the manifest asks for.
    #[serde(default, skip_serializing_if = "off")]
    pub allow_unenforced: bool,
    /// Refuse whatever this host can't hold, also what is only advice.
    #[serde(default, skip_serializing_if = "off")]
    pub strict: bool,
    /// The token of a [`Difference`]: refused with [`super::ErrorCode::Moved`] if what runs is no
    /// longer what it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// A version is accepted; whether it becomes ready is told by events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// The app, `hello+3` with a port offset.
    pub app: String,
    /// The version, from 1; the current one if nothing changed.
    pub version: u32,
    /// Nothing differs from what runs: no version was made.
    #[serde(default, skip_serializing_if = "off")]
    pub unchanged: bool,
    /// The number from which on events tell what comes of it: `since` of the events.
    pub seq: u64,
    /// What the operator should know, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Asks what a [`DeployRequest`] of the same content would change; changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRequest {
    /// What would be deployed.
    pub manifest: ManifestSource,
    /// What is put on top of it.
    #[serde(default)]
    pub overrides: OverridesWire,
    /// As in [`DeployRequest::allow_unenforced`].
    #[serde(default, skip_serializing_if = "off")]
    pub allow_unenforced: bool,
    /// As in [`DeployRequest::strict`].
    #[serde(default, skip_serializing_if = "off")]
    pub strict: bool,
}

/// What a deployment would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Stands for what runs now and for what would be deployed; see [`DeployRequest::token`].
    pub token: String,
    /// The app.
    pub app: String,
    /// The version that is current, absent if the app is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Empty if nothing would change.
    pub changes: Vec<Change>,
    /// What the operator should know, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// One value that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// How.
    pub kind: ChangeKind,
    /// The service, absent where it is the app's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Dotted path of the key as in the manifest, empty for the service or the app itself.
    pub key: String,
    /// In the notation of the manifest; absent if new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// In the notation of the manifest; absent if removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    /// Who said so: the place in the manifest, a flag, a default; and why instances are touched.
    pub why: String,
    /// What comes of it for the instances.
    pub effect: Effect,
}

/// How a value differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Only in what would be deployed.
    New,
    /// In both, and not the same.
    Changed,
    /// Only in what runs.
    Removed,
}

/// What a change does to the instances of its service, the mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Nothing.
    None,
    /// They run on and take it over.
    Adopt,
    /// New ones are started beside the old ones, which end once those are ready.
    Beside,
    /// They are stopped, then new ones are started: the service is away in between.
    Replace,
    /// New ones are started.
    Start,
    /// They are stopped.
    Stop,
}

/// Goes back to an earlier version, as a new version with the same content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackRequest {
    /// The version whose content is wanted; absent for the one before the current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

/// Stops an app and forgets it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveRequest {
    /// Also delete its managed directories. Nothing brings them back.
    #[serde(default, skip_serializing_if = "off")]
    pub data: bool,
}

/// The versions of an app that are kept, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The app.
    pub app: String,
    /// At most one is [`VersionState::Current`], at most one [`VersionState::Rolling`].
    pub versions: Vec<VersionEntry>,
}

/// One version: what it was made of, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionEntry {
    /// From 1, never used twice within an app.
    pub version: u32,
    /// What became of it.
    pub state: VersionState,
    /// When it was deployed, Unix time in milliseconds.
    pub at_ms: u64,
    /// The user who deployed it: the name, or the uid where it has none.
    pub by: String,
    /// Why it is in this state, and for a rollback of which version it is the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The file as messages name it.
    pub manifest_name: String,
    /// The manifest's text, as deployed.
    pub manifest_text: String,
    /// The absolute folder that its relative paths start at.
    pub folder: String,
    /// What was put on top of it.
    #[serde(default)]
    pub overrides: OverridesWire,
}

/// What became of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VersionState {
    /// It is being started; the one before it still serves.
    Rolling,
    /// It is what runs.
    Current,
    /// It was current, until another was.
    Superseded,
    /// It did not become ready, and there was none to go back to.
    Failed,
    /// It did not become ready; the one before it never stopped.
    RolledBack,
}

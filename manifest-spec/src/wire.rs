//! What an app reads: its own manifest, resolved.
//!
//! Invariant: a change of meaning raises `v`; a reader ignores keys it does not know. Never holds
//! a default that was not decided: every `Option` here is "not granted" or "no limit".

use serde::{Deserialize, Serialize};

/// Version of this format.
pub const VERSION: u32 = 1;

/// The file behind `$HOSTCTL_MANIFEST`: what one instance was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedManifest {
    /// Version of this format, [`VERSION`].
    pub v: u32,
    /// The app, `hello+3` with a port offset.
    pub name: String,
    /// The service within the app.
    pub service: String,
    /// The instance within the service, from 1.
    pub instance: u32,
    /// Working directory.
    pub dir: String,
    /// The address to listen on; absent in a plan that has not chosen it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The program and its arguments, variables expanded.
    pub run: Vec<String>,
    /// Leased ports, the main one first.
    pub ports: Vec<ResolvedPort>,
    /// What the program may use.
    pub access: ResolvedAccess,
    /// What it may use up.
    pub limits: ResolvedLimits,
    /// Services it may connect to.
    pub needs: Vec<ResolvedNeed>,
    /// Where its output goes.
    pub logs: ResolvedLogs,
}

/// One leased port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedPort {
    /// Name, absent for the main port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the program binds.
    pub port: u16,
    /// What the host sees, where that differs: a fixed port that was moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port: Option<u16>,
    /// Whether it is handed over as a bound socket.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub activate: bool,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The only interface it is reachable through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}

/// Grants, with absolute paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedAccess {
    /// `system` or `none`.
    pub base: String,
    /// Paths that may be read.
    pub read: Vec<String>,
    /// Paths that may be written.
    pub write: Vec<String>,
    /// Managed directories; `$DATA_DIR` is the first.
    pub data: Vec<String>,
    /// `host`, `none` or `private`.
    pub network: String,
    /// The only interfaces, absent if all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interfaces: Option<Vec<String>>,
    /// Destinations, in the manifest's notation.
    pub connect: Vec<String>,
    /// Capabilities, `CAP_…`.
    pub capabilities: Vec<String>,
}

/// Limits; absent is unlimited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedLimits {
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Percent of one core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// Open descriptors of one process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u32>,
    /// Weight of its disk time, 1 to 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io: Option<u16>,
}

/// A service that may be connected to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedNeed {
    /// Its name within the app.
    pub name: String,
    /// Address or host name.
    pub host: String,
    /// Port, absent for a service without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// Where output goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedLogs {
    /// Size bound in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_bytes: Option<u64>,
    /// Age bound in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_seconds: Option<u64>,
    /// What happens when the disk takes no more: `drop-oldest`, `drop-newest` or `block`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full: Option<String>,
    /// Variables whose values are kept out of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redact: Vec<String>,
    /// Addresses.
    pub sinks: Vec<String>,
}

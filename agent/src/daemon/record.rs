//! What hostd keeps of an app over reboots.
//!
//! Invariant: a record says what is wanted, never what is: which instances run is found out anew.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::keep::assignment::{AssignedPort, Deployer};
use crate::planning::Source;

pub use manifest_spec::api::{VersionState, Wanted};

use super::services::Service;

/// Earlier versions that are kept for a rollback.
pub const KEPT_VERSIONS: usize = 50;

/// An app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppRecord {
    /// Its name, offset included.
    pub name: String,
    /// What is wanted of it.
    pub wanted: Wanted,
    /// Whether its managed directories go with it when it is removed.
    pub data_goes: bool,
    /// The version that is to serve.
    pub target: u32,
    /// The last version that served entirely: the target itself, once it has.
    pub promoted: Option<u32>,
    /// When the target became that, milliseconds since 1970.
    pub since_ms: u64,
    /// What somebody said about single services.
    pub services: BTreeMap<String, ServiceRecord>,
    /// The last version that was given up.
    pub failure: Option<Failure>,
}

/// What was said about a service beside its manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// How many instances, if that was changed.
    pub count: Option<u32>,
    /// How often a restart was asked for.
    pub generation: u64,
    /// Ports of each instance, kept so that it has the same ones next time.
    pub ports: BTreeMap<u32, Vec<AssignedPort>>,
}

/// A version that did not become ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its number.
    pub version: u32,
    /// Why.
    pub reason: String,
    /// When it was given up, milliseconds since 1970.
    pub at_ms: u64,
    /// What an instance of it that did not serve said last.
    #[serde(default)]
    pub last_lines: Vec<String>,
}

/// One version of an app, as it was deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRecord {
    /// Its number, from 1; no number is used twice.
    pub number: u32,
    /// How far it came.
    pub state: VersionState,
    /// When it was deployed, milliseconds since 1970.
    pub at_ms: u64,
    /// Who deployed it, as a person reads it.
    pub by: String,
    /// Whose rights its grants are judged by; `None` for the user that hostd runs as.
    pub deployer: Option<Deployer>,
    /// The manifest and what was said about it.
    pub source: Source,
    /// Limits that this host can't keep are let be.
    pub allow_unenforced: bool,
    /// Why it was given up, or that it is a return to another version.
    pub reason: Option<String>,
    /// What its services come to on this host, as it was worked out when it was deployed: a hostd
    /// that is newer, or a changed host policy, changes nothing of what runs.
    pub services: Vec<Service>,
}

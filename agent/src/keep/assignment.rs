//! What a keeper is told to run.
//!
//! Invariant: with the host it runs on, an assignment says everything; a keeper reads no other
//! source. hostd writes it before it starts the keeper, and nobody changes it.

use serde::{Deserialize, Serialize};

use crate::planning::Source;

pub use crate::fleet::InstanceId as Name;

/// Version of the format; a keeper of another version refuses it.
pub const VERSION: u32 = 1;

/// Whose word the manifest is: paths are granted with no more than this user's rights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployer {
    /// uid.
    pub uid: u32,
    /// gid.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// A port of the instance's own instead of the manifest's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignedPort {
    /// `None` for the main port.
    pub name: Option<String>,
    /// Number on the host, offset included.
    pub number: u16,
}

/// A socket that comes with the assignment, in the order of the descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedSocket {
    /// Whether it is a socket of UDP.
    pub datagram: bool,
    /// Its port.
    pub port: u16,
}

/// Everything a keeper is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Assignment {
    /// [`VERSION`].
    pub v: u32,
    /// Who it is.
    pub name: Name,
    /// Version of the app.
    pub version: u32,
    /// Which restart of the service that somebody asked for it belongs to.
    pub generation: u64,
    /// Stands for everything in the manifest that the instance depends on.
    pub fingerprint: String,
    /// The manifest and what was said about it.
    pub source: Source,
    /// Ports of its own.
    pub ports: Vec<AssignedPort>,
    /// Sockets that other instances of the service made.
    pub sockets: Vec<HandedSocket>,
    /// Who deployed it; `None` for the user that hostd runs as.
    pub deployer: Option<Deployer>,
    /// Limits that this host can't keep are let be.
    pub allow_unenforced: bool,
    /// Whether hostd's balancer stands before its ports.
    #[serde(default)]
    pub balanced: bool,
    /// Whether it ends with the one who started the keeper, who shows what it writes.
    pub foreground: bool,
}

//! The daemon itself: what it is, since when, and what this host lets it do.
//!
//! Never says what an app is or does.

use serde::{Deserialize, Serialize};

/// A daemon and its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStatus {
    /// The version of the program, `0.1.0`.
    pub version: String,
    /// The version of the API, [`super::VERSION`].
    pub api: String,
    /// The daemon's process.
    pub pid: i32,
    /// The user it runs as.
    pub uid: u32,
    /// Since when it runs, Unix time in milliseconds.
    pub since_ms: u64,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Apps that are known, stopped ones included.
    pub apps: u32,
    /// Instances that have a process.
    pub instances: u32,
    /// The number that the next event gets.
    pub seq: u64,
    /// Where it keeps its files.
    pub directories: HostDirectories,
    /// Controllers of cgroup v2 that hold the limits of instances, `memory`, `cpu`, `pids`, `io`.
    pub controllers: Vec<String>,
    /// The cgroup its instances are in, below the mount of cgroup v2; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
}

/// Where a daemon keeps its files, absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostDirectories {
    /// What lasts: versions, uids, data, the audit log.
    pub state: String,
    /// What a reboot clears: sockets, leases, the status of instances.
    pub run: String,
    /// What the operator writes: the host policy and drop-ins.
    pub config: String,
}

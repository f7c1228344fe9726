//! What runs: apps, their services and instances, with how they are.
//!
//! Invariant: what is said is what the daemon holds at one instant; a number that could not be
//! read is absent, never 0. Never holds what an app was made of (see [`super::deployment`]).

use serde::{Deserialize, Serialize};

use super::off;

/// Every app of the host, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppList {
    /// One each.
    pub apps: Vec<AppSummary>,
}

/// An app in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppSummary {
    /// The app, `hello+3` with a port offset.
    pub app: String,
    /// What the operator wants of it.
    pub wanted: Wanted,
    /// The current version, absent until the first one is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// A version that is being rolled out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolling: Option<u32>,
    /// Number of services.
    pub services: u32,
    /// Instances that should run.
    pub instances: u32,
    /// Instances that are [`InstanceState::Ready`] or [`InstanceState::Running`].
    pub ready: u32,
    /// The worst state of its instances, absent if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst: Option<InstanceState>,
    /// Host and path prefix of each routed service, and the ports, as an operator names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reached_by: Vec<String>,
}

/// What the operator wants of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// Its instances run, also after a reboot.
    Running,
    /// None runs; what it holds is kept.
    Stopped,
    /// It goes away as soon as its instances have ended.
    Removed,
}

/// An app with all that runs of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppStatus {
    /// The app, `hello+3` with a port offset.
    pub app: String,
    /// What the operator wants of it.
    pub wanted: Wanted,
    /// The current version, absent until the first one is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// A version on its way to being current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// The last version that did not become ready, until a later one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<FailedRollout>,
    /// In the order in which they start: what is needed comes first.
    pub services: Vec<ServiceStatus>,
}

/// A version on its way to being current.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// The version that still serves, absent for the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u32>,
    /// The version that is being started.
    pub to: u32,
    /// Since when, Unix time in milliseconds.
    pub since_ms: u64,
    /// What it waits for, a sentence; absent at the moment between two steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
}

/// A version that did not become ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRollout {
    /// The version.
    pub version: u32,
    /// A sentence that names the instance and what it did.
    pub reason: String,
    /// When it was given up, Unix time in milliseconds.
    pub at_ms: u64,
    /// The last lines of that instance's output, the oldest first, cleaned of control characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
}

/// One service of an app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Name within the app.
    pub name: String,
    /// Instances that should run, by the manifest or by `scale`.
    pub count: u32,
    /// Services that must be ready first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// What the manifest says of its ports; each instance's own are in [`InstanceStatus::ports`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortStatus>,
    /// By number, the older version first.
    pub instances: Vec<InstanceStatus>,
}

/// A port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortStatus {
    /// Name, absent for the main port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Number, as the host sees it.
    pub port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The address it is reached at, absent if at every one of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Whether it is handed over as a bound socket, and so outlives instances.
    #[serde(default, skip_serializing_if = "off")]
    pub activate: bool,
}

/// One instance of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// `APP.SERVICE.NUMBER`, `shop.web.1`.
    pub name: String,
    /// From 1, within the service.
    pub number: u32,
    /// The version it was started from.
    pub version: u32,
    /// How it is.
    pub state: InstanceState,
    /// Since when it is so, Unix time in milliseconds.
    pub since_ms: u64,
    /// When its program was started, Unix time in milliseconds; absent if none runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_ms: Option<u64>,
    /// The program's process as the host sees it, absent if none runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// How often it was started again since it was deployed.
    pub restarts: u32,
    /// Failures in a row, 0 once it has been running for a while.
    pub failures: u32,
    /// Why it is in this state, a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it is started again, Unix time in milliseconds; only while backing off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try_ms: Option<u64>,
    /// Its ports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortStatus>,
    /// Connections that clients have with it by the balancer, as they were counted last; absent
    /// where nobody counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u64>,
    /// What it uses up, absent if no process runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// How its log does, absent if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogFlow>,
    /// The last lines of its output, the oldest first, cleaned of control characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
    /// The system call it was ended for, a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied: Option<String>,
}

/// How an instance is; the order is from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// It is ready and has been so for long enough to forget earlier failures.
    Running,
    /// It does its work.
    Ready,
    /// Its program runs and is not ready yet.
    Starting,
    /// It is to end, and gets no new clients; those that it has are waited for.
    Draining,
    /// It was told to end and has not yet.
    Stopping,
    /// It has ended, as wanted.
    Stopped,
    /// Its health check fails.
    Unhealthy,
    /// It has failed and is started again after a while.
    BackingOff,
    /// It has failed too often: it stays down until it is started by hand or deployed anew.
    Failed,
}

/// What an instance uses up, all its processes together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Memory in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Its limit in bytes, absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<u64>,
    /// Processor time since it was started, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_usec: Option<u64>,
    /// Its limit in percent of one core, absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_limit_percent: Option<u32>,
    /// Processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// Their limit, absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes_limit: Option<u32>,
    /// Bytes read from block devices since it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_read_bytes: Option<u64>,
    /// Bytes written to block devices since it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_written_bytes: Option<u64>,
    /// How long it waits for what it needs, absent where the kernel does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pressure: Option<Pressure>,
    /// The kernel counted for its cgroup. If not, processes were added up one after the other, and
    /// what ended in between is missing.
    pub exact: bool,
}

/// Pressure stall information: the share of the last 10 s in which some task waited, in percent
/// (the kernel's Documentation/accounting/psi.rst, `some avg10`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pressure {
    /// For a processor.
    pub cpu: f64,
    /// For memory.
    pub memory: f64,
    /// For a block device.
    pub io: f64,
}

/// How the log of an instance does. Counts begin at 0 when the process that keeps it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFlow {
    /// Records that were written.
    pub lines: u64,
    /// Records that were lost before they could be.
    pub dropped: u64,
    /// How long the program had to wait for its log, in milliseconds.
    pub stalled_ms: u64,
    /// Sinks that it goes to.
    pub sinks: u32,
    /// Those of them that something is wrong with.
    pub sinks_down: u32,
}

/// Which services of an app are started, stopped or restarted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRequest {
    /// This one alone; absent for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

/// Changes how many instances of a service run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaleRequest {
    /// The service.
    pub service: String,
    /// Instances, 0 to stop it.
    pub count: u32,
}

/// What is wanted of an app was changed; whether it came to be is told by events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The app.
    pub app: String,
    /// It was so already.
    #[serde(default, skip_serializing_if = "off")]
    pub unchanged: bool,
    /// The number from which on events tell what comes of it: `since` of the events.
    pub seq: u64,
    /// What the operator should know, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

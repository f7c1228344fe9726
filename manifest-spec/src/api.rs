//! The messages of hostd's API, version 1: HTTP/1.1 with JSON on a Unix socket.
//!
//! Owns every body of a request or an answer, and the frames of an upgraded connection.
//! Invariant: within version 1 keys are only added, and a reader ignores those it does not know; a
//! key that says nothing is left out. Times are milliseconds since 1970-01-01 UTC unless their name
//! says otherwise. Never holds a default that depends on the host, never does I/O.
//!
//! | room | owns |
//! | --- | --- |
//! | [`deployment`] | what is deployed, the difference to what runs, versions |
//! | [`apps`] | what runs, and changing how much of it does |
//! | [`events`] | what happened, one line each |
//! | [`exec`] | a command inside an instance, and its frames |
//! | [`host`] | the daemon itself |
//! | [`lb`] | the load balancer: services, backends, what operators change |
//! | [`logs`] | what apps wrote |
//! | [`sinks`] | where that goes |
//! | [`audit`] | who did what |
//! | [`failure`] | the answer to what did not work |

pub mod apps;
pub mod audit;
pub mod deployment;
pub mod events;
pub mod exec;
pub mod failure;
pub mod host;
pub mod lb;
pub mod logs;
pub mod sinks;

pub use apps::{
    AppList, AppStatus, AppSummary, Changed, FailedRollout, InstanceState, InstanceStatus, LogFlow,
    PortStatus, Pressure, Rollout, ScaleRequest, ServiceRequest, ServiceStatus, Usage, Wanted,
};
pub use audit::{AuditEntry, AuditList, AuditOutcome};
pub use deployment::{
    Change, ChangeKind, DeployRequest, Deployed, Difference, Effect, History, ManifestSource,
    OverridesWire, PlanRequest, PortOffset, RemoveRequest, RollbackRequest, VersionEntry,
    VersionState,
};
pub use events::{Event, EventKind};
pub use exec::{ExecRequest, Exit, Frame, FrameError, Frames, Terminal};
pub use failure::{DiagnosticBody, ErrorBody, ErrorCode};
pub use host::{HostDirectories, HostStatus};
pub use lb::{
    LbAddRequest, LbBackend, LbDrainRequest, LbList, LbPlace, LbPolicyRequest, LbRemoveRequest,
    LbService, LbState, LbWeightRequest,
};
pub use logs::{LogLine, LogQuery};
pub use sinks::{SinkList, SinkStatus, SinkTestRequest, SinkTrial, SinkTrials};

/// The version of the API: the first component of every path.
pub const VERSION: &str = "v1";

/// Whether a switch is off, and so left out.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn off(switch: &bool) -> bool {
    !switch
}

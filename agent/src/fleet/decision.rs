//! What is to be done, as values that can be printed before anything is done.

use std::fmt;

use super::InstanceId;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Launch an instance. There may be a stopped one of the same name, whose place it takes.
    Start {
        /// Which.
        id: InstanceId,
        /// Of this version.
        version: u32,
    },
    /// Stop an instance for good.
    Stop {
        /// Which.
        id: InstanceId,
        /// Why.
        why: StopReason,
    },
    /// A running instance is what this version wants, too: it belongs to it from now on.
    Adopt {
        /// Which.
        id: InstanceId,
        /// The version.
        version: u32,
    },
    /// A stopped instance is of no interest any more.
    Forget {
        /// Which.
        id: InstanceId,
    },
    /// The target serves entirely: it is the promoted version from now on.
    Promote {
        /// The app.
        app: String,
    },
    /// The target fails: the promoted version is the target again.
    RollBack {
        /// The app.
        app: String,
        /// Which instance failed, and how.
        reason: String,
    },
    /// The app was to be removed, and nothing of it is left.
    Gone {
        /// The app.
        app: String,
    },
}

/// Why an instance is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// Another version takes its place.
    Replaced {
        /// The other version.
        by: u32,
    },
    /// A restart was asked for.
    Restarted,
    /// Fewer instances are wanted.
    ScaledDown,
    /// The version that should run has no such service.
    Dropped {
        /// That version.
        by: u32,
    },
    /// The app is to stop.
    AppStopped,
    /// The app is to be removed.
    AppRemoved,
    /// Nobody knows the app.
    AppUnknown,
}

impl StopReason {
    /// Whether others serve in its stead, so that its clients can be let go one by one.
    pub fn lets_clients_go(self) -> bool {
        match self {
            StopReason::Replaced { .. } | StopReason::Restarted => true,
            StopReason::ScaledDown | StopReason::Dropped { .. } => true,
            StopReason::AppStopped | StopReason::AppRemoved | StopReason::AppUnknown => false,
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Decision::Start { id, version } => write!(f, "start {id} of version {version}"),
            Decision::Stop { id, why } => write!(f, "stop {id}: {why}"),
            Decision::Adopt { id, version } => write!(f, "adopt {id} into version {version}"),
            Decision::Forget { id } => write!(f, "forget {id}"),
            Decision::Promote { app } => write!(f, "promote {app}"),
            Decision::RollBack { app, reason } => write!(f, "roll back {app}: {reason}"),
            Decision::Gone { app } => write!(f, "{app} is gone"),
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StopReason::Replaced { by } => write!(f, "replaced by version {by}"),
            StopReason::Restarted => f.write_str("restarted"),
            StopReason::ScaledDown => f.write_str("scaled down"),
            StopReason::Dropped { by } => write!(f, "not in version {by}"),
            StopReason::AppStopped => f.write_str("the app is stopped"),
            StopReason::AppRemoved => f.write_str("the app is removed"),
            StopReason::AppUnknown => f.write_str("nobody knows the app"),
        }
    }
}

//! What there is: instances, and where each stands.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::supervise::instance::{Instance, State};

/// Which instance: of no other one, alive or not, at the same time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceId {
    /// The app.
    pub app: String,
    /// The service.
    pub service: String,
    /// From 1.
    pub number: u32,
}

/// Every instance that is known, stopped ones too until they are forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actual {
    /// The instances.
    pub instances: BTreeMap<InstanceId, ActualInstance>,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActualInstance {
    /// The version it belongs to.
    pub version: u32,
    /// The service's fingerprint when it was started.
    pub fingerprint: String,
    /// How many restarts had been asked of its service when it was started.
    pub generation: u64,
    /// Where it is.
    pub state: State,
    /// Why a version should not count on it ([`Instance::gave_up`]).
    pub gave_up: Option<String>,
}

impl ActualInstance {
    /// An instance as its supervisor knows it.
    pub fn of(version: u32, fingerprint: &str, generation: u64, instance: &Instance) -> Self {
        Self {
            version,
            fingerprint: fingerprint.to_owned(),
            generation,
            state: instance.state(),
            gave_up: instance.gave_up().map(ToString::to_string),
        }
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.app, self.service, self.number)
    }
}

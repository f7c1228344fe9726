//! What operators asked for: apps, their versions, and which of them should run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ActualInstance, InstanceId};

/// Everything that was asked of the host, by the apps' names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    /// The apps.
    pub apps: BTreeMap<String, DesiredApp>,
}

/// One app. `target` differs from `promoted` while a version is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredApp {
    /// What should become of it.
    pub wanted: Wanted,
    /// The version that should run.
    pub target: u32,
    /// The last version that served entirely; the target itself as soon as it has. A deploy
    /// changes the target alone, so that this stays what a failed version is rolled back to.
    pub promoted: Option<u32>,
    /// The versions that are known: at least these two and those of running instances.
    pub versions: BTreeMap<u32, Version>,
    /// By service, how often somebody asked for a restart. Instances that are behind are replaced.
    pub restart: BTreeMap<String, u64>,
}

/// What should become of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// It should run.
    Running,
    /// It should not run, and stay known.
    Stopped,
    /// Nothing of it should be left.
    Removed,
}

/// One version of an app.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Version {
    /// Its services, each name once.
    pub services: Vec<Service>,
}

/// One service of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// How many instances of it should run.
    pub count: u32,
    /// Services of the same version that it is started after.
    pub needs: Vec<String>,
    /// How an instance takes over from an older one.
    pub takeover: Takeover,
    /// Everything that a running instance depends on: equal in two versions if nothing has to be
    /// started anew for the later one.
    pub fingerprint: String,
}

/// How an instance takes over from an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Takeover {
    /// The new one serves before the old one is asked to end.
    Beside,
    /// The old one ends before the new one is started: a port or a directory has one holder.
    Replace,
}

impl Version {
    /// The service of this name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }
}

impl DesiredApp {
    /// How many restarts were asked of this service: what a started instance's generation is.
    pub fn generation(&self, service: &str) -> u64 {
        self.restart.get(service).copied().unwrap_or(0)
    }

    /// An instance's service as the version knows it that the instance belongs to.
    pub fn service_of(&self, id: &InstanceId, instance: &ActualInstance) -> Option<&Service> {
        self.versions.get(&instance.version)?.service(&id.service)
    }

    /// The version to go back to if the target fails: only while that is on its way.
    pub fn fallback(&self) -> Option<&Version> {
        let promoted = self.promoted.filter(|promoted| *promoted != self.target)?;
        self.versions.get(&promoted)
    }
}

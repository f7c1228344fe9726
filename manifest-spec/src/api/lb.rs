//! The load balancer: which services there are, who serves them, and what operators change.

use serde::{Deserialize, Serialize};

use super::off;

/// Services, by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LbList {
    /// Those that may be seen.
    pub services: Vec<LbService>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LbService {
    /// Its name: `shop`, `shop.web` where the app has several, `shop.web.metrics` for a further
    /// port.
    pub name: String,
    /// Who registered it: the app's service, or an operator.
    pub holder: String,
    /// Where clients find it.
    pub found_at: Vec<LbPlace>,
    /// How a backend is chosen for a new connection: the policy's name.
    pub policy: String,
    /// The version that a canary's share goes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_version: Option<String>,
    /// That share, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_share: Option<u32>,
    /// For how many seconds a client stays with its backend after its last new connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity_seconds: Option<u32>,
    /// Clients are left waiting while nobody serves; without it they are refused at once.
    #[serde(default, skip_serializing_if = "off")]
    pub waits: bool,
    /// Who serves it, those that do not at the moment among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<LbBackend>,
}

/// Where clients find a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LbPlace {
    /// The address, absent if it is found at every one of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The port.
    pub port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
}

/// A backend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LbBackend {
    /// Its name within the service: the instance's, or its address.
    pub id: String,
    /// Where connections are sent.
    pub address: String,
    /// How it stands.
    pub state: LbState,
    /// What it counts for beside the others, 1 to 1000.
    pub weight: u32,
    /// The share of new connections that it gets, in percent.
    pub share: f64,
    /// Connections that clients have with it; absent where the kernel does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u64>,
    /// The version of the app that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// An operator added it; no instance of hostd's is there.
    #[serde(default, skip_serializing_if = "off")]
    pub added: bool,
}

/// How a backend stands; the order is from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LbState {
    /// New connections go to it.
    Serving,
    /// Nobody has seen it healthy yet.
    Registered,
    /// No new connections go to it; those that it has live on.
    Draining,
    /// It was seen not to answer.
    Down,
}

/// One more backend of a service, or a service that hostd runs nothing of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LbAddRequest {
    /// The service.
    pub name: String,
    /// The backend, `192.0.2.7:8080`.
    pub address: String,
    /// What it counts for, 1 to 1000; absent for 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// Where a new service is found: `80`, `192.0.2.1:80`, `53/udp`. None for one that there is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listen: Vec<String>,
}

/// One backend less, or a service that an operator made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LbRemoveRequest {
    /// The service.
    pub name: String,
    /// One backend that was added; absent for the whole service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
}

/// What a backend counts for from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LbWeightRequest {
    /// The service.
    pub name: String,
    /// The backend.
    pub backend: String,
    /// 1 to 1000.
    pub weight: u32,
}

/// A backend gets no new connections, or gets them again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LbDrainRequest {
    /// The service.
    pub name: String,
    /// The backend.
    pub backend: String,
    /// It gets them again.
    #[serde(default, skip_serializing_if = "off")]
    pub back: bool,
}

/// How a service's backends are chosen from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LbPolicyRequest {
    /// The service.
    pub name: String,
    /// The policy's name; absent for the manifest's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// For `canary`: the version that gets the share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// For `canary`: its share of new connections, 1 to 99 percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<u32>,
}

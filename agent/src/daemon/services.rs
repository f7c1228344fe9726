//! What a version's services come to on this host: how many, in which order, replaced how.
//!
//! Invariant: worked out once, when the version is deployed, and kept with it; so what runs does
//! not depend on what hostd would make of the same manifest later.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use manifest_spec::manifest::{Manifest, Network, Protocol, Unserved};
use manifest_spec::policy::HostPolicy;
use manifest_spec::{Diagnostic, Diagnostics};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::fleet::Takeover;
use crate::keep::assignment::Deployer;
use crate::plan::{
    Balancing, GrantKind, HostFacts, Identity, Keeper, Maker, Plan, PlannedAddress, Settings,
    explain,
};
use crate::planning::{self, PlanningError, Source};
use crate::source::Loaded;

/// A service of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// How many instances its manifest wants.
    pub count: u32,
    /// Services that must be ready first.
    pub needs: Vec<String>,
    /// How a new instance takes over from an old one.
    pub takeover: Takeover,
    /// Why not side by side, where that is so.
    pub takeover_reason: Option<String>,
    /// Stands for everything an instance depends on: two versions of a service with the same one
    /// are the same to their instances.
    pub fingerprint: String,
    /// When an instance counts as ready, and how it is watched.
    pub watch: Watch,
    /// Its ports, the main one first.
    pub ports: Vec<ServicePort>,
    /// Whether each instance has an address of its own on the host's network, so that all can have
    /// the same ports.
    pub own_address: bool,
    /// How clients come by the balancer; `None` if they come to its instances directly.
    #[serde(default)]
    pub balanced: Option<Balanced>,
    /// Percent of one core and bytes of memory and processes it may use, for showing.
    pub limits: ServiceLimits,
    /// Every value of its plan by what it is, for showing what another version changes.
    pub values: BTreeMap<String, String>,
    /// What does not hold on this host, a line each.
    pub unenforced: Vec<String>,
    /// Those of them that weaken the sandbox.
    pub strictly_unenforced: Vec<String>,
    /// Why it can't have several instances, where that is so.
    pub single: Option<String>,
}

impl Service {
    /// Stands for a service of which nothing is known but its name.
    pub(super) fn nothing(name: &str) -> Service {
        Service {
            name: name.to_owned(),
            count: 0,
            needs: Vec::new(),
            takeover: Takeover::Replace,
            takeover_reason: None,
            fingerprint: String::new(),
            watch: Watch { ready: ReadyBy::Up(0), within_ms: 60_000, health: None },
            ports: Vec::new(),
            own_address: false,
            balanced: None,
            limits: ServiceLimits::default(),
            values: BTreeMap::new(),
            unenforced: Vec::new(),
            strictly_unenforced: Vec::new(),
            single: None,
        }
    }
}

/// What a service may use up, as far as that is shown beside what it uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceLimits {
    /// Bytes.
    pub memory: Option<u64>,
    /// Percent of one core.
    pub cpu: Option<u32>,
    /// Processes and threads.
    pub processes: Option<u32>,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePort {
    /// `None` for the main port.
    pub name: Option<String>,
    /// Number, offset included.
    pub number: u16,
    /// Whether it is a port of UDP.
    pub datagram: bool,
    /// Whether its socket is handed over.
    pub activate: bool,
    /// The number that the program binds, if it is another.
    #[serde(default)]
    pub inside: Option<u16>,
    /// The only interface it is reached through.
    #[serde(default)]
    pub interface: Option<String>,
    /// The one address at which the balancer has clients find it.
    #[serde(default)]
    pub found_at: Option<IpAddr>,
    /// The number there, if it is another.
    #[serde(default)]
    pub found_as: Option<u16>,
}

/// How clients come to the instances of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balanced {
    /// The policy's name.
    pub policy: String,
    /// For how many seconds a client stays with its instance.
    pub affinity_seconds: Option<u32>,
    /// For how long, in milliseconds, clients of an instance that is to end are waited for.
    pub drain_ms: u64,
    /// Whether clients are left waiting while no instance serves.
    pub waits: bool,
    /// How it is asked, where the policy is a program.
    #[serde(default)]
    pub plugin: Option<Plugin>,
}

/// A policy that is a program of the app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plugin {
    /// Time for an answer in milliseconds, if the manifest says one.
    pub deadline_ms: Option<u64>,
    /// The policy while it gives none.
    pub fallback: Option<String>,
}

impl ServicePort {
    /// The number at which clients find it.
    pub(super) fn found_as(&self) -> u16 {
        self.found_as.unwrap_or(self.number)
    }

    /// The number on the address of an instance's own. On the host's network a bind is moved there;
    /// in a network of its own it stays what it is.
    pub(super) fn target(&self, service: &Service) -> u16 {
        match service.own_address {
            true => self.number,
            false => self.inside.unwrap_or(self.number),
        }
    }
}

/// When an instance counts as ready, and how it is watched from then on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// What makes it ready.
    pub ready: ReadyBy,
    /// How long that may take, in milliseconds.
    pub within_ms: u64,
    /// Asked again and again while it runs.
    pub health: Option<Health>,
}

/// What makes an instance ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadyBy {
    /// READY=1 of sd_notify(3).
    Notify,
    /// Its health check.
    Health,
    /// Its main port takes a connection.
    Port,
    /// It has not ended for so many milliseconds.
    Up(u64),
}

/// A health check with its timing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// What is asked.
    pub probe: Probe,
    /// Milliseconds between two checks.
    pub every_ms: u64,
    /// Milliseconds that one may take.
    pub within_ms: u64,
    /// Successes in a row that make it healthy.
    pub rise: u32,
    /// Failures in a row that make it unhealthy.
    pub fall: u32,
}

/// What a health check asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// `GET` of this path on the main port answers 2xx or 3xx.
    Http(String),
    /// The main port takes a connection.
    Tcp,
    /// The program, run inside, exits with 0.
    Exec(Vec<String>),
}

/// Work out every service of a manifest on this host.
///
/// # Errors
/// Everything that is wrong with it.
pub fn work_out(
    source: &Source,
    loaded: &Loaded,
    facts: &HostFacts,
    policy: &HostPolicy,
    deployer: Option<&Deployer>,
    allow_unenforced: bool,
    balanced: bool,
) -> Result<Vec<Service>, PlanningError> {
    let manifest = &loaded.manifest;
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for service in &manifest.services {
        let settings = Settings {
            service: Some(service.name.to_string()),
            keeper: Keeper::Daemon,
            deployer: deployer.cloned(),
            balanced,
            ..Settings::default()
        };
        match planning::resolve_for(source, loaded, facts, policy, settings) {
            Ok(plan) => {
                if !allow_unenforced {
                    planning::refuse_unlimited(&plan)?;
                }
                let count = service.count.unwrap_or(1);
                errors.extend(crowded(&plan, count));
                let seal = seal(&plan, source, deployer, allow_unenforced);
                found.push(describe(manifest, plan, count, seal));
            }
            Err(PlanningError::Plan(diagnostics)) => {
                // Every service says the same about what is the whole app's.
                let fresh = diagnostics.into_iter().filter(|one| !errors.contains(one));
                errors.extend(fresh.collect::<Vec<_>>());
            }
            Err(error) => return Err(error),
        }
    }
    match Diagnostics::new(errors) {
        Some(errors) => Err(PlanningError::Plan(errors)),
        None => Ok(found),
    }
}

/// Several instances of what only one can have.
fn crowded(plan: &Plan, count: u32) -> Option<Diagnostic> {
    let reason = single(plan).filter(|_| count > 1)?;
    let message = format!("{count} instances are too many: {reason}");
    let hint = "write count = 1, or grant a directory of the host's instead";
    Some(Diagnostic::new(format!("{}count", plan.key_prefix), message).with_hint(hint))
}

/// Why there can't be several instances at all.
fn single(plan: &Plan) -> Option<String> {
    let data = plan.grants.iter().find(|grant| grant.kind == GrantKind::Managed)?;
    Some(format!("the managed directory {} has one writer", data.path.display()))
}

/// What does not hold on this host; `strict` for what weakens the sandbox.
fn lines(plan: &Plan, strict: bool) -> Vec<String> {
    let meant = plan.unenforced.iter().filter(|one| one.strict || !strict);
    meant.map(|one| format!("{}: {}", one.what, one.why)).collect()
}

/// Everything an instance depends on, as one number.
fn seal(plan: &Plan, source: &Source, deployer: Option<&Deployer>, allow: bool) -> String {
    let rows = explain::rows(&anonymous(plan));
    let rows: Vec<_> = rows.iter().map(|row| (&row.label, &row.value, &row.key)).collect();
    let all = serde_json::json!([rows, source.folder, deployer.map(|one| one.uid), allow]);
    let digest = Sha256::digest(all.to_string().as_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The plan without what the first start decides.
fn anonymous(plan: &Plan) -> Plan {
    let identity = match plan.identity {
        Identity::Own { .. } => Identity::Own { uid: None },
        identity => identity,
    };
    Plan { identity, ..plan.clone() }
}

fn describe(manifest: &Manifest, plan: Plan, count: u32, fingerprint: String) -> Service {
    let takeover_reason = in_the_way(&plan, count);
    let needs = manifest.services.iter().find(|service| service.name.as_str() == plan.service);
    let needs = needs.map(|service| service.needs.iter().map(ToString::to_string).collect());
    Service {
        count,
        needs: needs.unwrap_or_default(),
        takeover: match takeover_reason {
            None => Takeover::Beside,
            Some(_) => Takeover::Replace,
        },
        takeover_reason,
        fingerprint,
        watch: super::watch::of(&plan),
        ports: plan.ports.iter().map(port).collect(),
        own_address: has_own_address(&plan),
        balanced: plan.balanced.as_ref().map(|one| balanced(one, manifest)),
        limits: ServiceLimits {
            memory: plan.limits.memory,
            cpu: plan.limits.cpu,
            processes: plan.limits.processes,
        },
        values: values(&anonymous(&plan)),
        unenforced: lines(&plan, false),
        strictly_unenforced: lines(&plan, true),
        single: single(&plan),
        name: plan.service,
    }
}

fn port(port: &crate::plan::PlannedPort) -> ServicePort {
    ServicePort {
        name: port.name.clone(),
        number: port.port,
        datagram: port.protocol == Protocol::Udp,
        activate: port.maker != Maker::Program,
        inside: Some(port.inside).filter(|inside| *inside != port.port),
        interface: port.interface.clone(),
        found_at: port.listen.and_then(|listen| listen.address),
        found_as: port.listen.map(|listen| listen.port).filter(|number| *number != port.port),
    }
}

fn balanced(balancing: &Balancing, manifest: &Manifest) -> Balanced {
    let seconds = |time: Duration| u32::try_from(time.as_secs().max(1)).unwrap_or(u32::MAX);
    Balanced {
        policy: balancing.policy.clone(),
        affinity_seconds: balancing.affinity.map(seconds),
        drain_ms: u64::try_from(balancing.drain.as_millis()).unwrap_or(u64::MAX),
        waits: balancing.unserved == Unserved::Wait,
        plugin: manifest.policies.iter().find(|one| one.name.as_str() == balancing.policy).map(
            |one| Plugin {
                deadline_ms: one.deadline.map(|span| span.0.as_millis() as u64),
                fallback: one.fallback.as_ref().map(ToString::to_string),
            },
        ),
    }
}

/// What two instances of a service can't have at the same time.
fn in_the_way(plan: &Plan, count: u32) -> Option<String> {
    if let Some(reason) = single(plan) {
        return Some(reason);
    }
    // Several instances have each their own from the host's range.
    if count > 1
        || plan.balanced.is_some()
        || has_own_address(plan)
        || plan.network == Network::None
    {
        return None;
    }
    let fixed = plan.ports.iter().find(|port| port.maker == Maker::Program)?;
    Some(format!("port {} is bound by the program itself", fixed.port))
}

fn has_own_address(plan: &Plan) -> bool {
    plan.network == Network::Host && matches!(plan.address, PlannedAddress::Own(_))
}

/// Every value by its label; several of one label by the keys behind them.
fn values(plan: &Plan) -> BTreeMap<String, String> {
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    for row in explain::rows(plan) {
        let name = match (row.label.as_str(), row.value.split_once('=')) {
            ("env", Some((name, _))) => format!("env {name}"),
            (label, _) => label.to_owned(),
        };
        let value = match row.label.as_str() {
            "env" => row.value.split_once('=').map(|(_, v)| v.to_owned()).unwrap_or_default(),
            _ => row.value,
        };
        values.entry(name).and_modify(|all| *all = format!("{all}, {value}")).or_insert(value);
    }
    values
}

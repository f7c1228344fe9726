//! How things stand, as the API shows it.
//!
//! Invariant: changes nothing. What can't be measured is left out, never shown as zero.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;

use manifest_spec::api::{
    AppList, AppStatus, AppSummary, ErrorBody, FailedRollout, History, HostDirectories, HostStatus,
    InstanceState, InstanceStatus, LogFlow, OverridesWire, PortOffset, PortStatus, Pressure,
    Rollout, ServiceStatus, Usage, VersionEntry,
};
use manifest_spec::log::metrics::PipelineMetrics;
use manifest_spec::policy::Verb;

use super::live::Live;
use super::peer::Peer;
use super::record::VersionRecord;
use super::refusal;
use super::services::{Service, ServicePort};
use super::world::{App, World};
use crate::cgroup::{Cgroups, folder, scope, usage};
use crate::keep::assignment::Name;
use crate::keep::wire::Order;
use crate::lease::holder;
use crate::logs::choice;
use crate::supervise::instance::State;

impl World {
    /// hostd itself.
    pub(super) fn host_status(&self) -> HostStatus {
        let shown = |path: &Path| path.display().to_string();
        HostStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api: "v1".to_owned(),
            pid: host_sys::process::pid(),
            uid: host_sys::creds::effective().0,
            since_ms: self.started_ms,
            boot_id: holder::boot_id().unwrap_or_default(),
            apps: self.apps.len() as u32,
            instances: self.live.values().filter(|live| live.instance.is_alive()).count() as u32,
            seq: self.chronicle.next(),
            directories: HostDirectories {
                state: shown(&self.directories.state),
                run: shown(&self.directories.run),
                config: shown(&self.directories.config),
            },
            controllers: Cgroups::look(true, scope::is_booted())
                .controllers
                .iter()
                .map(|one| one.name().to_owned())
                .collect(),
            cgroup: folder::own().map(|(own, _)| shown(&own)),
        }
    }

    /// Every app that a peer may look at.
    pub(super) fn app_list(&self, peer: &Peer) -> Result<AppList, ErrorBody> {
        let mut apps = Vec::new();
        for (name, app) in &self.apps {
            if self.may(peer, name, Verb::Look)? {
                apps.push(self.summary(name, app));
            }
        }
        Ok(AppList { apps })
    }

    fn summary(&self, name: &str, app: &App) -> AppSummary {
        let services = app.versions.get(&app.record.target).map_or(&[][..], |one| &one.services);
        let live: Vec<&Live> = self.instances_of(name).collect();
        let reached_by = services.iter().flat_map(|service| {
            let first = self.instances_of(name).find(|live| live.name.service == service.name);
            let main = service.ports.first().into_iter();
            main.map(move |port| {
                if service.balanced.is_some() {
                    return found(port);
                }
                match first.map(|live| ports(live, service)).unwrap_or_default().first() {
                    Some(shown) => reached(shown),
                    None => format!("{}/{}", port.number, protocol(port)),
                }
            })
        });
        AppSummary {
            app: name.to_owned(),
            wanted: app.record.wanted,
            version: app.record.promoted,
            rolling: Some(app.record.target).filter(|target| app.record.promoted != Some(*target)),
            services: services.len() as u32,
            instances: services.iter().map(|service| app.count(service)).sum(),
            ready: live.iter().filter(|live| live.instance.is_serving()).count() as u32,
            worst: live.iter().map(|live| state(live.instance.state())).max(),
            reached_by: reached_by.collect(),
        }
    }

    /// One app.
    pub(super) fn app_status(&self, name: &str) -> Result<AppStatus, ErrorBody> {
        let app = self.apps.get(name).ok_or_else(|| refusal::unknown_app(name, &self.apps))?;
        let record = &app.record;
        let rolling = record.promoted != Some(record.target);
        let services = app.versions.get(&record.target).map_or(&[][..], |one| &one.services);
        let known = |live: &&Live| services.iter().any(|one| one.name == live.name.service);
        let mut shown: Vec<ServiceStatus> =
            services.iter().map(|service| self.service_status(name, app, service)).collect();
        // Instances of services that the target has no more are on their way out.
        for live in self.instances_of(name).filter(|live| !known(live)) {
            match shown.iter_mut().find(|one| one.name == live.name.service) {
                Some(service) => service.instances.push(self.instance_status(live, None)),
                None => shown.push(ServiceStatus {
                    name: live.name.service.clone(),
                    count: 0,
                    needs: Vec::new(),
                    ports: Vec::new(),
                    instances: vec![self.instance_status(live, None)],
                }),
            }
        }
        Ok(AppStatus {
            app: name.to_owned(),
            wanted: record.wanted,
            version: record.promoted,
            rollout: rolling.then(|| Rollout {
                from: record.promoted,
                to: record.target,
                since_ms: record.since_ms,
                waiting_for: self.waiting_for(name, record.target),
            }),
            last_failure: record.failure.as_ref().map(|failure| FailedRollout {
                version: failure.version,
                reason: failure.reason.clone(),
                at_ms: failure.at_ms,
                last_lines: failure.last_lines.iter().map(|line| cleaned(line)).collect(),
            }),
            services: shown,
        })
    }

    fn waiting_for(&self, app: &str, target: u32) -> Option<String> {
        let unready = |live: &&Live| live.version == target && !live.instance.is_serving();
        let live = self.instances_of(app).find(unready)?;
        Some(format!("{} to become ready", live.name))
    }

    fn service_status(&self, name: &str, app: &App, service: &Service) -> ServiceStatus {
        let instances = self.instances_of(name).filter(|live| live.name.service == service.name);
        let port = |port: &ServicePort| PortStatus {
            name: port.name.clone(),
            port: port.found_as(),
            protocol: protocol(port).to_owned(),
            address: port.found_at.map(|address| address.to_string()),
            activate: port.activate,
        };
        ServiceStatus {
            name: service.name.clone(),
            count: app.count(service),
            needs: service.needs.clone(),
            ports: service.ports.iter().map(port).collect(),
            instances: instances.map(|live| self.instance_status(live, Some(service))).collect(),
        }
    }

    fn instance_status(&self, live: &Live, target: Option<&Service>) -> InstanceStatus {
        let (now, now_ms) = (self.now(), self.now_ms());
        let age = now.saturating_sub(live.instance.since()).as_millis() as u64;
        let of_version = self.service_of(&live.name);
        let service = of_version.as_ref().or(target);
        let waits = matches!(live.instance.state(), State::BackingOff | State::Failed);
        let next = live.instance.deadline().filter(|_| waits);
        let status = live.status.as_ref();
        InstanceStatus {
            name: live.name.to_string(),
            number: live.name.number,
            version: live.version,
            state: state(live.instance.state()),
            since_ms: now_ms.saturating_sub(age),
            started_ms: status.and_then(|status| status.started_ms).filter(|_| live.link.is_some()),
            pid: status.and_then(|status| status.init).filter(|_| live.link.is_some()),
            restarts: live.instance.restarts(),
            failures: live.instance.failures(),
            reason: self.draining_in_words(live).or_else(|| reason(live)),
            next_try_ms: next.map(|at| now_ms + at.saturating_sub(now).as_millis() as u64),
            ports: service.map(|service| ports(live, service)).unwrap_or_default(),
            connections: match live.instance.state() {
                State::Draining => self.left(&live.name),
                _ => self.connections(&live.name),
            },
            usage: live.link.as_ref().and_then(|_| measured(live, service)),
            log: choice::metrics(&self.directories, &live.name.to_string()).map(|one| flow(&one)),
            last_lines: live.tail.iter().map(|line| cleaned(line)).collect(),
            denied: live.denied.clone(),
        }
    }

    /// How far an instance is with letting its clients go.
    fn draining_in_words(&self, live: &Live) -> Option<String> {
        let deadline =
            live.instance.deadline().filter(|_| live.instance.state() == State::Draining)?;
        let left = deadline.saturating_sub(self.now()).as_secs();
        Some(match self.left(&live.name) {
            Some(1) => format!("1 connection is left, for {left} s at the longest"),
            Some(count) => format!("{count} connections are left, for {left} s at the longest"),
            None => format!("gets no new clients, and ends in {left} s"),
        })
    }

    /// Have the keepers of an app say the last lines of their programs; `false` if there are none,
    /// or if the peer may not see them.
    pub(super) fn ask_for_lines(&self, app: &str, peer: &Peer) -> bool {
        let mut asked = false;
        if !self.may(peer, app, Verb::Look).unwrap_or(false) {
            return false;
        }
        for live in self.instances_of(app) {
            asked |= live.order(&Order::Tail, &[]).is_ok();
        }
        asked
    }

    /// The instances of an app, by service and number.
    pub(super) fn instances_of<'a>(&'a self, app: &'a str) -> impl Iterator<Item = &'a Live> {
        let first = Name { app: app.to_owned(), service: String::new(), number: 0 };
        self.live.range(first..).map(|(_, live)| live).take_while(move |live| live.name.app == app)
    }

    /// The versions of an app, the newest first.
    pub(super) fn history(&self, name: &str) -> Result<History, ErrorBody> {
        let app = self.apps.get(name).ok_or_else(|| refusal::unknown_app(name, &self.apps))?;
        Ok(History {
            app: name.to_owned(),
            versions: app.versions.values().rev().map(entry).collect(),
        })
    }
}

fn reason(live: &Live) -> Option<String> {
    live.instance.reason().map(ToString::to_string)
}

fn entry(version: &VersionRecord) -> VersionEntry {
    let overrides = &version.source.overrides;
    VersionEntry {
        version: version.number,
        state: version.state,
        at_ms: version.at_ms,
        by: version.by.clone(),
        reason: version.reason.clone(),
        manifest_name: version.source.name.clone(),
        manifest_text: version.source.text.clone(),
        folder: version.source.folder.display().to_string(),
        overrides: OverridesWire {
            profile: overrides.profile.clone(),
            variables: overrides.variables.clone(),
            unset: overrides.unset.clone(),
            set: overrides.set.clone(),
            port_offset: PortOffset::By(overrides.port_offset),
        },
    }
}

/// How a log does, in short.
fn flow(metrics: &PipelineMetrics) -> LogFlow {
    LogFlow {
        lines: metrics.lines_in,
        dropped: metrics.lines_dropped,
        stalled_ms: metrics.stalled_ms,
        sinks: metrics.sinks.len() as u32,
        sinks_down: metrics.sinks.iter().filter(|sink| sink.last_error.is_some()).count() as u32,
    }
}

/// Where an instance's ports are.
fn ports(live: &Live, service: &Service) -> Vec<PortStatus> {
    let address = live.status.as_ref().map(|status| status.address.clone());
    let address = address.filter(|address| !address.is_empty());
    let port = |port: &ServicePort| {
        let own = live.ports.iter().find(|own| own.name == port.name).map(|own| own.number);
        PortStatus {
            name: port.name.clone(),
            port: own.unwrap_or(port.number),
            protocol: protocol(port).to_owned(),
            address: address.clone(),
            activate: port.activate,
        }
    };
    service.ports.iter().map(port).collect()
}

/// A program's line without control characters: whoever shows it may have a terminal.
fn cleaned(line: &str) -> String {
    let whole = |c: char| if c.is_control() { c.escape_unicode().to_string() } else { c.into() };
    line.chars().map(whole).collect()
}

fn reached(port: &PortStatus) -> String {
    match &port.address {
        Some(address) => format!("{address}:{}", port.port),
        None => format!("{}/{}", port.port, port.protocol),
    }
}

/// Where clients find a port of a balanced service.
fn found(port: &ServicePort) -> String {
    match port.found_at {
        Some(address) => SocketAddr::new(address, port.found_as()).to_string(),
        None => format!("{}/{}", port.found_as(), protocol(port)),
    }
}

fn protocol(port: &ServicePort) -> &'static str {
    if port.datagram { "udp" } else { "tcp" }
}

fn state(state: State) -> InstanceState {
    match state {
        State::Starting => InstanceState::Starting,
        State::Ready => InstanceState::Ready,
        State::Running => InstanceState::Running,
        State::Unhealthy => InstanceState::Unhealthy,
        State::Draining => InstanceState::Draining,
        State::Stopping => InstanceState::Stopping,
        State::BackingOff => InstanceState::BackingOff,
        State::Failed => InstanceState::Failed,
        State::Stopped => InstanceState::Stopped,
    }
}

/// What an instance uses up now.
pub(super) fn measured(live: &Live, service: Option<&Service>) -> Option<Usage> {
    let folder = live.status.as_ref()?.cgroup.as_ref()?;
    let folder = std::fs::File::open(folder).ok()?;
    let usage = usage::Usage::read(folder.as_fd());
    let limits = service.map(|service| service.limits).unwrap_or_default();
    Some(Usage {
        memory_bytes: usage.memory,
        memory_limit: limits.memory,
        cpu_usec: usage.cpu_usec,
        cpu_limit_percent: limits.cpu,
        processes: usage.processes.map(|count| count as u32),
        processes_limit: limits.processes,
        io_read_bytes: usage.io_read,
        io_written_bytes: usage.io_written,
        pressure: pressure(usage.pressure),
        exact: usage.exact,
    })
}

/// The whole of it, where the kernel tells it.
fn pressure(read: usage::Pressure) -> Option<Pressure> {
    Some(Pressure { cpu: read.cpu?, memory: read.memory?, io: read.io? })
}

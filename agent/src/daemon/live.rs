//! One instance as hostd knows it, and starting it.
//!
//! Invariant: an instance has at most one keeper; what one of its lives is told never reaches
//! another (marks). The decision to start it is made elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use manifest_spec::api::EventKind;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::chronicle::About;
use super::event::{CommandNews, Mark};
use super::keeper;
use super::launch::{self, LaunchError};
use super::services::Service;
use super::world::World;
use crate::fleet::StopReason;
use crate::keep::assignment::{self, AssignedPort, Assignment, HandedSocket, Name};
use crate::keep::folder::Folder;
use crate::keep::status::Status;
use crate::keep::wire::{self, Order};
use crate::network::rules::OwnAddress;
use crate::supervise::instance::{Action, Ending, Happening, Instance, State, Timing};
use host_sys::file;

/// An instance, running or not.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) name: Name,
    /// Which life of it this is.
    pub(super) serial: u64,
    pub(super) instance: Instance,
    pub(super) version: u32,
    pub(super) generation: u64,
    pub(super) fingerprint: String,
    pub(super) ports: Vec<AssignedPort>,
    pub(super) folder: Option<Folder>,
    pub(super) link: Option<Link>,
    pub(super) watcher: Option<AbortHandle>,
    /// What its keeper last said.
    pub(super) status: Option<Status>,
    /// The address that is its own, as its keeper said.
    pub(super) own: Option<OwnAddress>,
    /// Ports, those of UDP marked, on which it speaks IPv6.
    pub(super) six: BTreeSet<(bool, u16)>,
    /// It was found ready, and clients may be sent to it.
    pub(super) passed: bool,
    /// Its last lines, as far as they were asked for.
    pub(super) tail: Vec<String>,
    /// The last system call that it was refused.
    pub(super) denied: Option<String>,
    /// Commands that run inside.
    pub(super) commands: BTreeMap<u32, Waiting>,
    /// It is to be started as soon as another instance has made the sockets that they share.
    pub(super) awaits_sockets: bool,
}

/// The connection to a keeper.
#[derive(Debug)]
pub(super) struct Link {
    socket: OwnedFd,
    reader: AbortHandle,
}

/// Whoever waits for a command that runs inside.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A health check.
    Check(oneshot::Sender<Result<u8, String>>),
    /// A person.
    Session(mpsc::UnboundedSender<CommandNews>),
}

impl Link {
    /// A connection, read from here on.
    pub(super) fn new(socket: OwnedFd, mark: Mark, world: &World) -> host_sys::Result<Link> {
        let reading = file::duplicate(socket.as_fd())?;
        let task = tokio::task::spawn_local(keeper::listen(reading, mark, world.sender.clone()));
        Ok(Link { socket, reader: task.abort_handle() })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Live {
    /// One that was never started.
    pub(super) fn new(
        name: Name,
        version: u32,
        generation: u64,
        service: &Service,
        now: Duration,
    ) -> Live {
        Live {
            name,
            serial: 0,
            instance: Instance::new(timing(service), now),
            version,
            generation,
            fingerprint: service.fingerprint.clone(),
            ports: Vec::new(),
            folder: None,
            link: None,
            watcher: None,
            status: None,
            own: None,
            six: BTreeSet::new(),
            passed: false,
            tail: Vec::new(),
            denied: None,
            commands: BTreeMap::new(),
            awaits_sockets: false,
        }
    }

    /// Nothing of this life is left.
    pub(super) fn detach(&mut self) {
        self.link = None;
        self.awaits_sockets = false;
        if let Some(watcher) = self.watcher.take() {
            watcher.abort();
        }
        self.commands.clear();
    }

    /// Tell the keeper something. One that takes nothing has ended or hangs; its silence is heard.
    pub(super) fn order(&self, order: &Order, fds: &[OwnedFd]) -> host_sys::Result<()> {
        let link = self.link.as_ref().ok_or(host_sys::Errno::ENOTCONN)?;
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        wire::send(link.socket.as_fd(), order, &fds)
    }
}

/// What time a service's instances get.
pub(super) fn timing(service: &Service) -> Timing {
    let ready_within = Duration::from_millis(service.watch.within_ms);
    let drain_ms = service.balanced.as_ref().map_or(0, |balanced| balanced.drain_ms);
    let drain = Duration::from_millis(drain_ms);
    Timing { ready_within, drain, ..Timing::default() }
}

impl World {
    /// Start an instance of a version; `false` if nobody knows that version.
    pub(super) fn begin(&mut self, name: &Name, version: u32) -> bool {
        let now = self.now();
        let Some(app) = self.apps.get(&name.app) else { return false };
        let Some(service) = app.service(version, &name.service) else { return false };
        let said = app.record.services.get(&name.service);
        let generation = said.map_or(0, |said| said.generation);
        let live = Live::new(name.clone(), version, generation, service, now);
        if let Some(mut old) = self.live.insert(name.clone(), live) {
            old.detach();
        }
        self.happen(name, Happening::Launch);
        true
    }

    /// Have an instance end for good.
    pub(super) fn end(&mut self, name: &Name, why: StopReason) -> bool {
        let Some(live) = self.live.get(name) else { return false };
        let about = About::instance(name, live.version);
        if why.lets_clients_go() && live.instance.is_serving() && self.has_clients(name) {
            self.chronicle.add(about, EventKind::Progress, format!("draining: {why}"));
            self.happen(name, Happening::Drain);
            return true;
        }
        self.chronicle.add(about, EventKind::Stopping, format!("stopping: {why}"));
        self.happen(name, Happening::Stop);
        true
    }

    /// Tell an instance what happened, and do what follows at once.
    pub(super) fn happen(&mut self, name: &Name, happening: Happening) {
        let (now, jitter) = (self.now(), self.jitter());
        let Some(live) = self.live.get_mut(name) else { return };
        let before = live.instance.state();
        let action = live.instance.on(happening, now, jitter);
        self.changed(name, before);
        self.act(name, action);
    }

    /// Do what an instance's table says.
    pub(super) fn act(&mut self, name: &Name, action: Action) {
        match action {
            Action::None | Action::Wait | Action::OpenBreaker => {}
            Action::Start => self.launch(name),
            Action::AskToEnd => self.ask_to_end(name),
        }
    }

    fn ask_to_end(&mut self, name: &Name) {
        let Some(live) = self.live.get_mut(name) else { return };
        if live.awaits_sockets {
            // It has no keeper yet that could say so.
            live.detach();
            self.happen(name, Happening::Ended(Ending::Killed));
        } else if live.link.is_some() {
            // A keeper that does not take it has ended, which is heard.
            let _ = live.order(&Order::Stop, &[]);
        }
    }

    /// Start the instance's keeper; if that fails, the instance has ended.
    pub(super) fn launch(&mut self, name: &Name) {
        if self.must_wait(name) {
            if let Some(live) = self.live.get_mut(name) {
                live.awaits_sockets = true;
            }
            return;
        }
        match self.start_keeper(name) {
            Ok(()) => {}
            Err(error) => {
                let text = error.to_string();
                self.happen(name, Happening::Ended(Ending::NotStarted(text)));
            }
        }
    }

    /// Whether another instance of its service is just making the sockets that they share.
    fn must_wait(&self, name: &Name) -> bool {
        let Some(live) = self.live.get(name) else { return false };
        let Some(app) = self.apps.get(&name.app) else { return false };
        let Some(service) = app.service(live.version, &name.service) else { return false };
        let missing = service.ports.iter().filter(|port| port.activate).any(|port| {
            let wanted = HandedSocket { datagram: port.datagram, port: port.number };
            !self.sockets(name).any(|(socket, _)| *socket == wanted)
        });
        let makes = |other: &Live| {
            other.name != *name
                && (&other.name.app, &other.name.service) == (&name.app, &name.service)
                && other.instance.is_alive()
                && !other.awaits_sockets
        };
        missing && self.live.values().any(makes)
    }

    fn sockets(&self, name: &Name) -> impl Iterator<Item = &(HandedSocket, OwnedFd)> {
        let shared = self.shared.get(&(name.app.clone(), name.service.clone()));
        shared.into_iter().flat_map(|shared| &shared.sockets)
    }

    fn start_keeper(&mut self, name: &Name) -> Result<(), LaunchError> {
        let ports = self.assign_ports(name);
        let mark = self.mark(name);
        let Some(assignment) = self.assignment(name, ports.clone()) else {
            return Err(LaunchError::Kept);
        };
        let wanted = |(socket, _): &&(HandedSocket, OwnedFd)| assignment.sockets.contains(socket);
        let duplicates: host_sys::Result<Vec<OwnedFd>> =
            self.sockets(name).filter(wanted).map(|(_, fd)| file::duplicate(fd.as_fd())).collect();
        let sockets = duplicates.map_err(LaunchError::Start)?;
        let output = match &self.front {
            Some(front) => Some(front.output(name).map_err(LaunchError::Start)?),
            None => None,
        };
        let launched =
            launch::launch(&self.directories, &self.place, &assignment, &sockets, output)?;
        let link =
            Link::new(launched.connection, mark.clone(), self).map_err(LaunchError::Start)?;
        let about = About::instance(name, assignment.version);
        if let Some(live) = self.live.get_mut(name) {
            live.detach();
            live.serial = mark.serial;
            live.ports = ports;
            live.folder = Some(launched.folder);
            live.link = Some(link);
            live.status = None;
            (live.own, live.passed) = (None, false);
            live.six.clear();
            live.tail.clear();
            live.denied = None;
        }
        self.unwritten.insert(name.clone());
        self.chronicle.add(
            about,
            EventKind::Started,
            format!("started by keeper {}", launched.pid),
        );
        Ok(())
    }

    /// What the keeper is told; `None` for an instance whose version is not known any more.
    pub(super) fn assignment(&self, name: &Name, ports: Vec<AssignedPort>) -> Option<Assignment> {
        let live = self.live.get(name)?;
        let app = self.apps.get(&name.app)?;
        let version = app.versions.get(&live.version)?;
        let service = app.service(live.version, &name.service)?;
        let wanted: Vec<HandedSocket> = service
            .ports
            .iter()
            .filter(|port| port.activate)
            .map(|port| HandedSocket { datagram: port.datagram, port: port.number })
            .collect();
        let sockets = self.sockets(name).map(|(socket, _)| *socket);
        Some(Assignment {
            v: assignment::VERSION,
            name: name.clone(),
            version: live.version,
            generation: live.generation,
            fingerprint: live.fingerprint.clone(),
            source: version.source.clone(),
            ports,
            sockets: sockets.filter(|socket| wanted.contains(socket)).collect(),
            deployer: version.deployer.clone(),
            allow_unenforced: version.allow_unenforced,
            balanced: service.balanced.is_some(),
            foreground: self.front.is_some(),
        })
    }

    /// Start those that waited for sockets which are there now, or which nobody makes any more.
    pub(super) fn start_waiting(&mut self) {
        let waiting = self.live.values().filter(|live| live.awaits_sockets);
        let names: Vec<Name> = waiting.map(|live| live.name.clone()).collect();
        for name in names {
            if !self.must_wait(&name)
                && let Some(live) = self.live.get_mut(&name)
                && live.instance.state() == State::Starting
            {
                live.awaits_sockets = false;
                self.launch(&name);
            }
        }
    }
}

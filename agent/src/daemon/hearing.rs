//! What keepers and watchers say, taken in.
//!
//! Invariant: news of an earlier life of an instance changes nothing. An instance has ended when
//! its keeper has: then the lock, the leases and the sandbox are gone as well.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use manifest_spec::api::EventKind;

use super::chronicle::About;
use super::event::{CommandNews, Mark};
use super::keeper;
use super::live::{Link, Waiting};
use super::probe::{self, InsideCheck, Subject, Verdict};
use super::services::{ReadyBy, Service};
use super::world::World;
use crate::keep::assignment::{HandedSocket, Name};
use crate::keep::status::{Ending as Told, Phase, Status};
use crate::keep::wire::{Command, News, Order};
use crate::supervise::instance::{Ending, Happening, State};

impl World {
    /// A keeper said something.
    pub(super) fn hear(&mut self, mark: &Mark, news: News, mut fds: Vec<OwnedFd>) {
        let Some(live) = self.marked(mark) else { return };
        match news {
            News::Status(status) => self.stands(mark, *status),
            News::Tail(lines) => live.tail = lines,
            News::Denied(call) => live.denied = Some(call),
            News::Socket(socket) => {
                if let Some(fd) = fds.pop() {
                    self.share(&mark.name, socket, fd);
                }
            }
            News::Terminal(id) => {
                if let (Some(Waiting::Session(session)), Some(fd)) =
                    (live.commands.get(&id), fds.pop())
                {
                    let _ = session.send(CommandNews::Terminal(fd));
                }
            }
            News::Executed { id, ending } => match live.commands.remove(&id) {
                Some(Waiting::Check(reply)) => {
                    let _ = reply.send(exit_of(&ending));
                }
                Some(Waiting::Session(session)) => {
                    let _ = session.send(CommandNews::Ended(ending));
                }
                None => {}
            },
            News::NotExecuted { id, message, code } => match live.commands.remove(&id) {
                Some(Waiting::Check(reply)) => {
                    let _ = reply.send(Err(message));
                }
                Some(Waiting::Session(session)) => {
                    let _ = session.send(CommandNews::NotStarted(message, code));
                }
                None => {}
            },
        }
    }

    /// How an instance stands.
    fn stands(&mut self, mark: &Mark, status: Status) {
        let Some(service) = self.service_of(&mark.name) else { return };
        let Some(live) = self.marked(mark) else { return };
        let was_running = live.status.as_ref().is_some_and(|was| was.phase == Phase::Running);
        let ready = status.ready && service.watch.ready == ReadyBy::Notify;
        let runs = status.phase == Phase::Running;
        let makes = live.status.as_ref().is_none_or(|was| was.sockets.is_empty());
        if makes && !status.sockets.is_empty() {
            // A keeper that does not take it is about to be heard as gone.
            let _ = live.order(&Order::Sockets, &[]);
        }
        live.own = status.own;
        live.status = Some(status);
        if runs && !was_running {
            // Before it is known to the table, who asks it may get an answer of another.
            self.serve();
            self.watch(mark, &service);
        }
        if ready {
            self.is_found_ready(&mark.name);
        }
    }

    /// Watch an instance whose program runs.
    fn watch(&mut self, mark: &Mark, service: &Service) {
        let sender = self.sender.clone();
        let asked = self.asked_at(mark, service);
        let Some(live) = self.marked(mark) else { return };
        let main = service.ports.iter().find(|port| port.name.is_none() && !port.datagram);
        let own = live.ports.iter().find(|port| port.name.is_none()).map(|port| port.number);
        let address = live.status.as_ref().and_then(|status| status.address.parse().ok());
        let address: IpAddr = address.unwrap_or(Ipv4Addr::LOCALHOST.into());
        let port = main.map(|main| SocketAddr::new(address, own.unwrap_or(main.number)));
        let (port, way) = match asked {
            Some((port, way)) => (Some(port), Some(way)),
            None => (port, None),
        };
        let ready = live.instance.is_serving();
        let subject = Subject { port, way, mark: mark.clone(), sender };
        let task = tokio::task::spawn_local(probe::watch(subject, service.watch.clone(), ready));
        if let Some(old) = live.watcher.replace(task.abort_handle()) {
            old.abort();
        }
    }

    /// What a watcher found out.
    pub(super) fn judged(&mut self, mark: &Mark, verdict: Verdict) {
        if self.marked(mark).is_none() {
            return;
        }
        match verdict {
            Verdict::Ready => self.is_found_ready(&mark.name),
            Verdict::Sick(said) => self.happen(&mark.name, Happening::Sick(said)),
        }
    }

    /// Run a health check's program inside an instance.
    pub(super) fn check_inside(&mut self, mark: &Mark, check: InsideCheck) {
        let id = self.next_command();
        let Some(live) = self.marked(mark) else { return };
        let streams = || -> host_sys::Result<Vec<OwnedFd>> {
            (0..3).map(|_| host_sys::file::open_null()).collect()
        };
        let command = Command {
            id,
            arguments: check.command,
            environment: std::collections::BTreeMap::new(),
            directory: None,
            terminal: None,
        };
        let sent = streams().and_then(|fds| live.order(&Order::Execute(command), &fds));
        match sent {
            Ok(()) => drop(live.commands.insert(id, Waiting::Check(check.reply))),
            Err(errno) => drop(check.reply.send(Err(errno.desc().to_owned()))),
        }
    }

    /// A keeper has ended, or was not found.
    pub(super) fn fell_silent(&mut self, mark: &Mark) {
        let sender = self.sender.clone();
        let Some(live) = self.marked(mark) else { return };
        let said = live.folder.as_ref().and_then(|folder| folder.status().ok().flatten());
        let has_ended = said.as_ref().is_some_and(|said| matches!(said.phase, Phase::Ended(_)));
        if let Some(folder) = live.folder.as_ref().filter(|_| !has_ended)
            && matches!(folder.lock(), Ok(None))
        {
            // It has only lost its patience with a hostd that did not read.
            live.link = None;
            let path = folder.file("control");
            tokio::task::spawn_local(keeper::find(path, mark.clone(), sender));
            return;
        }
        live.detach();
        let ending = said.as_ref().map_or(Ending::KeeperLost, |status| ending_of(&status.phase));
        if let Some(status) = said {
            live.tail.clone_from(&status.last_lines);
            live.status = Some(status);
        }
        if matches!(ending, Ending::NotStarted(_)) {
            self.forget_ports(&mark.name);
        }
        self.happen(&mark.name, Happening::Ended(ending));
        self.start_waiting();
    }

    /// A keeper that an earlier hostd started has answered.
    pub(super) fn found(&mut self, mark: &Mark, connection: OwnedFd) {
        if self.marked(mark).is_none() {
            return;
        }
        let link = Link::new(connection, mark.clone(), self);
        match (link, self.marked(mark)) {
            (Ok(link), Some(live)) => {
                live.link = Some(link);
                let owed = live.instance.owed();
                self.act(&mark.name, owed);
            }
            _ => self.fell_silent(mark),
        }
    }

    /// Keep a socket that further instances of a service share.
    fn share(&mut self, name: &Name, socket: HandedSocket, fd: OwnedFd) {
        let key = (name.app.clone(), name.service.clone());
        let shared = &mut self.shared.entry(key).or_default().sockets;
        if !shared.iter().any(|(known, _)| *known == socket) {
            shared.push((socket, fd));
        }
        self.start_waiting();
    }

    /// Write down what changed in an instance's state.
    pub(super) fn changed(&mut self, name: &Name, before: State) {
        let Some(live) = self.live.get(name) else { return };
        let state = live.instance.state();
        if state == before {
            return;
        }
        let reason = live.instance.reason().map(ToString::to_string);
        let (kind, text) = match state {
            State::Ready => (EventKind::Ready, "ready".to_owned()),
            State::Running => (EventKind::Running, "steady".to_owned()),
            State::Unhealthy => (EventKind::Unhealthy, reason.unwrap_or_default()),
            State::BackingOff => (EventKind::BackingOff, self.wait_in_words(name, reason)),
            State::Failed => (EventKind::Failed, reason.unwrap_or_default()),
            State::Stopped => (EventKind::Stopped, reason.unwrap_or_else(|| "stopped".to_owned())),
            State::Starting | State::Draining | State::Stopping => {
                (EventKind::Progress, String::new())
            }
        };
        if !text.is_empty() {
            self.chronicle.add(About::instance(name, live.version), kind, text);
        }
        self.unwritten.insert(name.clone());
    }

    fn wait_in_words(&self, name: &Name, reason: Option<String>) -> String {
        let reason = reason.unwrap_or_default();
        let Some(live) = self.live.get(name) else { return reason };
        let wait = live.instance.deadline().unwrap_or_default().saturating_sub(self.now());
        format!("{reason}; started again in {:.1} s", wait.as_secs_f64())
    }

    /// The service that an instance is of, in its version.
    pub(super) fn service_of(&self, name: &Name) -> Option<Service> {
        let live = self.live.get(name)?;
        self.apps.get(&name.app)?.service(live.version, &name.service).cloned()
    }

    /// A number for a command that runs inside.
    pub(super) fn next_command(&mut self) -> u32 {
        self.commands = self.commands.wrapping_add(1);
        self.commands
    }
}

/// How an instance ended, by its keeper's last words; one that said none was lost.
pub(super) fn ending_of(phase: &Phase) -> Ending {
    let Phase::Ended(told) = phase else { return Ending::KeeperLost };
    match told {
        Told::Exit(code) => Ending::Exit(*code),
        Told::Signal { number, core } => Ending::Signal { number: *number, core: *core },
        Told::Oom => Ending::Oom,
        Told::Denied { call } => Ending::Denied { call: call.clone() },
        Told::Killed => Ending::Killed,
        Told::NotStarted { message, .. } => Ending::NotStarted(message.clone()),
    }
}

fn exit_of(ending: &Told) -> Result<u8, String> {
    match ending {
        Told::Exit(code) => Ok(*code),
        Told::Signal { number, .. } => Err(format!("ended by {}", host_sys::signal::name(*number))),
        other => Err(format!("{other:?}")),
    }
}

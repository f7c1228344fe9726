//! A keeper's socket and its program's notifications, in the loop that watches the run.
//!
//! Invariant: nobody can make it wait. A hostd that does not read is dropped, and finds everything
//! again in the folder when it connects anew. Whoever connects could open the folder, which is
//! hostctl's alone.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

use host_sys::diag::Transport;
use host_sys::poll::Interest;
use host_sys::{Errno, file, socket};

use super::assignment::HandedSocket;
use super::folder::Folder;
use super::notify;
use super::status::{Ending, Phase, Status};
use super::wire::{self, Command, Order};
use crate::clock::since_epoch;
use crate::logs::Tail;
use crate::sandbox::message::{Execution, Failure, Streams};
use crate::sandbox::seccomp;
use crate::supervise::{Companion, News, Wish};

/// Hostds that may be connected at once: one that ends, one that begins, and one to spare.
const CONNECTIONS: usize = 3;

/// What a command inside gets beside its own words.
#[derive(Debug)]
pub(super) struct Inside {
    /// The app's environment.
    pub(super) environment: Vec<(String, String)>,
    /// The app's working directory.
    pub(super) directory: std::path::PathBuf,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) folder: Folder,
    pub(super) status: Status,
    pub(super) inside: Inside,
    pub(super) tail: Tail,
    listener: OwnedFd,
    notifications: UnixDatagram,
    connections: Vec<OwnedFd>,
    sockets: Vec<(HandedSocket, OwnedFd)>,
}

/// What a place in the list of sources is.
enum Source {
    Listener,
    Notifications,
    Connection(usize),
}

impl Desk {
    /// One with its first connection. What the program needs of it must be there before it starts.
    pub(super) fn new(
        folder: Folder,
        status: Status,
        first: OwnedFd,
        sockets: Vec<(HandedSocket, OwnedFd)>,
    ) -> std::io::Result<Desk> {
        use std::os::unix::fs::PermissionsExt;
        let listener = socket::listen_at(&folder.file("control"))?;
        let path = folder.file("notify");
        let notifications = UnixDatagram::bind(&path)?;
        notifications.set_nonblocking(true)?;
        // The program, which is another user, sees this one file of the folder.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))?;
        let inside = Inside { environment: Vec::new(), directory: "/".into() };
        Ok(Desk {
            folder,
            status,
            inside,
            tail: Tail::default(),
            listener,
            notifications,
            connections: vec![first],
            sockets,
        })
    }

    /// Write down how things stand, and tell whoever is connected.
    pub(super) fn report(&mut self) {
        self.status.sockets = self.sockets.iter().map(|(socket, _)| *socket).collect();
        // A full disk is no reason to end an app; hostd hears it all the same.
        let _ = self.folder.report(&self.status);
        self.tell(&wire::News::Status(Box::new(self.status.clone())), &[]);
    }

    /// The last words: how it ended.
    pub(super) fn conclude(&mut self, ending: Ending) {
        self.status.phase = Phase::Ended(ending);
        self.status.last_lines = self.lines();
        self.report();
    }

    fn lines(&self) -> Vec<String> {
        self.tail.lines().into_iter().map(|line| line.text).collect()
    }

    /// Tell everybody; who does not take it is dropped.
    fn tell(&mut self, news: &wire::News, fds: &[BorrowedFd<'_>]) {
        self.connections.retain(|connection| wire::send(connection.as_fd(), news, fds).is_ok());
    }

    fn sources_by_place(&self) -> Vec<(Source, BorrowedFd<'_>)> {
        let mut all = vec![
            (Source::Listener, self.listener.as_fd()),
            (Source::Notifications, self.notifications.as_fd()),
        ];
        let connections = self.connections.iter().enumerate();
        all.extend(connections.map(|(place, fd)| (Source::Connection(place), fd.as_fd())));
        all
    }

    /// Keep a socket that further instances can share, unless it is one that was shared with this.
    fn keep_socket(&mut self, socket: OwnedFd) {
        let Some((transport, port)) = socket::serves(socket.as_fd()) else { return };
        let handed = HandedSocket { datagram: transport == Transport::Udp, port };
        if !self.sockets.iter().any(|(known, _)| *known == handed) {
            self.sockets.push((handed, socket));
        }
    }

    fn accept(&mut self) {
        let Ok(connection) = socket::accept(self.listener.as_fd()) else { return };
        if self.connections.len() == CONNECTIONS {
            self.connections.remove(0);
        }
        let news = wire::News::Status(Box::new(self.status.clone()));
        if wire::send(connection.as_fd(), &news, &[]).is_ok() {
            self.connections.push(connection);
        }
    }

    fn take_notifications(&mut self) {
        let mut buffer = [0; 4096];
        while let Ok(length) = self.notifications.recv(&mut buffer) {
            let said = notify::read(&buffer[..length]);
            let before = (self.status.ready, self.status.says.clone());
            self.status.ready |= said.ready;
            self.status.says = said.status.or(self.status.says.take());
            if (self.status.ready, self.status.says.clone()) != before {
                self.report();
            }
        }
    }

    /// Do what a hostd says; `false` when it has nothing more to say.
    fn obey(&mut self, place: usize, wishes: &mut Vec<Wish>) -> bool {
        loop {
            let Some(connection) = self.connections.get(place) else { return true };
            match wire::receive::<Order>(connection.as_fd()) {
                Ok(Some((order, fds))) => self.follow(order, fds, wishes),
                Err(Errno::EAGAIN | Errno::EINTR) => return true,
                Ok(None) | Err(_) => return false,
            }
        }
    }

    fn follow(&mut self, order: Order, fds: Vec<OwnedFd>, wishes: &mut Vec<Wish>) {
        match order {
            Order::Stop => {
                self.status.asked_to_stop = true;
                wishes.push(Wish::Stop { signal: None });
            }
            Order::Kill => wishes.push(Wish::Kill),
            Order::Signal(signal) => wishes.push(Wish::Signal(signal)),
            Order::SignalCommand { id, signal } => {
                wishes.push(Wish::SignalExecution { id, signal });
            }
            Order::Execute(command) => match self.execution(command, fds) {
                Ok(execution) => wishes.push(Wish::Execute(execution)),
                Err((id, message)) => {
                    let news = wire::News::NotExecuted { id, message: message.into(), code: 126 };
                    self.tell(&news, &[]);
                }
            },
            Order::Tail => {
                let lines = self.lines();
                self.tell(&wire::News::Tail(lines), &[]);
            }
            Order::Sockets => {
                let sockets = std::mem::take(&mut self.sockets);
                for (socket, fd) in &sockets {
                    self.tell(&wire::News::Socket(*socket), &[fd.as_fd()]);
                }
                self.sockets = sockets;
            }
        }
    }

    fn execution(
        &self,
        command: Command,
        fds: Vec<OwnedFd>,
    ) -> Result<Execution, (u32, &'static str)> {
        let streams = match (command.terminal, <[OwnedFd; 3]>::try_from(fds)) {
            (Some(cells), _) => Streams::Terminal(cells.into()),
            (None, Ok(fds)) => Streams::Passed(fds),
            (None, Err(_)) => return Err((command.id, "it came without its three streams")),
        };
        let mut environment: BTreeMap<String, String> =
            self.inside.environment.iter().cloned().collect();
        environment.extend(command.environment);
        Ok(Execution {
            id: command.id,
            arguments: command.arguments,
            environment: environment.into_iter().collect(),
            directory: command.directory.unwrap_or_else(|| self.inside.directory.clone()),
            streams,
        })
    }
}

impl Companion for Desk {
    fn sources(&self) -> Vec<Interest<'_>> {
        let all = self.sources_by_place().into_iter();
        all.map(|(_, fd)| Interest { fd, write: false }).collect()
    }

    fn tend(&mut self, ready: &[usize]) -> Vec<Wish> {
        let mut wishes = Vec::new();
        let sources: Vec<Source> = self.sources_by_place().into_iter().map(|(s, _)| s).collect();
        let mut silent = Vec::new();
        let mut knock = false;
        for place in ready {
            match sources.get(*place) {
                Some(Source::Listener) => knock = true,
                Some(Source::Notifications) => self.take_notifications(),
                Some(Source::Connection(place)) if !self.obey(*place, &mut wishes) => {
                    silent.push(*place);
                }
                Some(Source::Connection(_)) | None => {}
            }
        }
        for place in silent.into_iter().rev() {
            if place < self.connections.len() {
                self.connections.remove(place);
            }
        }
        if knock {
            self.accept();
        }
        wishes
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Born { init, cgroup } => {
                self.status.init = Some(init);
                self.status.cgroup = cgroup.map(|path| path.display().to_string());
                self.report();
            }
            News::Socket(socket) => self.keep_socket(socket),
            News::Started => {
                self.status.phase = Phase::Running;
                self.status.started_ms = Some(since_epoch().as_millis() as u64);
                self.report();
            }
            News::Denied { call } => self.tell(&wire::News::Denied(call_name(call)), &[]),
            News::Terminal { id, master } => {
                self.tell(&wire::News::Terminal(id), &[master.as_fd()]);
            }
            News::Executed { id, exit } => {
                self.tell(&wire::News::Executed { id, ending: Ending::of(exit) }, &[]);
            }
            News::NotExecuted { id, failure } => {
                let code = if failure.errno == Some(Errno::ENOENT) { 127 } else { 126 };
                let message = in_words(&failure);
                self.tell(&wire::News::NotExecuted { id, message, code }, &[]);
            }
            News::LookingUp
            | News::Stopping { .. }
            | News::ProgramEnded(_)
            | News::Leftovers
            | News::Killing => {}
        }
    }
}

fn in_words(failure: &Failure) -> String {
    crate::failure::cause(failure)
}

/// A system call by its name, as man pages write it.
pub(super) fn call_name(call: i32) -> String {
    let name = u32::try_from(call).ok().and_then(seccomp::name_of);
    name.map_or_else(|| format!("system call {call}"), |name| format!("{name}(2)"))
}

/// A copy of a descriptor, if it can be had.
pub(super) fn copy(fd: &OwnedFd) -> host_sys::Result<OwnedFd> {
    file::duplicate(fd.as_fd())
}

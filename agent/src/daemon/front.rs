//! An app in the foreground: all its services, supervised as hostd would, shown as they write.
//!
//! Owns the pipes of what instances write and the way from there to whoever shows it. Invariant: the
//! same world as hostd's decides, so needs, readiness, restarts and the order of the end are the
//! same; but nothing is kept, and the instances end with this process, whatever ends it. Never
//! prints.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::Instant;

use host_sys::file;
use manifest_spec::api::{Event as Told, EventKind, VersionState, Wanted};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::LocalSet;

use super::event::Event;
use super::record::{AppRecord, VersionRecord};
use super::services::{self, Service};
use super::world::{App, Beginnings, World};
use super::{DaemonError, deploy};
use crate::clock::since_epoch;
use crate::failure::Error;
use crate::keep::assignment::Name;
use crate::keep::folder;
use crate::keep::wire::Order;
use crate::plan::{Directories, HostFacts};
use crate::planning::{self, Source};
use crate::source;

/// Longest line that is shown as one, in bytes.
const LINE: usize = 64 * 1024;

/// Something to show.
#[derive(Debug)]
pub enum Shown {
    /// A line that an instance wrote, without its end.
    Line {
        /// Which.
        service: String,
        /// Its number.
        number: u32,
        /// Whether it came by standard error.
        error: bool,
        /// As it was written.
        bytes: Vec<u8>,
    },
    /// Something that happened.
    Event(Box<Told>),
}

/// An app that is ready to be run.
#[derive(Debug)]
pub struct Crew {
    source: Source,
    name: String,
    allow_unenforced: bool,
    services: Vec<Service>,
    directories: Directories,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Somebody asked for it.
    Asked,
    /// A service never became ready: which, and why.
    Failed(String),
}

impl Crew {
    /// Work out an app's services on this host.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn new(
        mut source: Source,
        automatic_offset: bool,
        allow_unenforced: bool,
    ) -> Result<Crew, Error> {
        let facts = HostFacts::probe()?;
        let policy = source::policy(&facts.directories.policy())?;
        if automatic_offset {
            source.overrides.port_offset = deploy::free_offset(&source, &facts, &policy)?;
        }
        let loaded = planning::load(&source, &facts)?;
        let name = loaded.manifest.name.to_string();
        let services =
            services::work_out(&source, &loaded, &facts, &policy, None, allow_unenforced, false)?;
        let directories = facts.directories;
        Ok(Crew { source, name, allow_unenforced, services, directories })
    }

    /// The app's name, offset included.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The offset that it runs with.
    pub fn port_offset(&self) -> u16 {
        self.source.overrides.port_offset
    }

    /// Its services, in the manifest's order.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// Run it to its end.
    ///
    /// # Errors
    /// When it can't begin.
    pub fn run(self, show: &mut dyn FnMut(Shown)) -> Result<End, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::Daemon(DaemonError::Io(error)))?;
        let tasks = LocalSet::new();
        tasks.block_on(&runtime, self.live(show)).map_err(Error::Daemon)
    }

    async fn live(self, show: &mut dyn FnMut(Shown)) -> Result<End, DaemonError> {
        let directories = self.directories.clone();
        crate::store::open(&directories.run, &[]).map_err(DaemonError::Store)?;
        folder::sweep(&directories).map_err(DaemonError::Store)?;
        let (sender, mut events) = mpsc::unbounded_channel();
        let (lines, mut written) = mpsc::unbounded_channel();
        let beginnings = Beginnings { directories, sender: sender.clone(), clock: since_epoch };
        let mut world = World::passing(beginnings, Front { lines }).map_err(DaemonError::State)?;
        tokio::task::spawn_local(super::signals(sender)?);
        world.put(self);
        let mut told = world.chronicle.follow();
        let end = attend(&mut world, &mut events, &mut written, &mut told, show).await;
        // What was written last is on its way still.
        drop(world.front.take());
        while let Some(line) = written.recv().await {
            show(line);
        }
        world.leave();
        Ok(end)
    }
}

/// The loop: an event or a time, then everything that follows, until nothing runs any more.
async fn attend(
    world: &mut World,
    events: &mut UnboundedReceiver<Event>,
    written: &mut UnboundedReceiver<Shown>,
    told: &mut tokio::sync::broadcast::Receiver<Told>,
    show: &mut dyn FnMut(Shown),
) -> End {
    let mut end = None;
    loop {
        world.settle();
        while let Ok(event) = told.try_recv() {
            if event.kind != EventKind::Started {
                show(Shown::Event(Box::new(event)));
            }
        }
        if end.is_none()
            && let Some(reason) = world.gave_up()
        {
            world.finish();
            end = Some(End::Failed(reason));
            continue;
        }
        if let Some(end) = end.as_ref().filter(|_| world.live.is_empty()) {
            return end.clone();
        }
        let pause = std::time::Duration::from_secs(3600);
        let next = world.deadline().unwrap_or_else(|| Instant::now() + pause);
        tokio::select! {
            event = events.recv() => match event {
                Some(Event::End) if end.is_some() => world.insist(),
                Some(Event::End) => {
                    world.finish();
                    end = Some(End::Asked);
                }
                Some(event) => world.take(event),
                None => return end.unwrap_or(End::Asked),
            },
            Some(line) = written.recv() => show(line),
            () = tokio::time::sleep_until(next.into()) => {}
        }
        world.tick();
    }
}

impl World {
    /// Want this app, in its only version.
    fn put(&mut self, crew: Crew) {
        let at_ms = self.now_ms();
        let version = VersionRecord {
            number: 1,
            state: VersionState::Rolling,
            at_ms,
            by: String::new(),
            deployer: None,
            source: crew.source,
            allow_unenforced: crew.allow_unenforced,
            reason: None,
            services: crew.services,
        };
        let record = AppRecord {
            name: crew.name.clone(),
            wanted: Wanted::Running,
            data_goes: false,
            target: 1,
            promoted: None,
            since_ms: at_ms,
            services: BTreeMap::new(),
            failure: None,
        };
        let versions = BTreeMap::from([(1, version)]);
        self.apps.insert(crew.name, App { record, versions });
    }

    /// Why the app will not come up: a service that ended before it was ever ready.
    fn gave_up(&self) -> Option<String> {
        let rolling = |app: &App| app.record.promoted.is_none();
        if !self.apps.values().any(rolling) {
            return None;
        }
        self.live.values().find_map(|live| {
            let reason = live.instance.gave_up()?;
            Some(format!("{}.{}: {reason}", live.name.service, live.name.number))
        })
    }

    /// Stop everything, in order.
    fn finish(&mut self) {
        for app in self.apps.values_mut() {
            app.record.wanted = Wanted::Stopped;
        }
    }

    /// Stop everything at once, by force.
    fn insist(&mut self) {
        for live in self.live.values() {
            // One that takes nothing has ended.
            let _ = live.order(&Order::Kill, &[]);
        }
    }

    /// Leave nothing behind.
    fn leave(&self) {
        let _ = std::fs::remove_dir_all(self.directories.run.join(&self.place));
    }
}

/// Where lines of instances are sent.
#[derive(Debug)]
pub(super) struct Front {
    lines: UnboundedSender<Shown>,
}

impl Front {
    /// An instance's ends of two pipes, whose lines are shown.
    pub(super) fn output(&self, name: &Name) -> host_sys::Result<[OwnedFd; 2]> {
        let end = |error| {
            let (reader, writer) = file::pipe()?;
            let (lines, service, number) = (self.lines.clone(), name.service.clone(), name.number);
            tokio::task::spawn_local(async move {
                let show = |bytes| {
                    let service = service.clone();
                    lines.send(Shown::Line { service, number, error, bytes }).is_ok()
                };
                relay(reader, show).await;
            });
            Ok(writer)
        };
        Ok([end(false)?, end(true)?])
    }
}

/// Cut what comes into lines.
async fn relay(reader: OwnedFd, mut show: impl FnMut(Vec<u8>) -> bool) {
    let Ok(pipe) = pipe::Receiver::from_owned_fd(reader) else { return };
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        let Ok(bytes) = pipe.fill_buf().await else { return };
        if bytes.is_empty() {
            if !line.is_empty() {
                show(line);
            }
            return;
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(bytes.len(), |end| end + 1);
        line.extend_from_slice(&bytes[..end.unwrap_or(taken)]);
        pipe.consume(taken);
        if (end.is_some() || line.len() >= LINE) && !show(std::mem::take(&mut line)) {
            return;
        }
    }
}
